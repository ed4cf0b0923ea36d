"""Each trial's results as TensorBoard event files in its folder."""

from __future__ import annotations

import contextlib
import glob
import os
import shlex
from typing import Any

from tune_core.core.optional_imports import require
from tune_core.core.values import ResultDict
from tune_core.logger.tracker import FINISH_S, TrackedTrial, Tracker, is_finite, numbers_of, step_of

_NOT_SHOWN = ("timestamp", "training_iteration")
_SUFFIX = ".tune_core"


class TBXLoggerCallback(Tracker):
    """Write each trial's results for TensorBoard: ``tensorboard --logdir EXPERIMENT``, as the run's end says.

    Numbers become scalars, lists of numbers histograms; NaN and infinite ones are left out, which leaves a gap. At a
    trial's end its configuration becomes a row of the hyperparameter table, with its last numbers and, for the run's
    metric, its best value as ``best/<metric>``. The step is ``timesteps_total`` if it was reported, else the
    iteration. The files of a trial that goes on after a kill are written anew from the journal, so that no point is
    lost or there twice.

    Parameters
    ----------
    finish_s
        Most seconds that the end of a run waits for what is still to be written.

    Raises
    ------
    MissingDependencyError
        If tensorboardX is not installed.
    """

    def __init__(self, finish_s: float = FINISH_S) -> None:
        super().__init__(finish_s)
        self._unflushed: dict[str, Any] = {}  # writers, by trial id
        require("TBXLoggerCallback", "tensorboardX", "tensorboard")

    def send_connect(self, name: str, folder: str) -> None:
        """Tell how to look."""
        self.how_to_look = f"TensorBoard: tensorboard --logdir {shlex.quote(folder)}"

    def send_open(self, trial: TrackedTrial) -> tuple[Any, int]:
        """A new file; what an earlier driver wrote of this trial is replaced."""
        tensorboardx = require("TBXLoggerCallback", "tensorboardX", "tensorboard")
        os.makedirs(trial.path, exist_ok=True)
        for path in glob.glob(os.path.join(glob.escape(trial.path), f"events.out.tfevents.*{_SUFFIX}")):
            with contextlib.suppress(OSError):
                os.remove(path)
        return tensorboardx.SummaryWriter(logdir=trial.path, flush_secs=30, filename_suffix=_SUFFIX), 0

    def send_result(self, trial: TrackedTrial, number: int, result: ResultDict) -> None:
        """Scalars and histograms."""
        writer, step = trial.handle, step_of(result)
        at = result.get("timestamp")
        for tag, value in result.items():
            if tag in _NOT_SHOWN:
                continue
            if _is_number(value) and is_finite(value):  # of the others, tensorboardX prints a line each
                writer.add_scalar(tag, value, global_step=step, walltime=at)
            elif isinstance(value, list) and value and all(_is_number(v) and is_finite(v) for v in value):
                writer.add_histogram(tag, _as_array(value), global_step=step, walltime=at)
        self._unflushed[trial.trial_id] = writer

    def send_pause(self) -> None:
        """Have the files hold all that was sent; once for each look at the journal, not for each result."""
        for writer in self._unflushed.values():
            writer.flush()
        self._unflushed.clear()

    def send_end(self, trial: TrackedTrial, status: str) -> None:
        """The row of the hyperparameter table."""
        writer = trial.handle
        self._unflushed.pop(trial.trial_id, None)
        last = trial.trial.last
        numbers = numbers_of(trial.last_numbers(), finite=True) if last is not None else {}
        step = last.iteration if last is not None else 0
        for name, value in trial.best_numbers().items():
            if not is_finite(value):
                continue
            writer.add_scalar(f"best/{name}", value, global_step=step)
            numbers[f"best/{name}"] = value
        params = {
            name: value if isinstance(value, (bool, int, float, str)) else repr(value)
            for name, value in trial.config.items()
        }
        if params and numbers:
            tensorboardx = require("TBXLoggerCallback", "tensorboardX", "tensorboard")
            for summary in tensorboardx.summary.hparams(hparam_dict=params, metric_dict=numbers):
                writer.file_writer.add_summary(summary)
        writer.close()


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _as_array(values: list[float]) -> Any:
    import numpy as np

    return np.asarray(values, dtype=float)
