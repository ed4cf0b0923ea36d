"""One trial's result: what it reported, how it ended, which checkpoints it kept."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from tune_core.core.automatic import experiment_tag, fields_of, varied_in
from tune_core.core.events import Header, Reported, error_line
from tune_core.core.objective import Objective, check_mode, lookup
from tune_core.core.optional_imports import require
from tune_core.core.paths import leads_away, trial_folder
from tune_core.core.trial import ERROR, TERMINATED, Status, Trial, merged
from tune_core.core.values import Config, ConfigView, ResultDict, containers_copied
from tune_core.display.formatting import config_text, printable, value_text
from tune_core.errors import InvalidArgumentError, JournalError, TrialError, trial_error
from tune_core.journal.histories import history
from tune_core.journal.place import Place, is_stored
from tune_core.results import selection
from tune_core.results.frames import FrameReader
from tune_core.storage import local_path

if TYPE_CHECKING:
    from tune_core.checkpoint import Checkpoint
    from tune_core.engine.checkpoint_retention import RetainedCheckpoint


class Result:
    """What one trial reported and how it ended.

    Made by :class:`ResultGrid` and :meth:`from_path`. Histories and checkpoints are read when they are asked for.
    """

    _frames: FrameReader | None = None  # of all trials of a grid, which may be asked for one after the other

    def __init__(self, trial: Trial, place: Place | str, header: Header, config: Config | None = None) -> None:
        self._trial = trial
        self._place = Place(place, header=header) if isinstance(place, str) else place
        self._header = header
        self._config = config

    @classmethod
    def from_path(cls, path: str | os.PathLike[str], storage_filesystem: object = None) -> Result:
        """The result in a trial's folder, e.g. ``".../my_experiment/trial_00003"``, or at such a URL.

        Raises
        ------
        InvalidArgumentError
            If the folder is no trial's.
        """
        stored = is_stored(path, storage_filesystem)
        whole = os.fspath(path).rstrip("/") if stored else str(local_path(path))
        folder, _, name = whole.rpartition("/")
        with contextlib.suppress(JournalError):
            from tune_core.journal.stored import open_place
            from tune_core.results.experiment_reader import read_experiment

            place = open_place(folder, storage_filesystem)
            experiment = read_experiment(place.folder)
            for trial in experiment.trials:
                if name in (f"trial_{trial.trial_id}", trial.folder):
                    return cls(trial, place.of_run(experiment.header), experiment.header)
        raise InvalidArgumentError(
            f"Result.from_path({os.fspath(path)!r})",
            "names no trial's folder",
            "trials are folders such as trial_00003 in their experiment's folder",
            "Use ResultGrid.from_path(experiment_folder) to see all trials of an experiment.",
        )

    @property
    def _folder(self) -> str:
        """The folder of this machine where the journal is."""
        return self._place.folder

    @property
    def trial_id(self) -> str:
        """The trial's id, e.g. ``"00003"``."""
        return self._trial.trial_id

    @property
    def status(self) -> Status:
        """How the trial stands: TERMINATED, ERROR, or, in an unfinished run, PENDING, RUNNING or PAUSED."""
        return self._trial.status

    @property
    def is_complete(self) -> bool:
        """Whether the trial had all that it could get: no scheduler, budget or crash has ended it before."""
        return self._trial.status is TERMINATED and not self._trial.cut_short

    @property
    def is_copy(self) -> bool:
        """Whether the trial went on from another one's checkpoint (population-based training).

        What it reported since then is not the work of its configuration alone.
        """
        return self._trial.is_copy

    @property
    def reason(self) -> str | None:
        """Why it ended, was stopped or paused."""
        return self._trial.reason

    @property
    def worker(self) -> str | None:
        """Where it runs or, once it has ended, ran last: a local worker, or on a cluster the node and the worker."""
        return self._trial.worker

    @property
    def config(self) -> Config:
        """The configuration that made the result.

        Where a trial changed it on its way (population-based training): that of the value by which the trial was chosen
        (``get_best_result``), else of its last result. Read from a folder, objects that JSON cannot hold appear as
        their text.
        """
        return containers_copied(self._config if self._config is not None else last_config(self._trial))  # type: ignore[no-any-return]

    @property
    def metrics(self) -> ResultDict:
        """The last known value of each metric, with the automatic fields of the last result.

        A metric counts wherever it was reported: results need not have all of them. Before the first result, only what
        is known of the trial.
        """
        return result_fields(self._trial, self._trial.last, last_config(self._trial), varied_in(self._header))

    @property
    def error(self) -> TrialError | None:
        """What went wrong, with the traceback; None if the trial did not fail."""
        trial = self._trial
        if trial.status is not ERROR:
            return None
        text = printable(trial.error or trial.reason or "no error was recorded")
        output = os.path.join(trial_folder(self._folder, trial.index), "output.log")
        where = f"All that it printed is in {output}.\n" if os.path.exists(output) else ""
        line = error_line(text)
        return trial_error(
            line.partition(":")[0],
            f"Trial {trial.trial_id}",
            f"failed: {line}",
            f"it ran with {config_text(self.config, 300) or 'an empty configuration'}",
            f"{where}Mend what this points at and run again, or restore with resume_errored=True:\n{text}",
        )

    @property
    def path(self) -> str:
        """The trial's folder, an empty one if the trial has left nothing, or its URL; only a URL may not exist."""
        path = self._path
        if self._place.url is None:
            with contextlib.suppress(OSError):  # it is there, or the experiment can only be read
                os.mkdir(path)
        return path

    @property
    def _path(self) -> str:
        return self._place.trial_path(self._trial.index, self._trial.folder)

    @property
    def filesystem(self) -> Any:
        """The fsspec file system that reaches ``path``."""
        from tune_core.checkpoint import Checkpoint

        return Checkpoint(self._path, self._place.filesystem).filesystem

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The latest checkpoint that the trial made, or None."""
        found = self._checkpoints()
        return found[-1][0] if found else None

    @property
    def best_checkpoints(self) -> list[tuple[Checkpoint, ResultDict]]:
        """The checkpoints that were kept, oldest first, each with what was known of the metrics when it was made.

        Those of a trial that began anew since then (``restart_errored``) come with an empty dict: what it had reported
        no longer counts.
        """
        found = self._checkpoints()
        if not found:
            return []
        made: dict[Any, ResultDict] = {}
        known: ResultDict | None = None
        for result in self._history():
            known = {**merged(known, result), "checkpoint_dir_name": result.get("checkpoint_dir_name")}
            made[result["training_iteration"]] = known  # for a checkpoint that was saved after the result
            made[result.get("checkpoint_dir_name")] = known
        return [
            (checkpoint, {} if kept.metrics is None else made.get(kept.name) or made.get(kept.iteration, {}))
            for checkpoint, kept in found
        ]

    def get_best_checkpoint(self, metric: str, mode: str) -> Checkpoint | None:
        """The kept checkpoint whose result is best by ``metric``; None if the trial kept none.

        Raises
        ------
        MetricError
            If no checkpoint came with that metric.
        """
        check_mode(mode, "get_best_checkpoint(mode)")
        found = self.best_checkpoints
        objective = Objective(metric, mode)
        having = [(checkpoint, metrics) for checkpoint, metrics in found if lookup(metrics, metric) is not None]
        if found and not having:
            reported = [name for _, metrics in found for name in metrics]
            raise selection.missing_metric(f"get_best_checkpoint(metric={metric!r})", reported)
        return min(having, key=lambda pair: objective.loss(pair[1]))[0] if having else None

    @property
    def metrics_dataframe(self) -> Any:
        """Every result of the trial that counts as a pandas data frame, nested names joined by ``/``; None without any.

        A trial that went back to a checkpoint of its own replaced what it had reported after that. ``config/<name>`` is
        the configuration that each result was made with.
        """
        frames = self._frames if self._frames is not None else FrameReader(self._place)
        return frames.frame(self._trial.index, "Result.metrics_dataframe")

    def explain(self) -> str:
        """The trial's story: launches, decisions and ends in their order, with the reasons."""
        from tune_core.results.explain import explain

        return explain(self._folder, self._trial.index)

    def _history(self) -> list[ResultDict]:
        return history(self._folder, self._trial.index).get(self._trial.index, [])

    def _checkpoints(self) -> list[tuple[Checkpoint, RetainedCheckpoint]]:
        from tune_core.checkpoint import Checkpoint
        from tune_core.storage import storage_from

        if not self._trial.checkpoints:
            return []
        filesystem = self._place.filesystem
        storage = storage_from(self._path, filesystem)
        made = self._trial.checkpoints
        return [
            (Checkpoint(path, filesystem), kept)
            for kept in made
            if _is_ours(path := storage.join(kept.name)) and storage.exists(path)
        ]

    def __repr__(self) -> str:
        metric = self._header.metric
        value = lookup(self.metrics, metric) if metric else None
        shown = f", {metric}={value_text(value)}" if value is not None else ""
        return printable(f"Result({self.trial_id}, {self.status}{shown}, config={{{config_text(self.config, 200)}}})")


def last_config(trial: Trial) -> Config:
    return trial.config if trial.last_config is None else trial.last_config


def result_fields(
    trial: Trial, report: Reported | None, config: ConfigView, varied: Collection[str] | None
) -> ResultDict:
    """A report with the fields that every result has; the last one with the last known value of each metric."""
    if report is None:
        result: ResultDict = {"trial_id": trial.trial_id}
    elif trial.last is report:
        result = trial.last_result
    else:
        result = fields_of(report, 0.0, trial.began)
        if report.iteration > 1 and "time_this_iter_s" not in report.metrics:
            del result["time_this_iter_s"]  # the result before is not known here
    result.setdefault("done", trial.status in (TERMINATED, ERROR))
    result.setdefault("experiment_tag", experiment_tag(trial.index, config, varied))
    result.setdefault("config", containers_copied(dict(config)))
    return result


def _is_ours(path: str) -> bool:
    """Whether a checkpoint lies in its trial's folder: no link leads elsewhere."""
    return not os.path.islink(path) and not leads_away(os.path.dirname(path))


def pandas_for(wanted: str) -> Any:
    """pandas, or an error that names what ``wanted`` it."""
    return require(wanted, "pandas", "pandas")
