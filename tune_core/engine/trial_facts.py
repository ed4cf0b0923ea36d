"""The names by which Ray Tune's users read a trial: one base for all the views of a trial that users get."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tune_core.core.automatic import evaluated_params, experiment_tag, metric_analysis
from tune_core.core.paths import trial_folder
from tune_core.core.trial import ERROR, TERMINATED, Status
from tune_core.core.values import Config, ResultDict, containers_copied

ERROR_FILE = "error.txt"


@dataclass(frozen=True)
class RunFacts:
    """What views of trials need to know of their run: its folder, its trainable, and what its search space varies."""

    folder: str
    trainable: str = "trainable"
    varied: Collection[str] | None = None


class RunMetadata:
    """What a trial has done so far."""

    def __init__(self, facts: TrialFacts) -> None:
        self._facts = facts

    @property
    def last_result(self) -> ResultDict:
        """The last result."""
        return self._facts.last_result

    @property
    def metric_analysis(self) -> dict[str, dict[str, Any]]:
        """Extremes and means of each metric."""
        return self._facts.metric_analysis

    @property
    def num_failures(self) -> int:
        """How often it failed."""
        return self._facts.num_failures

    @property
    def last_result_time(self) -> float:
        """When the last result came, in seconds since the epoch."""
        return float(self._facts.last_result.get("timestamp", 0.0))


class TrialFacts:
    """A trial's facts, read from the controller's trial and from the run's."""

    __slots__ = ()

    PENDING: ClassVar[Status] = Status.PENDING
    RUNNING: ClassVar[Status] = Status.RUNNING
    PAUSED: ClassVar[Status] = Status.PAUSED
    TERMINATED: ClassVar[Status] = Status.TERMINATED
    ERROR: ClassVar[Status] = Status.ERROR

    _trial: Any
    _facts: RunFacts

    @property
    def trial_id(self) -> str:
        """The trial's id: its index with at least five digits."""
        return str(self._trial.trial_id)

    @property
    def status(self) -> Any:
        """Where the trial is in its life."""
        return self._trial.status

    @property
    def config(self) -> Config:
        """The configuration that it runs now: a copy."""
        return containers_copied(self._trial.config)  # type: ignore[no-any-return]

    @property
    def last_result(self) -> ResultDict:
        """The last result with the automatic fields; empty before the first."""
        return self._trial.last_result  # type: ignore[no-any-return]

    @property
    def path(self) -> str:
        """The trial's folder."""
        return trial_folder(self._facts.folder, self._trial.index, self._trial.folder)

    @property
    def local_path(self) -> str:
        """The trial's folder, made on first use."""
        os.makedirs(self.path, exist_ok=True)
        return self.path

    logdir = local_path

    @property
    def experiment_dir_name(self) -> str:
        """Name of the experiment's folder."""
        return os.path.basename(self._facts.folder)

    @property
    def local_experiment_path(self) -> str:
        """The experiment's folder."""
        return self._facts.folder

    @property
    def local_dir(self) -> str:
        """The folder of experiments."""
        return os.path.dirname(self._facts.folder)

    @property
    def trainable_name(self) -> str:
        """The trainable's name."""
        return self._facts.trainable

    @property
    def experiment_tag(self) -> str:
        """The index and the drawn values in one word, e.g. ``"3_lr=0.0100"``."""
        return experiment_tag(self._trial.index, self._trial.config, self._facts.varied)

    @property
    def evaluated_params(self) -> Config:
        """The drawn values of the configuration, nested names joined by ``/``."""
        return evaluated_params(self.config, self._facts.varied)

    @property
    def custom_trial_name(self) -> str | None:
        """The name that ``trial_name_creator`` gave it, or None."""
        return self._trial.name or None

    @property
    def trial_name(self) -> str:
        """The name that ``trial_name_creator`` gave it, else the trainable's name and the trial's id."""
        return self.custom_trial_name or f"{self._facts.trainable}_{self.trial_id}"

    def is_finished(self) -> bool:
        """Whether it has ended, well or badly."""
        return self._trial.status in (TERMINATED, ERROR)

    @property
    def has_reported_at_least_once(self) -> bool:
        """Whether there is a result."""
        return self._trial.last is not None

    @property
    def num_failures(self) -> int:
        """How often it failed."""
        return int(self._trial.failures)

    @property
    def start_time(self) -> float | None:
        """When its present or last attempt began, in seconds since the epoch."""
        return self._trial.started_at  # type: ignore[no-any-return]

    @property
    def error_file(self) -> str | None:
        """Its ``error.txt``, if a logger wrote one."""
        path = os.path.join(self.path, ERROR_FILE)
        return path if os.path.exists(path) else None

    @property
    def run_metadata(self) -> RunMetadata:
        """What it has done so far."""
        return RunMetadata(self)

    @property
    def metric_analysis(self) -> dict[str, dict[str, Any]]:
        """For each metric: ``max``, ``min``, ``avg``, ``last``, ``last-5-avg`` and ``last-10-avg``."""
        return metric_analysis(self._results())

    @property
    def placement_group_factory(self) -> Any:
        """What the trial asks for."""
        from tune_core.trainable.resources import PlacementGroupFactory, resource_dict_to_pg_factory

        resources = self._trial.resources
        if isinstance(resources, PlacementGroupFactory):
            return resources
        return resource_dict_to_pg_factory(resources if isinstance(resources, Mapping) else None)

    def _results(self) -> list[ResultDict]:
        """All its results so far, oldest first."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.trial_name
