"""LightGBM in tune-core: a callback for ``train``, ``cv`` and the scikit-learn estimators, and resuming."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from tune_core import Checkpoint
from tune_core import integration as tc

lightgbm: Any = tc.require("tune_lightgbm", "lightgbm", "lightgbm")

__all__ = ["TuneReportCallback", "TuneReportCheckpointCallback", "get_model", "resume"]

MODEL_FILE = "model.txt"

Results = dict[str, Any]


class TuneReportCallback:
    """Reports the evaluation of each boosting round, and ends the training when the trial is to end.

    Outside of a trial it does nothing. In the scikit-learn API give it to ``fit``; the constructor ignores callbacks.

    Parameters
    ----------
    metrics
        None for all, a name, a list of names, or a dict from the name to report to LightGBM's. A metric is called
        ``"<data>-<metric>"``, e.g. ``"valid_0-auc"``; in ``lightgbm.cv`` it is ``"valid-auc-mean"``, and
        ``"valid-auc-stdv"`` its standard deviation over the folds.
    results_postprocessing_fn
        Gets the chosen metrics and returns what to report instead.

    Examples
    --------
    >>> lightgbm.train(params, data, 100, valid_sets=[valid], callbacks=[TuneReportCallback()])  # doctest: +SKIP
    """

    before_iteration = False
    order = 25  # before early_stopping, which has 30, so that the round at which it stops is reported

    def __init__(
        self, metrics: tc.Metrics = None, results_postprocessing_fn: Callable[[Results], Results] | None = None
    ) -> None:
        self.metrics = metrics
        self.results_postprocessing_fn = results_postprocessing_fn

    def __call__(self, env: Any) -> None:
        """LightGBM calls this after each round."""
        if tc.in_session() and not self._report(env, self._results(env)):
            raise lightgbm.callback.EarlyStopException(env.iteration, env.evaluation_result_list or [])

    def _report(self, env: object, results: Results) -> bool:
        return tc.report_metrics(results)

    def _results(self, env: Any) -> Results:
        there: Results = {}
        for entry in env.evaluation_result_list or []:
            data, name, value, std = _parts(entry)
            if std is None:
                there[f"{data}-{name}"] = value
            else:
                there[f"{data}-{name}-mean"] = value
                there[f"{data}-{name}-stdv"] = std
        chosen = tc.choose_metrics(self.metrics, there, type(self).__name__)
        return self.results_postprocessing_fn(chosen) if self.results_postprocessing_fn else chosen


def _parts(entry: Any) -> tuple[str, str, float, float | None]:
    """Data set, metric, value and (in ``cv``) standard deviation; version 4.7 has objects, those before tuples."""
    if hasattr(entry, "metric_name"):
        std = entry.metric_std_dev
        return entry.dataset_name, entry.metric_name, float(entry.metric_value), None if std is None else float(std)
    data, name, value = entry[:3]
    if data == "cv_agg":  # and the name is "valid auc"
        data, _, name = name.partition(" ")
    return data, name, float(value), float(entry[4]) if len(entry) > 4 else None


class TuneReportCheckpointCallback(TuneReportCallback):
    """Reports like :class:`TuneReportCallback`, and saves the model.

    It is saved every ``frequency`` rounds, where the scheduler may pause or copy the trial, and at the end of the
    training. A checkpoint belongs to the result of its own round: where LightGBM's early stopping has cut the model
    back to its best round, the model is kept with that round's result, when the objective returns.

    Parameters
    ----------
    metrics
        Which to report: None for all, a name, a list of names, or a dict from the name to report to
        LightGBM's, e.g. ``{"loss": "valid_0-binary_logloss"}``.
    filename
        Name of the model's file in the checkpoint.
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

    @staticmethod
    def get_model(checkpoint: Checkpoint, filename: str = MODEL_FILE) -> Any:
        """The model in a checkpoint that this callback made; the module's function of this name says more."""
        return get_model(checkpoint, filename)

    def _report(self, env: Any, results: Results) -> bool:
        model = env.model
        if not isinstance(model, lightgbm.Booster):  # cv has one for each fold
            return tc.report_metrics(results)

        def write(folder: str) -> None:
            model.save_model(os.path.join(folder, self.filename), num_iteration=-1)

        rounds = env.iteration + 1
        if env.iteration == env.begin_iteration:
            self._rounds = known = tc.RoundResults()
            if self.checkpoint_at_end:
                tc.at_end(lambda: tc.save_checkpoint(write, result=known.of(model.current_iteration())))
        last = self.checkpoint_at_end and rounds == env.end_iteration
        due = last or (self.frequency and rounds % self.frequency == 0) or tc.checkpoint_due(results)
        go_on = tc.report_metrics(results, write if due else None)
        self._rounds.note(rounds, results)
        if not go_on and self.checkpoint_at_end:
            tc.save_checkpoint(write)
        return go_on


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
        return lightgbm.Booster(model_file=path)


def resume(num_boost_round: int, filename: str = MODEL_FILE) -> dict[str, Any]:
    """Arguments with which ``lightgbm.train`` goes on where the trial left off.

    Parameters
    ----------
    num_boost_round
        Rounds that the whole training has, those done already included.
    filename
        The name that the callback was given.

    Returns
    -------
    dict
        ``num_boost_round``, the rounds that are left, and ``init_model``, the model so far or None.

    Raises
    ------
    StopTrial
        If no rounds are left, as in a copy of a trial that has done all: the running trial is then complete, and ends
        here.

    Examples
    --------
    >>> resume(num_boost_round=100)  # outside of a trial
    {'num_boost_round': 100, 'init_model': None}
    """
    found = tc.start()
    model = None if found is None else lightgbm.Booster(model_file=found.file(filename))
    done = 0 if model is None else model.current_iteration()
    if done >= num_boost_round and found is not None:
        raise tc.NothingLeft  # lightgbm.train refuses 0 rounds
    return {"num_boost_round": num_boost_round - done, "init_model": model}
