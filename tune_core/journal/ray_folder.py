"""A folder that Ray Tune wrote, read as events: from its JSON and CSV files alone, so nothing in it is executed.

Read are ``experiment_state-*.json`` (which trials there are and how they stand), and in each trial's folder
``result.json`` or ``progress.csv``, ``params.json`` and ``error.txt``. Pickles (``tuner.pkl``, ``params.pkl``,
``error.pkl``, and what the state file holds of them) are never opened, so the run's metric and mode are not known.
"""

from __future__ import annotations

import csv
import glob
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

from tune_core.core import events as ev
from tune_core.core.values import JsonObject, ResultDict
from tune_core.errors import JournalError

logger = logging.getLogger(__name__)

STATE_FILES = "experiment_state-*.json"
RESULTS, TABLE, PARAMETERS, ERROR = "result.json", "progress.csv", "params.json", "error.txt"
FOREIGN_ATTEMPT = 0
"""Attempt of reports whose automatic fields were all told by whoever wrote them."""


def is_ray_folder(folder: str) -> bool:
    """Whether Ray Tune wrote an experiment into this folder."""
    return bool(glob.glob(os.path.join(glob.escape(folder), STATE_FILES)))


class RayReader:
    """Gives Ray Tune's experiment as the events that a journal would hold, as a journal's reader does.

    Parameters
    ----------
    folder
        The experiment's folder.
    trial
        Only the events of this trial.

    Raises
    ------
    JournalError
        If the state file cannot be read.
    """

    torn_bytes = 0  # what a journal's reader tells of damage
    gaps: tuple[object, ...] = ()

    def __init__(self, folder: str, trial: int | None = None) -> None:
        self.path = max(glob.glob(os.path.join(glob.escape(folder), STATE_FILES)))  # their names hold their times
        self._folder = folder
        self._only = trial
        self._is_read = False
        try:
            with open(self.path, encoding="utf-8") as file:
                state = json.load(file)
            trials = [(json.loads(own), json.loads(more)) for own, more in state["trial_data"]]
            self._trials = sorted(trials, key=lambda trial: str(trial[0].get("trial_id")).rpartition("_")[2])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise JournalError(
                self.path,
                f"cannot be read: {type(error).__name__}: {error}",
                "Ray Tune wrote it in another form, or it was cut off",
                "Read a trial's own folder with pandas: its progress.csv has every result.",
            ) from error
        stats = state.get("stats") or {}
        began = float(stats.get("start_time") or os.path.getctime(self.path))
        trainable = str(self._trials[0][0].get("trainable_name", "")) if self._trials else ""
        name = os.path.basename(os.path.abspath(folder))
        self.header = ev.Header(version="Ray Tune", name=name, seed=0, at=began, trainable=trainable)

    def read(self) -> Iterator[list[Any]]:
        """The events of each trial in turn; nothing when called again."""
        if self._is_read:
            return
        self._is_read = True
        for index, (trial, more) in enumerate(self._trials):
            if self._only is None or self._only == index:
                yield list(self._events(index, trial, more))

    def _events(self, index: int, trial: JsonObject, more: JsonObject) -> Iterator[Any]:
        folder = str(trial.get("relative_logdir") or trial.get("trial_id"))
        own = os.path.join(self._folder, folder)
        trial_id = str(trial.get("trial_id", index))
        config = _read_json(os.path.join(own, PARAMETERS)) or _plain(trial.get("config") or {})
        name = str(trial.get("custom_trial_name") or f"{trial.get('trainable_name', 'trial')}_{trial_id}")
        yield ev.Suggested(index, config, name=name, folder=folder, id=trial_id)
        status, last = str(trial.get("status")), self.header.at
        if status == "PENDING":
            return
        began = more.get("start_time") or self.header.at
        yield ev.Launched(index, "", float(began), FOREIGN_ATTEMPT)
        iteration = 0
        tag = str(trial.get("experiment_tag", index))
        results = list(_results(own))
        ends_with = results[-1] if results else None
        for result in results:
            if int(result.get("training_iteration", iteration + 1)) <= iteration:  # went back to a checkpoint
                yield ev.Ended(index, "lost", last)
                yield ev.Launched(index, "", last, FOREIGN_ATTEMPT)
            iteration = int(result.pop("training_iteration", iteration + 1))
            seconds, last = float(result.pop("time_total_s", 0.0)), float(result.pop("timestamp", last))
            checkpoint = result.pop("checkpoint_dir_name", None)
            if checkpoint is not None and not os.path.isdir(os.path.join(own, checkpoint)):
                checkpoint = None
            if result is ends_with and status == "TERMINATED":
                result["done"] = True
            result.setdefault("experiment_tag", tag)
            yield ev.Reported(index, iteration, last, seconds, result, checkpoint, attempt=FOREIGN_ATTEMPT)
        if status == "ERROR":
            yield ev.Ended(index, "errored", last, error=_read_text(os.path.join(own, ERROR)) or "no error was kept")
        elif status == "TERMINATED":
            yield ev.Ended(index, "completed", last)


def _results(folder: str) -> Iterator[ResultDict]:
    """A trial's results, oldest first; a torn last line is left out, damage before it is logged."""
    path = os.path.join(folder, RESULTS)
    if not os.path.exists(path):
        yield from _table(os.path.join(folder, TABLE))
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            try:
                yield json.loads(line)
            except ValueError as error:
                if line.endswith("\n"):
                    logger.warning("Line %d of %s is damaged and left out: %s", number, path, error)


def _table(path: str) -> Iterator[JsonObject]:
    if not os.path.exists(path):
        return  # the trial has reported nothing
    with open(path, encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            known = {key: text for key, text in row.items() if key and text not in ("", None)}
            yield {key: _number(text) for key, text in known.items() if not key.startswith("config/")}


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"True": True, "False": False}.get(text, text)


def _plain(value: object) -> Any:
    """A value of the state file, with what is pickled in it left out."""
    if isinstance(value, dict):
        if value.get("_type") == "CLOUDPICKLE_FALLBACK":
            return "<pickled>"
        return {key: _plain(child) for key, child in value.items()}
    return [_plain(child) for child in value] if isinstance(value, list) else value


def _read_json(path: str) -> JsonObject:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        logger.warning("%s cannot be read; the state file's configuration is used: %s", path, error)
        return {}
    return found if isinstance(found, dict) else {}


def _read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"its text cannot be read: {error}"
