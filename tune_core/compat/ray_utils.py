"""Ray Tune's small helpers, of its modules ``utils``, ``utils.log``, ``logger`` and ``callback``."""

from __future__ import annotations

import datetime
import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from threading import Event, Thread
from typing import Any, TextIO

from tune_core.callback import Callback
from tune_core.core.optional_imports import require
from tune_core.core.values import Metrics
from tune_core.trainable import Trainable
from tune_core.trainable.gpu_memory import wait_for_gpu

__all__ = [
    "CallbackList",
    "Tee",
    "UtilMonitor",
    "Verbosity",
    "date_str",
    "diagnose_serialization",
    "has_verbosity",
    "pretty_print",
    "retry_fn",
    "set_verbosity",
    "validate_save_restore",
    "validate_warmstart",
    "wait_for_gpu",
    "warn_if_slow",
]


def date_str() -> str:
    """Now, as it stands in folders' names: ``2026-11-25_10-00-00``."""
    return datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")


def pretty_print(result: Metrics, exclude: set[str] | None = None) -> str:
    """A result as YAML-like text, without values that are None and without its configuration."""
    left_out = {"config", *(exclude or ())}
    shown = {key: value for key, value in result.items() if value is not None and key not in left_out}
    return "\n".join(_lines(json.loads(json.dumps(shown, default=_plain)), "")) + "\n"


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else repr(value)


def _lines(value: Any, indent: str) -> list[str]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    lines = []
    for key, child in items:
        label = f"{indent}{key}:" if isinstance(value, dict) else f"{indent}-"
        if isinstance(child, (dict, list)) and child:
            lines += [label, *_lines(child, f"{indent}  ")]
        else:
            lines.append(f"{label} {json.dumps(child) if not isinstance(child, str) else child}")
    return lines


class warn_if_slow:  # noqa: N801 - Ray Tune's name
    """Warns if the code in a ``with`` block takes long.

    Parameters
    ----------
    name
        What the code does.
    threshold
        Seconds from which on to warn; None: 0.5, or ``$TUNE_WARN_THRESHOLD_S``.
    message
        The warning, with ``{name}`` and ``{duration}`` in it.
    disable
        Whether to keep quiet.
    """

    def __init__(
        self, name: str, threshold: float | None = None, message: str | None = None, disable: bool = False
    ) -> None:
        from tune_core.core.environment import seconds

        self.name = name
        self.threshold = threshold if threshold is not None else seconds("TUNE_WARN_THRESHOLD_S", 0.5)
        self.message = message or "The `{name}` operation took {duration:.3f} s, which may slow the run down."
        self.disable = disable
        self.too_slow = False

    def __enter__(self) -> warn_if_slow:
        self.start = time.monotonic()
        return self

    def __exit__(self, *error: object) -> None:
        took = time.monotonic() - self.start
        if took > self.threshold and not self.disable:
            self.too_slow = True
            warnings.warn(self.message.format(name=self.name, duration=took), stacklevel=2)


def retry_fn(
    fn: Callable[[], Any],
    exception_type: type[Exception] | Sequence[type[Exception]] = Exception,
    num_retries: int = 3,
    sleep_time: float = 1,
    timeout: float | None = None,
) -> bool:
    """Call ``fn`` until it succeeds, at most ``num_retries`` times; whether it did. ``timeout`` (s) ends the trying."""
    errors = exception_type if isinstance(exception_type, type) else tuple(exception_type)
    began = time.monotonic()
    for attempt in range(num_retries):
        if attempt:
            time.sleep(sleep_time)
        if timeout is not None and time.monotonic() - began > timeout:
            return False
        try:
            fn()
        except errors:
            continue
        return True
    return False


class Tee:
    """Writes what is written to it to two streams."""

    def __init__(self, stream1: TextIO, stream2: TextIO) -> None:
        self.streams = (stream1, stream2)

    def write(self, text: str) -> int:
        """Write to both."""
        return max(stream.write(text) for stream in self.streams)

    def flush(self) -> None:
        """Flush both."""
        for stream in self.streams:
            stream.flush()


class UtilMonitor(Thread):
    """A thread that samples the machine's use of CPU and memory.

    Parameters
    ----------
    start
        Whether to sample.
    delay
        Seconds between two samples.

    Raises
    ------
    MissingDependencyError
        If psutil is not installed.
    """

    def __init__(self, start: bool = True, delay: float = 0.7) -> None:
        super().__init__(daemon=True)
        self.delay = delay
        self.values: dict[str, list[float]] = {"cpu_util_percent": [], "ram_util_percent": []}
        self._over = Event()
        self._psutil = require("UtilMonitor", "psutil", "psutil") if start else None
        if start:
            self.start()

    def run(self) -> None:
        """Sample until :meth:`stop`."""
        assert self._psutil is not None
        self._psutil.cpu_percent()
        while not self._over.wait(self.delay):
            self.values["cpu_util_percent"].append(float(self._psutil.cpu_percent()))
            self.values["ram_util_percent"].append(float(self._psutil.virtual_memory().percent))

    def get_data(self) -> dict[str, dict[str, float]]:
        """Means since the last call, as ``{"perf": {"cpu_util_percent": …, "ram_util_percent": …}}``."""
        means = {name: sum(values) / len(values) for name, values in self.values.items() if values}
        for values in self.values.values():
            values.clear()
        return {"perf": means} if means else {}

    def stop(self) -> None:
        """End the thread."""
        self._over.set()


