"""Ray Tune's constants: the keys of results, and the names of files and environment variables."""

from __future__ import annotations

from tune_core.core.automatic import AUTO_RESULT_KEYS as AUTO_RESULT_KEYS
from tune_core.core.objective import DEFAULT_METRIC as DEFAULT_METRIC

TIMESTAMP = "timestamp"
TIME_THIS_ITER_S = "time_this_iter_s"
TIME_TOTAL_S = "time_total_s"
TRAINING_ITERATION = "training_iteration"
DONE = "done"
SHOULD_CHECKPOINT = "should_checkpoint"
HOSTNAME = "hostname"
NODE_IP = "node_ip"
PID = "pid"
TRIAL_ID = "trial_id"
EXPERIMENT_TAG = "experiment_tag"
EPISODE_REWARD_MEAN = "episode_reward_mean"
MEAN_LOSS = "mean_loss"
MEAN_ACCURACY = "mean_accuracy"
EPISODES_THIS_ITER = "episodes_this_iter"
EPISODES_TOTAL = "episodes_total"
TIMESTEPS_THIS_ITER = "timesteps_this_iter"
TIMESTEPS_TOTAL = "timesteps_total"
RESULT_DUPLICATE = "__duplicate__"
TRIAL_INFO = "__trial_info__"
STDOUT_FILE = "__stdout_file__"
STDERR_FILE = "__stderr_file__"

DEBUG_METRICS = (TRIAL_ID, "experiment_id", "date", TIMESTAMP, PID, HOSTNAME, NODE_IP, "config")
DEFAULT_RESULT_KEYS = (TRAINING_ITERATION, TIME_TOTAL_S, MEAN_ACCURACY, MEAN_LOSS)
DEFAULT_EXPERIMENT_INFO_KEYS = ("trainable_name", EXPERIMENT_TAG, TRIAL_ID)
DEFAULT_EXPERIMENT_NAME = "default"
CONFIG_PREFIX = "config"

EXPR_PARAM_FILE = "params.json"
EXPR_PARAM_PICKLE_FILE = "params.pkl"
EXPR_PROGRESS_FILE = "progress.csv"
EXPR_RESULT_FILE = "result.json"
EXPR_ERROR_FILE = "error.txt"
EXPR_ERROR_PICKLE_FILE = "error.pkl"
EXPR_META_FILE = "trial_status.json"
JOB_META_FILE = "job_status.json"
CHECKPOINT_TUNE_METADATA_FILE = ".tune_metadata"
CHECKPOINT_ID_ATTR = "_current_checkpoint_id"
MAX_REPR_LENGTH = 120

RAY_TUNE_CALLBACKS_ENV_VAR = "RAY_TUNE_CALLBACKS"


def __getattr__(name: str) -> object:
    if name == "TUNE_ENV_VARS":
        from tune_core.core.environment import RAY_VARIABLES

        return set(RAY_VARIABLES)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
