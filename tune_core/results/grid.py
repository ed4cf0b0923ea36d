"""The results of a whole run, from a live run or from a folder alone: the best trial, fronts, tables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tune_core.core.automatic import varied_in
from tune_core.core.best_trial import violation_of
from tune_core.core.constraints import constraints_of
from tune_core.core.events import Header
from tune_core.core.flatten import flatten
from tune_core.core.objective import lookup
from tune_core.core.optional_imports import require
from tune_core.core.trial import ERROR, TERMINATED, Status, Trial
from tune_core.core.values import ResultDict
from tune_core.display.formatting import counts_text, html_table, plain_table, printable, value_text
from tune_core.errors import InvalidArgumentError, TrialError, TuneError
from tune_core.journal.histories import in_batches
from tune_core.journal.place import Place
from tune_core.results import pareto, selection
from tune_core.results.frames import Columns, FrameReader
from tune_core.results.result import Result, last_config, pandas_for, result_fields

if TYPE_CHECKING:
    from tune_core.plots import Plots
    from tune_core.results.experiment_reader import Experiment

_MAX_DRAWN = 5000
"""Trials up to which a notebook shows the history as a chart."""


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
        self._place = (Place(place) if isinstance(place, str) else place).of_run(header)
        self._header = header
        self._trials = trials
        self._frames = FrameReader(self._place)

    @classmethod
    def from_path(cls, path: str | os.PathLike[str], storage_filesystem: object = None) -> ResultGrid:
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
        from tune_core.journal.stored import open_place

        return cls.from_place(open_place(path, storage_filesystem))

    @classmethod
    def from_place(cls, place: Place) -> ResultGrid:
        """The results of an experiment whose journal is on this machine."""
        from tune_core.results.kept_trials import read_by_need  # not at the top: a run's own results need none of it

        experiment = read_by_need(place.folder)
        return cls(place, experiment.header, experiment.trials)

    @classmethod
    def from_experiment(cls, experiment: Experiment) -> ResultGrid:
        """The results of an experiment that was read already."""
        return cls(experiment.folder, experiment.header, experiment.trials)

    @classmethod
    def from_trials(cls, place: Place | str, header: Header, trials: Sequence[Trial]) -> ResultGrid:
        """The results of a run in this process, without reading its journal again."""
        return cls(place, header, trials)

    @property
    def _folder(self) -> str:
        """The folder of this machine where the journal is."""
        return self._place.folder

    def __len__(self) -> int:
        return len(self._trials)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._result(trial) for trial in self._trials[index]]
        return self._result(self._trials[index])

    def __iter__(self) -> Iterator[Result]:
        return map(self._result, self._trials)

    def _result(self, trial: Trial) -> Result:
        result = Result(trial, self._place, self._header)
        result._frames = self._frames
        return result

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
    def _experiment_analysis(self) -> object:
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
            What to compare by; None takes the run's. Of a run with constraints, trials whose last known values meet
            them come before all others; if none does, a warning says so, and those that break them least are compared.
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
        constraints = constraints_of(self._header)
        met = [trial for trial in self._trials if violation_of(trial, constraints) == 0.0]
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
        columns, ids = Columns(), {trial.index: trial.trial_id for trial in self._trials}
        for histories in in_batches(self._folder, 1 + max((trial.index for trial in self._trials), default=-1)):
            for index, rows in histories.items():
                for row in rows:
                    columns.add({"trial_id": ids[index], **flatten(row)})
        if library == "pandas":
            return columns.frame(pandas_for("ResultGrid.get_metrics_dataframe"))
        polars = require("ResultGrid.get_metrics_dataframe", "polars", "polars")
        return polars.DataFrame({name: _column(values) for name, values in columns.lists().items()}, strict=False)

    def get_dataframe(self, filter_metric: str | None = None, filter_mode: str | None = None) -> Any:
        """One row a trial as a pandas data frame: its last result, or its best by ``filter_metric``.

        The last result has the last known value of each metric. Trials without a result are left out, as in Ray Tune;
        with ``filter_metric``, those that never reported it. Columns are the metrics, the automatic fields,
        ``config/<name>`` for the configuration that the result was made with, and ``logdir``.
        """
        pandas = pandas_for("ResultGrid.get_dataframe")
        return pandas.DataFrame(self.rows(filter_metric, filter_mode))

    def rows(self, filter_metric: str | None = None, filter_mode: str | None = None) -> list[ResultDict]:
        """What :meth:`get_dataframe` holds, as plain dicts. Trials without a result are left out."""
        if (filter_metric is None) != (filter_mode is None):
            raise InvalidArgumentError(
                "get_dataframe(filter_metric, filter_mode)",
                f"got {filter_metric!r} and {filter_mode!r}",
                "a metric is only good or bad together with a mode",
                'Give both, e.g. get_dataframe("loss", "min"), or neither for the last results.',
            )
        if filter_metric is None or filter_mode is None:
            chosen: Mapping[int, Any] = {t.index: (t.last, last_config(t)) for t in self._trials if t.last is not None}
        else:
            chosen = selection.best_reports(self._trials, self._folder, self._header, filter_metric, filter_mode)
        rows = []
        varied = varied_in(self._header)
        for trial in self._trials:
            if trial.index in chosen:
                report, config = chosen[trial.index]
                row = flatten(result_fields(trial, report, config, varied))
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
        from tune_core.display.snapshot import best_by_last_value

        lines = [f"ResultGrid {self._summary()}"]
        best, metric = selection.best_known(self._trials, self._header), self._header.metric
        if best is not None and best.best is not None and metric:
            value = value_text(lookup(best.best.metrics, metric))
            lines.append(f"best {metric}={value} ({self._header.mode}) by trial {best.trial_id}")
            constraints = constraints_of(self._header)
            other = best_by_last_value(self._trials, metric, self._header.mode, constraints)
            if other is not None and other[0] is not best:
                lines[-1] += f", and by last values trial {other[0].trial_id} with {value_text(other[1])}"
        if self._trials:
            lines.append(plain_table(*self._table(10), width=120))
        if len(self) > 10:
            lines.append(f"… and {len(self) - 10} more; get_dataframe() has all")
        lines.append(f"folder: {self._place.path}")
        return printable("\n".join(lines))

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


def _column(values: list[Any]) -> list[Any]:
    """A column's values, all of one kind: those of several kinds as text."""
    kinds = {type(v) for v in values if v is not None}
    if len(kinds) <= 1 or kinds <= {int, float}:
        return [float(v) if v is not None else None for v in values] if float in kinds else values
    return [None if v is None else str(v) for v in values]