def diagnose_serialization(trainable: Callable[..., Any]) -> Any:
    """Say what keeps a trainable from being pickled.

    Returns
    -------
    bool or set
        True if it can be pickled; otherwise a set with what is at fault, which is printed as well.
    """
    from tune_core.executors.worker.payload import unpicklable

    try:
        import cloudpickle

        cloudpickle.dumps(trainable)
    except Exception as error:
        blame = unpicklable(trainable, getattr(trainable, "__name__", repr(trainable)), error)
        print(blame)
        return {blame.cause}
    print(f"{getattr(trainable, '__name__', trainable)} can be pickled.")
    return True


def validate_save_restore(
    trainable_cls: type[Trainable], config: Mapping[str, Any] | None = None, num_gpus: int = 0
) -> bool:
    """Check that a class trainable goes on where it was saved: three iterations, a save, and two more of a new one.

    Parameters
    ----------
    trainable_cls, config
        What to make two of.
    num_gpus
        Accepted and not needed: both run in this process, with all that it sees.

    Raises
    ------
    AssertionError
        If the restored one does not count on from the third iteration.
    """
    first, second = trainable_cls(dict(config or {})), trainable_cls(dict(config or {}))
    for _ in range(3):
        first.train()
    second.restore(first.save())
    for expected in (4, 5):
        found = second.train()["training_iteration"]
        assert found == expected, f"training_iteration is {found} after the restore, and should be {expected}"
    first.stop()
    second.stop()
    return True


def validate_warmstart(
    parameter_names: Sequence[str],
    points_to_evaluate: Any,
    evaluated_rewards: Any,
    validate_point_name_lengths: bool = True,
) -> None:
    """Check the points that a searcher is to start with, and their results.

    Raises
    ------
    TypeError
        If they are no lists, or a point is neither a dict nor a list.
    ValueError
        If a point has another number of values than there are parameters, or there are other than one result a point.
    """
    if points_to_evaluate:
        if not isinstance(points_to_evaluate, list):
            raise TypeError(f"points_to_evaluate is a {type(points_to_evaluate).__name__}; it should be a list.")
        for point in points_to_evaluate:
            if not isinstance(point, (dict, list)):
                raise TypeError(f"points_to_evaluate holds {point!r}; a point is a dict or a list.")
            if validate_point_name_lengths and len(point) != len(parameter_names):
                raise ValueError(f"The point {point} has {len(point)} values for the parameters {parameter_names}.")
    if points_to_evaluate and evaluated_rewards:
        if not isinstance(evaluated_rewards, list):
            raise TypeError(f"evaluated_rewards is a {type(evaluated_rewards).__name__}; it should be a list.")
        if len(evaluated_rewards) != len(points_to_evaluate):
            raise ValueError(f"There are {len(evaluated_rewards)} rewards for {len(points_to_evaluate)} points.")


class Verbosity(Enum):
    """Ray Tune's names for ``RunConfig(verbose=...)``."""

    V0_MINIMAL = 0
    V1_EXPERIMENT = 1
    V2_TRIAL_NORM = 2
    V3_TRIAL_DETAILS = 3

    def __int__(self) -> int:
        return int(self.value)


verbosity: int | Verbosity = Verbosity.V3_TRIAL_DETAILS


def set_verbosity(level: int | Verbosity) -> None:
    """Set what :func:`has_verbosity` compares with; a run's own is ``RunConfig(verbose=...)``."""
    global verbosity
    verbosity = Verbosity(level) if isinstance(level, int) else level


def has_verbosity(level: int | Verbosity) -> bool:
    """Whether the level set is at least ``level``."""
    return int(verbosity) >= int(level)


class CallbackList(Callback):
    """Several callbacks as one: every hook is passed on to each, in order."""

    def __init__(self, callbacks: Sequence[Any]) -> None:
        self._callbacks = list(callbacks)

    def __getattribute__(self, name: str) -> Any:
        if name != "setup" and not name.startswith("on_"):
            return super().__getattribute__(name)
        hooks = [getattr(callback, name) for callback in self._callbacks if hasattr(callback, name)]

        def call_each(*args: Any, **kwargs: Any) -> None:
            for hook in hooks:
                hook(*args, **kwargs)

        return call_each

    def get_state(self) -> dict[str, Any] | None:
        """The states of those that have one."""
        states = {str(i): callback.get_state() for i, callback in enumerate(self._callbacks)}
        return {i: state for i, state in states.items() if state is not None} or None

    def set_state(self, state: dict[str, Any]) -> None:
        """Give each its own back."""
        for i, own in state.items():
            self._callbacks[int(i)].set_state(own)
