"""``ExperimentAnalysis``: a run's results under the names that ``tune.run`` has always returned."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tune_core.core.automatic import varied_in
from tune_core.core.flatten import flatten
from tune_core.core.objective import Objective, lookup
from tune_core.core.optional_imports import require
from tune_core.core.user_warnings import warn_user
from tune_core.core.values import Config, JsonObject, ResultDict
from tune_core.engine.trial_facts import RunFacts, TrialFacts
from tune_core.errors import InvalidArgumentError, MetricError
from tune_core.journal.place import Place
from tune_core.results import Result, ResultGrid, selection
from tune_core.results.experiment_reader import read_experiment
from tune_core.results.frames import FrameReader, TrialFrames

if TYPE_CHECKING:
    from tune_core.checkpoint import Checkpoint
    from tune_core.core.events import Header
    from tune_core.core.trial import Trial
    from tune_core.plots import Plots

__all__ = ["AnalysedTrial", "ExperimentAnalysis"]


class AnalysedTrial(Result, TrialFacts):
    """A trial in an analysis: a :class:`Result` with a trial's own names beside."""

    def __init__(self, trial: Trial, place: Place | str, header: Header, config: Config | None = None) -> None:
        super().__init__(trial, place, header, config)
        self._facts = RunFacts(self._folder, header.trainable, varied_in(header))

    @property
    def last_result(self) -> ResultDict:
        """The last result with the automatic fields."""
        return self.metrics

    @property
    def local_path(self) -> str:
        """The trial's folder."""
        return self.path

    logdir = local_path

    def _results(self) -> list[ResultDict]:
        return self._history()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnalysedTrial) and (other._path, other.trial_id) == (self._path, self.trial_id)

    def __hash__(self) -> int:
        return hash(self._path)


