"""The files that Ray Tune writes by default, as one setting: ``RunConfig(ray_files=True)``.

In each trial's folder ``params.json``, ``params.pkl``, ``result.json``, ``progress.csv``, TensorBoard's events (where
tensorboardX is installed) and ``error.txt``. Nothing here ever reads the pickle again. In the experiment's folder, for
population-based training, ``pbt_policy_<trial>.txt`` and ``pbt_global.txt``, with its ``log_config``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from tune_core.callback import LoggerCallback, Trials, TrialView
from tune_core.compat.ray_utils import CallbackList, date_str
from tune_core.logger.csv import CSVLoggerCallback
from tune_core.logger.json import JsonLoggerCallback
from tune_core.logger.tensorboardx import TBXLoggerCallback

DEFAULT_CALLBACK_CLASSES = (CSVLoggerCallback, JsonLoggerCallback, TBXLoggerCallback)
"""Ray Tune's default loggers."""


class ErrorsAndPickles(LoggerCallback):
    """Writes each trial's ``params.pkl``, and ``error.txt`` when it fails."""

    def log_trial_start(self, trial: TrialView) -> None:
        """Write the configuration; what cannot be pickled is left out."""
        import cloudpickle

        os.makedirs(trial.path, exist_ok=True)
        try:
            data = cloudpickle.dumps(dict(trial.config))
        except Exception:
            return
        with open(os.path.join(trial.path, "params.pkl"), "wb") as file:
            file.write(data)

    def on_trial_error(self, iteration: int, trials: Trials, trial: TrialView, **info: object) -> None:
        """Add the traceback."""
        self._write(trial)
        super().on_trial_error(iteration, trials, trial, **info)

    def on_trial_recover(self, iteration: int, trials: Trials, trial: TrialView, **info: object) -> None:
        """Add the traceback of a failure after which the trial is tried again."""
        self._write(trial)

    def _write(self, trial: Any) -> None:
        os.makedirs(trial.path, exist_ok=True)
        with open(os.path.join(trial.path, "error.txt"), "a", encoding="utf-8") as file:
            file.write(f"Failure # {max(1, trial.num_failures)} (occurred at {date_str()})\n{trial.error or ''}\n")


class PolicyFiles(LoggerCallback):
    """Writes what population-based training did: one line for each trial that became a copy of another.

    A line holds the tags of the trial and of its source, the iterations of both, the source's configuration and the
    new one.
    """

    def __init__(self) -> None:
        self._written: set[tuple[str, object]] = set()

    def on_trial_start(self, iteration: int, trials: Trials, trial: Any, **info: object) -> None:
        """Look whether the trial starts from another one's checkpoint."""
        start = trial.start_from
        if start is None or start.trial == trial.index or (trial.trial_id, start) in self._written:
            return
        self._written.add((trial.trial_id, start))
        source: Any = trials[start.trial]
        at = trial.last_result.get("training_iteration", 0)
        tags = trial.experiment_tag, source.experiment_tag
        policy = [*tags, at, start.iteration, dict(source.config), dict(trial.config)]
        line = json.dumps(policy, default=repr) + "\n"
        folder = trial.local_experiment_path
        own, theirs = (os.path.join(folder, f"pbt_policy_{t.trial_id}.txt") for t in (trial, source))
        if os.path.exists(theirs):
            shutil.copyfile(theirs, own)
        for path in (own, os.path.join(folder, "pbt_global.txt")):
            with open(path, "a", encoding="utf-8") as file:
                file.write(line)


class PrintErrors(LoggerCallback):
    """Prints each trial's whole error when it fails."""

    def on_trial_error(self, iteration: int, trials: Trials, trial: Any, **info: object) -> None:
        """Print it."""
        print(f"Trial {trial.trial_id} failed:\n{trial.error or trial.reason or ''}", flush=True)


class OutputLinks(LoggerCallback):
    """Links in each trial's folder to what the trial prints, under other names.

    Parameters
    ----------
    names
        The links' names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def log_trial_start(self, trial: TrialView) -> None:
        """Make the links; what is there already stays."""
        os.makedirs(trial.path, exist_ok=True)
        for name in self._names:
            with contextlib.suppress(FileExistsError):
                os.symlink("output.log", os.path.join(trial.path, os.path.basename(name)))
        with open(os.path.join(trial.path, "output.log"), "a"):
            pass  # a trial that prints nothing has an empty one


def default_loggers() -> CallbackList:
    """The callbacks that write the files, as one."""
    loggers: list[Any] = [JsonLoggerCallback(), CSVLoggerCallback(), ErrorsAndPickles()]
    if find_spec("tensorboardX") is not None:
        loggers.append(TBXLoggerCallback())
    return CallbackList(loggers)
