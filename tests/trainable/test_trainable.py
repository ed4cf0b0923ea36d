"""Function and class trainables, with parameters and resources bound to them."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.trainable import name_of, prepare

EXECUTORS = ["inline", "local"]


def fit(objective: Any, path: Path, space: Any = None, executor: Any = "inline", **options: Any) -> Any:
    fields = tune.TuneConfig.__dataclass_fields__
    config = {key: options.pop(key) for key in list(options) if key in fields}
    run = tune.RunConfig(storage_path=str(path), verbose=0, executor=executor, **{"name": "run", **options})
    return tune.Tuner(objective, param_space=space, tune_config=tune.TuneConfig(**config), run_config=run).fit()


# --- functions --------------------------------------------------------------------------------------------------------


def reports(config):
    for i in range(3):
        tune.report({"loss": i})


def yields(config):
    for i in range(3):
        yield {"loss": i}


def yields_numbers(config):
    yield from (0, 1, 2)


def returns_dict(config):
    return {"loss": 2}


def returns_number(config):
    return 2


def reports_and_returns(config):
    tune.report({"loss": 1})
    return {"loss": 2}


def with_default(config, extra=2):
    return {"loss": extra}


class Callable:
    def __call__(self, config):
        return {"loss": 2}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("objective", "metric", "iterations"),
    [
        (reports, "loss", 3),
        (yields, "loss", 3),
        (yields_numbers, "_metric", 3),
        (returns_dict, "loss", 1),
        (returns_number, "_metric", 1),
        (reports_and_returns, "loss", 2),
        (with_default, "loss", 1),
        (Callable(), "loss", 1),
        (functools.partial(with_default, extra=2), "loss", 1),
        (lambda config: {"loss": 2}, "loss", 1),
    ],
)
def test_every_form_of_a_function_reports(tmp_path, executor, objective, metric, iterations):
    result = fit(objective, tmp_path, executor=executor)[0]
    assert (result.metrics[metric], result.metrics["training_iteration"]) == (2, iterations)
    assert str(result.status) == "TERMINATED"


def test_a_generator_is_closed_when_its_trial_is_stopped(tmp_path):
    closed = []

    def generates(config):
        try:
            for i in range(1000):
                yield {"loss": i}
        finally:
            closed.append(True)

    assert fit(generates, tmp_path, stop={"training_iteration": 3})[0].metrics["loss"] == 2
    assert closed == [True]


def test_a_result_that_says_done_ends_the_trial(tmp_path):
    def objective(config):
        for i in range(1000):
            tune.report({"loss": i, "done": i == 4})

    assert fit(objective, tmp_path)[0].metrics["training_iteration"] == 5


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("answer", "metrics"),
    [({"loss": 5}, {"loss": 5}), (5, {"loss": 1, "_metric": 5}), (None, {"loss": 1}), (True, {"loss": 1})],
    ids=["dict", "number", "nothing", "bool"],
)
def test_what_a_generator_returns_is_its_last_result(tmp_path, executor, answer, metrics):
    def generates(config):
        yield {"loss": 1}
        return answer

    result = fit(generates, tmp_path, executor=executor)[0]
    assert {name: result.metrics[name] for name in metrics} == metrics
    assert result.metrics["training_iteration"] == (1 if answer is None or answer is True else 2)


def test_what_a_generator_returns_is_refused_as_a_functions_answer_is(tmp_path):
    def generates(config):
        yield {"loss": 1}
        return "text"

    result = fit(generates, tmp_path)[0]
    assert "returned or yielded 'text' of type str" in str(result.error)
    assert result.metrics["loss"] == 1


def test_a_generator_driven_by_hand_returns_its_last_result():
    from tune_core.trainable.function import wrap_function

    def generates(config):
        yield {"loss": 1}
        return {"loss": 5}

    trainable = wrap_function(generates)({})
    assert [trainable.train()["loss"] for _ in range(2)] == [1, 5]
    assert trainable.train()["done"]


@pytest.mark.parametrize(("name", "meant"), [("cpus", "cpu"), ("num_gpus", "gpu"), ("Memory", "memory")])
def test_resource_that_is_nearly_a_usual_one_is_told(name, meant):
    with pytest.warns(UserWarning, match=f"{name}.*Did you mean '{meant}'"):
        tune.with_resources(returns_dict, {name: 1})


@pytest.mark.parametrize("name", ["tpu", "npu", "license", "CPU", "gpu", "memory", "accelerator_type:A100"])
def test_other_resources_are_taken_without_a_word(name, recwarn):
    tune.with_resources(returns_dict, {name: 1})
    assert not recwarn.list


@pytest.mark.parametrize("answer", ["text", [1], object()])
def test_what_is_no_result_is_an_error_of_the_trial(tmp_path, answer):
    results = fit(lambda config: answer, tmp_path)
    assert "a result is a dict of metrics, or one number" in str(results[0].error)


def test_what_report_returned_is_no_result(tmp_path):
    results = fit(lambda config: tune.report({"loss": 1}), tmp_path)
    assert results[0].metrics["training_iteration"] == 1


def test_names_are_the_functions_own():
    assert name_of(reports) == "reports"
    assert name_of(functools.partial(reports)) == "reports"
    assert name_of(Callable()) == "Callable"
    assert prepare(reports).__name__ == "reports"
    assert prepare(prepare(reports)).trainable is reports


# --- classes ----------------------------------------------------------------------------------------------------------


class Logged(tune.Trainable):
    """Writes every call of a hook into a file of the experiment's folder."""

    def log(self, what: str) -> None:
        with open(self.config["log"], "a") as file:
            file.write(json.dumps([self.trial_id, what]) + "\n")

    def setup(self, config):
        self.total = 0
        self.log("setup")

    def step(self):
        self.total += 1
        self.log("step")
        if self.total == self.config.get("fails_at"):
            raise ValueError("boom")
        return {"loss": -self.total, "done": self.total == 3}

    def save_checkpoint(self, folder):
        self.log("save")
        return {"total": self.total}

    def load_checkpoint(self, state):
        self.log("load")
        self.total = state["total"]

    def cleanup(self):
        self.log("cleanup")