class ExperimentAnalysis:
    """What a run found.

    Parameters
    ----------
    experiment
        The experiment's folder or URL, or the :class:`~tune_core.ResultGrid` of a run.
    storage_filesystem
        What reaches the URL; None finds what it names.
    default_metric, default_mode
        What to compare trials by where a method is not told; None takes the run's.

    Raises
    ------
    JournalError
        If the folder holds no experiment.

    Examples
    --------
    >>> import tune_core as tune  # doctest: +SKIP
    >>> analysis = tune.run(objective, config=space, metric="loss", mode="min")  # doctest: +SKIP
    >>> analysis.best_config  # doctest: +SKIP
    {'lr': 0.01}
    """

    def __init__(
        self,
        experiment: str | os.PathLike[str] | ResultGrid | None = None,
        *,
        default_metric: str | None = None,
        default_mode: str | None = None,
        storage_filesystem: object = None,
        trials: Any = None,
        experiment_checkpoint_path: str | os.PathLike[str] | ResultGrid | None = None,
    ) -> None:
        experiment = experiment if experiment is not None else experiment_checkpoint_path
        if experiment is None:
            raise InvalidArgumentError(
                "ExperimentAnalysis(experiment)", "is missing", "there is nothing to analyse", "Give a folder."
            )
        grid = (
            experiment if isinstance(experiment, ResultGrid) else ResultGrid.from_path(experiment, storage_filesystem)
        )
        self._grid = grid
        self._header = grid._header
        self.default_metric = default_metric if default_metric is not None else self._header.metric
        self.default_mode = default_mode if default_mode is not None else self._header.mode

    # --- all trials ---------------------------------------------------------------------------------------------------

    @property
    def experiment_path(self) -> str:
        """The experiment's folder, or its URL."""
        return self._grid.experiment_path

    @property
    def trials(self) -> list[AnalysedTrial]:
        """All trials in the order of suggestion."""
        return [self._trial(trial) for trial in self._grid._trials]

    @property
    def results(self) -> dict[str, ResultDict]:
        """Each trial's last result, by trial id."""
        return {trial.trial_id: trial.last_result for trial in self.trials}

    @property
    def results_df(self) -> Any:
        """Each trial's last result as a pandas data frame, indexed by trial id."""
        pandas = require("ExperimentAnalysis.results_df", "pandas", "pandas")
        return pandas.DataFrame.from_records([flatten(result) for result in self.results.values()], index="trial_id")

    @property
    def trial_dataframes(self) -> Mapping[str, Any]:
        """Every result of each trial as a pandas data frame, by the trial's folder.

        A frame is read when it is asked for, and each time anew: keep one that you change.
        """
        require("ExperimentAnalysis.trial_dataframes", "pandas", "pandas")
        place = self._grid._place
        paths = {place.trial_path(trial.index, trial.folder): trial.index for trial in self._grid._trials}
        return TrialFrames(FrameReader(self._grid._place), paths)

    def fetch_trial_dataframes(self) -> Mapping[str, Any]:
        """The same as :attr:`trial_dataframes`."""
        return self.trial_dataframes

    def dataframe(self, metric: str | None = None, mode: str | None = None) -> Any:
        """One row a trial: its last result, or its best by ``metric`` and ``mode``.

        Raises
        ------
        InvalidArgumentError
            If there is a mode and no metric.
        """
        if mode is not None and metric is None:
            raise InvalidArgumentError(
                "ExperimentAnalysis.dataframe(mode)",
                f"is {mode!r}, without a metric",
                "a mode says which value of a metric is best",
                'Give both, e.g. dataframe("loss", "min"), or neither for the last results.',
            )
        if metric is not None and mode is None:
            mode = self.default_mode
        return self._grid.get_dataframe(metric, mode if metric is not None else None)

    def get_all_configs(self, prefix: bool = False) -> dict[str, Config]:
        """Each trial's configuration by its folder; with ``prefix`` names start with ``config/``."""
        return {
            trial._path: {f"config/{name}": value for name, value in trial.config.items()} if prefix else trial.config
            for trial in self.trials
        }

    # --- the best -----------------------------------------------------------------------------------------------------

    @property
    def best_trial(self) -> AnalysedTrial:
        """The best trial by the last value of the default metric."""
        return self._best("best_trial")

    @property
    def best_config(self) -> Config:
        """The best trial's configuration."""
        return self._best("best_config").config

    @property
    def best_result(self) -> ResultDict:
        """The best trial's last result."""
        return self._best("best_result").last_result

    @property
    def best_logdir(self) -> str:
        """The best trial's folder."""
        return self._best("best_logdir").path

    @property
    def best_checkpoint(self) -> Checkpoint | None:
        """The best trial's best checkpoint."""
        best = self._best("best_checkpoint")
        return self.get_best_checkpoint(best)

    @property
    def best_dataframe(self) -> Any:
        """Every result of the best trial as a pandas data frame."""
        return self._best("best_dataframe").metrics_dataframe

    @property
    def best_result_df(self) -> Any:
        """The best trial's last result as a pandas data frame of one row."""
        pandas = require("ExperimentAnalysis.best_result_df", "pandas", "pandas")
        return pandas.DataFrame.from_records([flatten(self.best_result)], index="trial_id")

    def get_best_trial(
        self,
        metric: str | None = None,
        mode: str | None = None,
        scope: str = "last",
        filter_nan_and_inf: bool = True,
    ) -> AnalysedTrial | None:
        """The best trial (scopes as in ``ResultGrid.get_best_result``); None, with a warning, if there is none."""
        try:
            return self._best("get_best_trial", metric, mode, scope, filter_nan_and_inf)
        except MetricError as error:
            warn_user(str(error))
            return None

    def get_best_config(self, metric: str | None = None, mode: str | None = None, scope: str = "last") -> Config | None:
        """The best trial's configuration, or None."""
        best = self.get_best_trial(metric, mode, scope)
        return best.config if best is not None else None

    def get_best_logdir(self, metric: str | None = None, mode: str | None = None, scope: str = "last") -> str | None:
        """The best trial's folder, or None."""
        best = self.get_best_trial(metric, mode, scope)
        return best.path if best is not None else None

    # --- checkpoints --------------------------------------------------------------------------------------------------

    def get_best_checkpoint(
        self, trial: Result | str, metric: str | None = None, mode: str | None = None
    ) -> Checkpoint | None:
        """A trial's kept checkpoint with the best value of ``metric``; None if it kept none."""
        metric, mode = self._metric_or(metric, mode, "get_best_checkpoint")
        return self._find(trial).get_best_checkpoint(metric, mode)

    def get_last_checkpoint(
        self, trial: Result | str | None = None, metric: str = "training_iteration", mode: str = "max"
    ) -> Checkpoint | None:
        """A trial's latest checkpoint; without ``trial``, that of the trial which is best by ``metric``."""
        found = self._find(trial) if trial is not None else self._furthest(metric, mode)
        return found.checkpoint if found is not None else None

    def get_trial_checkpoints_paths(self, trial: Result | str, metric: str | None = None) -> list[tuple[str, Any]]:
        """Paths of a trial's kept checkpoints, each with the value of ``metric`` that it came with."""
        name = metric if metric is not None else self.default_metric or "training_iteration"
        return [(checkpoint.path, lookup(values, name)) for checkpoint, values in self._find(trial).best_checkpoints]

    @property
    def plot(self) -> Plots:
        """Charts of the results: ``analysis.plot.history()``; see :mod:`tune_core.plots`."""
        from tune_core.plots import Plots

        return Plots(self)

    # --- the run ------------------------------------------------------------------------------------------------------

    def stats(self) -> JsonObject:
        """When the run began and how long it took."""
        experiment = read_experiment(self._grid._folder)
        return {
            "name": self._header.name,
            "start_time": self._header.at,
            "timestamp": experiment.last_at,
            "total_time_s": experiment.total_time_s,
            "num_trials": len(experiment.trials),
            "num_results": experiment.reports,
            "finished": experiment.finished,
        }

    def runner_data(self) -> JsonObject:
        """What the run was asked to do: its metric, seed, scheduler, searcher and space, the latter as text."""
        header = self._header
        return {
            "metric": header.metric,
            "mode": header.mode,
            "seed": header.seed,
            "num_samples": header.num_samples,
            "scheduler": header.scheduler,
            "searcher": header.searcher,
            "space": header.space,
            "trainable": header.trainable,
            "version": header.version,
        }

    def __repr__(self) -> str:
        return repr(self._grid).replace("ResultGrid", "ExperimentAnalysis", 1)

    def _repr_html_(self) -> str:
        return self._grid._repr_html_()

    def _trial(self, trial: Any, config: Config | None = None) -> AnalysedTrial:
        return AnalysedTrial(trial, self._grid._place, self._header, config)

    def _metric_or(self, metric: str | None, mode: str | None, asked: str) -> tuple[str, str]:
        metric = metric if metric is not None else self.default_metric
        mode = mode if mode is not None else self.default_mode
        return selection.metric_and_mode(asked, metric, mode, self._header)

    def _best(
        self,
        asked: str,
        metric: str | None = None,
        mode: str | None = None,
        scope: str = "last",
        filter_nan_and_inf: bool = True,
    ) -> AnalysedTrial:
        metric, mode = self._metric_or(metric, mode, asked)
        grid = self._grid
        best, score = selection.best_trial(
            grid._trials, grid._folder, self._header, metric, mode, scope, filter_nan_and_inf, asked
        )
        return self._trial(best, score.config)

    def _furthest(self, metric: str, mode: str) -> AnalysedTrial | None:
        having = [trial for trial in self.trials if lookup(trial.metrics, metric) is not None]
        objective = Objective(metric, mode)
        return min(having, key=lambda trial: objective.loss(trial.metrics), default=None)

    def _find(self, trial: Result | str) -> AnalysedTrial:
        if isinstance(trial, Result):
            return self._trial(trial._trial)
        if isinstance(trial, (str, int)):
            return self._trial(selection.find_trial(self._grid._trials, os.path.basename(str(trial))))
        if isinstance(getattr(trial, "trial_id", None), str):
            return self._trial(selection.find_trial(self._grid._trials, trial.trial_id))
        raise InvalidArgumentError(
            "ExperimentAnalysis(trial)",
            f"is {trial!r}",
            "it is neither a trial nor a trial's id or folder",
            "Use one of analysis.trials, or an id such as '00003'.",
        )
