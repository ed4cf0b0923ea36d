"""A parameter as search libraries see it: a float, a whole number or the number of a category, with plain bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tune_core.errors import SearchSpaceError

Values = dict[str, Any]
"""What a library deals in: parameter names and numbers. Inactive parameters are left out."""

_EPSILON = 1e-12


@dataclass(frozen=True)
class Param:
    """One parameter as libraries see it.

    Parameters
    ----------
    name
        Unique; nested names are joined by ``/``, and what belongs to category 1 of ``a`` begins with ``a=1``.
    kind
        ``"float"``, ``"int"`` or ``"cat"``.
    low, high
        The least and the greatest value, both included; for ``cat`` from 0 to the number of categories less 1.
    log
        Whether the parameter is to be searched by its logarithm.
    condition
        The category that each choice above it must have; empty if it is always active.
    domain
        The domain that it came from.
    """

    name: str
    kind: str
    low: float
    high: float
    log: bool = False
    condition: tuple[tuple[str, int], ...] = ()
    domain: Any = field(default=None, compare=False)

    @property
    def size(self) -> int | None:
        """Number of values; None for a continuum."""
        return None if self.kind == "float" else int(self.high) - int(self.low) + 1

    def is_active(self, values: Mapping[str, object]) -> bool:
        """Whether the choices above it are such that it exists."""
        return all(values.get(name) == index for name, index in self.condition)

    def snap(self, value: Any) -> Any:
        """The parameter's value that is nearest to what a library returned, as a plain float or int."""
        number = float(value)
        if self.kind == "float":
            return min(max(number, self.low), self.high)
        return int(min(max(round(number), self.low), self.high))

    @property
    def scaled_bounds(self) -> tuple[float, float]:
        """Bounds on the scale to be searched linearly: logarithms if ``log``, and whole numbers' cells in full."""
        low, high = float(self.low), float(self.high)
        if self.kind != "float":
            low, high = low - 0.5 + _EPSILON, high + 0.5 - _EPSILON
        return (math.log(low), math.log(high)) if self.log else (low, high)

    def to_scaled(self, value: float) -> float:
        """A value on the scale of :attr:`scaled_bounds`."""
        return math.log(value) if self.log else float(value)

    def from_scaled(self, scaled: float) -> object:
        """The value nearest to a point of that scale."""
        return self.snap(math.exp(scaled) if self.log else scaled)

    def to_unit(self, value: float) -> float:
        """A value as a number in [0, 1]."""
        low, high = self.scaled_bounds
        return (self.to_scaled(value) - low) / (high - low)

    def from_unit(self, unit: float) -> object:
        """The value at a number in [0, 1]."""
        low, high = self.scaled_bounds
        return self.from_scaled(low + min(max(float(unit), 0.0), 1.0) * (high - low))


def plain(value: Any) -> Any:
    """NumPy's scalars and arrays within a value as Python's own types."""
    if isinstance(value, Mapping):
        return {plain(k): plain(v) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    return value.tolist() if type(value).__module__ == "numpy" and hasattr(value, "tolist") else value


def unsearchable(param: Param, searcher: str, why: str) -> SearchSpaceError:
    """The error for a parameter that a searcher's library cannot search."""
    domain = repr(param.domain) if param.domain is not None else f"a range from {param.low:g} to {param.high:g}"
    return SearchSpaceError(
        f"param_space[{param.name!r}]",
        f"is {domain}",
        f"{searcher} cannot search it: {why}",
        "Give it a range that can be searched, e.g. tune.loguniform(1e-10, 1e10), or another search_alg.",
    )
