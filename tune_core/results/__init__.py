"""What a run found: :class:`ResultGrid`, one :class:`Result` for each trial, from a live run or from a folder alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tune_core.core.automatic import experiment_tag, fields_of, varied_in
from tune_core.core.events import Header, Reported, error_line
from tune_core.core.flatten import flatten
from tune_core.core.objective import Objective, check_mode, lookup
from tune_core.core.optional_imports import require
from tune_core.core.paths import leads_away, trial_folder
from tune_core.core.trial import ERROR, TERMINATED, Status, Trial, merged
from tune_core.core.values import Config, ConfigView, ResultDict
from tune_core.display.formatting import config_text, counts_text, html_table, plain_table, value_text
from tune_core.errors import InvalidArgumentError, JournalError, TrialError, TuneError
from tune_core.journal.histories import history
from tune_core.journal.stored import Place, is_stored, open_place
from tune_core.results import pareto, selection
from tune_core.results.experiment_reader import Experiment, read_experiment
from tune_core.storage import local_path

if TYPE_CHECKING:
    from tune_core.checkpoint import Checkpoint
    from tune_core.engine.checkpoint_retention import RetainedCheckpoint
    from tune_core.plots import Plots

__all__ = ["Result", "ResultGrid"]


class Result:
    """What one trial reported and how it ended.

    Made by :class:`ResultGrid` and :meth:`from_path`. Histories and checkpoints are read when they are asked for.
    """

    def __init__(self, trial: Trial, place: Place | str, header: Header, config: Config | None = None) -> None:
        self._trial = trial
        self._place = Place(place) if isinstance(place, str) else place
        self._folder = self._place.folder  # of this machine: the journal is read there
        self._header = header
        self._config = config

    @classmethod
    def from_path(cls, path: str | os.PathLike[str], storage_filesystem: Any = None) -> Result:
        """The result in a trial's folder, e.g. ``".../my_experiment/trial_00003"``, or at such a URL.

        Raises
        ------
        InvalidArgumentError
            If the folder is no trial's.
        """
        stored = is_stored(path, storage_filesystem)
        whole = os.fspath(path).rstrip("/") if stored else str(local_path(path))
        folder, _, name = whole.rpartition("/")
        with contextlib.suppress(JournalError):
            place = open_place(folder, storage_filesystem)
            experiment = read_experiment(place.folder)
            for trial in experiment.trials:
                if name in (f"trial_{trial.trial_id}", trial.folder):
                    return cls(trial, place, experiment.header)
        raise InvalidArgumentError(
            f"Result.from_path({os.fspath(path)!r})",
            "names no trial's folder",
            "trials are folders such as trial_00003 in their experiment's folder",
            "Use ResultGrid.from_path(experiment_folder) to see all trials of an experiment.",
        )

    @property
    def trial_id(self) -> str:
        """The trial's id, e.g. ``"00003"``."""
        return self._trial.trial_id

    @property
    def status(self) -> Status:
        """How the trial stands: TERMINATED, ERROR, or, in an unfinished run, PENDING, RUNNING or PAUSED."""
        return self._trial.status

    @property
    def reason(self) -> str | None:
        """Why it ended, was stopped or put aside."""
        return self._trial.reason

    @property
    def worker(self) -> str | None:
        """Where it runs or, once it has ended, ran last: a local worker, or on a cluster the node and the worker."""
        return self._trial.worker

    @property
    def config(self) -> Config:
        """The configuration that made the result.

        Where a trial changed it on its way (population-based training): that of the value by which the trial was chosen
        (``get_best_result``), else of its last result. Read from a folder, objects that JSON cannot hold appear as
        their text.
        """
        if self._config is not None:
            return self._config
        return _last_config(self._trial)

    @property
    def metrics(self) -> ResultDict:
        """The last known value of each metric, with the automatic fields of the last result.

        A metric counts wherever it was reported: results need not have all of them. Before the first result, only what
        is known of the trial.
        """
        return _fields(self._trial, self._trial.last, _last_config(self._trial), varied_in(self._header))

    @property
    def error(self) -> TrialError | None:
        """What went wrong, with the traceback; None if the trial did not fail."""
        trial = self._trial
        if trial.status is not ERROR:
            return None
        text = trial.error or trial.reason or "no error was recorded"
        output = os.path.join(trial_folder(self._folder, trial.index), "output.log")
        where = f"All that it printed is in {output}.\n" if os.path.exists(output) else ""
        return TrialError(
            f"Trial {trial.trial_id}",
            f"failed: {error_line(text)}",
            f"it ran with {config_text(self.config, 300) or 'an empty configuration'}",
            f"{where}Mend what this points at and run again, or restore with resume_errored=True:\n{text}",
        )

    @property
    def path(self) -> str:
        """The trial's folder or URL; it exists once something was written to it."""
        return self._place.trial_path(self._trial.index, self._trial.folder)

    @property
    def filesystem(self) -> Any:
        """The fsspec file system that reaches ``path``."""
        from tune_core.checkpoint import Checkpoint

        return Checkpoint(self.path, self._place.filesystem).filesystem

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The latest checkpoint that the trial made, or None."""
        found = self._checkpoints()
        return found[-1][0] if found else None

    @property
    def best_checkpoints(self) -> list[tuple[Checkpoint, dict[str, Any]]]:
        """The checkpoints that were kept, oldest first, each with what was known of the metrics when it was made."""
        found = self._checkpoints()
        if not found:
            return []
        made: dict[Any, dict[str, Any]] = {}
        known: dict[str, Any] | None = None
        for result in self._history():
            known = {**merged(known, result), "checkpoint_dir_name": result.get("checkpoint_dir_name")}
            made[result["training_iteration"]] = known  # for a checkpoint that was saved after the result
            made[result.get("checkpoint_dir_name")] = known
        return [(checkpoint, made.get(kept.name) or made.get(kept.iteration, {})) for checkpoint, kept in found]

    def get_best_checkpoint(self, metric: str, mode: str) -> Checkpoint | None:
        """The kept checkpoint whose result is best by ``metric``; None if the trial kept none.

        Raises
        ------
        MetricError
            If no checkpoint came with that metric.
        """
        check_mode(mode, "get_best_checkpoint(mode)")
        found = self.best_checkpoints
        objective = Objective(metric, mode)
        having = [(checkpoint, metrics) for checkpoint, metrics in found if lookup(metrics, metric) is not None]
        if found and not having:
            reported = [name for _, metrics in found for name in metrics]
            raise selection.missing_metric(f"get_best_checkpoint(metric={metric!r})", reported)
        return min(having, key=lambda pair: objective.loss(pair[1]))[0] if having else None

    @property
    def metrics_dataframe(self) -> Any:
        """Every result of the trial that counts as a pandas data frame, nested names joined by ``/``; None without any.

        A trial that went back to a checkpoint of its own replaced what it had reported after that. ``config/<name>`` is
        the configuration that each result was made with.
        """
        rows = [flatten(row) for row in self._history()]
        return _pandas("Result.metrics_dataframe").DataFrame(rows) if rows else None

    def explain(self) -> str:
        """The trial's story: launches, decisions and ends in their order, with the reasons."""
        from tune_core.results.explain import explain

        return explain(self._folder, self._trial.index)

    def _history(self) -> list[ResultDict]:
        return history(self._folder, self._trial.index).get(self._trial.index, [])

    def _checkpoints(self) -> list[tuple[Checkpoint, RetainedCheckpoint]]:
        from tune_core.checkpoint import Checkpoint
        from tune_core.storage import storage_from

        if not self._trial.checkpoints:
            return []
        filesystem = self._place.filesystem
        storage = storage_from(self.path, filesystem)
        made = self._trial.checkpoints
        return [
            (Checkpoint(path, filesystem), kept)
            for kept in made
            if _is_ours(path := storage.join(kept.name)) and storage.exists(path)
        ]

    def __repr__(self) -> str:
        metric = self._header.metric
        value = lookup(self.metrics, metric) if metric else None
        shown = f", {metric}={value_text(value)}" if value is not None else ""
        return f"Result({self.trial_id}, {self.status}{shown}, config={{{config_text(self.config, 200)}}})"


