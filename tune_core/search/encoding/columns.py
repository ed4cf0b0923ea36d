"""Points of a search space as rows of numbers for a surrogate model, and the moves between neighbouring points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from tune_core.search.encoding.encode import Encoding
from tune_core.search.encoding.params import Param, Values

_FINE = 64
"""Ranges of whole numbers with more values than this are treated as continuous."""

Code = tuple[Any, ...]
"""A point: for each parameter the number of its value, or for continuous ones its place in [0, 1]."""


class ObservationTable:
    """The parameters of an encoding as columns.

    Parameters
    ----------
    encoding
        The search space. A choice among at least three rising numbers counts as ordered.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.columns = [_Column(param) for param in encoding.params]
        self.index = {param.name: i for i, param in enumerate(encoding.params)}
        self.is_category = [column.places is None and column.size is not None for column in self.columns]
        self.conditional = [i for i, param in enumerate(encoding.params) if param.condition]
        sizes = [column.size for column in self.columns]
        self.size = None if None in sizes or self.conditional else math.prod(s for s in sizes if s is not None)

    def __len__(self) -> int:
        return len(self.columns)

    def code(self, values: Mapping[str, Any]) -> Code:
        """The code of a point; what is inactive has a place of its own."""
        return tuple(
            column.code(values[column.param.name]) if column.param.name in values else column.inactive
            for column in self.columns
        )

    def settle(self, code: Sequence[Any]) -> Code:
        """A code in which whatever is inactive has its one place."""
        if not self.conditional:
            return tuple(code)
        settled = list(code)
        for i in self.conditional:
            condition = self.columns[i].param.condition
            if any(settled[self.index[name]] != wanted for name, wanted in condition):
                settled[i] = self.columns[i].inactive
            elif settled[i] == self.columns[i].inactive:
                settled[i] = self.columns[i].middle
        return tuple(settled)

    def values(self, code: Code) -> Values:
        """The values of a code."""
        out: Values = {}
        for column, place in zip(self.columns, code, strict=True):
            if column.param.is_active(out):
                out[column.param.name] = column.value(place)
        return out

    def from_units(self, units: Any) -> Code:
        """The code at a point of the unit cube."""
        return self.settle([column.from_unit(float(u)) for column, u in zip(self.columns, units, strict=True)])

    def features(self, codes: Sequence[Code]) -> Any:
        """Codes as rows of numbers: places in [0, 1] for what is ordered, and numbers of categories."""
        import numpy as np

        out = np.array(codes, dtype=float).reshape(len(codes), len(self.columns))
        for i, column in enumerate(self.columns):
            if column.places is not None:
                out[:, i] = np.asarray(column.places)[out[:, i].astype(int)]
        return out

    def neighbours(self, code: Code, rng: Any, width: float) -> list[Code]:
        """Points that differ from ``code`` in one parameter; continuous ones move by about ``width``."""
        found = []
        for i, column in enumerate(self.columns):
            if column.param.condition and code[i] == column.inactive:
                continue
            for place in column.near(code[i], rng, width):
                found.append(self.settle((*code[:i], place, *code[i + 1 :])))
        return found

    def mutated(self, code: Code, rng: Any) -> Code:
        """A point with one or two parameters drawn anew."""
        changed = list(code)
        for i in rng.choice(len(changed), size=min(len(changed), int(rng.integers(1, 3))), replace=False):
            changed[i] = self.columns[i].from_unit(float(rng.random()))
        return self.settle(changed)


class _Column:
    def __init__(self, param: Param) -> None:
        self.param = param
        size = param.size
        self.size = size if size is not None and (param.kind == "cat" or size <= _FINE) else None
        self.places: list[float] | None = None
        if param.kind == "cat":
            self.places = _order(list(param.domain.categories))
        elif self.size is not None:
            units = [param.to_unit(param.low + i) for i in range(self.size)]
            self.places = [(u - units[0]) / (units[-1] - units[0]) for u in units]
        self.middle: Any = 0.5 if self.size is None else self.size // 2
        # a place that no other value has, for categories; ordered parameters wait in the middle
        self.inactive: Any = -1 if self.places is None and self.size is not None else self.middle

    def code(self, value: Any) -> Any:
        if self.size is None:
            return self.param.to_unit(value)
        return int(value - self.param.low)

    def value(self, place: Any) -> Any:
        return self.param.from_unit(place) if self.size is None else self.param.snap(self.param.low + place)

    def from_unit(self, unit: float) -> Any:
        return unit if self.size is None else min(int(unit * self.size), self.size - 1)

    def near(self, place: Any, rng: Any, width: float) -> list[Any]:
        if self.size is None:
            steps = rng.normal(0.0, width, 4)
            return [min(max(place + float(step), 0.0), 1.0) for step in steps]
        if self.places is None or self.size <= 12:
            return [other for other in range(self.size) if other != place]
        reach = max(1, round(width * self.size))
        return [p for p in (place - reach, place - 1, place + 1, place + reach) if 0 <= p < self.size and p != place]


def _order(categories: list[Any]) -> list[float] | None:
    """Places in [0, 1] of categories that are rising numbers, on the scale on which they are more even; else None."""
    if len(categories) < 3 or not all(isinstance(c, (int, float)) and not isinstance(c, bool) for c in categories):
        return None
    if not all(a < b for a, b in pairwise(categories)):
        return None
    numbers = [float(c) for c in categories]
    if not all(map(math.isfinite, numbers)):
        return None
    if numbers[0] > 0:
        logs = [math.log(n) for n in numbers]
        if _unevenness(logs) < _unevenness(numbers):
            numbers = logs
    return [(n - numbers[0]) / (numbers[-1] - numbers[0]) for n in numbers]


def _unevenness(numbers: list[float]) -> float:
    gaps = [b - a for a, b in pairwise(numbers)]
    mean = sum(gaps) / len(gaps)
    return sum((g - mean) ** 2 for g in gaps) / (mean * mean)
