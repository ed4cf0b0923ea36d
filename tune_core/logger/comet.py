"""Each trial as an experiment of Comet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tune_core.core.optional_imports import require
from tune_core.core.values import ResultDict
from tune_core.logger.tracker import FINISH_S, TrackedTrial, Tracker, numbers_of, step_of

__all__ = ["CometLoggerCallback"]


class CometLoggerCallback(Tracker):
    """Log each trial as an experiment of Comet: its configuration, its numbers and, if asked, its checkpoints.

    Everything is sent by one thread of the driver, from the journal. A trial's key is the same after a restore: online,
    its experiment is gone on with; offline, a killed trial's archive is written anew and whole, since Comet makes the
    archive at a trial's end.

    Parameters
    ----------
    online
        Whether to send to Comet's server; False writes archives, which ``comet upload`` sends later.
    tags
        Tags of every experiment.
    save_checkpoints
        Whether checkpoints are sent as assets.
    finish_s
        Most seconds that the end of a run waits for what is still to be sent.
    **experiment_kwargs
        For Comet's experiment, e.g. ``project_name``, ``workspace``, ``offline_directory``.

    Raises
    ------
    MissingDependencyError
        If comet_ml is not installed.
    """

    def __init__(
        self,
        online: bool = True,
        tags: Sequence[str] | None = None,
        save_checkpoints: bool = False,
        finish_s: float = FINISH_S,
        **experiment_kwargs: Any,
    ) -> None:
        super().__init__(finish_s)
        require("CometLoggerCallback", "comet_ml", "comet")
        self._online = online
        self._tags = list(tags or ())
        self._save_checkpoints = save_checkpoints
        self._given = experiment_kwargs

    def send_open(self, trial: TrackedTrial) -> tuple[Any, int]:
        """An experiment with a key of the trial's own."""
        comet = require("CometLoggerCallback", "comet_ml", "comet")
        config = require("CometLoggerCallback", "comet_ml.config", "comet")
        quiet = {
            "log_code": False,
            "log_graph": False,
            "auto_param_logging": False,
            "auto_metric_logging": False,
            "auto_output_logging": False,
            "log_env_details": False,
            "parse_args": False,
            "display_summary_level": 0,
        }
        given = {"project_name": trial.experiment, **quiet, **self._given}
        sent = 0
        if self._online:
            experiment, sent = self._go_on(comet, trial, given)
        else:
            given.setdefault("offline_directory", os.path.join(trial.folder, "comet"))
            os.makedirs(given["offline_directory"], exist_ok=True)
            self.how_to_look = f"Comet: comet upload {given['offline_directory']}/*.zip"
            experiment = comet.OfflineExperiment(experiment_key=trial.key, **given)
        config.set_global_experiment(None)  # Comet ends the one that it knows of when the next is made
        experiment.set_name(trial.trial_id)
        experiment.add_tags([*self._tags, trial.experiment])
        experiment.log_parameters(
            {k: v if isinstance(v, (bool, int, float)) else str(v) for k, v in trial.config.items()}
        )
        return experiment, sent

    def _go_on(self, comet: Any, trial: TrackedTrial, given: dict[str, Any]) -> tuple[Any, int]:
        known = comet.API().get_experiment_by_key(trial.key)
        if known is None:
            return comet.Experiment(experiment_key=trial.key, **given), 0
        sent = len(known.get_metrics("training_iteration") or ())
        given = {name: value for name, value in given.items() if name not in ("project_name", "workspace")}
        return comet.ExistingExperiment(previous_experiment=trial.key, **given), sent

    def send_result(self, trial: TrackedTrial, number: int, result: ResultDict) -> None:
        """All numbers, at the iteration."""
        trial.handle.log_metrics(numbers_of(result), step=step_of(result))

    def send_config(self, trial: TrackedTrial) -> None:
        """A population's trial has changed its configuration."""
        trial.handle.log_parameters({name: str(value) for name, value in trial.config.items()})

    def send_checkpoint(self, trial: TrackedTrial, name: str) -> None:
        """Assets, if asked."""
        folder = os.path.join(trial.path, name)
        if self._save_checkpoints and os.path.isdir(folder):
            trial.handle.log_asset_folder(folder, log_file_name=True)

    def send_end(self, trial: TrackedTrial, status: str) -> None:
        """The status as a tag; offline, the archive is made now."""
        trial.handle.log_other("status", status)
        trial.handle.end()
