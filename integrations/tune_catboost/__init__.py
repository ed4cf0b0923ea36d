"""CatBoost in tune-core: a callback for ``fit``, and resuming."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

import tune_core as tune
from tune_core import Checkpoint
from tune_core import integration as tc
from tune_core.errors import CheckpointError, MissingMetricError

catboost: Any = tc.require("tune_catboost", "catboost", "catboost")

__all__ = ["TuneReportCallback", "TuneReportCheckpointCallback", "get_model", "resume"]

MODEL_FILE = "model.cbm"
SNAPSHOT = "snapshot"

_ITERATION = "iteration"
_done: dict[str, int] = {}
"""Iterations that have been reported before the running trial went on, by the path of its snapshot."""


class TuneReportCallback:
    """Reports what each iteration has computed, and ends the training when the trial is to end.

    With CatBoost's ``metric_period`` metrics are computed now and then: an iteration that has computed none of those
    asked for is no result. Outside of a trial the callback does nothing.

    Parameters
    ----------
    metrics
        None for all, a name, a list of names, or a dict from the name to report to CatBoost's. A metric is called
        ``"<data>-<metric>"``, e.g. ``"validation-Logloss"``.

    Examples
    --------
    >>> model.fit(x, y, eval_set=valid, callbacks=[TuneReportCallback()])  # doctest: +SKIP
    """

    def __init__(self, metrics: tc.Metrics = None) -> None:
        self.metrics = metrics
        self._lengths: dict[str, int] = {}  # of each metric's history, at the iteration before

    def after_iteration(self, info: Any) -> bool:
        """CatBoost's hook; False ends the training."""
        if not tc.in_session():
            return True
        histories = {f"{data}-{name}": values for data, found in info.metrics.items() for name, values in found.items()}
        before, self._lengths = self._lengths, {name: len(values) for name, values in histories.items()}
        if info.iteration == 1:
            before = {}  # the callback served another training
        if info.iteration <= _done.get(_snapshot(), 0):
            return True  # CatBoost repeats the last iteration of a snapshot
        who = type(self).__name__
        try:
            tc.choose_metrics(self.metrics, histories, who)  # all are there, if only from before
            new = {name: values[-1] for name, values in histories.items() if len(values) != before.get(name)}
            results = tc.choose_metrics(self.metrics, new, who, those_there=True)
            return self._report(info, results) if results else True
        except MissingMetricError as error:  # CatBoost would make an error of its own of it
            found = error

        def raise_it() -> None:
            raise found

        tc.at_end(raise_it)
        return False

    def _report(self, info: Any, results: dict[str, Any]) -> bool:
        return tc.report_metrics(results)


