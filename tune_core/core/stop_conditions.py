"""Tests a result against ``RunConfig(stop={...})``: in the worker, and in the driver for a worker that is gone."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tune_core.core.events import Reported, value_of


def end_reached(event: Reported, stop: Mapping[str, float]) -> tuple[str, str] | None:
    """How and why a trial ends with this result, whatever its scheduler thinks; None if it goes on."""
    for name, threshold in stop.items():
        value = value_of(event, name)
        if isinstance(value, (int, float)) and math.isfinite(value) and value >= threshold:
            return "stopped", f"stop condition: {name} = {value} has reached {threshold}"
    return ("completed", "the result said done") if event.metrics.get("done") is True else None
