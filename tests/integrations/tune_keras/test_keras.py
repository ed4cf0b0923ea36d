"""Keras' callback: what it reports and when, how it stops, saves and resumes; silence outside of a trial."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

keras = pytest.importorskip("keras")

import numpy as np

import tune_core as tune
from integrations.runs import Broken, exploit_at, history, pause_at, run, stop_at
from tune_core.errors import CheckpointError, InvalidArgumentError, TrialError
from tune_keras import TuneReportCallback, TuneReportCheckpointCallback, get_model, resume

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on PyTorch

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 5)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int32")
BATCHES = 4


def build(learning_rate: float = 0.01) -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(2, "softmax")])
    model.compile(keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(*callbacks: Any, model: Any = None, epochs: int = 3, **how: Any) -> Any:
    model = model or build()
    arguments = {"validation_data": (X[:32], Y[:32]), "batch_size": 64 // BATCHES, "shuffle": False, "verbose": 0}
    model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **{**arguments, **how})
    return model


def weights(model: Any) -> list[Any]:
    return [np.asarray(w) for w in model.get_weights()]


def assert_same(model: Any, other: Any) -> None:
    for mine, theirs in zip(weights(model), weights(other)):
        assert np.allclose(mine, theirs, atol=1e-6)


def rate(model: Any) -> float:
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


class BreakOff(keras.callbacks.Callback):
    """Breaks the training off after an epoch, the first time."""

    def __init__(self, flag: Path, after: int) -> None:
        super().__init__()
        self.flag, self.after = flag, after

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch + 1 == self.after and not self.flag.exists():
            self.flag.touch()
            raise Broken


class SeesTheEnd(keras.callbacks.Callback):
    """Notes that Keras has ended the training in its own way."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs = self.ends = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs += 1

    def on_train_end(self, logs: Any = None) -> None:
        self.ends += 1


# --- reporting --------------------------------------------------------------------------------------------------------


def test_every_epoch_is_reported_with_all_metrics_as_plain_numbers(tmp_path: Path) -> None:
    result = run(lambda config: fit(TuneReportCallback()), tmp_path)
    assert result.metrics["training_iteration"] == 3
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert type(result.metrics[name]) is float


@pytest.mark.parametrize(
    ("metrics", "names"), [("loss", {"loss"}), (["val_loss"], {"val_loss"}), ({"score": "val_accuracy"}, {"score"})]
)
def test_metrics_are_chosen_and_renamed(tmp_path: Path, metrics: Any, names: set[str]) -> None:
    result = run(lambda config: fit(TuneReportCallback(metrics)), tmp_path)
    assert {m for m in result.metrics if m in ("loss", "val_loss", "val_accuracy", "score")} == names


def test_metric_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match=r"'val_auc'.*'accuracy', 'loss', 'val_accuracy', 'val_loss'"):
        run(lambda config: fit(TuneReportCallback("val_auc")), tmp_path)


def test_metric_of_a_validation_that_never_was_is_named_at_the_end(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match=r"'val_loss'.*'accuracy', 'loss'"):
        run(lambda config: fit(TuneReportCallback("val_loss"), validation_data=None), tmp_path)


def test_epochs_without_validation_are_left_out_if_its_results_are_wanted(tmp_path: Path) -> None:
    wanted = run(lambda config: fit(TuneReportCallback("val_loss"), epochs=6, validation_freq=2), tmp_path, name="a")
    others = run(lambda config: fit(TuneReportCallback("loss"), epochs=6, validation_freq=2), tmp_path, name="b")
    assert wanted.metrics["training_iteration"] == 3
    assert others.metrics["training_iteration"] == 6


@pytest.mark.parametrize("hook", ["batch_end", "train_batch_end", "on_train_batch_end"])
def test_batches_are_reported_if_asked_for(tmp_path: Path, hook: str) -> None:
    result = run(lambda config: fit(TuneReportCallback("loss", on=hook)), tmp_path)
    assert result.metrics["training_iteration"] == 3 * BATCHES


