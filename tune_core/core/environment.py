"""Environment variables: those of Ray Tune's page that mean something here, and why the others do not."""

from __future__ import annotations

import os

from tune_core.errors import InvalidArgumentError

RAY_VARIABLES: dict[str, str] = {
    "RAY_AIR_LOCAL_CACHE_DIR": "honoured: folder of experiments, if no storage_path is given",
    "RAY_TUNE_CALLBACKS": "honoured: import paths of callback classes, joined by commas, that are added to every run",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "honoured: 1 switches RunConfig(ray_files=True) and TUNE_CORE_RAY_FILES off",
    "TUNE_DISABLE_AUTO_INIT": "not needed: nothing calls ray.init unless the executor is Ray",
    "TUNE_DISABLE_DATED_SUBDIR": "honoured: 1 leaves the date out of an unnamed experiment's name",
    "TUNE_DISABLE_SIGINT_HANDLER": "honoured: 1 leaves Ctrl-C to the script",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "honoured: 1 lets a trial report without the metric that trials are "
    "compared by; its value then counts as the worst",
    "TUNE_FORCE_TRIAL_CLEANUP_S": "honoured: seconds that a trial which is to end has before it is killed",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "not needed: functions run in the worker's main thread",
    "TUNE_GLOBAL_CHECKPOINT_S": "not needed: every event is in the journal before its effects are seen",
    "TUNE_MAX_LEN_IDENTIFIER": "honoured: most characters of an experiment tag",
    "TUNE_MAX_PENDING_TRIALS_PG": "not needed: what is pending is what would be used at once",
    "TUNE_PLACEMENT_GROUP_PREFIX": "not needed: only placement groups of the run's own are ever removed",
    "TUNE_PLACEMENT_GROUP_RECON_INTERVAL": "not needed: placement groups are counted as events, not at intervals",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "honoured: 1 prints each trial's whole error when it fails",
    "TUNE_RESTORE_RETRY_NUM": "not needed: a retry is FailureConfig(max_failures=...)",
    "TUNE_RESULT_BUFFER_LENGTH": "not needed: reports travel in batches by themselves, and none waits for another",
    "TUNE_RESULT_BUFFER_MAX_TIME_S": "not needed: reports travel in batches by themselves",
    "TUNE_RESULT_BUFFER_MIN_TIME_S": "not needed: reports travel in batches by themselves",
    "TUNE_RESULT_DELIM": "not needed: nested names are joined by a slash, as is Ray Tune's default",
    "TUNE_RESULT_DIR": "honoured: folder of experiments, if no storage_path is given",
    "TUNE_STATE_REFRESH_PERIOD": "not needed: resources are known by events",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "not needed: there is no snapshot to sync",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "not needed: the view says at once what a trial waits for",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S_AUTOSCALER": "not needed: the view says at once what a trial waits for",
    "TUNE_WARN_THRESHOLD_S": "honoured by tune_core.utils.warn_if_slow",
    "RAY_CHDIR_TO_TRIAL_DIR": "honoured: 0 leaves trials in the script's working directory",
    "TUNE_ORIG_WORKING_DIR": "set in every trial: the script's working directory",
}
"""By name: ``honoured`` and what it does, or ``not needed`` and why."""


def flag(name: str, default: bool = False) -> bool:
    """Whether a variable is set to something other than 0, false or nothing."""
    value = os.environ.get(name)
    return default if value is None else value.strip().lower() not in ("", "0", "false", "no")


def seconds(name: str, default: float) -> float:
    """A variable's number of seconds.

    Raises
    ------
    InvalidArgumentError
        If it is no number from 0.
    """
    value = os.environ.get(name)
    if value is None or not value.strip():
        return default
    try:
        found = float(value)
    except ValueError:
        found = -1.0
    if not found >= 0:
        raise InvalidArgumentError(
            f"The environment variable {name}", f"is {value!r}", "it is a number of seconds", f"Set e.g. {name}=10."
        )
    return found


def integer(name: str, default: int) -> int:
    """A variable's whole number."""
    return int(seconds(name, default))
