"""The hooks' signatures, and how a logger's methods are called from them."""

import inspect
import logging

import pytest
from views import View, run

import tune_core as tune
from tune_core.callback import Callback, LoggerCallback
from tune_core.core.flatten import flatten

TRIAL_HOOKS = ["start", "restore", "save", "complete", "error", "recover"]


@pytest.mark.parametrize("hook", TRIAL_HOOKS)
def test_trial_hooks_take_the_documented_keywords(hook, tmp_path):
    trial = View(str(tmp_path))
    assert getattr(Callback(), f"on_trial_{hook}")(iteration=1, trials=[trial], trial=trial, extra=1) is None
    names = list(inspect.signature(getattr(Callback, f"on_trial_{hook}")).parameters)
    assert names == ["self", "iteration", "trials", "trial", "info"]


def test_other_hooks_take_the_documented_keywords(tmp_path):
    callback, trial = Callback(), View(str(tmp_path))
    callback.setup()
    callback.setup(stop={"loss": 1}, num_samples=1, total_num_samples=2, extra=3)
    callback.on_step_begin(iteration=1, trials=[trial], extra=1)
    callback.on_step_end(iteration=1, trials=[trial], extra=1)
    callback.on_trial_result(iteration=1, trials=[trial], trial=trial, result={"loss": 1}, extra=1)
    callback.on_checkpoint(iteration=1, trials=[trial], trial=trial, checkpoint=None, extra=1)
    callback.on_experiment_end(trials=[trial], extra=1)
    assert callback.get_state() is None
    callback.set_state({})


class Counts(Callback):
    def __init__(self):
        self.ended = 0

    def on_trial_complete(self, **info):
        self.ended += 1

    def get_state(self):
        return {"ended": self.ended}

    def set_state(self, state):
        self.ended = state["ended"]


class CannotBeKept(Counts):
    def get_state(self):
        return {"ended": object()}


def test_restored_run_hands_callbacks_the_state_that_they_had(tmp_path):
    def objective(config):
        return {"loss": 1.0}

    def run_config():
        callbacks = [CannotBeKept(), Counts()]
        return tune.RunConfig(name="run", storage_path=str(tmp_path), verbose=0, executor="inline", callbacks=callbacks)

    config = tune.TuneConfig(metric="loss", mode="min", num_samples=2)
    tune.Tuner(objective, tune_config=config, run_config=run_config()).fit()
    again = run_config()
    tune.Tuner.restore(tmp_path / "run", objective, num_samples=5, run_config=again).fit()
    assert [callback.ended for callback in again.callbacks] == [3, 5]


@pytest.mark.parametrize("damage", ["{", '{"0": 7}', "[]"])
def test_states_that_cannot_be_read_are_logged_and_the_run_goes_on(tmp_path, caplog, damage):
    config = tune.TuneConfig(metric="loss", mode="min", num_samples=2)

    def run_config():
        return tune.RunConfig(
            name="run", storage_path=str(tmp_path), verbose=0, executor="inline", callbacks=[Counts()]
        )

    tune.Tuner(lambda config: {"loss": 1.0}, tune_config=config, run_config=run_config()).fit()
    (tmp_path / "run" / "callbacks.json").write_text(damage)
    again = run_config()
    with caplog.at_level(logging.WARNING, "tune_core"):
        tune.Tuner.restore(tmp_path / "run", lambda c: {"loss": 1.0}, num_samples=3, run_config=again).fit()
    assert [callback.ended for callback in again.callbacks] == [1]
    assert "without the states of the earlier run" in caplog.text


class Recorder(LoggerCallback):
    def __init__(self):  # does not call super().__init__(), as many users don't
        self.calls = []

    def log_trial_start(self, trial):
        self.calls.append(("start", trial.trial_id))

    def log_trial_restore(self, trial):
        self.calls.append(("restore", trial.trial_id))

    def log_trial_save(self, trial):
        self.calls.append(("save", trial.trial_id))

    def log_trial_result(self, iteration, trial, result):
        self.calls.append(("result", trial.trial_id, iteration, result["loss"]))

    def log_trial_end(self, trial, failed=False):
        self.calls.append(("end", trial.trial_id, failed))


def test_logger_follows_a_trial(tmp_path):
    logger = Recorder()
    run(logger, View(str(tmp_path)), [{"loss": 1.0}, {"loss": 0.5}])
    assert logger.calls == [
        ("start", "00000"),
        ("result", "00000", 1, 1.0),
        ("result", "00000", 1, 0.5),
        ("end", "00000", False),
    ]


def test_logger_is_told_of_a_failure(tmp_path):
    logger = Recorder()
    run(logger, View(str(tmp_path)), [], end="error")
    assert logger.calls == [("start", "00000"), ("end", "00000", True)]


def test_log_is_started_once_though_the_trial_is_launched_again(tmp_path):
    logger, trial = Recorder(), View(str(tmp_path))
    call = {"iteration": 1, "trials": [trial], "trial": trial}
    logger.on_trial_start(**call)
    logger.on_trial_save(**call)
    logger.on_trial_recover(**call)
    logger.on_trial_start(**call)
    logger.on_trial_restore(**call)
    assert [name for name, *_ in logger.calls] == ["start", "save", "restore"]


def test_log_is_started_by_the_first_thing_to_log(tmp_path):
    logger, trial = Recorder(), View(str(tmp_path))
    logger.on_trial_result(iteration=1, trials=[trial], trial=trial, result={"loss": 1})
    assert [name for name, *_ in logger.calls] == ["start", "result"]


def test_logs_of_an_interrupted_run_are_closed(tmp_path):
    logger = Recorder()
    run(logger, View(str(tmp_path)), [{"loss": 1.0}], end=None)
    assert logger.calls[-1] == ("end", "00000", False)


def test_flatten_joins_keys():
    assert flatten({"a": {"b": {"c": 1}}, "d": [1], "e": {}}) == {"a/b/c": 1, "d": [1], "e": {}}


def test_state_of_numpy_numbers_and_arrays_is_kept(tmp_path):
    numpy = pytest.importorskip("numpy")

    class Sums(tune.Callback):
        def __init__(self):
            self.state = {"best": numpy.float32(0.5), "counts": numpy.arange(2)}

        def get_state(self):
            return self.state

        def set_state(self, state):
            self.state = state

    def restored():
        callback = Sums()
        config = tune.RunConfig(callbacks=[callback], executor="inline", verbose=0)
        tune.Tuner.restore(str(tmp_path / "run"), lambda config: {"loss": 1}, run_config=config).fit()
        return callback.state

    tune.Tuner(
        lambda config: {"loss": 1},
        run_config=tune.RunConfig(
            name="run", storage_path=str(tmp_path), callbacks=[Sums()], executor="inline", verbose=0
        ),
    ).fit()
    assert restored() == {"best": 0.5, "counts": [0, 1]}
