"""Experiments as studies of Optuna, for optuna-dashboard and its extensions: exported, or kept up to date live."""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tune_core.core.constraints import Constraint, constraints_of
from tune_core.core.events import Header
from tune_core.core.flatten import flatten
from tune_core.core.objective import check_mode, lookup
from tune_core.core.optional_imports import require
from tune_core.core.trial import ERROR, Trial, known_value
from tune_core.core.values import ConfigView, ResultDict
from tune_core.errors import InvalidArgumentError, StorageError
from tune_core.logger.tracker import FINISH_S, TrackedTrial, Tracker

__all__ = ["OptunaLoggerCallback", "export_study"]

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_STATES = {
    "completed": "COMPLETE",
    "stopped": "COMPLETE",
    "stopped early": "PRUNED",
    "failed": "FAIL",
    "running": "RUNNING",
    "paused": "WAITING",
    "pending": "WAITING",
}
_INTEGERS = ("randint", "qrandint", "lograndint", "qlograndint")


@dataclass
class _Known:
    """A parameter as the journaled space describes it, and its categories: their labels, and what Optuna is told."""

    text: str
    labels: dict[str, Any] | None

    @property
    def function(self) -> str:
        return self.text.partition("(")[0]

    @property
    def log(self) -> bool:
        return "log" in self.function

    def bounds(self, value: float) -> tuple[float, float]:
        """The bounds, widened to hold a value that was given from elsewhere: Optuna takes no other."""
        found = [float(n) for n in _NUMBER.findall(self.text.partition("(")[2])][:2]
        if len(found) == 2 and self.function in ("randint", "lograndint"):
            found[1] -= 1  # the upper bound is not drawn; Optuna's is
        ends = found if len(found) == 2 and "randn" not in self.function else [value]
        return min(*ends, value), max(*ends, value)


class _Space:
    """Turns configurations into Optuna's parameters and distributions."""

    def __init__(self, space: object, labels: Mapping[str, dict[str, Any]] | None = None) -> None:
        from tune_core.plots.parameters import described, known_choices, label_of

        self._label = label_of
        self._known: dict[str, _Known] = {}
        for name, text in described(space).items():
            choices = known_choices(text)
            self._known[name] = _Known(text, _categories(choices, label_of) if choices else None)
        for name, found in (labels or {}).items():
            self._known[name] = _Known(self._known[name].text if name in self._known else "", found)

    def convert(self, optuna: Any, config: ConfigView) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
        """Parameters, their distributions, and what has no distribution, as text."""
        kinds = optuna.distributions
        params: dict[str, object] = {}
        distributions: dict[str, Any] = {}
        rest: dict[str, str] = {}
        for name, value in config.items():
            known = self._known.get(name, _Known("", None))
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            label = self._label(value)
            if known.labels is not None and label in known.labels:
                params[name] = known.labels[label]
                distributions[name] = kinds.CategoricalDistribution(list(known.labels.values()))
            elif not number or known.labels is not None or not -1e300 < value < 1e300:
                rest[name] = label
            else:
                low, high = known.bounds(float(value))
                log = known.log and low > 0
                if isinstance(value, int) and (known.function in _INTEGERS or not known.function):
                    params[name] = value
                    distributions[name] = kinds.IntDistribution(math.floor(low), math.ceil(high), log=log)
                else:
                    params[name] = float(value)
                    distributions[name] = kinds.FloatDistribution(low, high, log=log)
        return params, distributions, rest


def _categories(values: Iterable[object], label_of: Callable[[object], str]) -> dict[str, Any]:
    """Categories by their labels: as they are where Optuna takes them and can tell them apart, else as their labels."""
    by_label = {label_of(value): value for value in values}
    kept = list(by_label.values())
    simple = all(value is None or isinstance(value, (bool, int, float, str)) for value in kept)
    apart = simple and len(set(kept)) == len(kept) and not any(value != value for value in kept)
    return by_label if apart else {label: label for label in by_label}