def test_several_hooks_report_each(tmp_path: Path) -> None:
    result = run(lambda config: fit(TuneReportCallback("loss", on=["epoch_end", "test_end", "train_end"])), tmp_path)
    assert result.metrics["training_iteration"] == 3 + 3 + 1


def test_evaluation_outside_of_fit_is_not_reported(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        model = fit(TuneReportCallback())
        model.evaluate(X, Y, verbose=0, callbacks=[TuneReportCallback()])

    assert run(objective, tmp_path).metrics["training_iteration"] == 3


def test_keras_need_not_wait_for_batch_hooks_that_do_nothing() -> None:
    assert TuneReportCallback().async_safe
    assert not TuneReportCallback(on="batch_end").async_safe


def test_hook_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(InvalidArgumentError, match=r"'epoch_finish'[\s\S]*epoch_end"):
        TuneReportCallback(on="epoch_finish")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend")
def test_tf_data_pipeline_and_tf_keras_script_report(tmp_path: Path) -> None:
    import tensorflow as tf

    def objective(config: dict[str, Any]) -> None:
        data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)
        model = tf.keras.Sequential([tf.keras.Input((5,)), tf.keras.layers.Dense(2, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy", "sparse_categorical_accuracy"])
        model.fit(data, validation_data=data, epochs=2, verbose=0, callbacks=[TuneReportCheckpointCallback()])

    result = run(objective, tmp_path)
    assert result.metrics["training_iteration"] == 2
    assert "val_sparse_categorical_accuracy" in result.metrics


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_verdict_of_the_scheduler_ends_the_training_the_frameworks_way(tmp_path: Path) -> None:
    end = SeesTheEnd()
    result = run(
        lambda config: fit(TuneReportCheckpointCallback(frequency=0), end, epochs=50), tmp_path, scheduler=stop_at(2)
    )
    assert (end.epochs, end.ends) == (2, 1)
    assert result.metrics["training_iteration"] == 2
    assert Path(result.checkpoint.path).name == "checkpoint_000002"


def test_stop_within_an_epoch_ends_it_and_the_last_result_is_the_one_that_stopped(tmp_path: Path) -> None:
    end = SeesTheEnd()
    callback = TuneReportCallback("loss", on=["train_batch_end", "epoch_end"])
    result = run(lambda config: fit(callback, end, epochs=50), tmp_path, stop={"training_iteration": 2})
    assert (end.epochs, end.ends) == (1, 1)
    assert result.metrics["training_iteration"] == 2


def test_frameworks_own_early_stopping_keeps_the_last_epoch_and_its_model(tmp_path: Path) -> None:
    early = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9)
    result = run(lambda config: fit(early, TuneReportCheckpointCallback(frequency=0), epochs=50), tmp_path)
    assert result.metrics["training_iteration"] == 2
    assert Path(result.checkpoint.path).name == "checkpoint_000002"


# --- checkpoints and resuming -----------------------------------------------------------------------------------------


def test_training_broken_off_and_resumed_equals_one_that_was_not(tmp_path: Path) -> None:
    models: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        model = build()
        models.append(model)
        callback = TuneReportCheckpointCallback(frequency=2)
        fit(callback, BreakOff(tmp_path / "broken", 3), model=model, epochs=5, **resume(model))

    result = run(objective, tmp_path, max_failures=1)
    straight = fit(epochs=5)
    assert len(models) == 2
    assert_same(models[1], straight)
    assert int(keras.ops.convert_to_numpy(models[1].optimizer.iterations)) == 5 * BATCHES
    assert result.metrics["training_iteration"] == 5
    assert result.metrics["loss"] == pytest.approx(straight.history.history["loss"][-1], abs=1e-6)


def test_paused_training_resumes_from_the_epoch_at_which_it_was_paused(tmp_path: Path) -> None:
    models: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        models.append(build())
        fit(TuneReportCheckpointCallback(frequency=0), model=models[-1], epochs=4, **resume(models[-1]))

    result = run(objective, tmp_path, scheduler=pause_at(2))
    assert_same(models[1], fit(epochs=4))
    assert result.metrics["training_iteration"] == 4


def test_learning_rate_that_keras_has_changed_survives_a_pause(tmp_path: Path) -> None:
    rates: list[float] = []

    def objective(config: dict[str, Any]) -> None:
        model = build()
        start = resume(model)
        halve = keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr / 2)
        rates.append(rate(model))
        fit(halve, TuneReportCheckpointCallback(), model=model, epochs=4, **start)

    run(objective, tmp_path, scheduler=pause_at(2))
    assert rates == pytest.approx([0.01, 0.0025])


def test_exploiting_trial_takes_the_state_of_the_checkpoint_and_the_new_learning_rate(tmp_path: Path) -> None:
    models: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        models.append(build(config["lr"]))
        fit(TuneReportCheckpointCallback(), model=models[-1], epochs=4, **resume(models[-1]))

    run(objective, tmp_path, {"lr": 0.1}, scheduler=exploit_at(2, {"lr": 0.001}))
    straight = fit(model=build(0.1), epochs=2)
    straight.optimizer.learning_rate.assign(0.001)
    fit(model=straight, epochs=4, initial_epoch=2)
    assert rate(models[-1]) == pytest.approx(0.001)
    assert_same(models[-1], straight)


def test_model_comes_back_from_a_results_checkpoint_with_its_optimizer(tmp_path: Path) -> None:
    models: list[Any] = []
    result = run(lambda config: models.append(fit(TuneReportCheckpointCallback(filename="net"))), tmp_path)
    loaded = TuneReportCheckpointCallback.get_model(result.checkpoint, "net")
    assert_same(loaded, models[0])
    assert int(keras.ops.convert_to_numpy(loaded.optimizer.iterations)) == 3 * BATCHES
    with pytest.raises(CheckpointError, match=r"no file 'model\.keras', it has net\.keras"):
        get_model(result.checkpoint)


def test_hooks_of_ray_tunes_newer_parameters_are_understood(tmp_path: Path) -> None:
    callback = TuneReportCheckpointCallback(checkpoint_on="train_end", report_metrics_on="epoch_end")
    result = run(lambda config: fit(callback), tmp_path)
    assert result.metrics["training_iteration"] == 4  # three epochs, and the checkpoint's
    assert [Path(c.path).name for c, _ in result.best_checkpoints] == ["checkpoint_000004"]


def test_model_that_is_not_built_cannot_be_resumed_and_the_error_says_how(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        if tune.get_checkpoint() is not None:
            bare = keras.Sequential([keras.layers.Dense(2)])
            bare.compile("sgd", "mse")
            resume(bare)
        fit(TuneReportCheckpointCallback(), BreakOff(tmp_path / "broken", 2))

    result = run(objective, tmp_path, max_failures=1)
    assert "keras.Input(shape)" in str(result.error)


# --- outside of a run -------------------------------------------------------------------------------------------------


def test_outside_of_a_run_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = build()
    fit(TuneReportCheckpointCallback("no such metric", on=["batch_end", "epoch_end"]), model=model, **resume(model))
    assert_same(model, fit())
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_callback_can_be_pickled_and_copied() -> None:
    callback = TuneReportCheckpointCallback({"loss": "val_loss"}, "net", 3, "batch_end", False)
    for again in (pickle.loads(pickle.dumps(callback)), copy.deepcopy(callback)):
        assert vars(again) == vars(callback)


def test_callback_made_in_the_driver_works_in_a_worker_process(tmp_path: Path) -> None:
    callback = TuneReportCheckpointCallback({"score": "val_loss"})

    def objective(config: dict[str, Any], callback: Any) -> None:
        fit(callback)

    result = run(tune.with_parameters(objective, callback=callback), tmp_path, executor="local", metric="score")
    assert result.metrics["training_iteration"] == 3
    assert len(history(result, "score")) == 3


def test_import_path_of_ray_tune_gives_the_same_callback() -> None:
    from tune_core.integration.keras import TuneReportCheckpointCallback as theirs

    assert theirs is TuneReportCheckpointCallback
