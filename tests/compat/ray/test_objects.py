"""Objects that scripts make and use by themselves: trainables, checkpoints, configurations, reporters, helpers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from .conftest import Api


def counter(api: Api) -> Any:
    class Counter(api.tune.Trainable):  # type: ignore[misc, name-defined]
        def setup(self, config: dict[str, Any]) -> None:
            self.count = config.get("start", 0)

        def step(self) -> dict[str, Any]:
            self.count += 1
            return {"count": self.count, "timesteps_this_iter": 5}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            Path(checkpoint_dir, "count").write_text(str(self.count))

        def load_checkpoint(self, checkpoint: str) -> None:
            self.count = int(Path(checkpoint, "count").read_text())

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.count = new_config.get("start", 0)
            return True

    return Counter


# --- trainables by hand -----------------------------------------------------------------------------------------------


def test_train_fills_in_the_automatic_fields(api: Api) -> None:
    trainable = counter(api)({})
    trainable.train()
    result = trainable.train()
    assert result["count"] == 2 and result["training_iteration"] == 2 and result["timesteps_total"] == 10
    assert result["done"] is False and result["pid"] == os.getpid() and result["config"] == {}
    assert {
        "date",
        "timestamp",
        "time_this_iter_s",
        "time_total_s",
        "time_since_restore",
        "iterations_since_restore",
        "timesteps_since_restore",
        "hostname",
        "node_ip",
        "trial_id",
    } <= result.keys()
    assert trainable.iteration == trainable.training_iteration == 2


def test_save_and_restore(api: Api, tmp_path: Path) -> None:
    first, second = counter(api)({}), counter(api)({})
    for _ in range(3):
        first.train()
    saved = first.save(str(tmp_path / "saved"))
    assert Path(saved.checkpoint.path, "count").read_text() == "3"
    assert saved.metrics["count"] == 3
    second.restore(saved)
    result = second.train()
    assert (result["count"], result["training_iteration"], result["iterations_since_restore"]) == (4, 4, 1)
    assert result["timesteps_total"] == 20


def test_reset_takes_another_configuration(api: Api) -> None:
    trainable = counter(api)({"start": 5})
    trainable.train()
    assert trainable.reset({"start": 10})
    assert trainable.get_config() == {"start": 10}
    assert trainable.train()["count"] == 11


def test_train_buffered_collects_results(api: Api) -> None:
    assert [r["count"] for r in counter(api)({}).train_buffered(60, max_buffer_length=3)] == [1, 2, 3]


def test_log_result_is_called(api: Api) -> None:
    seen: list[Any] = []

    class Logs(counter(api)):  # type: ignore[misc]
        def log_result(self, result: dict[str, Any]) -> None:
            seen.append(result["training_iteration"])

    trainable = Logs({})
    trainable.train()
    trainable.train()
    assert seen == [1, 2]


def test_stop_cleans_up(api: Api) -> None:
    seen: list[str] = []

    class Cleans(counter(api)):  # type: ignore[misc]
        def cleanup(self) -> None:
            seen.append("clean")

    Cleans({}).stop()
    assert seen == ["clean"]


def test_outside_of_a_run_there_is_no_trial(api: Api) -> None:
    trainable = counter(api)({})
    assert trainable.trial_id == "default" and trainable.trial_name == "default"


def test_export_asks_the_class(api: Api, tmp_path: Path) -> None:
    class Exports(counter(api)):  # type: ignore[misc]
        def _export_model(self, export_formats: list[str], export_dir: str) -> dict[str, str]:
            return {name: os.path.join(export_dir, name) for name in export_formats}

    assert Exports({}).export_model(["h5"], str(tmp_path)) == {"h5": str(tmp_path / "h5")}


def test_step_has_to_be_defined(api: Api) -> None:
    with pytest.raises(NotImplementedError):
        api.tune.Trainable({}).train()


# --- checkpoints ------------------------------------------------------------------------------------------------------


def test_checkpoint_of_a_folder(api: Api, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.txt").write_text("1")
    checkpoint = api.tune.Checkpoint.from_directory(str(tmp_path / "a"))
    with checkpoint.as_directory() as folder:
        assert Path(folder, "x.txt").read_text() == "1"
    copied = checkpoint.to_directory(str(tmp_path / "b"))
    assert Path(copied, "x.txt").read_text() == "1"
    assert checkpoint.path == str(tmp_path / "a")


def test_metadata_of_a_checkpoint(api: Api, tmp_path: Path) -> None:
    checkpoint = api.tune.Checkpoint.from_directory(str(tmp_path))
    assert checkpoint.get_metadata() == {}
    checkpoint.set_metadata({"a": 1})
    checkpoint.update_metadata({"b": 2})
    assert checkpoint.get_metadata() == {"a": 1, "b": 2}


# --- configurations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("CheckpointConfig", {"num_to_keep": 0}),
        ("CheckpointConfig", {"num_to_keep": -1}),
        ("CheckpointConfig", {"checkpoint_score_order": "best"}),
        ("CheckpointConfig", {"checkpoint_frequency": -1}),
        ("FailureConfig", {"fail_fast": "sometimes"}),
    ],
)
def test_configuration_that_cannot_be_is_refused(api: Api, name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        getattr(api.tune, name)(**arguments)


def test_fields_of_the_configurations(api: Api) -> None:
    tune = api.tune
    assert tune.TuneConfig(metric="a", mode="max", num_samples=3, max_concurrent_trials=2).num_samples == 3
    assert tune.RunConfig(name="n", storage_path="/tmp/x", stop={"a": 1}, verbose=1).stop == {"a": 1}
    assert tune.FailureConfig(max_failures=2).max_failures == 2
    assert tune.CheckpointConfig(num_to_keep=2, checkpoint_score_attribute="a").checkpoint_score_order == "max"
    resume = tune.ResumeConfig(errored=tune.ResumeConfig.ResumeType.RESUME)
    assert resume.unfinished == tune.ResumeConfig.ResumeType.RESUME
    assert resume.finished == tune.ResumeConfig.ResumeType.SKIP


def test_resources_as_bundles(api: Api) -> None:
    bundles = api.tune.PlacementGroupFactory([{"CPU": 1, "lamp": 2}, {"CPU": 2, "GPU": 1}], strategy="SPREAD")
    assert bundles.head_cpus == 1
    assert bundles.required_resources == {"CPU": 3, "GPU": 1, "lamp": 2}
    assert bundles.bundles == [{"CPU": 1, "lamp": 2}, {"CPU": 2, "GPU": 1}]
    assert bundles.strategy == "SPREAD"
    headless = api.tune.PlacementGroupFactory([{"CPU": 0}, {"CPU": 2, "GPU": 0}])
    assert headless.bundles == [{"CPU": 2}] and headless.head_bundle_is_empty and headless.head_cpus == 0
    assert bundles == api.tune.PlacementGroupFactory([{"CPU": 1, "lamp": 2}, {"CPU": 2, "GPU": 1}], strategy="SPREAD")
    made = api("execution.placement_groups").resource_dict_to_pg_factory({"cpu": 2, "custom_resources": {"lamp": 1}})
    assert made.required_resources["CPU"] == 2 and made.required_resources["lamp"] == 1


# --- reporters --------------------------------------------------------------------------------------------------------


def test_reporters_take_columns_once(api: Api) -> None:
    reporter = api.tune.CLIReporter(metric_columns={"loss": "loss"}, parameter_columns=["lr"])
    reporter.add_metric_column("acc", "accuracy")
    reporter.add_parameter_column("layers")
    with pytest.raises(ValueError):
        reporter.add_metric_column("acc")
    with pytest.raises(ValueError):
        reporter.add_parameter_column("lr")
    with pytest.raises(ValueError):
        api.tune.CLIReporter(metric_columns=["loss"]).add_metric_column("acc", "accuracy")


def test_reporters_are_progress_reporters(api: Api) -> None:
    for name in ("CLIReporter", "JupyterNotebookReporter"):
        assert issubclass(getattr(api.tune, name), api.tune.ProgressReporter)


def test_reporter_reports_at_its_frequency_and_at_the_end(api: Api) -> None:
    reporter = api.tune.CLIReporter(max_report_frequency=1000)
    assert reporter.should_report([]) is True
    assert reporter.should_report([]) is False
    assert reporter.should_report([], done=True) is True


# --- helpers ----------------------------------------------------------------------------------------------------------


def test_helpers_for_dicts(api: Api) -> None:
    utils = api("utils")
    assert utils.flatten_dict({"a": {"b": 1, "c": {"d": 2}}, "e": 3}) == {"a/b": 1, "a/c/d": 2, "e": 3}
    assert utils.merge_dicts({"a": {"b": 1}}, {"a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}
    assert utils.unflattened_lookup("a/0/b", {"a": [{"b": 7}]}) == 7
    assert utils.unflattened_lookup("a/x", {"a": {}}, default=None) is None
    assert utils.deep_update({"a": {"b": 1}}, {"a": {"b": 2}}) == {"a": {"b": 2}}
    with pytest.raises(Exception, match="zzz"):
        utils.deep_update({"a": 1}, {"zzz": 2})


def test_warning_about_slow_code(api: Api) -> None:
    with api("utils").warn_if_slow("nap", threshold=100) as quick:
        pass
    assert not quick.too_slow


def test_pretty_print_leaves_the_configuration_out(api: Api) -> None:
    text = api("logger").pretty_print({"loss": 1, "config": {"x": 2}, "nothing": None})
    assert "loss: 1" in text and "config" not in text and "nothing" not in text


def test_registered_trainables(api: Api) -> None:
    registry = api("registry")
    registry.register_trainable("by_name", lambda config: None)
    registry.validate_trainable("by_name")
    assert registry.is_function_trainable(lambda config: None)
    assert not registry.is_function_trainable(counter(api))
    with pytest.raises(Exception, match="by_nobody"):
        registry.validate_trainable("by_nobody")


@pytest.mark.parametrize("name", ["TRAINING_ITERATION", "TIME_TOTAL_S", "DONE", "TRIAL_ID", "DEFAULT_METRIC", "PID"])
def test_constants_of_results(api: Api, name: str) -> None:
    expected = {"DEFAULT_METRIC": "_metric"}.get(name, name.lower())
    assert getattr(api("result"), name) == expected


# --- schedulers and searchers by name ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["fifo", "async_hyperband", "hyperband", "median_stopping_rule", "hb_bohb", "asynchyperband"]
)
def test_scheduler_by_name(api: Api, name: str) -> None:
    made = api.tune.create_scheduler(name)
    assert type(made) is api("schedulers").SCHEDULER_IMPORT[name]


def test_arguments_of_a_scheduler_by_name(api: Api) -> None:
    scheduler = api.tune.create_scheduler("async_hyperband", time_attr="steps", max_t=50, grace_period=2)
    assert isinstance(scheduler, api("schedulers.async_hyperband").ASHAScheduler)
    with pytest.raises(ValueError):
        api.tune.create_scheduler("nobody")


@pytest.mark.filterwarnings("ignore:create_")
def test_arguments_that_nobody_takes_are_left_out(api: Api) -> None:
    scheduler = api.tune.create_scheduler("async_hyperband", metric="foo", mode="min", extra_param="dummy")
    assert isinstance(scheduler, api("schedulers").AsyncHyperBandScheduler)
    searcher = api.tune.create_searcher("variant_generator", metric="foo", mode="min", extra_param="dummy")
    assert isinstance(searcher, api("search.basic_variant").BasicVariantGenerator)


def test_searcher_by_name_leaves_out_what_it_does_not_take(api: Api) -> None:
    made = api.tune.create_searcher("variant_generator", max_concurrent=2, utility_kwargs={})
    assert isinstance(made, api("search.basic_variant").BasicVariantGenerator)
    with pytest.raises(ValueError):
        api.tune.create_searcher("nobody")


def test_limiter_lets_so_many_through(api: Api) -> None:
    class Counting(api("search").Searcher):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(metric="loss", mode="min")
            self.told: list[str] = []

        def suggest(self, trial_id: str) -> dict[str, Any]:
            return {"trial": trial_id}

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            self.told.append(trial_id)

    inner = Counting()
    limiter = api("search").ConcurrencyLimiter(inner, max_concurrent=2)
    assert [limiter.suggest(t) for t in "ab"] == [{"trial": "a"}, {"trial": "b"}]
    assert limiter.suggest("c") is None
    limiter.on_trial_complete("a", {"loss": 1})
    assert inner.told == ["a"] and limiter.suggest("c") == {"trial": "c"}
    batched = Counting()
    limiter = api("search").ConcurrencyLimiter(batched, max_concurrent=2, batch=True)
    for t in "ab":
        limiter.suggest(t)
    limiter.on_trial_complete("a", {"loss": 1})
    assert batched.told == [] and limiter.suggest("c") is None
    limiter.on_trial_complete("b", {"loss": 1})
    assert sorted(batched.told) == ["a", "b"]


def test_repeater_tells_the_mean(api: Api) -> None:
    class Asked(api("search").Searcher):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(metric="loss", mode="min")
            self.told: list[float] = []

        def suggest(self, trial_id: str) -> dict[str, Any]:
            return {"x": 1}

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            self.told.append(result["loss"])

    inner = Asked()
    repeater = api("search").Repeater(inner, repeat=2)
    configs = [repeater.suggest(t) for t in ("a", "b")]
    assert [config["__trial_index__"] for config in configs] == [0, 1]
    repeater.on_trial_complete("a", {"loss": 1.0})
    assert inner.told == []
    repeater.on_trial_complete("b", {"loss": 3.0})
    assert inner.told == [2.0]
