"""Rules that end a trial or the whole run, beyond a metric's threshold."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tune_core.core.objective import check_mode, lookup
from tune_core.core.validation import integer, number, synchronous, takes
from tune_core.core.values import Metrics, ResultDict
from tune_core.errors import InvalidArgumentError

Result = Metrics


class Stopper:
    """Base of stopping rules: subclass it, and give an instance as ``RunConfig(stop=…)``.

    A stopper sees every result of every trial, in the order in which they arrived.
    """

    metrics: tuple[str, ...] = ()
    """Metrics that the rule reads."""
    timeout_s: float | None = None
    """Limit on the run's duration in seconds; the engine enforces it even while no result arrives."""

    def begin_run(self) -> None:
        """A run begins, also a restored one, whose results so far come again: forget what another run has shown.

        Does nothing by itself. A stopper of your own that keeps what it sees should forget it here if one object is
        given to several runs.
        """

    def __call__(self, trial_id: str, result: Result) -> bool:
        """Whether to stop the trial that reported this result."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(trial_id, result)")

    def stop_all(self) -> bool:
        """Whether to stop the whole run; asked after each result."""
        raise NotImplementedError(f"{type(self).__name__} must define stop_all()")

    def reason(self) -> str:
        """Why the last yes was said, for people; empty takes the class's name."""
        return ""


class NoopStopper(Stopper):
    """Never stops anything."""

    def __call__(self, trial_id: str, result: Result) -> bool:
        return False

    def stop_all(self) -> bool:
        return False


class CombinedStopper(Stopper):
    """Stop when any of several stoppers says so.

    Every stopper sees every result, also when one before it has already said yes.

    Examples
    --------
    >>> stop = CombinedStopper(MaximumIterationStopper(10), TrialPlateauStopper("loss"))
    >>> stop("00000", {"training_iteration": 10, "loss": 0.5})
    True
    """

    def __init__(self, *stoppers: Stopper) -> None:
        for i, stopper in enumerate(stoppers):
            if not isinstance(stopper, Stopper):
                raise _not_a_stopper(f"CombinedStopper: stopper {i}", stopper)
        self._stoppers = stoppers
        self._reason = ""
        self.metrics = tuple(dict.fromkeys(name for s in stoppers for name in s.metrics))
        timeouts = [s.timeout_s for s in stoppers if s.timeout_s is not None]
        self.timeout_s = min(timeouts, default=None)

    def begin_run(self) -> None:
        for stopper in self._stoppers:
            stopper.begin_run()

    def __call__(self, trial_id: str, result: Result) -> bool:
        return self._first([s for s in self._stoppers if s(trial_id, result)])

    def stop_all(self) -> bool:
        return self._first([s for s in self._stoppers if s.stop_all()])

    def reason(self) -> str:
        return self._reason

    def _first(self, agreed: list[Stopper]) -> bool:
        if agreed:
            self._reason = agreed[0].reason() or type(agreed[0]).__name__
        return bool(agreed)


class FunctionStopper(Stopper):
    """Stop a trial when ``function(trial_id, result)`` is true.

    Parameters
    ----------
    function
        Any callable that takes the trial's id and its result and returns a bool.
    """

    def __init__(self, function: Callable[[str, ResultDict], bool]) -> None:
        if not self.is_valid_function(function):
            raise _not_a_stopper("FunctionStopper(function)", function)
        self._function: Callable[[str, Any], bool] = function

    @classmethod
    def is_valid_function(cls, fn: object) -> bool:
        """Whether ``fn`` is a function to wrap: callable, no class, and no Stopper already."""
        if not callable(fn) or isinstance(fn, (type, Stopper)):
            return False
        if hasattr(fn, "stop_all"):
            raise InvalidArgumentError(
                f"The stopper {type(fn).__name__}",
                "has stop_all() but is no Stopper",
                "as a plain function its stop_all would never be asked",
                "Derive its class from tune_core.stopper.Stopper.",
            )
        return True

    def __call__(self, trial_id: str, result: Result) -> bool:
        return bool(self._function(trial_id, result))

    def stop_all(self) -> bool:
        return False

    def reason(self) -> str:
        return f"the stop function {getattr(self._function, '__qualname__', repr(self._function))} said so"


class MaximumIterationStopper(Stopper):
    """Stop each trial after a number of results.

    Parameters
    ----------
    max_iter
        Iterations after which a trial stops.
    """

    def __init__(self, max_iter: int) -> None:
        self._max_iter = integer("MaximumIterationStopper(max_iter)", max_iter, 1)

    @property
    def max_iter(self) -> int:
        """Iterations after which a trial stops."""
        return self._max_iter

    def __call__(self, trial_id: str, result: Result) -> bool:
        return int(result.get("training_iteration", 0)) >= self._max_iter

    def stop_all(self) -> bool:
        return False

    def reason(self) -> str:
        return f"reached max_iter={self._max_iter}"