class ResultGrid(Sequence[Result]):
    """The results of a run, one for each trial in the order of suggestion.

    Made by ``Tuner.fit()``, ``Tuner.get_results()`` and :meth:`from_path`; the latter needs nothing but the folder and
    runs none of the experiment's code.

    Examples
    --------
    >>> import tune_core as tune  # doctest: +SKIP
    >>> grid = tune.Tuner(lambda c: {"loss": c["x"] ** 2}, param_space={"x": tune.grid_search([2, 1])}).fit()
    ... # doctest: +SKIP
    >>> grid.get_best_result("loss", "min").config  # doctest: +SKIP
    {'x': 1}
    """

    def __init__(self, place: Place | str, header: Header, trials: Sequence[Trial]) -> None:
        self._place = Place(place) if isinstance(place, str) else place
        self._folder = self._place.folder
        self._header = header
        self._trials = trials

    @classmethod
    def from_path(cls, path: str | os.PathLike[str], storage_filesystem: Any = None) -> ResultGrid:
        """Read an experiment's results from its folder or its URL.

        Parameters
        ----------
        path
            The experiment's folder, or a URL such as ``s3://bucket/experiments/name``.
        storage_filesystem
            What reaches the URL; None finds what it names, with the credentials of the environment.

        Raises
        ------
        JournalError
            If there is no experiment.
        """
        return cls.from_place(open_place(path, storage_filesystem))

    @classmethod
    def from_place(cls, place: Place) -> ResultGrid:
        """The results of an experiment whose journal is on this machine."""
        experiment = read_experiment(place.folder)
        return cls(place, experiment.header, experiment.trials)

    @classmethod
    def from_experiment(cls, experiment: Experiment) -> ResultGrid:
        """The results of an experiment that was read already."""
        return cls(experiment.folder, experiment.header, experiment.trials)

    @classmethod
    def from_trials(cls, place: Place | str, header: Header, trials: Sequence[Trial]) -> ResultGrid:
        """The results of a run in this process, without reading its journal again."""
        return cls(place, header, trials)

    def __len__(self) -> int:
        return len(self._trials)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._result(trial) for trial in self._trials[index]]
        return self._result(self._trials[index])

    def __iter__(self) -> Iterator[Result]:
        return map(self._result, self._trials)

    def _result(self, trial: Trial) -> Result:
        return Result(trial, self._place, self._header)

    @property
    def experiment_path(self) -> str:
        """The experiment's folder, or its URL."""
        return self._place.path

    @property
    def filesystem(self) -> Any:
        """The fsspec file system that reaches ``experiment_path``."""
        from tune_core.checkpoint import Checkpoint

        return Checkpoint(self._place.path, self._place.filesystem).filesystem

    @property
    def _experiment_analysis(self) -> Any:
        """The same results as an ``ExperimentAnalysis``: a private name of Ray Tune's that scripts use."""
        return import_module("tune_core.results.analysis").ExperimentAnalysis(self)  # it is made of this class

    @property
    def errors(self) -> list[TrialError]:
        """The errors of the trials that failed."""
        return [error for result in self if (error := result.error) is not None]

    @property
    def num_errors(self) -> int:
        """How many trials failed."""
        return sum(trial.status is ERROR for trial in self._trials)

    @property
    def num_terminated(self) -> int:
        """How many trials ended without an error."""
        return sum(trial.status is TERMINATED for trial in self._trials)

    def get_best_result(
        self,
        metric: str | None = None,
        mode: str | None = None,
        scope: str = "last",
        filter_nan_and_inf: bool = True,
    ) -> Result:
        """The trial with the best value of a metric.

        Parameters
        ----------
        metric, mode
            What to compare by; None takes the run's. Of a run with constraints, trials whose last result meets them
            come before all others; if none does, a warning says so, and those that break them least are compared.
        scope
            Which of a trial's values counts: the last known one (``"last"``), their mean (``"avg"``) or that of the
            last ones (``"last-5-avg"``, ``"last-10-avg"``), the smallest (``"min"``), the largest (``"max"``), or the
            best by ``mode`` (``"all"``).
        filter_nan_and_inf
            Leave out trials whose value is NaN or infinite; otherwise those count as the worst.

        Raises
        ------
        MetricError
            If no trial has a usable value of the metric.
        """
        return self.best_value(metric, mode, scope, filter_nan_and_inf)[2]

    def best_value(
        self,
        metric: str | None = None,
        mode: str | None = None,
        scope: str = "last",
        filter_nan_and_inf: bool = True,
    ) -> tuple[str, Any, Result]:
        """As :meth:`get_best_result`: the metric's name, the value that counted, and the trial's result."""
        asked = "get_best_result"
        metric, mode = selection.metric_and_mode(asked, metric, mode, self._header)
        trial, score = selection.best_trial(
            self._trials, self._folder, self._header, metric, mode, scope, filter_nan_and_inf, asked
        )
        return metric, score.value, Result(trial, self._place, self._header, score.config)

    def pareto_front(
        self, metric: Sequence[str] | None = None, mode: str | Sequence[str] | None = None
    ) -> list[Result]:
        """The trials that no other one beats in one of the metrics without being worse in another.

        Of a run with constraints, trials that break one are left out, unless all do.

        Parameters
        ----------
        metric
            Names of the metrics; None takes the run's (``TuneConfig(metric=[...])``).
        mode
            ``"min"`` or ``"max"`` for all of them, or a list with one for each; None takes the run's, or ``"min"`` for
            metrics that are named here.
        """
        metric, mode = self._several("pareto_front", metric, mode)
        kept = selection.feasible_first(self._trials, self._header, "pareto_front")
        results = [self._result(trial) for trial in kept]
        return [results[i] for i in pareto.front(pareto.losses_of([r.metrics for r in results], metric, mode))]

    def hypervolume(
        self,
        metric: Sequence[str] | None = None,
        mode: str | Sequence[str] | None = None,
        reference: Sequence[float] = (),
    ) -> float:
        """How much of what is better than ``reference`` the trials dominate: see :mod:`tune_core.results.pareto`.

        Parameters
        ----------
        metric, mode
            As for :meth:`pareto_front`.
        reference
            A value of each metric that is worse than all that matter, in the metrics' own signs. Trials that break a
            constraint of the run add nothing.
        """
        metric, mode = self._several("hypervolume", metric, mode)
        met = [trial for trial in self._trials if selection.violation_of(trial, self._header) == 0.0]
        return pareto.hypervolume_of([self._result(trial).metrics for trial in met], metric, mode, reference)

    def _several(self, asked: str, metric: Any, mode: Any) -> tuple[Sequence[str], str | Sequence[str]]:
        objectives = self._header.objectives
        if metric is not None:
            known = dict(objectives)
            own = [known.get(name, "min") for name in ([metric] if isinstance(metric, str) else metric)]
            return metric, own if mode is None else mode
        if not objectives:
            raise InvalidArgumentError(
                f"ResultGrid.{asked}(metric)",
                "is None",
                "the run had one metric, and a front needs several",
                f'Use e.g. {asked}(metric=["loss", "size"], mode=["min", "min"]).',
            )
        return [name for name, _ in objectives], [way for _, way in objectives] if mode is None else mode

    @property
    def metrics_dataframe(self) -> Any:
        """Every result that counts of all trials as one pandas data frame; see :meth:`get_metrics_dataframe`."""
        return self.get_metrics_dataframe()

    def get_metrics_dataframe(self, library: str = "pandas") -> Any:
        """Every result that counts of all trials as one data frame, by trial and in order.

        Columns are ``trial_id``, the metrics, the automatic fields, and ``config/<name>`` for the configuration that
        each result was made with; nested names are joined by ``/``. To write it as Parquet: ``.to_parquet(path)`` in
        pandas,
        ``.write_parquet(path)`` in Polars, or ``tune-core export EXP --results -o results.parquet``.

        Parameters
        ----------
        library
            ``"pandas"`` or ``"polars"``.

        Raises
        ------
        InvalidArgumentError
            If ``library`` is another one.
        MissingDependencyError
            If the library is not installed.
        """
        if library not in ("pandas", "polars"):
            raise InvalidArgumentError(
                "get_metrics_dataframe(library)", f"is {library!r}", "two are known", 'Use "pandas" or "polars".'
            )
        histories = history(self._folder)
        rows = [
            {"trial_id": trial.trial_id, **flatten(row)}
            for trial in self._trials
            for row in histories.get(trial.index, [])
        ]
        if library == "pandas":
            return _pandas("ResultGrid.get_metrics_dataframe").DataFrame(rows)
        polars = require("ResultGrid.get_metrics_dataframe", "polars", "polars")
        names = dict.fromkeys(name for row in rows for name in row)
        return polars.DataFrame({name: _column([row.get(name) for row in rows]) for name in names}, strict=False)

    def get_dataframe(self, filter_metric: str | None = None, filter_mode: str | None = None) -> Any:
        """One row a trial as a pandas data frame: its last result, or its best by ``filter_metric``.

        The last result has the last known value of each metric. Columns are the metrics, the automatic fields,
        ``config/<name>`` for the configuration that the result was made with, and ``logdir``.
        """
        pandas = _pandas("ResultGrid.get_dataframe")
        return pandas.DataFrame(self.rows(filter_metric, filter_mode))

    def rows(self, filter_metric: str | None = None, filter_mode: str | None = None) -> list[dict[str, Any]]:
        """What :meth:`get_dataframe` holds, as plain dicts. Trials without a result are left out."""
        if (filter_metric is None) != (filter_mode is None):
            raise InvalidArgumentError(
                "get_dataframe(filter_metric, filter_mode)",
                f"got {filter_metric!r} and {filter_mode!r}",
                "a metric is only good or bad together with a mode",
                'Give both, e.g. get_dataframe("loss", "min"), or neither for the last results.',
            )
        if filter_metric is None or filter_mode is None:
            chosen: Mapping[int, Any] = {t.index: (t.last, _last_config(t)) for t in self._trials}
        else:
            chosen = selection.best_reports(self._trials, self._folder, self._header, filter_metric, filter_mode)
        rows = []
        varied = varied_in(self._header)
        for trial in self._trials:
            report, config = chosen.get(trial.index, (None, None))
            if report is not None:
                row = flatten(_fields(trial, report, config, varied))
                rows.append({**row, "logdir": self._place.trial_path(trial.index, trial.folder)})
        return rows

    @property
    def plot(self) -> Plots:
        """Charts of the results: ``results.plot.history()``; see :mod:`tune_core.plots`."""
        from tune_core.plots import Plots

        return Plots(self)

    def explain(self, trial_id: str | int) -> str:
        """Why a trial was stopped, paused or went on: its story, in the order of events."""
        return self._result(selection.find_trial(self._trials, trial_id)).explain()

    def _summary(self) -> str:
        counts: dict[Status, int] = {}
        for trial in self._trials:
            counts[trial.status] = counts.get(trial.status, 0) + 1
        return f"{self._header.name}: {len(self)} trials ({counts_text(counts)})"

    def _table(self, limit: int) -> tuple[list[str], list[list[Any]]]:
        from tune_core.display.tables import table_of

        return table_of(selection.ranked(self._trials, self._header)[:limit], self._header.metric)

    def __repr__(self) -> str:
        lines = [f"ResultGrid {self._summary()}"]
        best, metric = selection.best_known(self._trials, self._header), self._header.metric
        if best is not None and best.best is not None and metric:
            value = value_text(lookup(best.best.metrics, metric))
            lines.append(f"best {metric}={value} ({self._header.mode}) by trial {best.trial_id}")
        if self._trials:
            lines.append(plain_table(*self._table(10), width=120))
        if len(self) > 10:
            lines.append(f"… and {len(self) - 10} more; get_dataframe() has all")
        lines.append(f"folder: {self._place.path}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        more = f"<p>… and {len(self) - 20} more</p>" if len(self) > 20 else ""
        table = html_table(*self._table(20), caption=escape(self._summary()))
        return f"{table}{more}{self._drawn()}<p><code>{escape(self._place.path)}</code></p>"

    def _drawn(self) -> str:
        """The history as a chart, where there is one and it is quickly made."""
        if self._header.metric is None or not 0 < len(self) <= _MAX_DRAWN:
            return ""
        try:
            chart = self.plot.history()._repr_html_()
        except (TuneError, OSError):  # the folder may be gone; the table stays
            return ""
        return f"<details><summary>history</summary>{chart}</details>"


_MAX_DRAWN = 5000


def _column(values: list[Any]) -> list[Any]:
    """A column's values, all of one kind: those of several kinds as text."""
    kinds = {type(v) for v in values if v is not None}
    if len(kinds) <= 1 or kinds <= {int, float}:
        return [float(v) if v is not None else None for v in values] if float in kinds else values
    return [None if v is None else str(v) for v in values]


def _last_config(trial: Trial) -> Config:
    return trial.config if trial.last_config is None else trial.last_config


def _fields(
    trial: Trial, report: Reported | None, config: ConfigView, varied: Collection[str] | None
) -> dict[str, Any]:
    """A report with the fields that every result has; the last one with the last known value of each metric."""
    if report is None:
        result: ResultDict = {"trial_id": trial.trial_id}
    elif trial.last is report:
        result = trial.last_result
    else:
        result = fields_of(report, 0.0, trial.began)
        if report.iteration > 1 and "time_this_iter_s" not in report.metrics:
            del result["time_this_iter_s"]  # the result before is not known here
    result.setdefault("done", trial.status in (TERMINATED, ERROR))
    result.setdefault("experiment_tag", experiment_tag(trial.index, config, varied))
    result.setdefault("config", dict(config))
    return result


def _is_ours(path: str) -> bool:
    """Whether a checkpoint lies in its trial's folder: no link leads elsewhere."""
    return not os.path.islink(path) and not leads_away(os.path.dirname(path))


def _pandas(wanted: str) -> Any:
    return require(wanted, "pandas", "pandas")
