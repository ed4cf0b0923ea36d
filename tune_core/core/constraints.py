"""Conditions on metrics that a good trial must meet, e.g. a latency of at most 10 ms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tune_core.core.objective import lookup
from tune_core.core.validation import python_value
from tune_core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from tune_core.core.events import Header


@dataclass(frozen=True)
class Constraint:
    """One condition on a metric.

    Parameters
    ----------
    metric
        Its name; ``"a/b"`` reaches into nested dicts.
    relation
        ``"<="`` or ``">="``.
    bound
        A number.
    """

    metric: str
    relation: str
    bound: float

    def excess(self, metrics: Mapping[str, object]) -> float:
        """By how much the bound is broken; 0 or less if it is kept, NaN if there is no finite value of the metric."""
        try:
            value = float(lookup(metrics, self.metric))
        except (TypeError, ValueError, OverflowError):
            return math.nan
        if not math.isfinite(value):
            return math.nan
        return value - self.bound if self.relation == "<=" else self.bound - value

    def __str__(self) -> str:
        return f"{self.metric} {self.relation} {self.bound:g}"


def constraints_of(header: Header) -> list[Constraint]:
    """The constraints that a run's header holds."""
    return [Constraint(*one) for one in header.constraints]


def violation(constraints: Sequence[Constraint], metrics: Mapping[str, object]) -> float:
    """By how much constraints are broken in all; 0 if all are kept, infinite if one of their metrics is missing."""
    total = 0.0
    for constraint in constraints:
        excess = constraint.excess(metrics)
        if excess != excess:
            return math.inf
        total += max(excess, 0.0) / max(abs(constraint.bound), 1e-12 if constraint.bound else 1.0)
    return total


def constraints_from(value: object, asked: str = "TuneConfig(constraints)") -> tuple[Constraint, ...]:
    """Constraints from what users write: ``{"latency": ("<=", 10)}``, or a list of such pairs for one metric.

    Raises
    ------
    InvalidArgumentError
        If it is anything else.
    """
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise _wrong(asked, value)
    found = []
    for metric, given in value.items():
        pairs = given if isinstance(given, list) and given and not isinstance(given[0], str) else [given]
        for pair in pairs:
            if not isinstance(metric, str) or not metric or not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise _wrong(asked, value)
            relation, bound = pair[0], python_value(pair[1])
            number = isinstance(bound, (int, float)) and not isinstance(bound, bool) and math.isfinite(bound)
            if relation not in ("<=", ">=") or not number:
                raise _wrong(f"{asked}[{metric!r}]", given)
            found.append(Constraint(metric, relation, float(bound)))
    return tuple(found)


def _wrong(asked: str, value: object) -> InvalidArgumentError:
    return InvalidArgumentError(
        asked,
        f"is {value!r}",
        'a constraint is a metric\'s name with "<=" or ">=" and a finite number',
        'Use e.g. constraints={"latency": ("<=", 10)}.',
    )
