"""Everything of an experiment that a picture can show: read from its journal in one pass, and kept up to date.

:class:`Recording` keeps, beside what the controller keeps of each trial, the course of one metric, where and when the
trial ran, and the decisions on it. Plots, the report and the dashboard all draw from it.
"""

from __future__ import annotations

import math
import os
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tune_core.core import events as ev
from tune_core.core.objective import Objective, lookup
from tune_core.core.trial import ERROR, PAUSED, PENDING, RUNNING, Trial
from tune_core.core.values import Config
from tune_core.errors import InvalidArgumentError, JournalError
from tune_core.results.experiment_reader import TailReader, warn_of_damage
from tune_core.space.serialization import readable

OUTCOMES = ("completed", "stopped early", "stopped", "failed", "running", "paused", "pending")
"""What can have become of a trial: ran to its own end; stopped by the scheduler; ended by a stopper, a budget or a
person; failed; and the states of a trial that has not ended."""

_OWN_END = re.compile(r"has reached max_t|the end of its bracket|^stop condition: |^completed|the result said done")


class Span(NamedTuple):
    """A stretch of time in which a trial occupied a worker; ``end`` is None while it goes on."""

    trial: int
    worker: str
    start: float
    end: float | None
    how: str


class Step(NamedTuple):
    """A decision on a trial, with the iteration and time of the trial's last result before it."""

    trial: int
    do: str
    why: str
    iteration: int
    at: float
    until: float | None = None
    source: int | None = None
    config: Config | None = None


@dataclass
class Course:
    """A trial's values of the metric, by iteration, on the way that it kept: retries replace what they repeat."""

    iterations: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))
    times: array[float] = field(default_factory=lambda: array("d"))

    def add(self, iteration: int, value: float, at: float, limit: int | None) -> None:
        """Take a value in; beyond ``limit`` values, every other one of them is left out."""
        while self.iterations and self.iterations[-1] >= iteration:
            self.iterations.pop()
            self.values.pop()
            self.times.pop()
        self.iterations.append(iteration)
        self.values.append(value)
        self.times.append(at)
        if limit is not None and len(self.iterations) > limit:
            for name in ("iterations", "values", "times"):
                kept = getattr(self, name)
                setattr(self, name, kept[:-1:2] + kept[-1:])


