"""LightGBM's callback: what it reports, how it stops, saves and resumes, and that it is silent outside of a trial."""

from __future__ import annotations

import copy
import pickle
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

lightgbm = pytest.importorskip("lightgbm")
pytest.importorskip("sklearn")

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from integrations.boosting import BoostingContract
from integrations.runs import Broken, exploit_at, history, run, stop_at
from tune_core.errors import TrialError
from tune_lightgbm import TuneReportCallback, TuneReportCheckpointCallback, get_model, resume

X, Y = load_breast_cancer(return_X_y=True)
X_TRAIN, X_VALID, Y_TRAIN, Y_VALID = train_test_split(X, Y, random_state=0)
PARAMS = {
    "objective": "binary",
    "metric": ["binary_logloss", "auc"],
    "num_leaves": 7,
    "num_threads": 1,
    "seed": 0,
    "deterministic": True,
    "verbose": -1,
}
LOSS = "valid-binary_logloss"


def train(*callbacks: Any, rounds: int = 10, params: dict[str, Any] | None = None, **how: Any) -> Any:
    data = lightgbm.Dataset(X_TRAIN, Y_TRAIN, free_raw_data=False)
    valid = data.create_valid(X_VALID, Y_VALID)
    arguments = {"num_boost_round": rounds, "valid_sets": [valid], "valid_names": ["valid"], **how}
    return lightgbm.train({**PARAMS, **(params or {})}, data, callbacks=list(callbacks), **arguments)


def predictions(model: Any) -> Any:
    return model.predict(X_VALID)


class BreakOff:
    """Breaks the training off after a round, the first time."""

    order = 50
    before_iteration = False

    def __init__(self, flag: Path, after: int) -> None:
        self.flag, self.after = flag, after

    def __call__(self, env: Any) -> None:
        if env.iteration + 1 == self.after and not self.flag.exists():
            self.flag.touch()
            raise Broken


# --- reporting -------------------------------------------------------------------------------------------------------


def test_every_round_is_reported_with_all_metrics(tmp_path: Path) -> None:
    result = run(lambda config: train(TuneReportCallback()), tmp_path)
    assert result.metrics["training_iteration"] == 10
    assert {LOSS, "valid-auc"} <= set(result.metrics)
    assert len(history(result, LOSS)) == 10
    assert type(result.metrics[LOSS]) is float


@pytest.mark.parametrize(
    ("metrics", "names"), [("valid-auc", {"valid-auc"}), ([LOSS], {LOSS}), ({"loss": LOSS}, {"loss"})]
)
def test_metrics_are_chosen_and_renamed(tmp_path: Path, metrics: Any, names: set[str]) -> None:
    result = run(lambda config: train(TuneReportCallback(metrics)), tmp_path)
    assert {m for m in result.metrics if m in ("valid-auc", LOSS, "loss")} == names


def test_metric_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match=r"'valid-error'.*'valid-auc', 'valid-binary_logloss'"):
        run(lambda config: train(TuneReportCallback("valid-error")), tmp_path)


def test_training_without_evaluation_has_no_metrics_and_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match="none at all"):
        run(lambda config: train(TuneReportCallback("valid-auc"), valid_sets=None, valid_names=None), tmp_path)


def test_results_pass_through_the_postprocessing_function(tmp_path: Path) -> None:
    callback = TuneReportCallback(results_postprocessing_fn=lambda r: {"score": 1 - r["valid-auc"]})
    assert 0 <= run(lambda config: train(callback), tmp_path).metrics["score"] < 0.1


def test_cross_validation_reports_mean_and_standard_deviation(tmp_path: Path) -> None:
    tables: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        data = lightgbm.Dataset(X, Y)
        callback = TuneReportCheckpointCallback(frequency=1)  # cv has no single model to save
        tables.append(lightgbm.cv(PARAMS, data, 6, nfold=3, callbacks=[callback]))

    result = run(objective, tmp_path)
    assert result.metrics["valid-auc-mean"] == pytest.approx(tables[0]["valid auc-mean"][-1])
    assert result.metrics["valid-auc-stdv"] == pytest.approx(tables[0]["valid auc-stdv"][-1])
    assert result.checkpoint is None


def test_results_of_versions_before_objects_are_understood() -> None:
    env = namedtuple("env", "evaluation_result_list")
    reported = TuneReportCallback()._results(
        env([("valid", "auc", 0.9, True), ("cv_agg", "valid binary_logloss", 0.2, False, 0.01)])
    )
    assert reported == {
        "valid-auc": 0.9,
        "valid-binary_logloss-mean": 0.2,
        "valid-binary_logloss-stdv": 0.01,
    }