class Resettable(Logged):
    def reset_config(self, new_config):
        self.config = new_config
        self.total = 0
        self.log("reset")
        return new_config.get("resets", True)


class Foldered(Logged):
    def save_checkpoint(self, folder):
        Path(folder, "total.txt").write_text(str(self.total))

    def load_checkpoint(self, folder):
        self.total = int(Path(folder, "total.txt").read_text())


def calls(path: Path) -> list[str]:
    return [json.loads(line)[1] for line in (path / "log").read_text().splitlines()]


def space(path: Path, **more: Any) -> dict[str, Any]:
    return {"log": str(path / "log"), **more}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_hooks_of_a_class_are_called_in_order(tmp_path, executor):
    result = fit(Logged, tmp_path, space(tmp_path), executor)[0]
    assert calls(tmp_path) == ["setup", "step", "step", "step", "cleanup"]
    assert (result.metrics["loss"], result.metrics["training_iteration"]) == (-3, 3)
    assert result.checkpoint is None


@pytest.mark.parametrize("executor", [tune.InlineExecutor, lambda: tune.LocalExecutor(num_cpus=1)])
def test_an_instance_that_resets_itself_serves_the_next_trial_if_that_is_asked(tmp_path, executor):
    fit(Resettable, tmp_path, space(tmp_path), executor(), num_samples=3, reuse_actors=True)
    assert calls(tmp_path).count("setup") == 1
    assert calls(tmp_path).count("reset") == 2
    assert calls(tmp_path)[-1] == "cleanup"


def test_an_instance_that_cannot_reset_itself_makes_way(tmp_path):
    fit(Resettable, tmp_path, space(tmp_path, resets=False), num_samples=2, reuse_actors=True)
    course = [name for name in calls(tmp_path) if name != "step"]
    assert course == ["setup", "reset", "cleanup", "setup", "cleanup"]


@pytest.mark.parametrize("reuse", [None, False])
def test_unless_reuse_is_asked_every_trial_has_its_own_instance(tmp_path, reuse):
    fit(Resettable, tmp_path, space(tmp_path), num_samples=2, reuse_actors=reuse)
    assert calls(tmp_path).count("setup") == 2 and "reset" not in calls(tmp_path)


def test_an_instance_that_fails_is_cleaned_up(tmp_path):
    results = fit(Logged, tmp_path, space(tmp_path, fails_at=2))
    assert results.num_errors == 1
    assert calls(tmp_path) == ["setup", "step", "step", "cleanup"]


@pytest.mark.parametrize("cls", [Logged, Foldered])
def test_a_class_goes_on_from_its_checkpoint(tmp_path, cls):
    class FailsOnce(cls):
        def step(self):
            marker = Path(self.config["log"] + ".failed")
            if self.total == 2 and not marker.exists():
                marker.touch()
                raise ValueError("once")
            return super().step()

    result = fit(
        FailsOnce,
        tmp_path,
        space(tmp_path),
        failure_config=tune.FailureConfig(max_failures=1),
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
    )[0]
    assert (result.metrics["loss"], result.metrics["training_iteration"]) == (-3, 3)
    assert calls(tmp_path).count("step") == 3


@pytest.mark.parametrize(
    ("options", "saves"),
    [
        ({}, 0),
        ({"checkpoint_frequency": 1}, 3),
        ({"checkpoint_frequency": 2}, 1),
        ({"checkpoint_frequency": 2, "checkpoint_at_end": True}, 2),
        ({"checkpoint_frequency": 3, "checkpoint_at_end": True}, 1),
        ({"checkpoint_at_end": True}, 1),
    ],
)
def test_checkpoints_are_saved_as_often_as_asked(tmp_path, options, saves):
    result = fit(Logged, tmp_path, space(tmp_path), checkpoint_config=tune.CheckpointConfig(**options))[0]
    assert calls(tmp_path).count("save") == saves
    assert (result.checkpoint is not None) == (saves > 0)