class Recording(TailReader):
    """An experiment with the courses, spans and decisions of its trials.

    Parameters
    ----------
    folder
        The experiment's folder.
    metric, mode
        What to follow; None takes the run's. A mode is needed for a metric that is not the run's.
    max_points
        Most values to keep of each trial's course; None keeps all.

    Raises
    ------
    JournalError
        If the folder holds no experiment.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        metric: str | None = None,
        mode: str | None = None,
        max_points: int | None = None,
    ) -> None:
        super().__init__(os.path.abspath(os.path.expanduser(os.fspath(folder))))
        header = self.experiment.header
        self.metric = metric if metric is not None else header.metric
        self.mode = mode if mode is not None else header.mode
        self.objective = Objective(self.metric, self.mode) if self.metric and self.mode else None
        self.max_points = max_points
        self.courses: dict[int, Course] = {}
        self.spans: list[Span] = []
        self.steps: list[Step] = []
        self.ends: dict[int, tuple[str, str]] = {}  # how and why each trial's last attempt ended
        self.reported: dict[str, None] = {}  # names of the numbers that were reported, in order
        self._open: dict[int, int] = {}  # index of the span that a running trial is in
        self._names_seen: set[frozenset[str]] = set()
        self.first_configs: dict[int, Config] = {}
        self._default = self.metric is None

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.experiment.header.name

    @property
    def trials(self) -> list[Trial]:
        """All trials in the order of suggestion."""
        return self.experiment.trials

    def _take(self, event: Any) -> None:
        kind = type(event)
        if kind is ev.Reported:
            super()._take(event)
            if self.trials[event.trial].last is event:
                self._reported(event)
            return
        super()._take(event)
        if kind is ev.Suggested:
            self.first_configs[event.trial] = event.config
        elif kind is ev.Launched:
            self._close(event.trial, event.at, "lost")
            self._open[event.trial] = len(self.spans)
            self.spans.append(Span(event.trial, event.worker, event.at, None, ""))
        elif kind is ev.Ended:
            self._close(event.trial, event.at, event.how)
            self.ends[event.trial] = event.how, event.why
        elif kind is ev.Decided:
            last = self.trials[event.trial].last
            iteration, at = (last.iteration, last.at) if last is not None else (0, self.experiment.last_at)
            config = event.config
            self.steps.append(Step(event.trial, event.do, event.why, iteration, at, event.until, event.source, config))
        elif kind is ev.StopRequested and event.trial >= 0:
            last = self.trials[event.trial].last
            self.steps.append(Step(event.trial, "asked to stop", event.why, last.iteration if last else 0, 0.0))
        elif kind is ev.Restored:
            for trial in list(self._open):
                self._close(trial, self.spans[self._open[trial]].start, "lost")

    def _close(self, trial: int, at: float, how: str) -> None:
        position = self._open.pop(trial, None)
        if position is not None:
            self.spans[position] = self.spans[position]._replace(end=at, how=how)

    def _reported(self, event: ev.Reported) -> None:
        names = frozenset(event.metrics)
        if names not in self._names_seen:
            self._names_seen.add(names)
            for name, value in _numbers(event.metrics):
                self.reported.setdefault(name)
                if self._default and self.metric is None and value is not None:
                    self.metric = name
        if self.metric is None:
            return
        value = lookup(event.metrics, self.metric)
        if value is None:
            return
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        course = self.courses.get(event.trial)
        if course is None:
            course = self.courses[event.trial] = Course()
        course.add(event.iteration, number, event.at, self.max_points)

    # --- questions ----------------------------------------------------------------------------------------------------

    def outcome(self, trial: Trial) -> str:
        """What became of a trial: one of :data:`OUTCOMES`."""
        if trial.status is ERROR:
            return "failed"
        if trial.status in (RUNNING, PAUSED, PENDING):
            return {RUNNING: "running", PAUSED: "paused", PENDING: "pending"}[trial.status]
        how, why = self.ends.get(trial.index, ("stopped", ""))
        reason = trial.reason or why
        if how == "completed" or is_own_end(reason):
            return "completed"
        return "stopped early" if self._was_decided(trial.index, reason) else "stopped"

    def _was_decided(self, trial: int, reason: str) -> bool:
        if not hasattr(self, "_stops_read"):
            self._stops_read = 0
            self._stops: dict[int, set[str]] = {}
        for step in self.steps[self._stops_read :]:
            if step.do == "stop":
                self._stops.setdefault(step.trial, set()).add(step.why)
            elif step.do == "asked to stop":
                self._stops.setdefault(step.trial, set()).discard(step.why)
        self._stops_read = len(self.steps)
        return reason in self._stops.get(trial, ())

    def best_value(self, trial: Trial) -> float | None:
        """A trial's best finite value of the metric; without a mode, its last. None if it has none."""
        course = self.courses.get(trial.index)
        if course is None:
            return None
        finite = [value for value in course.values if math.isfinite(value)]
        if not finite:
            return None
        if self.objective is None:
            return finite[-1]
        return min(finite) if self.mode == "min" else max(finite)

    def best_trial(self) -> Trial | None:
        """The trial with the best value of the metric, or None."""
        if self.objective is None:
            return None
        having = [(v, t) for t in self.trials if (v := self.best_value(t)) is not None]
        sign = 1 if self.mode == "min" else -1
        return min(having, key=lambda pair: (sign * pair[0], pair[1].index))[1] if having else None


def is_own_end(reason: str) -> bool:
    """Whether a trial that was stopped for this reason had all the training that it was to get."""
    return _OWN_END.search(reason) is not None