class ExperimentPlateauStopper(Stopper):
    """Stop the whole run when the best results have stopped getting better.

    The run has reached a plateau when the standard deviation of the best ``top`` results so far is at most ``std``.

    Parameters
    ----------
    metric
        Metric to watch.
    std
        Largest standard deviation that counts as a plateau.
    top
        Number of best results to look at.
    mode
        ``"min"`` or ``"max"``: which results are the best.
    patience
        Further results to wait for on the plateau before stopping.

    Notes
    -----
    NaN and infinite values are the worst and never enter the best. A result without the metric counts for nothing.
    """

    def __init__(self, metric: str, std: float = 0.001, top: int = 10, mode: str = "min", patience: int = 0) -> None:
        name = type(self).__name__
        check_mode(mode, f"{name}(mode)")
        self._metric = metric
        self._sign = 1.0 if mode == "min" else -1.0
        self._std = number(f"{name}(std)", std, 0)
        if not self._std:
            raise InvalidArgumentError(
                f"{name}(std)", "is 0", "results hardly ever agree exactly, so nothing would stop", "Use e.g. 0.001."
            )
        self._top = integer(f"{name}(top)", top, 2)
        self._patience = integer(f"{name}(patience)", patience, 0)
        self.metrics = (metric,)
        self.begin_run()

    def begin_run(self) -> None:
        self._best: list[float] = []  # losses, best first
        self._iterations = 0

    def __call__(self, trial_id: str, result: Result) -> bool:
        reported = lookup(result, self._metric)
        if reported is None:
            return False
        value = _finite(reported)
        if value is not None:
            self._best = sorted([*self._best, self._sign * value])[: self._top]
        self._iterations = self._iterations + 1 if self.has_plateaued() else 0
        return self.stop_all()

    def has_plateaued(self) -> bool:
        """Whether the best results are within the deviation now."""
        return len(self._best) == self._top and _deviation(self._best) <= self._std

    def stop_all(self) -> bool:
        return self._iterations > 0 and self._iterations >= self._patience

    def reason(self) -> str:
        return (
            f"plateau: the best {self._top} values of {self._metric} deviate by {_deviation(self._best):.3g}, "
            f"at most {self._std:g}, for {self._iterations} results"
        )


class TrialPlateauStopper(Stopper):
    """Stop a trial whose metric no longer moves.

    A trial stops when the standard deviation of its last ``num_results`` values falls below ``std``.

    Parameters
    ----------
    metric
        Metric to watch.
    std
        Standard deviation below which a trial stops.
    num_results
        Number of latest results to look at; a trial with fewer goes on.
    grace_period
        Results before a trial can stop.
    metric_threshold
        Only stop at values at least as good as this; None stops on any plateau.
    mode
        ``"min"`` or ``"max"``; needed with ``metric_threshold``.

    Notes
    -----
    NaN and infinite values are no plateau: a trial goes on while one is among its latest. A result without the metric
    counts for nothing.
    """

    def __init__(
        self,
        metric: str,
        std: float = 0.01,
        num_results: int = 4,
        grace_period: int = 4,
        metric_threshold: float | None = None,
        mode: str | None = None,
    ) -> None:
        name = type(self).__name__
        if mode is not None or metric_threshold is not None:
            check_mode(mode, f"{name}(metric_threshold={metric_threshold!r}): mode")
        self._metric = metric
        self._std = number(f"{name}(std)", std, 0)
        self._num_results = integer(f"{name}(num_results)", num_results, 1)
        self._grace_period = integer(f"{name}(grace_period)", grace_period, 0)
        self._mode = mode
        self._threshold = None
        if metric_threshold is not None:
            self._threshold = number(f"{name}(metric_threshold)", metric_threshold)
        self.metrics = (metric,)
        self.begin_run()

    def begin_run(self) -> None:
        self._seen: dict[str, int] = {}
        self._latest: dict[str, list[float]] = {}
        self._reason = ""

    def __call__(self, trial_id: str, result: Result) -> bool:
        seen = self._seen[trial_id] = self._seen.get(trial_id, 0) + 1
        reported = lookup(result, self._metric)
        if reported is None:
            return False
        value = _finite(reported)
        latest = self._latest.setdefault(trial_id, [])
        latest.append(math.nan if value is None else value)
        del latest[: -self._num_results]
        if seen < self._grace_period or len(latest) < self._num_results or value is None:
            return False
        if self._is_worse_than_threshold(value):
            return False
        deviation = _deviation(latest)
        if not deviation < self._std:
            return False
        del self._seen[trial_id], self._latest[trial_id]
        self._reason = (
            f"plateau: the last {self._num_results} values of {self._metric} deviate by {deviation:.3g}, "
            f"less than {self._std:g}"
        )
        return True

    def _is_worse_than_threshold(self, value: float) -> bool:
        if self._threshold is None:
            return False
        return value > self._threshold if self._mode == "min" else value < self._threshold

    def stop_all(self) -> bool:
        return False

    def reason(self) -> str:
        return self._reason


