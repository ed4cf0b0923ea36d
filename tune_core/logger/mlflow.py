"""Each trial as a run of MLflow, below one run for the experiment, and ``setup_mlflow`` for objectives."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from tune_core.core.flatten import flatten
from tune_core.core.optional_imports import require
from tune_core.core.values import ConfigView, ResultDict
from tune_core.errors import InvalidArgumentError, MissingDependencyError
from tune_core.logger.tracker import FINISH_S, TrackedTrial, Tracker, in_trial, numbers_of, refusal, step_of

__all__ = ["MLflowLoggerCallback", "setup_mlflow"]

_MAX_PARAM_LENGTH = 6000  # MLflow's limits
_MAX_PARAMS = 100
_MAX_METRICS = 1000
_KEY = "tune_core.key"
_PARENT = "mlflow.parentRunId"


class MLflowLoggerCallback(Tracker):
    """Log each trial as an MLflow run: its configuration as parameters, its results as metrics.

    Everything is sent by one thread of the driver, from the journal: a slow server delays no trial. The trials' runs
    are children of one run that stands for the experiment. A restored experiment goes on in the same runs and sends
    what they lack: each run carries a tag by which it is found again.

    Parameters
    ----------
    tracking_uri
        Server, database or folder to log to; None takes MLflow's own setting. ``mlflow-skinny`` reaches servers; a
        database such as ``sqlite:///mlflow.db`` (MLflow's default) needs ``pip install mlflow``; MLflow 3 opens a
        folder only with ``MLFLOW_ALLOW_FILE_STORE=true``.
    registry_uri
        Model registry; None takes the tracking server.
    experiment_name
        MLflow experiment, made if it is missing; None takes ``MLFLOW_EXPERIMENT_NAME``, or else MLflow's default.
    tags
        Tags of every run.
    tracking_token
        Token for the server; sets ``MLFLOW_TRACKING_TOKEN``.
    save_artifact
        Whether to upload the trial's folder, with its checkpoints, when it ends.
    log_params_on_trial_end
        Whether to log the parameters at the end rather than at the start.
    nested
        Whether there is a parent run for the experiment.
    finish_s
        Most seconds that the end of a run waits for what is still to be sent.

    Raises
    ------
    MissingDependencyError
        If MLflow is not installed, or ``mlflow-skinny`` alone cannot open ``tracking_uri``.

    Notes
    -----
    NaN and infinite metrics are logged as they are; what a store makes of them is up to it. MLflow's parameters
    cannot change: where a population's trial changes its configuration, tags ``config/<name>`` hold the present one.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        *,
        registry_uri: str | None = None,
        experiment_name: str | None = None,
        tags: Mapping[str, object] | None = None,
        tracking_token: str | None = None,
        save_artifact: bool = False,
        log_params_on_trial_end: bool = False,
        nested: bool = True,
        finish_s: float = FINISH_S,
    ) -> None:
        super().__init__(finish_s)
        require("MLflowLoggerCallback", "mlflow", "mlflow")
        self._tracking_uri = tracking_uri
        self._registry_uri = registry_uri
        self._experiment_name = experiment_name
        self._tags = {str(key): str(value) for key, value in (tags or {}).items()}
        if tracking_token is not None:
            os.environ["MLFLOW_TRACKING_TOKEN"] = tracking_token
        self._save_artifact = save_artifact
        self._log_params_at_end = log_params_on_trial_end
        self._nested = nested
        self._client: Any = None
        self._experiment_id = ""
        self._parent: str | None = None
        self._check_uri()

    def _check_uri(self) -> None:
        mlflow = require("MLflowLoggerCallback", "mlflow", "mlflow")
        uri = self._tracking_uri if self._tracking_uri is not None else mlflow.get_tracking_uri()
        if str(uri).startswith(("sqlite:", "postgresql", "mysql", "mssql")):
            from importlib.util import find_spec

            if find_spec("sqlalchemy") is None or find_spec("alembic") is None:
                raise MissingDependencyError(f"MLflowLoggerCallback(tracking_uri={uri!r})", "sqlalchemy", "mlflow-db")

    def __getstate__(self) -> dict[str, object]:
        return {**super().__getstate__(), "_client": None, "_parent": None}

    def unreachable(self) -> str:
        """Why the server cannot be reached: its own client tries for minutes before it says so."""
        mlflow = require("MLflowLoggerCallback", "mlflow", "mlflow")
        return refusal(str(self._tracking_uri or mlflow.get_tracking_uri()))

    def send_connect(self, name: str, folder: str) -> None:
        """Find or make the experiment and the parent run."""
        if why := self.unreachable():
            raise ConnectionError(why)
        mlflow = require("MLflowLoggerCallback", "mlflow", "mlflow")
        client = mlflow.tracking.MlflowClient(tracking_uri=self._tracking_uri, registry_uri=self._registry_uri)
        wanted = self._experiment_name or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "Default"
        experiment = client.get_experiment_by_name(wanted)
        self._experiment_id = client.create_experiment(wanted) if experiment is None else experiment.experiment_id
        self._client = client
        uri = str(self._tracking_uri or mlflow.get_tracking_uri())
        self.how_to_look = (
            f"MLflow: {uri}" if uri.startswith("http") else f"MLflow: mlflow ui --backend-store-uri {uri}"
        )
        if self._nested:
            key = f"{name}:{folder}"
            found = self._find(key)
            tags = {**self._tags, _KEY: key, "mlflow.runName": name, "tune_core.folder": folder}
            self._parent = found or client.create_run(self._experiment_id, tags=tags).info.run_id
            client.update_run(self._parent, status="RUNNING")

    def _find(self, key: str) -> str | None:
        wanted = key.replace("'", "\\'")
        found = self._client.search_runs([self._experiment_id], f"tags.`{_KEY}` = '{wanted}'", max_results=1)
        return str(found[0].info.run_id) if found else None

    def send_open(self, trial: TrackedTrial) -> tuple[Any, int]:
        """The trial's run, and how many of its reports it has."""
        found = self._find(trial.key)
        if found is not None:
            self._client.update_run(found, status="RUNNING")
            return found, len(self._client.get_metric_history(found, "training_iteration"))
        tags = {**self._tags, _KEY: trial.key, "trial_name": trial.trial_id, "mlflow.runName": trial.trial_id}
        if self._parent is not None:
            tags[_PARENT] = self._parent
        trial.handle = self._client.create_run(experiment_id=self._experiment_id, tags=tags).info.run_id
        if not self._log_params_at_end:
            self._log_params(trial)
        return trial.handle, 0

    def send_result(self, trial: TrackedTrial, number: int, result: ResultDict) -> None:
        """All numbers in one request, ``training_iteration`` among them."""
        entities = require("MLflowLoggerCallback", "mlflow.entities", "mlflow")
        milliseconds = int(float(result.get("timestamp") or time.time()) * 1000)
        step = step_of(result)
        metrics = [entities.Metric(_name(n), float(v), milliseconds, step) for n, v in numbers_of(result).items()]
        for start in range(0, len(metrics), _MAX_METRICS):
            self._client.log_batch(trial.handle, metrics=metrics[start : start + _MAX_METRICS])

    def send_config(self, trial: TrackedTrial) -> None:
        """Parameters cannot change, tags can."""
        for name, value in trial.config.items():
            self._client.set_tag(trial.handle, f"config/{_name(name)}", str(value)[:_MAX_PARAM_LENGTH])

    def send_end(self, trial: TrackedTrial, status: str) -> None:
        """Parameters and artifacts, if they were to come now, and the status."""
        if self._log_params_at_end:
            self._log_params(trial)
        if self._save_artifact and os.path.isdir(trial.path):
            self._client.log_artifacts(trial.handle, trial.path)
        known = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
        self._client.set_terminated(trial.handle, status=known[status])

    def send_goodbye(self, best: TrackedTrial | None) -> None:
        """Close the parent run; its tag names the best trial."""
        if self._parent is None:
            return
        if best is not None:
            self._client.set_tag(self._parent, "tune_core.best_trial", best.trial_id)
        self._client.set_terminated(self._parent, status="FINISHED")

    def _log_params(self, trial: TrackedTrial) -> None:
        entities = require("MLflowLoggerCallback", "mlflow.entities", "mlflow")
        params = [entities.Param(_name(n), str(v)[:_MAX_PARAM_LENGTH]) for n, v in trial.config.items()]
        for start in range(0, len(params), _MAX_PARAMS):
            self._client.log_batch(trial.handle, params=params[start : start + _MAX_PARAMS])