def _numbers(metrics: Any, prefix: str = "") -> list[tuple[str, float | None]]:
    found: list[tuple[str, float | None]] = []
    for name, value in metrics.items():
        if isinstance(value, dict):
            found += _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found.append((f"{prefix}{name}", value))
    return found


def record(source: object, metric: str | None = None, mode: str | None = None) -> Recording:
    """The recording of an experiment.

    Parameters
    ----------
    source
        A :class:`~tune_core.ResultGrid`, an :class:`~tune_core.ExperimentAnalysis`, an experiment's folder, its name
        in the default storage path, or a URL that fsspec can read.
    metric, mode
        What to follow; None takes the run's.

    Raises
    ------
    InvalidArgumentError
        If ``source`` is none of these.
    JournalError
        If there is no experiment.
    """
    if isinstance(source, Recording):
        if (metric, mode) in ((None, None), (source.metric, source.mode)):
            return source
        source = source.experiment.folder
    found = Recording(folder_of(source), metric, mode)
    found.refresh()
    warn_of_damage(found.experiment.folder, found.experiment.damage)
    return found


def folder_of(source: object) -> str:
    """The local folder of an experiment; one behind a URL is copied: its journal only."""
    grid = getattr(source, "_grid", source)
    path = getattr(grid, "_folder", source)  # of results from a store: their copy on this machine
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidArgumentError(
            "The experiment",
            f"is given as a {type(source).__name__}",
            "plots read an experiment's journal",
            "Give a ResultGrid, an ExperimentAnalysis, or the experiment's folder or URL.",
        )
    from tune_core.storage import is_remote, local_path

    text = os.fspath(path)
    if not is_remote(text):
        return _existing(local_path(text) or text, text)
    from tune_core.journal.stored import open_place

    try:
        return open_place(text).folder
    except JournalError:  # no run has written there; perhaps somebody has copied a folder
        return _fetched(text)


def _existing(path: str, asked: str) -> str:
    from tune_core.journal.format import JOURNAL_FILE
    from tune_core.storage import default_storage_path

    if not os.path.exists(os.path.join(path, JOURNAL_FILE)) and os.sep not in asked:
        named = os.path.join(os.path.abspath(os.path.expanduser(default_storage_path())), asked)
        if os.path.exists(os.path.join(named, JOURNAL_FILE)):
            return named
    return path


def _fetched(url: str) -> str:
    """A local folder with the journal of the experiment at ``url``; it is deleted when this process ends."""
    import atexit
    import shutil

    import fsspec

    from tune_core.errors import StorageError
    from tune_core.journal.format import JOURNAL_FILE
    from tune_core.storage.scratch import Scratch

    scratch = Scratch("tune-core-fetched")
    atexit.register(scratch.remove)
    folder = scratch.path
    source = f"{url.rstrip('/')}/{JOURNAL_FILE}"
    try:
        with fsspec.open(source, "rb") as remote, open(os.path.join(folder, JOURNAL_FILE), "wb") as file:
            shutil.copyfileobj(remote, file)
    except Exception as error:
        raise StorageError(
            f"The experiment at {url}",
            f"cannot be read: {type(error).__name__}: {error}",
            f"its journal should be at {source}",
            "Check the URL and your access to it.",
        ) from error
    return folder


def flat_config(config: Any, separator: str = "/") -> Config:
    """A configuration as one level: nested dicts joined by ``/``; lists and other objects stay as they are."""
    from tune_core.core.flatten import flatten

    plain = readable(config)
    flat: Config = flatten(plain if isinstance(plain, dict) else {}, separator)
    return flat


def outcomes_of(recording: Recording, trials: Sequence[Trial] | None = None) -> dict[int, str]:
    """The outcome of each trial, by its index."""
    return {trial.index: recording.outcome(trial) for trial in (recording.trials if trials is None else trials)}