@dataclass(frozen=True)
class _Goals:
    """What a study optimises, and under which constraints."""

    objectives: tuple[tuple[str, str], ...]
    constraints: tuple[Constraint, ...]

    @classmethod
    def of(cls, header: Header, metric: str | None = None, mode: str | None = None) -> _Goals:
        """Those of a run, or another metric than the run's.

        Raises
        ------
        InvalidArgumentError
            If there is no metric, or no mode for it.
        """
        own: list[tuple[str, str]] = list(header.objectives) or (
            [(header.metric, header.mode or "max")] if header.metric else []
        )
        if metric is not None:
            mode = mode or dict(own).get(metric)
            if mode is not None:
                check_mode(mode, "export(mode)")
            own = [] if mode is None else [(metric, mode)]
        if not own:
            raise InvalidArgumentError(
                "A study of Optuna",
                "has a metric and a mode, and this run has none" if metric is None else f"needs a mode for {metric!r}",
                "Optuna must know what is better",
                'Name both, as TuneConfig(metric="loss", mode="min") of the run, or --metric and --mode of an export.',
            )
        return cls(tuple(own), tuple(constraints_of(header)))

    @property
    def metrics(self) -> list[str]:
        return [metric for metric, _ in self.objectives]

    @property
    def directions(self) -> list[str]:
        return ["maximize" if mode == "max" else "minimize" for _, mode in self.objectives]

    def values(self, trial: Trial) -> list[float] | None:
        """The last known values; None if one of them is missing or not finite."""
        found = [known_value(trial, metric) for metric in self.metrics]
        usable = all(isinstance(value, (int, float)) and math.isfinite(value) for value in found)
        return [float(value) for value in found] if usable else None

    def excesses(self, trial: Trial) -> list[float] | None:
        """By how much constraints are broken, as Optuna wants to know it; None without constraints, or values."""
        known = {one.metric: known_value(trial, one.metric) for one in self.constraints}
        found = [one.excess(known) for one in self.constraints]
        return found if found and not any(map(math.isnan, found)) else None


_CONSTRAINTS = "constraints"
"""The system attribute in which Optuna's own samplers keep what their ``constraints_func`` returns."""


def _storage(optuna: Any, where: str) -> Any:
    """The storage that a path or URL names: a journal file, or a database."""
    if "://" in where:
        return optuna.storages.RDBStorage(where)
    if os.path.splitext(where)[1] in (".db", ".sqlite", ".sqlite3"):
        return optuna.storages.RDBStorage(f"sqlite:///{os.path.abspath(where)}")
    backend = require("Export to Optuna", "optuna.storages.journal", "optuna")
    return optuna.storages.JournalStorage(backend.JournalFileBackend(where))


@contextlib.contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Without a line for each study that is made, and without warnings of what is experimental there."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def export_study(
    experiment: object,
    where: str,
    study_name: str | None = None,
    metric: str | None = None,
    mode: str | None = None,
) -> int:
    """Write an experiment as a study of Optuna: distributions, intermediate values, states, times, user attributes.

    A trial's value is its last one; one that a scheduler stopped is pruned. A run with several metrics makes a study of
    several objectives, without intermediate values. Constraints come with it. Categories that are no simple values
    appear as their text, and bounds are widened to hold values that were given from elsewhere.

    Parameters
    ----------
    experiment
        Results, an analysis, a folder, a name or a URL.
    where
        A journal file such as ``study.journal``; ``.db`` makes an SQLite database, and a URL such as
        ``postgresql://…`` names another one.
    study_name
        Name of the study; None takes the experiment's.
    metric, mode
        What is optimised; None takes the run's.

    Returns
    -------
    int
        The number of trials.

    Raises
    ------
    StorageError
        If ``where`` has a study of that name already, or cannot be written.
    InvalidArgumentError
        If the run has no metric, and none is given.
    MissingDependencyError
        If Optuna is not installed.
    """
    optuna = require("Export to Optuna", "optuna", "optuna")
    from tune_core.results.recording import record

    recording = record(experiment)
    header = recording.experiment.header
    goals = _Goals.of(header, metric, mode)
    if len(goals.metrics) == 1:
        recording = record(experiment, *goals.objectives[0])
    labels = _labels(recording)
    space = _Space(header.space, labels)
    trials = [_frozen(optuna, recording, space, trial, goals) for trial in recording.trials]
    name = study_name or header.name
    with _quiet(optuna):
        try:
            study = optuna.create_study(storage=_storage(optuna, where), study_name=name, directions=goals.directions)
        except optuna.exceptions.DuplicatedStudyError as error:
            raise StorageError(
                f"The study {name!r} in {where}", "exists already", "an export makes a new one",
                "Choose another file, or another name with --study-name.",
            ) from error  # fmt: skip
        except OSError as error:
            raise StorageError(where, "cannot be written", str(error), "Choose another file.") from error
        study.set_metric_names(goals.metrics)
        for key, value in _study_attrs(header).items():
            study.set_user_attr(key, value)
        study.add_trials(trials)
    return len(trials)


