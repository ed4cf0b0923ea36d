"""XGBoost's callback: what it reports, how it stops, saves and resumes, and that it is silent outside of a trial."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

xgboost = pytest.importorskip("xgboost")
sklearn = pytest.importorskip("sklearn")

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from integrations.boosting import BoostingContract
from integrations.runs import Broken, history, run, stop_at
from tune_core.errors import TrialError
from tune_xgboost import TuneReportCallback, TuneReportCheckpointCallback, get_model

X, Y = load_breast_cancer(return_X_y=True)
X_TRAIN, X_VALID, Y_TRAIN, Y_VALID = train_test_split(X, Y, random_state=0)
PARAMS = {"objective": "binary:logistic", "eval_metric": ["logloss", "error"], "max_depth": 3, "nthread": 1, "seed": 0}


def train(*callbacks: Any, rounds: int = 10, params: dict[str, Any] | None = None, **how: Any) -> Any:
    data = xgboost.DMatrix(X_TRAIN, Y_TRAIN)
    evals = [(xgboost.DMatrix(X_VALID, Y_VALID), "valid")]
    arguments = {"num_boost_round": rounds, "evals": evals, "verbose_eval": False, **how}
    return xgboost.train({**PARAMS, **(params or {})}, data, callbacks=list(callbacks), **arguments)


def predictions(model: Any) -> Any:
    return model.predict(xgboost.DMatrix(X_VALID))


class BreakOff(xgboost.callback.TrainingCallback):
    """Breaks the training off after a round, the first time."""

    def __init__(self, flag: Path, after: int) -> None:
        super().__init__()
        self.flag, self.after = flag, after

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        if model.num_boosted_rounds() == self.after and not self.flag.exists():
            self.flag.touch()
            raise Broken
        return False


# --- reporting -------------------------------------------------------------------------------------------------------


def test_every_round_is_reported_with_all_metrics(tmp_path: Path) -> None:
    result = run(lambda config: train(TuneReportCallback()), tmp_path)
    assert result.metrics["training_iteration"] == 10
    assert {"valid-logloss", "valid-error"} <= set(result.metrics)
    assert len(history(result, "valid-logloss")) == 10
    assert isinstance(result.metrics["valid-logloss"], float)


@pytest.mark.parametrize(
    ("metrics", "names"),
    [("valid-error", {"valid-error"}), (["valid-logloss"], {"valid-logloss"}), ({"loss": "valid-logloss"}, {"loss"})],
)
def test_metrics_are_chosen_and_renamed(tmp_path: Path, metrics: Any, names: set[str]) -> None:
    result = run(lambda config: train(TuneReportCallback(metrics)), tmp_path)
    assert {m for m in result.metrics if m in ("valid-error", "valid-logloss", "loss")} == names


def test_metric_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match=r"'valid-auc'.*'valid-error', 'valid-logloss'"):
        run(lambda config: train(TuneReportCallback("valid-auc")), tmp_path)


def test_training_without_evaluation_has_no_metrics_and_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match="none at all"):
        run(lambda config: train(TuneReportCallback("valid-error"), evals=[]), tmp_path)


def test_results_pass_through_the_postprocessing_function(tmp_path: Path) -> None:
    callback = TuneReportCallback(results_postprocessing_fn=lambda r: {"score": 1 - r["valid-error"]})
    assert run(lambda config: train(callback), tmp_path).metrics["score"] > 0.9


def test_cross_validation_reports_mean_and_standard_deviation(tmp_path: Path) -> None:
    frames = []

    def objective(config: dict[str, Any]) -> None:
        data = xgboost.DMatrix(X, Y)
        callback = TuneReportCheckpointCallback(frequency=1)  # cv has no single model to save
        frames.append(xgboost.cv(PARAMS, data, 6, nfold=3, callbacks=[callback], as_pandas=False, seed=0))

    result = run(objective, tmp_path)
    assert result.metrics["test-logloss"] == pytest.approx(frames[0]["test-logloss-mean"][-1])
    assert result.metrics["test-logloss-std"] == pytest.approx(frames[0]["test-logloss-std"][-1])
    assert result.checkpoint is None


def test_scikit_learn_estimator_reports(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        model = xgboost.XGBClassifier(n_estimators=5, callbacks=[TuneReportCheckpointCallback()], eval_metric="logloss")
        model.fit(X_TRAIN, Y_TRAIN, eval_set=[(X_VALID, Y_VALID)], verbose=False)

    result = run(objective, tmp_path)
    assert result.metrics["training_iteration"] == 5
    assert "validation_0-logloss" in result.metrics
    assert get_model(result.checkpoint).num_boosted_rounds() == 5


# --- stopping --------------------------------------------------------------------------------------------------------


class SeesTheEnd(xgboost.callback.TrainingCallback):
    """Notes that XGBoost has ended the training in its own way."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = 0

    def after_training(self, model: Any) -> Any:
        self.ended += 1
        return model


