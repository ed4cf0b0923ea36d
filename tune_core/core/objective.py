"""The one place that compares metrics: it knows the mode, and that NaN and infinities are the worst value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tune_core.errors import InvalidArgumentError

DEFAULT_METRIC = "_metric"
"""Name under which a bare number, returned or yielded by an objective, is reported."""

SCOPES = ("last", "avg", "last-5-avg", "last-10-avg", "min", "max", "all")
"""Which of a trial's values of a metric may count; see ``ResultGrid.get_best_result``."""


def check_mode(mode: object, asked: str = "mode") -> None:
    """Raise unless ``mode`` is ``"min"`` or ``"max"``."""
    if mode not in ("min", "max"):
        raise InvalidArgumentError(
            asked, f"is {mode!r}", "a metric is either minimised or maximised", 'Use "min" or "max".'
        )


def check_objectives(metric: Any, mode: object) -> None:
    """Raise unless ``TuneConfig``'s metric and mode are one each or None, or several metrics with a mode each."""
    several = isinstance(metric, (list, tuple))
    names = list(metric) if several else [] if metric is None else [metric]
    if not all(isinstance(name, str) and name for name in names):
        raise InvalidArgumentError(
            "TuneConfig(metric)",
            f"is {metric!r}",
            "it is the name of a metric, or a list of such names",
            'Use e.g. metric="loss".',
        )
    if several and (len(names) < 2 or len(set(names)) < len(names)):
        raise InvalidArgumentError(
            "TuneConfig(metric)",
            f"is {metric!r}",
            "a list names at least two different metrics",
            'Use e.g. metric=["loss", "size"], or metric="loss" for one.',
        )
    modes = list(mode) if isinstance(mode, (list, tuple)) else [mode]
    if isinstance(mode, (list, tuple)) and (not several or len(modes) != len(names)):
        raise InvalidArgumentError(
            "TuneConfig(mode)",
            f"is {mode!r}, and metric is {metric!r}",
            "each metric needs its mode",
            'Use e.g. metric=["loss", "size"], mode=["min", "min"].',
        )
    for one in modes:
        if one is not None or several:
            check_mode(one, "TuneConfig(mode)")


def lookup(metrics: Mapping[str, object], name: str) -> Any:
    """Value of ``name`` in ``metrics``; ``"a/b"`` reaches into nested dicts. None if it is not there."""
    if name in metrics:
        return metrics[name]
    if "/" in name:
        node: Any = metrics
        for part in name.split("/"):
            if not isinstance(node, Mapping) or part not in node:
                return None
            node = node[part]
        return node
    return None


class Objective:
    """What "better" means: a metric's name and whether it is minimised or maximised.

    Parameters
    ----------
    metric
        Name of the metric in the results.
    mode
        ``"min"`` or ``"max"``.
    """

    __slots__ = ("_sign", "metric", "mode")

    def __init__(self, metric: str, mode: str) -> None:
        check_mode(mode)
        self.metric = metric
        self.mode = mode
        self._sign = 1.0 if mode == "min" else -1.0

    def loss(self, metrics: Mapping[str, object]) -> float:
        """The metric as a loss: lower is better; missing, NaN and infinite values are ``inf``, the worst."""
        return self.as_loss(metrics.get(self.metric) if self.metric in metrics else lookup(metrics, self.metric))

    def as_loss(self, value: Any) -> float:
        """One value of the metric as a loss."""
        if value.__class__ is float:  # the common case, and each report comes by here
            signed = value * self._sign
            return signed if signed - signed == 0.0 else math.inf
        try:
            signed = float(value) * self._sign
        except (TypeError, ValueError, OverflowError):
            return math.inf
        return signed if math.isfinite(signed) else math.inf

    def as_value(self, loss: float) -> float:
        """A loss back in the metric's own sign."""
        return loss * self._sign