def _study_attrs(header: Any) -> dict[str, Any]:
    attrs = {"seed": header.seed, "scheduler": header.scheduler, "searcher": header.searcher}
    return {**attrs, "trainable": header.trainable, "tune-core": header.version}


def _labels(recording: Any) -> dict[str, dict[str, Any]]:
    """The categories of each parameter that has some, from the space and from all trials."""
    from tune_core.plots.parameters import described, known_choices, label_of, parameters_of
    from tune_core.results.recording import flat_config

    configs = [flat_config(trial.config) for trial in recording.trials]
    names = dict.fromkeys(name for config in configs for name in config)
    texts = described(recording.experiment.header.space)
    found = {}
    for parameter in parameters_of(recording, list(names)):
        if parameter.labels is not None:
            name = parameter.name
            tried = [config[name] for config in configs if name in config]
            own = _categories([*known_choices(texts.get(name, "")), *tried], label_of)
            found[name] = {label: own.get(label, label) for label in parameter.labels}
    return found


def _moment(at: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at)


def _frozen(optuna: Any, recording: Any, space: _Space, trial: Any, goals: _Goals) -> Any:
    from tune_core.results.recording import flat_config

    params, distributions, rest = space.convert(optuna, flat_config(trial.config))
    course = recording.courses.get(trial.index) if len(goals.metrics) == 1 else None
    steps = {int(i): v for i, v in zip(course.iterations, course.values)} if course is not None else {}
    outcome, values, excesses = recording.outcome(trial), goals.values(trial), goals.excesses(trial)
    state = _state_of(outcome, values)
    frozen = optuna.trial.create_trial(
        state=optuna.trial.TrialState[state],
        params=params,
        distributions=distributions,
        values=values if state in ("COMPLETE", "PRUNED") else None,
        intermediate_values=steps,
        system_attrs={} if excesses is None else {_CONSTRAINTS: excesses},
        user_attrs=_attrs(trial, outcome, rest),
    )
    spans = [s for s in recording.spans if s.trial == trial.index]
    if state != "WAITING":
        start = spans[0].start if spans else recording.experiment.header.at
        frozen.datetime_start = _moment(start)
        if state != "RUNNING":
            frozen.datetime_complete = _moment(max(start, (spans[-1].end if spans else None) or start))
    return frozen


def _state_of(outcome: str, values: list[float] | None) -> str:
    state = _STATES[outcome]
    return "FAIL" if state == "COMPLETE" and values is None else state


def _attrs(trial: Any, outcome: str, rest: Mapping[str, str]) -> dict[str, object]:
    attrs: dict[str, Any] = {"trial_id": trial.trial_id, "outcome": outcome}
    if trial.reason:
        attrs["reason"] = trial.reason[:1000]
    if trial.status is ERROR:
        attrs["error"] = (trial.error or "")[:4000]
    if trial.last is not None:
        metrics = flatten(dict(trial.last.metrics))
        attrs.update(
            (f"last {name}", v if not isinstance(v, float) or math.isfinite(v) else str(v))
            for name, v in metrics.items()
            if isinstance(v, (bool, int, float, str))
        )
    return {**attrs, **{f"config {name}": text for name, text in rest.items()}}