@pytest.mark.filterwarnings("ignore:The argument 'eval_set'")  # whose successors the oldest versions lack
def test_scikit_learn_estimator_reports(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        model = lightgbm.LGBMClassifier(n_estimators=5, num_leaves=7, verbose=-1)
        model.fit(X_TRAIN, Y_TRAIN, eval_set=[(X_VALID, Y_VALID)], callbacks=[TuneReportCheckpointCallback()])

    result = run(objective, tmp_path)
    assert result.metrics["training_iteration"] == 5
    assert "valid_0-binary_logloss" in result.metrics
    assert get_model(result.checkpoint).current_iteration() == 5


# --- stopping --------------------------------------------------------------------------------------------------------


def test_verdict_of_the_scheduler_ends_the_training_the_frameworks_way(tmp_path: Path) -> None:
    models: list[Any] = []
    result = run(
        lambda config: models.append(train(TuneReportCheckpointCallback(), rounds=100)),
        tmp_path,
        scheduler=stop_at(4),
    )
    assert result.metrics["training_iteration"] == 4
    assert models[0].best_iteration == 4  # LightGBM's own early-stopping work has been done
    assert models[0].best_score["valid"]["auc"] == result.metrics["valid-auc"]
    assert get_model(result.checkpoint).current_iteration() == 4


def test_stop_condition_ends_the_training_even_without_evaluation(tmp_path: Path) -> None:
    models: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        models.append(train(TuneReportCheckpointCallback(), rounds=50, valid_sets=None, valid_names=None))

    result = run(objective, tmp_path, stop={"training_iteration": 3})
    assert models[0].current_iteration() == 3
    assert get_model(result.checkpoint).current_iteration() == 3


def test_cross_validation_can_be_stopped(tmp_path: Path) -> None:
    tables: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        tables.append(lightgbm.cv(PARAMS, lightgbm.Dataset(X, Y), 50, nfold=3, callbacks=[TuneReportCallback()]))

    result = run(objective, tmp_path, scheduler=stop_at(3))
    assert result.metrics["training_iteration"] == 3
    assert len(tables[0]["valid auc-mean"]) == 3


def test_frameworks_own_early_stopping_reports_its_last_round_and_keeps_its_model(tmp_path: Path) -> None:
    models: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        callbacks = [lightgbm.early_stopping(3, verbose=False), TuneReportCheckpointCallback()]
        models.append(train(*callbacks, rounds=500, params={"learning_rate": 1.0}))

    result = run(objective, tmp_path)
    best = models[0].best_iteration
    assert best < 500
    assert result.metrics["training_iteration"] == best + 3
    assert np.array_equal(predictions(get_model(result.checkpoint)), predictions(models[0]))


# --- checkpoints and resuming ----------------------------------------------------------------------------------------


class TestLightGBM(BoostingContract):
    library = "lightgbm"
    loss = LOSS
    rate = "learning_rate"
    model_argument = "init_model"
    model_file = "model.txt"
    train = staticmethod(train)
    predictions = staticmethod(predictions)
    rounds = staticmethod(lambda model: model.current_iteration())
    break_off = BreakOff


def test_copy_of_a_finished_training_is_complete(tmp_path: Path) -> None:
    trained: list[int] = []

    def objective(config: dict[str, Any]) -> None:
        arguments = resume(num_boost_round=4)
        trained.append(arguments["num_boost_round"])
        train(TuneReportCheckpointCallback(), params=config, **arguments)

    result = run(objective, tmp_path, {"learning_rate": 0.3}, scheduler=exploit_at(4, {"learning_rate": 0.01}))
    assert (result.status, result.error, result.metrics["training_iteration"]) == ("TERMINATED", None, 4)
    assert trained == [4]  # lightgbm.train refuses to train for no rounds
    assert np.allclose(
        predictions(get_model(result.checkpoint)), predictions(train(rounds=4, params={"learning_rate": 0.3}))
    )


# --- outside of a run ------------------------------------------------------------------------------------------------


def test_callback_can_be_pickled_and_copied_and_is_hashable() -> None:
    callback = TuneReportCheckpointCallback({"loss": LOSS}, "m.txt", 3, False)
    for again in (pickle.loads(pickle.dumps(callback)), copy.deepcopy(callback)):
        assert vars(again) == vars(callback)
    assert {callback}  # LightGBM keeps its callbacks in a set


@pytest.mark.parametrize("frequency", [0, 3])
def test_with_early_stopping_each_checkpoint_has_the_model_of_its_result(tmp_path: Path, frequency: int) -> None:
    def objective(config: dict[str, Any]) -> None:
        early = lightgbm.early_stopping(8, verbose=False)
        train(
            TuneReportCheckpointCallback({"loss": LOSS}, frequency=frequency),
            early,
            rounds=80,
            params={"learning_rate": 0.9, "metric": "binary_logloss"},
        )

    result = run(objective, tmp_path, metric="loss", mode="min")

    losses = history(result, "loss")
    assert len(losses) < 80 and min(losses) < losses[-1]
    for checkpoint, metrics in result.best_checkpoints:
        rates = get_model(checkpoint).predict(X_VALID)
        assert -np.mean(np.log(np.where(Y_VALID == 1, rates, 1 - rates))) == pytest.approx(metrics["loss"], rel=1e-6)
    assert min(losses) in [metrics["loss"] for _, metrics in result.best_checkpoints]
