"""XGBoost in tune-core: a callback for ``train``, ``cv`` and the scikit-learn estimators, and resuming."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from tune_core import Checkpoint
from tune_core import integration as tc

xgboost: Any = tc.require("tune_xgboost", "xgboost", "xgboost")
_TrainingCallback: Any = xgboost.callback.TrainingCallback

__all__ = ["TuneReportCallback", "TuneReportCheckpointCallback", "get_model", "resume"]

MODEL_FILE = "model.ubj"

Results = dict[str, Any]
Log = Mapping[str, Mapping[str, list[Any]]]


class TuneReportCallback(_TrainingCallback):
    """Reports the evaluation of each boosting round, and ends the training when the trial is to end.

    Outside of a trial it does nothing.

    Parameters
    ----------
    metrics
        None for all, a name, a list of names, or a dict from the name to report to XGBoost's. A metric is called
        ``"<data>-<metric>"``, e.g. ``"valid-logloss"``; in ``xgboost.cv`` that is the mean over the folds, and
        ``"valid-logloss-std"`` the standard deviation.
    results_postprocessing_fn
        Gets the chosen metrics and returns what to report instead.

    Examples
    --------
    >>> import xgboost  # doctest: +SKIP
    >>> xgboost.train(params, data, 100, evals=[(valid, "valid")], callbacks=[TuneReportCallback()])  # doctest: +SKIP
    """

    def __init__(
        self, metrics: tc.Metrics = None, results_postprocessing_fn: Callable[[Results], Results] | None = None
    ) -> None:
        super().__init__()
        self.metrics = metrics
        self.results_postprocessing_fn = results_postprocessing_fn
        self._active = False
        self._rounds_before = 0
        self._reported = 0  # rounds of this training
        self._log: Log = {}

    def before_training(self, model: Any) -> Any:
        """XGBoost's hook."""
        self._active = tc.in_session()
        self._reported, self._log = 0, {}
        if self._active and hasattr(model, "num_boosted_rounds"):  # in cv it is a pack of boosters
            self._rounds_before = model.num_boosted_rounds()
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Log) -> bool:
        """XGBoost's hook; True ends the training."""
        if not self._active:
            return False
        self._reported, self._log = epoch + 1, evals_log
        results = self._results(evals_log)
        stop = not self._report(model, self._rounds_before + epoch + 1, results)
        if stop and not hasattr(model, "save_model"):  # cv wants to know the best round when it ends early
            model.set_attr(best_iteration=str(epoch), best_score=str(next(iter(results.values()), 0.0)))
        return stop

    def after_training(self, model: Any) -> Any:
        """XGBoost's hook; reports the last round if another callback ended the training before ours heard of it."""
        if self._active:
            rounds = max((len(values) for metrics in self._log.values() for values in metrics.values()), default=0)
            if rounds > self._reported:
                self._report(model, self._rounds_before + rounds, self._results(self._log))
        return model

    def _report(self, model: Any, rounds: int, results: Results) -> bool:
        return tc.report_metrics(results)

    def _results(self, evals_log: Log) -> Results:
        there: Results = {}
        for data, metrics in evals_log.items():
            for name, values in metrics.items():
                last = values[-1]
                if isinstance(last, tuple):
                    last, there[f"{data}-{name}-std"] = last
                there[f"{data}-{name}"] = last
        chosen = tc.choose_metrics(self.metrics, there, type(self).__name__)
        return self.results_postprocessing_fn(chosen) if self.results_postprocessing_fn else chosen