class OptunaLoggerCallback(Tracker):
    """Keep a study of Optuna up to date with a run, for optuna-dashboard: ``optuna-dashboard study.journal``.

    A trial appears when it starts, its values as it reports them, and its state at its end. A run with several metrics
    makes a study of several objectives, and constraints come with it; one without a metric makes none, which is said. A
    restored experiment goes on in the same study.

    Parameters
    ----------
    where
        A journal file such as ``study.journal``; ``.db`` makes an SQLite database; or a URL of another one.
    study_name
        Name of the study; None takes the experiment's.
    finish_s
        Most seconds that the end of a run waits for what is still to be written.

    Raises
    ------
    MissingDependencyError
        If Optuna is not installed.
    """

    def __init__(self, where: str, study_name: str | None = None, finish_s: float = FINISH_S) -> None:
        super().__init__(finish_s)
        require("OptunaLoggerCallback", "optuna", "optuna")
        if not isinstance(where, (str, os.PathLike)):
            raise InvalidArgumentError(
                "OptunaLoggerCallback(where)", f"is {where!r}", "it names a file or a database", 'Use "study.journal".'
            )
        self._where = os.fspath(where) if "://" in os.fspath(where) else os.path.abspath(os.fspath(where))
        self._name = study_name
        self._study: Any = None
        self._space: Any = None
        self._goals: Any = None
        self._known: dict[str, int] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**super().__getstate__(), "_study": None, "_space": None, "_goals": None, "_known": {}}

    def send_connect(self, name: str, folder: str) -> None:
        """Make the study, or find it."""
        optuna = require("OptunaLoggerCallback", "optuna", "optuna")
        from tune_core.journal.reader import Reader

        header = Reader(folder).header
        self._space = _Space(header.space)
        self._goals = _Goals.of(header)
        self.how_to_look = f"Optuna: optuna-dashboard {self._where}"
        with _quiet(optuna):
            self._study = optuna.create_study(
                storage=_storage(optuna, self._where),
                study_name=self._name or name,
                directions=self._goals.directions,
                load_if_exists=True,
            )
            self._study.set_metric_names(self._goals.metrics)
        for key, value in _study_attrs(header).items():
            self._study.set_user_attr(key, value)
        for trial in self._study.get_trials(deepcopy=False):
            self._known[trial.user_attrs.get("key", "")] = trial._trial_id

    def send_open(self, trial: TrackedTrial) -> tuple[Any, int]:
        """The trial in the study; values are written over, so all are sent."""
        optuna = require("OptunaLoggerCallback", "optuna", "optuna")
        if trial.key in self._known:
            return self._known[trial.key], 0
        params, distributions, rest = self._space.convert(optuna, trial.config)
        attrs = {"trial_id": trial.trial_id, "key": trial.key, **{f"config {n}": text for n, text in rest.items()}}
        template = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING, params=params, distributions=distributions, user_attrs=attrs
        )
        template.datetime_start = _moment(trial.trial.started_at or 0.0)
        storage = self._study._storage
        return storage.create_new_trial(self._study._study_id, template_trial=template), 0

    def send_result(self, trial: TrackedTrial, number: int, result: ResultDict) -> None:
        """The metric at the iteration; Optuna has no such values of several objectives."""
        value = lookup(result, self._goals.metrics[0]) if len(self._goals.metrics) == 1 else None
        if isinstance(value, (int, float)):
            storage = self._study._storage
            storage.set_trial_intermediate_value(trial.handle, int(result["training_iteration"]), float(value))

    def send_end(self, trial: TrackedTrial, status: str) -> None:
        """The value and the state."""
        optuna = require("OptunaLoggerCallback", "optuna", "optuna")
        if status == "interrupted":
            return  # it goes on when the run is restored
        outcome, values, excesses = trial.outcome, self._goals.values(trial.trial), self._goals.excesses(trial.trial)
        state = _state_of(outcome, values)
        storage = self._study._storage
        for key, attribute in _attrs(trial.trial, outcome, {}).items():
            storage.set_trial_user_attr(trial.handle, key, attribute)
        if excesses is not None:
            storage.set_trial_system_attr(trial.handle, _CONSTRAINTS, excesses)
        wanted = values if state in ("COMPLETE", "PRUNED") else None
        storage.set_trial_state_values(trial.handle, optuna.trial.TrialState[state], wanted)