def test_verdict_of_the_scheduler_ends_the_training_the_frameworks_way(tmp_path: Path) -> None:
    end, models = SeesTheEnd(), []
    result = run(
        lambda config: models.append(train(TuneReportCheckpointCallback(), end, rounds=100)),
        tmp_path,
        scheduler=stop_at(4),
    )
    assert result.metrics["training_iteration"] == 4
    assert end.ended == 1
    assert models[0].num_boosted_rounds() == 4
    assert get_model(result.checkpoint).num_boosted_rounds() == 4


def test_stop_condition_ends_the_training(tmp_path: Path) -> None:
    models: list[Any] = []
    result = run(
        lambda config: models.append(train(TuneReportCheckpointCallback(), rounds=100)),
        tmp_path,
        stop={"training_iteration": 3},
    )
    assert models[0].num_boosted_rounds() == 3
    assert get_model(result.checkpoint).num_boosted_rounds() == 3


def test_cross_validation_can_be_stopped(tmp_path: Path) -> None:
    logs = []

    def objective(config: dict[str, Any]) -> None:
        data = xgboost.DMatrix(X, Y)
        logs.append(xgboost.cv(PARAMS, data, 50, nfold=3, callbacks=[TuneReportCallback()], as_pandas=False))

    result = run(objective, tmp_path, scheduler=stop_at(3))
    assert result.metrics["training_iteration"] == 3
    assert len(logs[0]["test-logloss-mean"]) == 3


def test_frameworks_own_early_stopping_keeps_the_last_round_and_its_model(tmp_path: Path) -> None:
    models: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        callback = TuneReportCheckpointCallback()
        models.append(train(callback, rounds=500, params={"eta": 1.0}, early_stopping_rounds=3))

    result = run(objective, tmp_path)
    rounds = models[0].num_boosted_rounds()
    assert rounds < 500
    assert result.metrics["training_iteration"] == rounds
    assert get_model(result.checkpoint).num_boosted_rounds() == rounds


def test_last_round_is_reported_also_where_another_callback_ends_the_training_first(tmp_path: Path) -> None:
    models: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        callbacks = xgboost.callback.EarlyStopping(rounds=3), TuneReportCheckpointCallback()
        models.append(train(*callbacks, rounds=500, params={"eta": 1.0}))

    result = run(objective, tmp_path)
    assert result.metrics["training_iteration"] == models[0].num_boosted_rounds() < 500
    assert get_model(result.checkpoint).num_boosted_rounds() == models[0].num_boosted_rounds()


# --- checkpoints and resuming ----------------------------------------------------------------------------------------


class TestXGBoost(BoostingContract):
    library = "xgboost"
    loss = "valid-logloss"
    rate = "eta"
    model_argument = "xgb_model"
    model_file = "model.ubj"
    train = staticmethod(train)
    predictions = staticmethod(predictions)
    rounds = staticmethod(lambda model: model.num_boosted_rounds())
    break_off = BreakOff


# --- outside of a run ------------------------------------------------------------------------------------------------


def test_callback_can_be_pickled_copied_and_cloned() -> None:
    callback = TuneReportCheckpointCallback({"loss": "valid-logloss"}, "m.json", 3, False)
    estimator = xgboost.XGBClassifier(callbacks=[callback])
    for again in (
        pickle.loads(pickle.dumps(callback)),
        copy.deepcopy(callback),
        clone(estimator).get_params()["callbacks"][0],
    ):
        assert vars(again) == vars(callback)


# --- early stopping --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("booster", ["gbtree", "dart"])
@pytest.mark.parametrize("save_best", [False, True])
@pytest.mark.parametrize("ours_first", [False, True])
def test_with_early_stopping_each_checkpoint_has_the_model_of_its_result(
    tmp_path: Path, booster: str, save_best: bool, ours_first: bool
) -> None:
    params = {"booster": booster, "eta": 1.5, "rate_drop": 0.3, "eval_metric": ["logloss"]}

    def objective(config: dict[str, Any]) -> None:
        early = xgboost.callback.EarlyStopping(5, save_best=save_best)
        ours = TuneReportCheckpointCallback({"loss": "valid-logloss"}, frequency=3)
        train(*([ours, early] if ours_first else [early, ours]), rounds=60, params=params)

    result = run(objective, tmp_path, metric="loss", mode="min")

    losses = history(result, "loss")
    assert len(losses) < 60 and min(losses) < losses[-1]  # it was stopped early, behind its best round
    for checkpoint, metrics in result.best_checkpoints:
        rates = predictions(get_model(checkpoint))
        loss = -np.mean(np.log(np.where(Y_VALID == 1, rates, 1 - rates)))
        assert loss == pytest.approx(metrics["loss"], rel=1e-5)
    kept = [metrics["loss"] for _, metrics in result.best_checkpoints]
    assert losses[-1] in kept
    assert booster == "dart" or min(losses) in kept
