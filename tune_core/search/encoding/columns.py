"""Points of a search space as rows of numbers for a model, and the moves between neighbouring points.

A row has one number a parameter, its *place*: for a continuous parameter (and for whole numbers with many values)
where it lies in [0, 1], for all others the number of its value. A parameter that depends on a choice which was not made
has one place of its own, so that rows that mean the same configuration are equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tune_core.core.values import Array
from tune_core.search.encoding.encode import Encoding
from tune_core.search.encoding.params import Param, Values

if TYPE_CHECKING:
    from numpy.random import Generator


_FINE = 64
"""Ranges of whole numbers with more values than this are treated as continuous."""
_LISTED = 12
"""Ordered values are all neighbours of each other up to this many."""
_APART = math.sqrt(0.5)  # in two columns each, it puts two categories at a squared distance of 1


class ObservationTable:
    """The parameters of an encoding as columns.

    Parameters
    ----------
    encoding
        The search space. A choice among at least three rising numbers counts as ordered.

    Attributes
    ----------
    groups
        For each column of :meth:`features`, the number of the parameter that it belongs to.
    size
        Number of different points; None if a parameter is continuous or the space conditional.
    """

    def __init__(self, encoding: Encoding) -> None:
        import numpy as np

        self.encoding = encoding
        self.columns = [_Column(param) for param in encoding.params]
        index = {param.name: i for i, param in enumerate(encoding.params)}
        self._conditions = [
            (i, [(index[name], wanted) for name, wanted in param.condition])
            for i, param in enumerate(encoding.params)
            if param.condition
        ]
        self.continuous = [i for i, column in enumerate(self.columns) if column.size is None]
        self.discrete = [i for i, column in enumerate(self.columns) if column.size is not None]
        self._rounded = [i for i in self.continuous if self.columns[i].param.kind != "float"]
        groups: list[int] = []
        self.at: list[int] = []  # where in the features a parameter begins
        for i, column in enumerate(self.columns):
            self.at.append(len(groups))
            groups += [i] * column.width
        self.groups = np.array(groups)
        self.continuous_features = np.array([self.at[i] for i in self.continuous], dtype=int)
        sizes = [column.size for column in self.columns]
        self.size = None if None in sizes or self._conditions else math.prod(s for s in sizes if s is not None)

    def __len__(self) -> int:
        return len(self.columns)

    # --- to rows and back ---------------------------------------------------------------------------------------------

    def row(self, values: Mapping[str, object]) -> Array:
        """The row of a point."""
        import numpy as np

        return np.array(
            [
                column.place(values[column.param.name]) if column.param.name in values else column.inactive
                for column in self.columns
            ],
            dtype=float,
        )

    def values(self, row: Array) -> Values:
        """The values of a row."""
        out: Values = {}
        for column, place in zip(self.columns, row.tolist(), strict=True):
            if column.param.is_active(out):
                out[column.param.name] = column.value(place)
        return out

    def key(self, row: Array) -> bytes:
        """A key that is equal for rows of the same configuration."""
        return self.keys(row[None])[0]

    def keys(self, rows: Array) -> list[bytes]:
        """The key of each row."""
        rounded = rows.round(9) + 0.0
        data, width = rounded.tobytes(), rounded.itemsize * rounded.shape[1]
        return [data[i * width : (i + 1) * width] for i in range(len(rows))]

    def settle(self, rows: Array) -> Array:
        """The rows, changed in place, with whole numbers rounded and whatever is inactive at its one place."""
        import numpy as np

        for i in self._rounded:
            rows[:, i] = self.columns[i].rounded(rows[:, i])
        for i, wanted in self._conditions:
            column = self.columns[i]
            active = np.logical_and.reduce([rows[:, on] == value for on, value in wanted])
            lost = active & (rows[:, i] == column.inactive) & (column.inactive < 0)
            rows[lost, i] = column.middle
            rows[~active, i] = column.inactive
        return rows

    def from_units(self, units: Array) -> Array:
        """The rows at points of the unit cube: an array of shape (n, parameters)."""
        import numpy as np

        rows = np.array(units, dtype=float)
        for i in self.discrete:
            size = self.columns[i].size or 1
            rows[:, i] = np.minimum((rows[:, i] * size).astype(int), size - 1)
        return self.settle(rows)

    def features(self, rows: Array) -> Array:
        """Rows for a model: places in [0, 1] for what is ordered; for categories a column each.

        Two different categories are at a squared distance of 1, as are the two ends of what is ordered. A parameter
        that exists only under some choices has a column more, which says whether it exists: so a point without it is
        not near one with it, whatever place it has been given.
        """
        import numpy as np

        out = np.zeros((len(rows), len(self.groups)))
        for i, (column, at) in enumerate(zip(self.columns, self.at, strict=True)):
            if column.places is not None:
                out[:, at] = np.asarray(column.places)[rows[:, i].astype(int)]
            elif column.size is None:
                out[:, at] = rows[:, i]
            else:
                made = np.flatnonzero(rows[:, i] >= 0)
                out[made, at + rows[made, i].astype(int)] = _APART
        for i, wanted in self._conditions:
            if self.columns[i].places is not None or self.columns[i].size is None:
                made = np.logical_and.reduce([rows[:, on] == value for on, value in wanted])
                out[made, self.at[i] + 1] = _APART
        return out

    # --- moves --------------------------------------------------------------------------------------------------------

    def active(self, row: Array) -> list[int]:
        """Numbers of the parameters that exist at a row."""
        hidden = {i for i, wanted in self._conditions if any(row[on] != value for on, value in wanted)}
        return [i for i in range(len(self.columns)) if i not in hidden]

    def moves(self, row: Array) -> Array:
        """Moves from a row to those that differ in one parameter that is not continuous: pairs of column and place."""
        import numpy as np

        columns = [(i, self.columns[i]) for i in self.active(row)]
        found = [(i, place) for i, c in columns if c.size is not None for place in c.near(int(row[i]))]
        return np.array(found, dtype=int).reshape(-1, 2)

    def moved(self, row: Array, moves: Array) -> Array:
        """The rows to which these moves lead, in their order."""
        import numpy as np

        rows: Array = np.repeat(row[None], len(moves), axis=0)
        rows[np.arange(len(moves)), moves[:, 0]] = moves[:, 1]
        return self.settle(rows)

    def mutated(self, rows: Array, rng: Generator) -> Array:
        """The rows with a few parameters changed: numbers by a little or a lot, categories drawn anew."""
        import numpy as np

        n, d = rows.shape
        change = rng.random((n, d)) < rng.uniform(0.0, 1.0, (n, 1)) ** 2 * (1.0 - 1.0 / d) + 1.0 / d
        change[np.arange(n), rng.integers(0, d, n)] = True
        fresh = self.from_units(rng.random((n, d)))
        steps = 10.0 ** rng.uniform(-2.5, -0.3, (n, 1)) * rng.standard_normal((n, d))
        out = rows.copy()
        for i, column in enumerate(self.columns):
            if column.size is None:
                moved = np.clip(out[:, i] + steps[:, i], 0.0, 1.0)
            elif column.places is not None and column.size > 2:
                by = np.where(steps[:, i] > 0.0, 1.0, -1.0) * np.ceil(np.abs(steps[:, i]) * column.size)
                moved = np.clip(out[:, i] + by, 0.0, column.size - 1.0)
            else:
                moved = fresh[:, i]
            out[change[:, i], i] = moved[change[:, i]]
        hidden = [i for i, _ in self._conditions]  # parameters that a changed choice makes active are drawn
        for i in hidden:
            born = rows[:, i] == self.columns[i].inactive
            out[born, i] = fresh[born, i] if self.columns[i].size is None else np.maximum(fresh[born, i], 0.0)
        return self.settle(out)

    def everything(self, limit: int) -> Array | None:
        """All rows of a finite space of at most ``limit`` points; None of a larger one."""
        import numpy as np

        if self.size is None or self.size > limit:
            return None
        axes = [np.arange(float(column.size or 1)) for column in self.columns]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


class _Column:
    """One parameter: between its values and their places."""

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
        self.width = self.size if self.size is not None and self.places is None else 2 if param.condition else 1
        self.middle: object = 0.5 if self.size is None else self.size // 2
        # categories have a place that no value has; ordered parameters take the middle
        self.inactive: Any = -1 if self.size is not None and self.places is None else self.middle

    def place(self, value: Any) -> Any:
        if self.size is None:
            return min(max(self.param.to_unit(value), 0.0), 1.0)
        return int(value - self.param.low)

    def value(self, place: float) -> Any:
        return self.param.from_unit(place) if self.size is None else self.param.snap(self.param.low + place)

    def rounded(self, places: Array) -> Array:
        """Places of the whole numbers nearest to some places."""
        import numpy as np

        low, high = self.param.scaled_bounds
        scaled = low + places * (high - low)
        whole = np.clip(np.round(np.exp(scaled) if self.param.log else scaled), self.param.low, self.param.high)
        nearest: Array = ((np.log(whole) if self.param.log else whole) - low) / (high - low)
        return nearest

    def near(self, place: int) -> Sequence[int]:
        size = self.size or 1
        if self.places is None or size <= _LISTED:
            return [other for other in range(size) if other != place]
        reach = max(2, size // 8)
        return [p for p in (place - reach, place - 1, place + 1, place + reach) if 0 <= p < size]


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
