"""Each trial's results as TensorBoard event files in its folder."""

from __future__ import annotations

import math
from typing import Any

from tune_core.callback import LoggerCallback, TrialView
from tune_core.core.flatten import flatten
from tune_core.core.optional_imports import require

_NOT_METRICS = ("config", "trial_id", "timestamp", "training_iteration", "pid", "date", "done")


class TBXLoggerCallback(LoggerCallback):
    """Write each trial's results for TensorBoard: ``tensorboard --logdir EXPERIMENT``.

    Numbers become scalars, lists of numbers histograms, and at a trial's end its configuration and last numbers an
    entry in the hyperparameter table. The step is ``timesteps_total`` if it was reported, else the iteration.

    Raises
    ------
    MissingDependencyError
        If tensorboardX is not installed.
    """

    def __init__(self) -> None:
        self._tensorboardx = require("TBXLoggerCallback", "tensorboardX", "tensorboard")
        self._writers: dict[str, Any] = {}  # by trial id
        self._last: dict[str, dict[str, float]] = {}

    def log_trial_start(self, trial: TrialView) -> None:
        self._writers[trial.trial_id] = self._tensorboardx.SummaryWriter(logdir=trial.path, flush_secs=30)

    def log_trial_result(self, iteration: int, trial: TrialView, result: dict[str, Any]) -> None:
        writer = self._writers[trial.trial_id]
        step = result.get("timesteps_total") or result.get("training_iteration", iteration)
        numbers: dict[str, float] = {}
        for tag, value in flatten({k: v for k, v in result.items() if k not in _NOT_METRICS}).items():
            if _is_number(value):
                numbers[tag] = float(value)
                writer.add_scalar(tag, value, global_step=step)
            elif isinstance(value, list) and value and all(_is_number(v) and math.isfinite(v) for v in value):
                writer.add_histogram(tag, _as_array(value), global_step=step)
        self._last[trial.trial_id] = numbers
        writer.flush()

    def log_trial_end(self, trial: TrialView, failed: bool = False) -> None:
        writer = self._writers.pop(trial.trial_id)
        numbers = {tag: value for tag, value in self._last.pop(trial.trial_id, {}).items() if math.isfinite(value)}
        params = {
            name: value if isinstance(value, (bool, int, float, str)) else repr(value)
            for name, value in flatten(dict(trial.config)).items()
        }
        if params and numbers:
            summaries = self._tensorboardx.summary.hparams(hparam_dict=params, metric_dict=numbers)
            for summary in summaries:
                writer.file_writer.add_summary(summary)
        writer.close()


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _as_array(values: list[float]) -> Any:
    import numpy as np

    return np.asarray(values, dtype=float)
