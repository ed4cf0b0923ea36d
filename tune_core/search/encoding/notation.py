"""Writes the values of a point as a search library wants them, and reads them: one translation for all libraries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tune_core.core.values import Config
from tune_core.search.encoding.encode import Encoding
from tune_core.search.encoding.params import Param, Values, plain
from tune_core.space.sampling import rng_for

NATIVE, LOGS, ALL = "native", "logs", "all"
"""What is handed over on the linear scale of ``Param.scaled_bounds``: nothing (the library knows logarithms and whole
numbers), what is to be searched by its logarithm, or every number (the library knows floats only)."""


@dataclass(frozen=True)
class Notation:
    """A library's way of writing values, under the keys ``p000``, ``p001``, …

    Parameters
    ----------
    scaled
        One of ``NATIVE``, ``LOGS`` and ``ALL``.
    category
        What precedes a category's number where categories are named by text; None where they are their numbers.
    """

    scaled: str = NATIVE
    category: str | None = ""

    def is_scaled(self, param: Param) -> bool:
        """Whether the library sees a parameter on its linear scale."""
        return param.kind != "cat" and (self.scaled == ALL or (self.scaled == LOGS and param.log))

    def bounds(self, param: Param) -> tuple[Any, Any]:
        """The least and the greatest value of a number, as the library sees it."""
        if self.is_scaled(param):
            return param.scaled_bounds
        return (int(param.low), int(param.high)) if param.kind == "int" else (float(param.low), float(param.high))

    def categories(self, param: Param) -> list[Any]:
        """The categories of a choice, as the library sees them."""
        return [self.write(param, index) for index in range(param.size or 1)]

    def write(self, param: Param, value: Any) -> Any:
        """A value, as the library sees it."""
        if param.kind == "cat":
            return value if self.category is None else f"{self.category}{value}"
        return param.to_scaled(value) if self.is_scaled(param) else value

    def read(self, param: Param, found: Any) -> Any:
        """The value that a library's value stands for."""
        found = plain(found)
        if param.kind == "cat":
            return param.snap(found if self.category is None else int(str(found)[len(self.category) :]))
        return param.from_scaled(float(found)) if self.is_scaled(param) else param.snap(found)

    def write_point(self, encoding: Encoding, values: Values) -> Config:
        """The values of a point by key."""
        return {key: self.write(p, values[p.name]) for key, p in keyed(encoding).items() if p.name in values}

    def read_point(self, encoding: Encoding, found: Mapping[str, Any]) -> Values:
        """The point that a library's values stand for."""
        return {p.name: self.read(p, found[key]) for key, p in keyed(encoding).items()}


def keyed(encoding: Encoding) -> dict[str, Param]:
    """The parameters by names that any library takes."""
    return {f"p{i:03d}": param for i, param in enumerate(encoding.params)}


def draw_inactive(encoding: Encoding, values: Values, seed: int, count: int) -> Values:
    """A point with random values for the inactive parameters, for libraries that know no conditions."""
    rng = rng_for(seed, count)
    return {p.name: values[p.name] if p.name in values else p.from_unit(rng.random()) for p in encoding.params}