def test_a_result_may_ask_for_a_checkpoint(tmp_path):
    class Asks(Logged):
        def step(self):
            return {**super().step(), "should_checkpoint": self.total == 2}

    result = fit(Asks, tmp_path, space(tmp_path))[0]
    assert calls(tmp_path).count("save") == 1
    assert "should_checkpoint" not in result.metrics


def test_a_class_that_says_it_has_no_checkpoint_is_an_error_only_if_one_is_wanted(tmp_path):
    class Plain(tune.Trainable):
        def step(self):
            return {"loss": 1, "done": True}

    assert fit(Plain, tmp_path, name="a").num_errors == 0
    wanted = fit(Plain, tmp_path, name="b", checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1))
    assert "save_checkpoint" in str(wanted[0].error)


@pytest.mark.parametrize("answer", [None, 3, "loss"])
def test_a_step_that_returns_no_dict_is_told_so(tmp_path, answer):
    class Wrong(tune.Trainable):
        def step(self):
            return answer

    error = str(fit(Wrong, tmp_path)[0].error)
    assert f"Wrong.step() returned {answer!r}" in error and "dict of metrics" in error


def test_a_class_knows_its_trial(tmp_path):
    class Knows(tune.Trainable):
        def step(self):
            assert self.get_config() == {"x": 1}
            return {
                "id": self.trial_id,
                "name": self.trial_name,
                "folder": os.path.basename(self.logdir),
                "before": self.iteration,
                "done": self.training_iteration == 1,
            }

    metrics = fit(Knows, tmp_path, {"x": 1})[0].metrics
    assert (metrics["id"], metrics["name"]) == ("00000", "Knows_00000")
    assert (metrics["folder"], metrics["before"]) == ("trial_00000", 1)


def test_a_class_trains_alone(tmp_path):
    trainable = Logged(space(tmp_path))
    results = [trainable.train() for _ in range(3)]
    trainable.stop()
    assert [r["training_iteration"] for r in results] == [1, 2, 3]
    assert [r["done"] for r in results] == [False, False, True]
    assert results[2]["time_total_s"] >= results[2]["time_this_iter_s"] >= 0
    assert (trainable.trial_id, trainable.logdir, trainable.trial_resources) == ("default", None, None)
    assert calls(tmp_path) == ["setup", "step", "step", "step", "cleanup"]


def test_a_class_may_say_what_it_needs(tmp_path):
    class Needs(tune.Trainable):
        @classmethod
        def default_resource_request(cls, config):
            return {"cpu": config["cpus"]}

        def step(self):
            return {"cpu": self.trial_resources["cpu"], "done": True}

    results = fit(Needs, tmp_path, {"cpus": tune.grid_search([1, 2])}, tune.LocalExecutor(num_cpus=2))
    assert [r.metrics["cpu"] for r in results] == [1, 2]


# --- parameters -------------------------------------------------------------------------------------------------------


def uses(config, data, scale=1):
    return {"loss": sum(data) * scale * config["x"]}


class UsesData(tune.Trainable):
    def setup(self, config, data):
        self.data = data

    def step(self):
        return {"loss": sum(self.data), "done": True}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_parameters_are_bound_to_functions_and_classes(tmp_path, executor):
    bound = tune.with_parameters(uses, data=[1, 2])
    both = tune.with_parameters(tune.with_resources(bound, {"cpu": 1}), scale=10)
    for name, objective, loss in (
        ("a", bound, 3),
        ("b", both, 30),
        ("c", tune.with_parameters(UsesData, data=[4]), 4),
    ):
        assert fit(objective, tmp_path, {"x": 1}, executor, name=name)[0].metrics["loss"] == loss


def own_bytes() -> int:
    """Memory of this process that is no view of a file: what a copy of the array would need."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
    return int(fields["Anonymous"].split()[0]) * 1024


@pytest.mark.real
@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="needs Linux's /proc")
def test_a_large_array_is_mapped_by_every_worker_and_copied_by_none(tmp_path):
    numpy = pytest.importorskip("numpy")
    data = numpy.ones(500_000_000 // 8)

    def objective(config, data):
        total = float(data.sum())
        return {"total": total, "own": own_bytes(), "writeable": data.flags.writeable}

    results = fit(
        tune.with_parameters(objective, data=data), tmp_path, num_samples=4, executor=tune.LocalExecutor(num_cpus=2)
    )
    for result in results:
        assert result.metrics["total"] == data.size
        assert not result.metrics["writeable"]
        assert result.metrics["own"] < 150_000_000


def test_progress_that_cannot_be_read_is_no_fresh_start(tmp_path):
    from tune_core.trainable.state import PROGRESS, read_progress

    folder = tmp_path / "checkpoint_000007"
    folder.mkdir()
    assert read_progress(str(folder)) == {"iteration": 7}
    (folder / PROGRESS).mkdir()
    with pytest.raises(IsADirectoryError):
        read_progress(str(folder))
