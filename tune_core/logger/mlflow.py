"""Each trial as a run of an MLflow experiment."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from tune_core.callback import LoggerCallback, TrialView
from tune_core.core.flatten import flatten
from tune_core.core.optional_imports import require

_MAX_PARAM_LENGTH = 6000  # MLflow's limits
_MAX_PARAMS = 100
_MAX_METRICS = 1000


class MLflowLoggerCallback(LoggerCallback):
    """Log each trial as an MLflow run: its configuration as parameters, its results as metrics.

    Parameters
    ----------
    tracking_uri
        Server or folder to log to; None takes MLflow's own setting.
    registry_uri
        Model registry; None takes the tracking server.
    experiment_name
        MLflow experiment, made if it is missing; None takes ``MLFLOW_EXPERIMENT_NAME``, or else MLflow's default.
    tags
        Tags of every run.
    tracking_token
        Token for the server; sets ``MLFLOW_TRACKING_TOKEN``.
    save_artifact
        Whether to upload the trial's folder when it ends.
    log_params_on_trial_end
        Whether to log the parameters at the end rather than at the start.

    Raises
    ------
    MissingDependencyError
        If MLflow is not installed; ``mlflow-skinny`` is enough.

    Notes
    -----
    NaN and infinite metrics are logged as they are. A restored experiment goes on in the same runs.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        *,
        registry_uri: str | None = None,
        experiment_name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        tracking_token: str | None = None,
        save_artifact: bool = False,
        log_params_on_trial_end: bool = False,
    ) -> None:
        self._mlflow = require("MLflowLoggerCallback", "mlflow", "mlflow")
        self._tracking_uri = tracking_uri
        self._registry_uri = registry_uri
        self._experiment_name = experiment_name
        self._tags = {str(key): str(value) for key, value in (tags or {}).items()}
        if tracking_token is not None:
            os.environ["MLFLOW_TRACKING_TOKEN"] = tracking_token
        self._save_artifact = save_artifact
        self._log_params_at_end = log_params_on_trial_end
        self._client: Any = None
        self._experiment_id = ""
        self._runs: dict[str, str] = {}  # MLflow's run ids by trial id

    def setup(
        self, stop: Any = None, num_samples: int | None = None, total_num_samples: int | None = None, **info: Any
    ) -> None:
        """Connect, and find or make the experiment."""
        client = self._mlflow.tracking.MlflowClient(tracking_uri=self._tracking_uri, registry_uri=self._registry_uri)
        name = self._experiment_name or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "Default"
        experiment = client.get_experiment_by_name(name)
        self._experiment_id = client.create_experiment(name) if experiment is None else experiment.experiment_id
        self._client = client

    def log_trial_start(self, trial: TrialView) -> None:
        if self._client is None:
            self.setup()
        if trial.trial_id in self._runs:  # restored: go on in the same run
            self._client.update_run(self._runs[trial.trial_id], status="RUNNING")
            return
        tags = {**self._tags, "trial_name": trial.trial_id, "mlflow.runName": trial.trial_id}
        run = self._client.create_run(experiment_id=self._experiment_id, tags=tags)
        self._runs[trial.trial_id] = run.info.run_id
        if not self._log_params_at_end:
            self._log_params(trial)

    def log_trial_result(self, iteration: int, trial: TrialView, result: dict[str, Any]) -> None:
        step = int(result.get("timesteps_total") or result.get("training_iteration", iteration))
        milliseconds = int(float(result.get("timestamp") or time.time()) * 1000)
        metrics = [
            self._mlflow.entities.Metric(_name(name), float(value), milliseconds, step)
            for name, value in flatten({key: value for key, value in result.items() if key != "config"}).items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        ]
        for start in range(0, len(metrics), _MAX_METRICS):
            self._client.log_batch(self._runs[trial.trial_id], metrics=metrics[start : start + _MAX_METRICS])

    def log_trial_end(self, trial: TrialView, failed: bool = False) -> None:
        run = self._runs[trial.trial_id]
        if self._log_params_at_end:
            self._log_params(trial)
        if self._save_artifact and os.path.isdir(trial.path):
            self._client.log_artifacts(run, trial.path)
        self._client.set_terminated(run, status="FAILED" if failed else "FINISHED")

    def get_state(self) -> dict[str, Any]:
        """The run of each trial."""
        return {"runs": dict(self._runs)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on in the runs of the experiment that is being restored."""
        self._runs = dict(state["runs"])

    def _log_params(self, trial: TrialView) -> None:
        params = [
            self._mlflow.entities.Param(_name(name), str(value)[:_MAX_PARAM_LENGTH])
            for name, value in flatten(dict(trial.config)).items()
        ]
        for start in range(0, len(params), _MAX_PARAMS):
            self._client.log_batch(self._runs[trial.trial_id], params=params[start : start + _MAX_PARAMS])


def _name(name: str) -> str:
    """A name with only the characters that MLflow allows."""
    return "".join(c if c.isalnum() or c in "_-./ :" else "_" for c in name)
