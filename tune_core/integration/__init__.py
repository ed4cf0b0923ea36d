"""For people who write integrations: choose metrics, report them with a checkpoint, find what to resume from.

An integration translates a framework's hooks into these calls. Its modules beside this one (``integration.xgboost`` and
so on) only forward to the packages that hold the callbacks, under the import paths that Ray Tune's users know.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tune_core.checkpoint import Checkpoint
from tune_core.core.optional_imports import require
from tune_core.errors import CheckpointError, InvalidArgumentError, MissingMetricError
from tune_core.space import choice, qrandint, quniform, randint
from tune_core.trainable.protocol import NothingLeft
from tune_core.trainable.session import (
    advice,
    at_end,
    checkpoint_due,
    get_checkpoint,
    get_context,
    in_session,
    join,
    report,
    share,
)
from tune_core.trainable.session import save as _save

__all__ = [
    "Metrics",
    "NothingLeft",
    "RoundResults",
    "Start",
    "advice",
    "at_end",
    "check_count",
    "check_hooks",
    "checkpoint_due",
    "checkpoint_file",
    "choose_metrics",
    "forward",
    "in_session",
    "join",
    "report_metrics",
    "require",
    "save_checkpoint",
    "share",
    "start",
    "start_metadata",
    "steps",
]

Metrics = str | Sequence[str] | Mapping[str, str] | None
"""Which metrics to report: None all, a name, names, or ``{name to report: the framework's name}``."""

_CONFIG = "config"


# --- what to report --------------------------------------------------------------------------------------------------


def choose_metrics(
    metrics: Metrics, available: Mapping[str, object], who: str, *, those_there: bool = False
) -> dict[str, Any]:
    """Those of the ``available`` metrics that were asked for, under the names to report them by.

    Parameters
    ----------
    metrics
        None for all, a name, a list of names, or a dict from the name to report to the framework's own.
    available
        What the framework has, by its own names.
    who
        The callback, for the error.
    those_there
        Leave out those that are not available, e.g. since they are computed at another time.

    Raises
    ------
    MissingMetricError
        If one that was asked for isn't there; lists those that are.

    Examples
    --------
    >>> choose_metrics({"loss": "valid-rmse"}, {"valid-rmse": 0.5, "train-rmse": 0.4}, "TuneReportCallback")
    {'loss': 0.5}
    """
    if metrics is None:
        return dict(available)
    if isinstance(metrics, str):
        metrics = [metrics]
    wanted = metrics if isinstance(metrics, Mapping) else {name: name for name in metrics}
    chosen = {}
    for name, key in wanted.items():
        if key not in available:
            if those_there:
                continue
            raise _missing(key, available, who)
        chosen[name] = available[key]
    return chosen


def _missing(key: str, available: Mapping[str, object], who: str) -> MissingMetricError:
    there = ", ".join(sorted(map(repr, available))) or "none at all"
    return MissingMetricError(
        f"{who}(metrics)",
        f"names {key!r}, and the training has {there}",
        "the framework did not compute a metric of that name",
        "Use one of these names, or metrics=None to report them all."
        if available
        else "Give the training something to evaluate on, and a metric.",
    )


def check_count(who: str, name: str, value: object) -> None:
    """Raise unless ``value`` counts something.

    Parameters
    ----------
    who, name
        The function and its parameter, for the error's text.
    value
        What was given; an integer from 0 is right.

    Raises
    ------
    InvalidArgumentError
        If it is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidArgumentError(
            f"{who}({name})",
            f"is {value!r}",
            "it is the number of iterations from one to the next, 0 for never",
            "Use an integer from 0.",
        )


def check_hooks(who: str, on: str | Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The hooks to report on, as a tuple of names without a leading ``on_``.

    Parameters
    ----------
    who
        The callback's name, for the error's text.
    on
        A hook's name or several, each with or without ``on_``.
    known
        The hooks that there are, without ``on_``.

    Raises
    ------
    InvalidArgumentError
        If one is not in ``known``.
    """
    hooks = tuple(hook.removeprefix("on_") for hook in ([on] if isinstance(on, str) else on))
    for hook in hooks:
        if hook not in known:
            raise InvalidArgumentError(
                f"{who}(on)",
                f"names the hook {hook!r}",
                "the framework has no such hook, or none that results can be reported on",
                f"Use one or more of {', '.join(known)}.",
            )
    return hooks


# --- search spaces ----------------------------------------------------------------------------------------------------


def steps(lower: float, upper: float, step: float) -> Any:
    """The values ``lower``, ``lower + step``, … up to ``upper``, as a domain; a single value as itself.

    Parameters
    ----------
    lower, upper
        The first value, and a bound that none is above.
    step
        The distance of two values. The values are integers if ``lower`` and ``step`` are.

    Examples
    --------
    >>> steps(32, 96, 32)
    qrandint(32, 96, 32)
    >>> steps(1, 6, 2)
    choice([1, 3, 5])
    >>> steps(0.0, 1.0, 0.25)
    quniform(0.0, 1.0, 0.25)
    """
    whole = isinstance(lower, int) and isinstance(step, int)
    if not step > 0 or upper < lower:
        raise InvalidArgumentError(
            "steps(lower, upper, step)",
            f"are {lower!r}, {upper!r} and {step!r}",
            "there are no such values",
            "Use a step above 0, and an upper bound that is not below the lower one.",
        )
    first, last, by = (Decimal(str(value)) for value in (lower, upper, step))
    count = int((last - first) / by)
    if not count:
        return lower
    last = first + count * by
    if by == 1 and whole:
        return randint(int(first), int(last) + 1)
    if first % by == 0:
        return qrandint(int(first), int(last), int(by)) if whole else quniform(float(first), float(last), float(by))
    values = [first + i * by for i in range(count + 1)]
    return choice([int(value) for value in values] if whole else [float(value) for value in values])


# --- reporting and saving --------------------------------------------------------------------------------------------


def report_metrics(
    metrics: Mapping[str, object],
    write: Callable[[str], object] | None = None,
    metadata: Mapping[str, object] | None = None,
) -> bool:
    """Report a result, and a checkpoint with it.

    Parameters
    ----------
    metrics
        The result.
    write
        Writes the checkpoint's files into the folder that it is given; None for no checkpoint. Of several ranks that
        train one model (:func:`tune_core.with_workers`) only rank zero's is called.
    metadata
        Kept in the checkpoint for :func:`start`: JSON values.

    Returns
    -------
    bool
        False if the training is to end now, by the framework's own means.
    """
    if write is None or not _keeps_checkpoints():
        return report(metrics, raise_on_stop=False)
    with tempfile.TemporaryDirectory(prefix="tune-core-") as folder:
        return report(metrics, _written(folder, write, metadata), raise_on_stop=False)


def save_checkpoint(
    write: Callable[[str], object],
    metadata: Mapping[str, object] | None = None,
    *,
    again: bool = False,
    result: tuple[int, Mapping[str, Any]] | None = None,
) -> None:
    """Keep a checkpoint with a result that was reported before.

    Parameters
    ----------
    write, metadata
        See :func:`report_metrics`.
    again
        Keep it even if the last result has a checkpoint already.
    result
        Iteration and metrics of the result whose model this is; None: the last result.
    """
    if in_session() and _keeps_checkpoints():
        with tempfile.TemporaryDirectory(prefix="tune-core-") as folder:
            _save(_written(folder, write, metadata), again, result)


def _keeps_checkpoints() -> bool:
    """Whether this process is the one whose model is the trial's: all ranks have the same."""
    return get_context().get_world_rank() == 0


def _written(folder: str, write: Callable[[str], object], metadata: Mapping[str, object] | None) -> Checkpoint:
    write(folder)
    checkpoint = Checkpoint.from_directory(folder)
    checkpoint.set_metadata(start_metadata(metadata))
    return checkpoint


@dataclass
class RoundResults:
    """The results that boosting rounds were reported with, so that a model can be kept with the one that it has.

    Early stopping cuts a model back to its best round when the training ends, long after that round was reported.
    """

    _by_round: dict[int, tuple[int, Mapping[str, object]]] = field(default_factory=dict)

    def note(self, rounds: int, results: Mapping[str, object]) -> None:
        """The last report was of a model of so many rounds."""
        self._by_round[rounds] = (get_context().get_iteration(), results)

    def of(self, rounds: int) -> tuple[int, Mapping[str, Any]] | None:
        """Iteration and metrics of the result of a model of so many rounds; None if there is none."""
        return self._by_round.get(rounds)


def start_metadata(metadata: Mapping[str, object] | None = None) -> dict[str, Any]:
    """``metadata`` and what :func:`start` needs beside it, for integrations that make their checkpoints themselves.

    Parameters
    ----------
    metadata
        What else the checkpoint is to say of itself.
    """
    return {**(metadata or {}), _CONFIG: _digest(get_context().get_config())}


def _digest(config: Mapping[str, Any]) -> str:
    """The same for equal configurations, in every process."""
    text = json.dumps(config, sort_keys=True, default=lambda value: type(value).__qualname__)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# --- resuming --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Start:
    """What a trial goes on from.

    Parameters
    ----------
    folder
        The checkpoint's files, on this machine.
    metadata
        What was given to :func:`report_metrics` with it.
    same_config
        Whether it was made with the configuration that the trial has now. False after an exploit of population based
        training: then the optimiser's settings are to come from the new configuration, its state from the checkpoint.
    """

    folder: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    same_config: bool = True

    def file(self, name: str) -> str:
        """Path of a file in the checkpoint.

        Raises
        ------
        CheckpointError
            If it isn't there; lists the files that are.
        """
        path = os.path.join(self.folder, name)
        if not os.path.exists(path):
            raise _no_file(self.folder, name)
        return path


def start() -> Start | None:
    """What the running trial is to go on from; None if it starts anew, and outside of a trial."""
    checkpoint = get_checkpoint()
    if checkpoint is None:
        return None
    folder = checkpoint.path
    if not os.path.isdir(folder):
        folder = checkpoint.to_directory()
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    metadata = Checkpoint(folder).get_metadata()
    made_with = metadata.get(_CONFIG)
    return Start(folder, metadata, made_with is None or made_with == _digest(get_context().get_config()))


@contextlib.contextmanager
def checkpoint_file(checkpoint: Checkpoint, name: str) -> Iterator[str]:
    """The local path of the file ``name`` in ``checkpoint``, for reading.

    Parameters
    ----------
    checkpoint
        The checkpoint; one that lies elsewhere is fetched for as long as the context is open.
    name
        The file's path in it.

    Yields
    ------
    str
        The file's path on this machine.

    Raises
    ------
    CheckpointError
        If the file isn't there; lists the files that are.
    """
    with checkpoint.as_directory() as folder:
        yield Start(folder).file(name)


def _no_file(folder: str, name: str) -> CheckpointError:
    there = ", ".join(sorted(f for f in os.listdir(folder) if not f.startswith("."))) or "nothing"
    return CheckpointError(
        f"The checkpoint {folder}",
        f"has no file {name!r}, it has {there}",
        "it was made with another filename, or by something else",
        "Pass the filename that the callback was given.",
    )


# --- Ray Tune's import paths -----------------------------------------------------------------------------------------


def forward(package: str) -> Callable[[str], Any]:
    """A module's ``__getattr__`` that looks names up in another package, imported when it is needed.

    Parameters
    ----------
    package
        Name of the integration that has what is looked up.
    """

    def find(name: str) -> Any:
        import importlib

        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(importlib.import_module(package), name)

    return find