class TimeoutStopper(Stopper):
    """Stop the whole run after a time.

    Parameters
    ----------
    timeout
        Seconds, or a ``datetime.timedelta``. The engine counts it as it counts ``time_budget_s``: over restores, and
        while no result arrives. Asked directly, the clock starts with the first question.
    clock
        Where the time comes from when asked directly.
    """

    def __init__(self, timeout: float | datetime.timedelta, clock: Callable[[], float] = time.monotonic) -> None:
        if isinstance(timeout, datetime.timedelta):
            timeout = timeout.total_seconds()
        self.timeout_s: float = number("TimeoutStopper(timeout)", timeout, 0)
        self._clock = clock
        self._spent = 0.0
        self._last: float | None = None

    def __call__(self, trial_id: str, result: Result) -> bool:
        return self.stop_all()

    def stop_all(self) -> bool:
        now = self._clock()
        if self._last is not None:
            self._spent += max(0.0, now - self._last)
        self._last = now
        return self._spent >= self.timeout_s

    def reason(self) -> str:
        return f"the run's time of {self.timeout_s:g} s is over"

    def __getstate__(self) -> dict[str, object]:  # another process has another clock
        return {**self.__dict__, "_last": None}


def coerce(stop: Any) -> tuple[dict[str, float], Stopper | None]:
    """What a user gave as ``stop``, as thresholds and at most one stopper.

    Parameters
    ----------
    stop
        None; a dict from metric to the value at which a trial stops (``>=``); a function of trial id and result; a
        :class:`Stopper`; or a list of these. Stoppers that are thresholds become such.

    Raises
    ------
    InvalidArgumentError
        If it is none of them.
    """
    thresholds: dict[str, float] = {}
    stoppers: list[Stopper] = []
    for part in _parts(stop):
        if part is None:
            continue
        if isinstance(part, Mapping):
            for metric, value in _thresholds(part).items():
                thresholds[metric] = min(value, thresholds.get(metric, math.inf))  # whichever is met first
        elif type(part) is MaximumIterationStopper:  # a threshold: workers test it, and no result waits for the driver
            most = thresholds.get("training_iteration", math.inf)
            thresholds["training_iteration"] = min(part.max_iter, most)
        elif isinstance(part, Stopper):
            for method in ("__call__", "stop_all"):
                if getattr(type(part), method) is getattr(Stopper, method) and method not in vars(part):
                    raise InvalidArgumentError(
                        f"stop, the {type(part).__name__},",
                        f"has no {method} of its own",
                        "a stopper answers for each trial (__call__) and for the whole run (stop_all)",
                        f"Define {method} in it; return False where it stops nothing.",
                    )
                synchronous(f"stop, the {type(part).__name__}'s {method},", getattr(part, method))
            stoppers.append(part)
        elif FunctionStopper.is_valid_function(part):
            synchronous("stop", part)
            takes("stop", part, "trial_id", "result", example="lambda trial_id, result: result['loss'] < 0.1")
            stoppers.append(FunctionStopper(part))
        else:
            raise _not_a_stopper("stop", part)
    if len(stoppers) > 1:
        return thresholds, CombinedStopper(*stoppers)
    return thresholds, stoppers[0] if stoppers else None


def _parts(stop: Any) -> Iterator[Any]:
    """The single rules in what a user gave; those of a combined stopper count one by one."""
    if isinstance(stop, (list, tuple)):
        for part in stop:
            yield from _parts(part)
    elif type(stop) is CombinedStopper:
        yield from _parts(stop._stoppers)
    else:
        yield stop


def _thresholds(stop: Mapping[Any, Any]) -> dict[str, float]:
    for metric, value in stop.items():
        if not isinstance(metric, str):
            raise InvalidArgumentError(
                f"stop={dict(stop)!r}",
                f"has the key {metric!r} (a {type(metric).__name__})",
                "its keys are names of metrics",
                'Use a string, e.g. stop={"training_iteration": 10}.',
            )
        if isinstance(value, str) or _as_threshold(value) is None:
            raise InvalidArgumentError(
                f"stop[{metric!r}]",
                f"is {value!r} (a {type(value).__name__})",
                "a trial stops when the metric is at or above a number",
                f'Use a number, e.g. stop={{"{metric}": 10}}, or a function of trial_id and result for other rules.',
            )
    return {metric: float(value) for metric, value in stop.items()}


def _as_threshold(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(number) else number


def _not_a_stopper(asked: str, found: object) -> InvalidArgumentError:
    fix = "Use a dict from metric to threshold, a function of trial_id and result, a Stopper, or a list of these."
    cause = "that is no stopping rule"
    if isinstance(found, type):
        cause, fix = "that is a class, and an instance is needed", f"Call it: {found.__name__}(...)."
    return InvalidArgumentError(asked, f"is {found!r} (a {type(found).__name__})", cause, fix)


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):  # no number: no progress that could be measured
        return None
    return number if math.isfinite(number) else None


def _deviation(values: list[float]) -> float:
    """Standard deviation (of the population), NaN if a value is."""
    if not values:
        return math.nan
    mean = math.fsum(values) / len(values)
    return math.sqrt(sum((v - mean) * (v - mean) for v in values) / len(values))
