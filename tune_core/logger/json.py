"""Each trial's results as JSON lines, ``result.json``, and its configuration, ``params.json``, in its folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from tune_core.callback import LoggerCallback, Trials, TrialView
from tune_core.core.values import ResultDict
from tune_core.logger.files import AppendFiles

RESULTS = "result.json"
PARAMS = "params.json"


class JsonLoggerCallback(LoggerCallback):
    """Write each trial's results to ``result.json``, one line a result, and its configuration to ``params.json``.

    NaN and infinities are written as ``NaN`` and ``Infinity``, which Python and pandas read. A part of the
    configuration that JSON cannot hold is written as its ``repr``. ``params.json`` follows the configuration when a
    scheduler changes it.
    """

    def __init__(self) -> None:
        self._files = AppendFiles(RESULTS)
        self._params: dict[str, str] = {}  # by trial id, as written

    def log_trial_start(self, trial: TrialView) -> None:
        self._write_params(trial)

    def log_trial_restore(self, trial: TrialView) -> None:
        self._write_params(trial)

    def log_trial_result(self, iteration: int, trial: TrialView, result: ResultDict) -> None:
        config = self._write_params(trial)
        line = json.dumps({key: value for key, value in result.items() if key != "config"}, default=_plain)
        self._files.write(trial.path, f'{line[:-1]}{", " if len(line) > 2 else ""}"config": {config}}}\n')

    def log_trial_end(self, trial: TrialView, failed: bool = False) -> None:
        self._files.close(trial.path)
        self._params.pop(trial.trial_id, None)

    def on_experiment_end(self, trials: Trials, **info: object) -> None:
        super().on_experiment_end(trials, **info)
        self._files.close_all()

    def _write_params(self, trial: TrialView) -> str:
        """Write the configuration if it is not what the file holds, and return it as JSON."""
        params = json.dumps(dict(trial.config), default=_plain)
        if self._params.get(trial.trial_id) != params:
            os.makedirs(trial.path, exist_ok=True)
            path = os.path.join(trial.path, PARAMS)
            with open(f"{path}.new", "w", encoding="utf-8") as file:
                file.write(params)
            os.replace(f"{path}.new", path)
            self._params[trial.trial_id] = params
        return params


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return value.tolist()
    return repr(value)