class TuneReportCheckpointCallback(TuneReportCallback):
    """Reports like :class:`TuneReportCallback`, and saves the model when the objective returns.

    CatBoost gives its model to no callback while it trains, but it can write snapshots. A fit that is given
    :func:`resume`'s arguments writes them, and they are saved every ``frequency`` iterations and where the scheduler
    may pause the trial.

    Parameters
    ----------
    model
        The estimator that is being fitted.
    metrics
        Which to report: None for all, a name, a list of names, or a dict from the name to report to
        CatBoost's, e.g. ``{"loss": "validation-Logloss"}``.
    filename
        Name of the model's file in the checkpoint.
    frequency
        Save a snapshot every so many iterations; 0 saves none of these.
    checkpoint_at_end
        Whether to save the model when the objective returns, also when the training was ended early.
    """

    def __init__(
        self,
        model: Any,
        metrics: tc.Metrics = None,
        filename: str = MODEL_FILE,
        frequency: int = 0,
        checkpoint_at_end: bool = True,
    ) -> None:
        super().__init__(metrics)
        tc.check_count(type(self).__name__, "frequency", frequency)
        self.model = model
        self.filename = filename
        self.frequency = frequency
        self.checkpoint_at_end = checkpoint_at_end
        self._iteration = 0
        self._saved_at = 0
        self._rounds = tc.RoundResults()

    def _report(self, info: Any, results: dict[str, Any]) -> bool:
        done = _done.get(_snapshot(), 0)
        if info.iteration == 1 or self._iteration <= done:
            self._rounds, self._saved_at = tc.RoundResults(), done
            if self.checkpoint_at_end:
                tc.at_end(self._save_model)
        self._iteration = info.iteration
        passed = self.frequency and info.iteration // self.frequency > self._saved_at // self.frequency
        write = _copy_snapshot if (passed or tc.checkpoint_due(results)) and os.path.exists(_snapshot()) else None
        if write is not None:
            self._saved_at = info.iteration
        go_on = tc.report_metrics(results, write, {_ITERATION: info.iteration})
        self._rounds.note(info.iteration, results)
        return go_on

    def _save_model(self) -> None:
        def write(folder: str) -> None:
            self.model.save_model(os.path.join(folder, self.filename))
            if os.path.exists(_snapshot()):
                _copy_snapshot(folder)

        if self.model.is_fitted():
            # again: the last result's checkpoint may hold a snapshot only
            result = self._rounds.of(
                self.model.tree_count_
            )  # early stopping may have cut it back to its best iteration
            tc.save_checkpoint(write, {_ITERATION: self._iteration}, again=True, result=result)

    @staticmethod
    def get_model(checkpoint: Checkpoint, filename: str = MODEL_FILE) -> Any:
        """The model in a checkpoint that this callback made; the module's function of this name says more."""
        return get_model(checkpoint, filename)


def _snapshot() -> str:
    """Where the running trial's snapshot is written; the same for all that runs in its process."""
    trial = tune.get_context().get_trial_id()
    return os.path.join(tempfile.gettempdir(), f"tune-core-catboost-{os.getpid()}-{trial}", SNAPSHOT)


def _copy_snapshot(folder: str) -> None:
    shutil.copy(_snapshot(), os.path.join(folder, SNAPSHOT))


def get_model(checkpoint: Checkpoint, filename: str = MODEL_FILE) -> Any:
    """The model in a checkpoint that :class:`TuneReportCheckpointCallback` made at the end of a training.

    Parameters
    ----------
    checkpoint
        The checkpoint, e.g. ``results.get_best_result().checkpoint``.
    filename
        The file in it, as the callback was told.

    Raises
    ------
    CheckpointError
        If there is no such file in it.
    """
    with tc.checkpoint_file(checkpoint, filename) as path:
        return catboost.CatBoost().load_model(path)


def resume() -> dict[str, Any]:
    """Arguments with which ``fit`` goes on where the trial left off, and writes snapshots to go on from later.

    Returns
    -------
    dict
        CatBoost's ``save_snapshot``, ``snapshot_file`` and ``snapshot_interval``; empty outside of a trial.

    Raises
    ------
    CheckpointError
        If the trial goes on with another configuration than the snapshot was made with, as in population based
        training: CatBoost cannot do that.

    Examples
    --------
    >>> resume()  # outside of a trial
    {}
    """
    if not tc.in_session():
        return {}
    found = tc.start()
    path = _snapshot()
    shutil.rmtree(os.path.dirname(path), ignore_errors=True)
    os.makedirs(os.path.dirname(path))
    _done[path] = 0
    tc.at_end(lambda: _clean_up(path))
    if found is not None:
        if not found.same_config:
            raise CheckpointError(
                "tune_catboost.resume()",
                "was called in a trial that goes on with another configuration than its checkpoint's",
                "CatBoost goes on from a snapshot with the very same parameters only",
                "Use a scheduler that changes no configuration in mid training: ASHA, HyperBand, median stopping.",
            )
        shutil.copy(found.file(SNAPSHOT), path)
        _done[path] = int(found.metadata.get(_ITERATION, 0))
    return {"save_snapshot": True, "snapshot_file": path, "snapshot_interval": 0}


def _clean_up(path: str) -> None:
    shutil.rmtree(os.path.dirname(path), ignore_errors=True)
    _done.pop(path, None)