def setup_mlflow(
    config: ConfigView | None = None,
    tracking_uri: str | None = None,
    registry_uri: str | None = None,
    experiment_id: str | None = None,
    experiment_name: str | None = None,
    tracking_token: str | None = None,
    artifact_location: str | None = None,
    run_name: str | None = None,
    create_experiment_if_not_exists: bool = False,
    tags: Mapping[str, object] | None = None,
    rank_zero_only: bool = True,
) -> Any:
    """Begin an MLflow run in an objective, named by its trial; it ends with the trial.

    Parameters
    ----------
    config
        Logged as parameters; None takes the trial's configuration.
    tracking_uri, registry_uri
        Where to log; None takes MLflow's own settings.
    experiment_id, experiment_name
        The MLflow experiment; None takes ``MLFLOW_EXPERIMENT_ID`` or ``MLFLOW_EXPERIMENT_NAME``, else MLflow's default.
    tracking_token
        Token for the server.
    artifact_location
        Where a new experiment keeps its artifacts.
    run_name
        Name of the run; None takes the trial's.
    create_experiment_if_not_exists
        Whether to make a missing experiment.
    tags
        Tags of the run.
    rank_zero_only
        In distributed training, let only the first worker log; the others get an object whose calls do nothing.

    Returns
    -------
    module
        The ``mlflow`` module: ``mlflow.log_metrics(...)`` writes to the trial's run.

    Raises
    ------
    InvalidArgumentError
        If the experiment does not exist and is not to be made.
    """
    context = in_trial()
    if context is not None and rank_zero_only and (context.get_world_rank() or 0) != 0:
        return _Nothing()
    mlflow = require("setup_mlflow", "mlflow", "mlflow")
    if tracking_token is not None:
        os.environ["MLFLOW_TRACKING_TOKEN"] = tracking_token
    if tracking_uri is not None:
        mlflow.set_tracking_uri(tracking_uri)
    if registry_uri is not None:
        mlflow.set_registry_uri(registry_uri)
    client = mlflow.tracking.MlflowClient()
    found = _experiment(client, experiment_id, experiment_name, create_experiment_if_not_exists, artifact_location)
    all_tags = {str(key): str(value) for key, value in (tags or {}).items()}
    known = None
    if context is not None:
        trial = f"{context.get_experiment_name()}:{context.get_trial_id()}"
        all_tags[_KEY] = trial
        wanted = trial.replace("'", "\\'")
        runs = client.search_runs([found], f"tags.`{_KEY}` = '{wanted}'", max_results=1)
        known = runs[0].info.run_id if runs else None
        run_name = run_name or context.get_trial_name()
        config = config if config is not None else context.get_config()
    while mlflow.active_run() is not None:  # an earlier trial's in this process
        mlflow.end_run()
    mlflow.start_run(run_id=known, experiment_id=found, run_name=run_name, tags=all_tags or None)
    if config and known is None:
        params = {_name(n): str(v)[:_MAX_PARAM_LENGTH] for n, v in flatten(dict(config)).items()}
        mlflow.log_params(params)
    if context is not None:
        from tune_core.trainable.session import at_end

        at_end(mlflow.end_run)
    return mlflow


def _experiment(client: Any, given_id: str | None, given_name: str | None, create: bool, location: str | None) -> str:
    wanted_id = given_id or (None if given_name else os.environ.get("MLFLOW_EXPERIMENT_ID"))
    if wanted_id is not None:
        return str(client.get_experiment(wanted_id).experiment_id)
    name = given_name or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "Default"
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        return str(experiment.experiment_id)
    if create:
        return str(client.create_experiment(name, artifact_location=location))
    raise InvalidArgumentError(
        "setup_mlflow(experiment_name)",
        f"is {name!r}",
        "the server has no experiment of that name",
        "Make it first, or pass create_experiment_if_not_exists=True.",
    )


class _Nothing:
    """Stands for ``mlflow`` where another worker logs: every call does nothing."""

    def __getattr__(self, name: str) -> Any:
        return _Nothing()

    def __call__(self, *args: object, **kwargs: object) -> Any:
        return _Nothing()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def _name(name: str) -> str:
    """A name with only the characters that MLflow allows."""
    return "".join(c if c.isalnum() or c in "_-./ :" else "_" for c in name)
