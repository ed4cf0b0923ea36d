"""Each trial as a run of Aim."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tune_core.core.optional_imports import require
from tune_core.core.values import ResultDict
from tune_core.logger.tracker import FINISH_S, TrackedTrial, Tracker, numbers_of, step_of
from tune_core.storage.local import write_bytes_atomic

HASH_FILE = ".aim_run"

__all__ = ["AimLoggerCallback"]


class AimLoggerCallback(Tracker):
    """Log each trial as a run of Aim: its configuration and its numbers.

    Everything is written by one thread of the driver, from the journal. The hash of a trial's run is kept in the
    trial's folder, so that a restored experiment goes on in it; a value that it has already is written over, not twice.

    Parameters
    ----------
    repo
        Folder or address of the repository; None makes one in the experiment's folder.
    experiment_name
        Aim's experiment; None takes the run's name.
    metrics
        Names of the metrics to log; None logs all numbers.
    finish_s
        Most seconds that the end of a run waits for what is still to be sent.
    **aim_run_kwargs
        For ``aim.Run``.

    Raises
    ------
    MissingDependencyError
        If aim is not installed.

    Notes
    -----
    After the run, ``aim up --repo REPO`` shows it. A program that reads the repository at once may have to run
    ``aim storage --repo REPO reindex`` first.
    """

    def __init__(
        self,
        repo: str | None = None,
        experiment_name: str | None = None,
        metrics: Sequence[str] | None = None,
        finish_s: float = FINISH_S,
        **aim_run_kwargs: object,
    ) -> None:
        super().__init__(finish_s)
        require("AimLoggerCallback", "aim", "aim")
        self._repo = repo
        self._experiment_name = experiment_name
        self._metrics = frozenset(metrics) if metrics is not None else None
        self._given = aim_run_kwargs

    def send_connect(self, name: str, folder: str) -> None:
        """Make the repository, or finish what a killed driver had begun of it."""
        repo = self._repo or folder
        if "://" not in repo:
            require("AimLoggerCallback", "aim", "aim").Repo.from_path(repo, init=True)

    def send_open(self, trial: TrackedTrial) -> tuple[Any, int]:
        """The run with the trial's hash, made if it is missing."""
        aim = require("AimLoggerCallback", "aim", "aim")
        repo = self._repo or trial.folder
        self.how_to_look = f"Aim: aim up --repo {repo}"
        given = {"system_tracking_interval": None, "capture_terminal_logs": False, **self._given}
        name = self._experiment_name or trial.experiment
        known = os.path.join(trial.path, HASH_FILE)
        if os.path.exists(known):
            with open(known, encoding="ascii") as file:
                run = aim.Run(run_hash=file.read(), repo=repo, experiment=name, force_resume=True, **given)
        else:
            run = aim.Run(repo=repo, experiment=name, **given)
            os.makedirs(trial.path, exist_ok=True)
            write_bytes_atomic(known, run.hash.encode("ascii"))
        run.name = trial.trial_id
        self._set_config(run, trial)
        return run, 0  # the same value at the same step is written over

    @staticmethod
    def _set_config(run: Any, trial: TrackedTrial) -> None:
        simple = (bool, int, float, str)
        run["hparams"] = {name: v if isinstance(v, simple) else str(v) for name, v in trial.config.items()}
        run["trial_id"] = trial.trial_id

    def send_result(self, trial: TrackedTrial, number: int, result: ResultDict) -> None:
        """The numbers that were asked for, at the iteration."""
        for name, value in numbers_of(result).items():
            if self._metrics is None or name in self._metrics:
                trial.handle.track(value, name=name, step=step_of(result))

    def send_config(self, trial: TrackedTrial) -> None:
        """A population's trial has changed its configuration."""
        self._set_config(trial.handle, trial)

    def send_end(self, trial: TrackedTrial, status: str) -> None:
        """Close the run."""
        trial.handle["status"] = status
        trial.handle.close()
