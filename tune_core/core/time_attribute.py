"""The result field that measures a trial's progress: what its value must be, and what to say of another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tune_core.core.objective import lookup
from tune_core.errors import MetricError

OF_EVERY_RESULT = ("training_iteration", "time_total_s")
"""Fields that each result has by itself, always as a finite number."""


def is_time(value: Any) -> bool:
    """Whether a value says how far a trial has come: a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def check_time(metrics: Mapping[str, object], name: str) -> None:
    """Raise if a result has the field and it is no finite number; a result without it, or with None, passes.

    Parameters
    ----------
    metrics
        The result in plain values, where NaN and infinities are text.
    name
        The scheduler's ``time_attr``.
    """
    value = lookup(metrics, name)
    if value is None or is_time(value):
        return
    shown = value if value in ("nan", "inf", "-inf") else repr(value)
    raise MetricError(
        f"The reported field {name!r}",
        f"is {shown}",
        "the scheduler measures a trial's progress by it (time_attr), so it must be a finite number",
        f"Report e.g. {{{name!r}: 3}}, or leave it out: a result without it is not judged.",
    )