class TuneReportCheckpointCallback(TuneReportCallback):
    """Reports like :class:`TuneReportCallback`, and saves the model.

    It is saved every ``frequency`` rounds, where the scheduler may pause or copy the trial, and at the end of the
    training. A checkpoint belongs to the result of its own round: with XGBoost's early stopping the model of the best
    round is kept too, with that round's result. Saving after each round makes a quick training several times slower.

    Parameters
    ----------
    metrics
        Which to report: None for all, a name, a list of names, or a dict from the name to report to
        XGBoost's, e.g. ``{"loss": "valid-logloss"}``.
    filename
        Name of the model's file in the checkpoint; its suffix tells XGBoost the format.
    frequency
        Save every so many rounds; 0 saves none of these.
    checkpoint_at_end
        Whether to save when the training ends, also when it is ended early.
    results_postprocessing_fn
        Gets the chosen metrics and returns what to report instead; None reports them as they are.
    """

    def __init__(
        self,
        metrics: tc.Metrics = None,
        filename: str = MODEL_FILE,
        frequency: int = 0,
        checkpoint_at_end: bool = True,
        results_postprocessing_fn: Callable[[Results], Results] | None = None,
    ) -> None:
        super().__init__(metrics, results_postprocessing_fn)
        tc.check_count(type(self).__name__, "frequency", frequency)
        self.filename = filename
        self.frequency = frequency
        self.checkpoint_at_end = checkpoint_at_end
        self._rounds = tc.RoundResults()
        self._whole: object = None  # the model in training

    @staticmethod
    def get_model(checkpoint: Checkpoint, filename: str = MODEL_FILE) -> Any:
        """The model in a checkpoint that this callback made; the module's function of this name says more."""
        return get_model(checkpoint, filename)

    def before_training(self, model: Any) -> Any:
        """XGBoost's hook."""
        self._rounds, self._whole = tc.RoundResults(), None
        return super().before_training(model)

    def after_iteration(self, model: Any, epoch: int, evals_log: Log) -> bool:
        """XGBoost's hook; True ends the training."""
        self._whole = model
        return super().after_iteration(model, epoch, evals_log)

    def after_training(self, model: Any) -> Any:
        """XGBoost's hook; also saves the model."""
        super().after_training(model)
        if self._active and self.checkpoint_at_end and hasattr(model, "save_model"):
            whole = (
                self._whole if self._whole is not None else model
            )  # another callback's ``save_best`` may have cut it
            best = _best_of(model, whole)
            if best is not None:
                tc.save_checkpoint(self._writer(best), result=self._rounds.of(best.num_boosted_rounds()))
            tc.save_checkpoint(self._writer(whole))
        self._whole = None
        return model

    def _report(self, model: Any, rounds: int, results: Results) -> bool:
        due = (self.frequency and rounds % self.frequency == 0) or tc.checkpoint_due(results)
        write = (
            self._writer(model if self._whole is None else self._whole)
            if due and hasattr(model, "save_model")
            else None
        )
        go_on = tc.report_metrics(results, write)
        self._rounds.note(rounds, results)
        return go_on

    def _writer(self, model: Any) -> Callable[[str], object]:
        return lambda folder: model.save_model(os.path.join(folder, self.filename))


def _best_of(model: Any, whole: Any) -> Any:
    """The model as it was at the best round that early stopping has found; None if that is the last, or not to be had.

    Only trees of plain boosting stay as they are: DART gives earlier ones other weights, a linear model has no rounds.
    """
    found = model.attr("best_iteration")
    rounds = None if found is None else int(found) + 1
    kind = json.loads(whole.save_config())["learner"]["gradient_booster"]["name"]
    return whole[:rounds] if rounds is not None and rounds < whole.num_boosted_rounds() and kind == "gbtree" else None


def get_model(checkpoint: Checkpoint, filename: str = MODEL_FILE) -> Any:
    """The booster in a checkpoint that :class:`TuneReportCheckpointCallback` made, e.g. the best result's.

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
        return xgboost.Booster(model_file=path)


def resume(num_boost_round: int, filename: str = MODEL_FILE) -> dict[str, Any]:
    """Arguments with which ``xgboost.train`` goes on where the trial left off.

    Parameters
    ----------
    num_boost_round
        Rounds that the whole training has, those done already included.
    filename
        The name that the callback was given.

    Returns
    -------
    dict
        ``num_boost_round``, the rounds that are left, and ``xgb_model``, the model so far or None.

    Examples
    --------
    >>> resume(num_boost_round=100)  # outside of a trial
    {'num_boost_round': 100, 'xgb_model': None}
    """
    found = tc.start()
    model = None if found is None else xgboost.Booster(model_file=found.file(filename))
    done = 0 if model is None else model.num_boosted_rounds()
    return {"num_boost_round": max(0, num_boost_round - done), "xgb_model": model}
