"""CatBoost's callback: what it reports, how it stops, saves and resumes, and that it is silent outside of a trial."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

catboost = pytest.importorskip("catboost")
pytest.importorskip("sklearn")

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import tune_core as tune
from integrations.runs import Broken, exploit_at, history, pause_at, run, stop_at
from tune_catboost import TuneReportCallback, TuneReportCheckpointCallback, get_model, resume
from tune_core.errors import CheckpointError, TrialError

X, Y = load_breast_cancer(return_X_y=True)
X_TRAIN, X_VALID, Y_TRAIN, Y_VALID = train_test_split(X, Y, random_state=0)


def make(iterations: int = 10, **params: Any) -> Any:
    return catboost.CatBoostClassifier(
        iterations=iterations,
        depth=3,
        learning_rate=0.1,
        random_strength=0,
        bootstrap_type="No",
        custom_metric=["AUC"],
        thread_count=1,
        verbose=0,
        **{"allow_writing_files": False, **params},
    )


def fit(model: Any, *callbacks: Any, **how: Any) -> Any:
    arguments = {"eval_set": (X_VALID, Y_VALID), "use_best_model": False, **how}
    return model.fit(X_TRAIN, Y_TRAIN, callbacks=list(callbacks), **arguments)


def writes(folder: Path) -> dict[str, Any]:
    """Parameters that let CatBoost write snapshots."""
    return {"allow_writing_files": True, "train_dir": str(folder / "catboost")}


def predictions(model: Any) -> Any:
    return model.predict(X_VALID, prediction_type="RawFormulaVal")


def test_every_iteration_is_reported_with_all_metrics(tmp_path: Path) -> None:
    result = run(lambda config: fit(make(), TuneReportCallback()), tmp_path)
    assert result.metrics["training_iteration"] == 10
    assert {"learn-Logloss", "validation-Logloss", "validation-AUC"} <= set(result.metrics)
    assert len(history(result, "validation-Logloss")) == 10


def test_metrics_are_chosen_and_renamed(tmp_path: Path) -> None:
    result = run(lambda config: fit(make(), TuneReportCallback({"loss": "validation-Logloss"})), tmp_path)
    assert "loss" in result.metrics
    assert "validation-Logloss" not in result.metrics


def test_metric_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match=r"'validation-F1'.*'learn-Logloss', 'validation-AUC', 'validation-Logloss'"):
        run(lambda config: fit(make(), TuneReportCallback("validation-F1")), tmp_path)


def test_verdict_of_the_scheduler_ends_the_training_the_frameworks_way(tmp_path: Path) -> None:
    model = make(100)
    result = run(lambda config: fit(model, TuneReportCheckpointCallback(model)), tmp_path, scheduler=stop_at(4))
    assert result.metrics["training_iteration"] == 4
    assert model.tree_count_ == 4
    assert get_model(result.checkpoint).tree_count_ == 4


def test_frameworks_own_early_stopping_keeps_the_last_iteration_and_the_model(tmp_path: Path) -> None:
    model = make(500, early_stopping_rounds=1, eval_metric="Accuracy")
    result = run(lambda config: fit(model, TuneReportCheckpointCallback(model)), tmp_path)
    assert model.tree_count_ < 500
    assert result.metrics["training_iteration"] == model.tree_count_
    assert get_model(result.checkpoint).tree_count_ == model.tree_count_


def test_model_comes_back_from_a_results_checkpoint(tmp_path: Path) -> None:
    model = make()
    result = run(lambda config: fit(model, TuneReportCheckpointCallback(model, filename="m.cbm")), tmp_path)
    loaded = TuneReportCheckpointCallback.get_model(result.checkpoint, "m.cbm")
    assert np.array_equal(predictions(loaded), predictions(model))
    with pytest.raises(CheckpointError, match=r"no file 'model\.cbm', it has m\.cbm"):
        get_model(result.checkpoint)


def test_paused_training_resumes_and_equals_one_that_was_not(tmp_path: Path) -> None:
    models: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        models.append(make(12, **writes(tmp_path)))
        fit(models[-1], TuneReportCheckpointCallback(models[-1]), **resume())

    result = run(objective, tmp_path, scheduler=pause_at(5))
    straight = make(12)
    whole = run(lambda config: fit(straight, TuneReportCallback()), tmp_path, name="whole")
    assert [m.tree_count_ for m in models] == [5, 12]
    assert np.allclose(predictions(models[1]), predictions(straight), atol=1e-6)
    assert history(result, "validation-Logloss") == pytest.approx(history(whole, "validation-Logloss"), abs=1e-6)
    assert get_model(result.checkpoint).tree_count_ == 12


class BreakOff:
    """Breaks the training off after an iteration, the first time."""

    def __init__(self, flag: Path, after: int) -> None:
        self.flag, self.after = flag, after

    def after_iteration(self, info: Any) -> bool:
        if info.iteration == self.after and not self.flag.exists():
            self.flag.touch()
            raise Broken
        return True


def test_training_broken_off_and_resumed_equals_one_that_was_not(tmp_path: Path) -> None:
    models: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        models.append(make(12, **writes(tmp_path)))
        callback = TuneReportCheckpointCallback(models[-1], frequency=4)
        fit(models[-1], callback, BreakOff(tmp_path / "broken", 7), **resume())

    result = run(objective, tmp_path, max_failures=1)
    assert len(models) == 2
    assert np.allclose(predictions(models[1]), predictions(fit(make(12))), atol=1e-6)
    assert result.metrics["training_iteration"] == 12


def test_snapshot_of_another_configuration_is_refused_with_the_way_out(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        model = make(8, l2_leaf_reg=config["l2"], **writes(tmp_path))
        fit(model, TuneReportCheckpointCallback(model), **resume())

    result = run(objective, tmp_path, {"l2": 3.0}, scheduler=exploit_at(4, {"l2": 9.0}))
    assert "changes no configuration" in str(result.error)


def test_outside_of_a_run_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = make()
    fit(model, TuneReportCheckpointCallback(model, "no such metric"), **resume())
    assert np.array_equal(predictions(model), predictions(fit(make())))
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_callback_can_be_pickled_and_copied() -> None:
    callback = TuneReportCallback({"loss": "validation-Logloss"})
    for again in (pickle.loads(pickle.dumps(callback)), copy.deepcopy(callback)):
        assert vars(again) == vars(callback)


def test_callback_made_in_the_driver_works_in_a_worker_process(tmp_path: Path) -> None:
    callback = TuneReportCallback({"loss": "validation-Logloss"})

    def objective(config: dict[str, Any], callback: Any) -> None:
        fit(make(3), callback)

    result = run(tune.with_parameters(objective, callback=callback), tmp_path, executor="local", metric="loss")
    assert result.metrics["training_iteration"] == 3


def test_import_path_beside_ray_tunes_gives_the_same_callback() -> None:
    from tune_core.integration.catboost import TuneReportCallback as theirs

    assert theirs is TuneReportCallback


# --- early stopping, metrics now and then ----------------------------------------------------------------------------


@pytest.mark.parametrize("best", [False, True])
def test_with_early_stopping_the_model_is_kept_with_the_result_that_it_has(tmp_path: Path, best: bool) -> None:
    def objective(config: dict[str, Any]) -> None:
        model = catboost.CatBoostClassifier(
            iterations=100, learning_rate=0.9, thread_count=1, verbose=0, allow_writing_files=False, random_seed=0,
            early_stopping_rounds=8, use_best_model=best,
        )  # fmt: skip
        callback = TuneReportCheckpointCallback(model, {"loss": "validation-Logloss"})
        model.fit(X_TRAIN, Y_TRAIN, eval_set=(X_VALID, Y_VALID), callbacks=[callback])

    result = run(objective, tmp_path, metric="loss", mode="min")

    losses = history(result, "loss")
    ((checkpoint, metrics),) = result.best_checkpoints
    rates = get_model(checkpoint).predict(X_VALID, prediction_type="Probability")[:, 1]
    assert -np.mean(np.log(np.where(Y_VALID == 1, rates, 1 - rates))) == pytest.approx(metrics["loss"], rel=1e-6)
    assert metrics["loss"] == (min(losses) if best else losses[-1]) and min(losses) < losses[-1]


def test_a_metric_that_is_computed_now_and_then_is_reported_then_only(tmp_path: Path) -> None:
    every: list[float] = []

    def objective(config: dict[str, Any]) -> None:
        fit(make(12, metric_period=5), TuneReportCallback({"loss": "validation-Logloss"}))

    fit(model := make(12))
    every = model.get_evals_result()["validation"]["Logloss"]

    result = run(objective, tmp_path)

    assert history(result, "loss") == pytest.approx([every[i] for i in (0, 5, 10, 11)])
