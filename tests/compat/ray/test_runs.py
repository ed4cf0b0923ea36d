"""Whole runs: results, stop conditions, checkpoints, callbacks, restore, schedulers and searchers by their hooks."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from .conftest import Api


def reporting(api: Api, steps: int = 3) -> Any:
    report = api.tune.report

    def objective(config: dict[str, Any]) -> None:
        for step in range(1, steps + 1):
            report({"loss": config["x"] * 10 + step, "deep": {"acc": step}})

    return objective


def saving(api: Api) -> Any:
    root = api.root

    def objective(config: dict[str, Any]) -> None:
        import importlib

        tune = importlib.import_module(root)
        start = 0
        if (found := tune.get_checkpoint()) is not None:
            with found.as_directory() as folder:
                start = int(Path(folder, "step").read_text())
        for step in range(start + 1, 5):
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "step").write_text(str(step))
                checkpoint = tune.Checkpoint.from_directory(folder)
                tune.report({"step": step, "score": -abs(step - 2), "start": start}, checkpoint=checkpoint)
            if step == 3 and start == 0 and config.get("fails"):
                raise RuntimeError("once")

    return objective


def test_results_of_a_grid(running: Api) -> None:
    tune = running.tune
    grid = running.fit(reporting(running), {"x": tune.grid_search([2, 1, 3]), "c": {"k": 7}}, metric="loss", mode="min")
    assert len(grid) == 3 and grid.num_errors == 0 and grid.num_terminated == 3
    assert isinstance(grid, running("result_grid").ResultGrid)
    assert [result.config["x"] for result in grid] == [2, 1, 3]
    best = grid.get_best_result()
    assert best.config == {"x": 1, "c": {"k": 7}}
    assert best.metrics["loss"] == 13 and best.metrics["training_iteration"] == 3
    assert best.metrics["deep"]["acc"] == 3 and best.error is None
    assert grid.get_best_result("loss", "max").config["x"] == 3
    frame = best.metrics_dataframe
    assert list(frame["loss"]) == [11, 12, 13] and list(frame["deep/acc"]) == [1, 2, 3]
    assert os.path.basename(grid.experiment_path) == "run"
    table = grid.get_dataframe()
    assert sorted(table["config/x"]) == [1, 2, 3] and "loss" in table and "config/c/k" in table
    assert sorted(grid.get_dataframe("loss", "min")["loss"]) == [11, 21, 31]


def test_automatic_fields_of_a_result(running: Api) -> None:
    def objective(config: dict[str, Any]) -> Any:
        return {"loss": 1, "timesteps_this_iter": 7}

    metrics = running.fit(objective)[0].metrics
    assert {
        "training_iteration",
        "trial_id",
        "date",
        "timestamp",
        "time_this_iter_s",
        "time_total_s",
        "time_since_restore",
        "iterations_since_restore",
        "timesteps_total",
        "pid",
        "hostname",
        "node_ip",
        "config",
        "done",
        "experiment_tag",
    } <= metrics.keys()
    assert metrics["timesteps_total"] == 7 and metrics["config"] == {"x": 1}


@pytest.mark.parametrize(
    ("stop", "steps"),
    [
        ({"training_iteration": 2}, 2),
        ({"loss": 12}, 2),
        ({"deep/acc": 2}, 2),
        (lambda trial_id, result: result["loss"] >= 11, 1),
    ],
    ids=["iterations", "metric", "nested", "function"],
)
def test_stop_conditions(running: Api, stop: Any, steps: int) -> None:
    assert running.fit(reporting(running), stop=stop)[0].metrics["training_iteration"] == steps


def test_failed_trial_is_an_error_beside_the_other_results(running: Api) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        if config["x"] == 2:
            raise ValueError("two is refused")
        return {"loss": config["x"]}

    grid = running.fit(objective, {"x": running.tune.grid_search([1, 2])}, metric="loss", mode="min")
    assert grid.num_errors == 1 and len(grid.errors) == 1 and "two is refused" in str(grid.errors[0])
    assert grid[1].error is not None and grid.get_best_result().config == {"x": 1}


@pytest.mark.parametrize("value", [1j, b"ab", int, Path, object()], ids=["complex", "bytes", "class", "Path", "object"])
def test_values_of_any_type_may_be_reported(running: Api, value: Any) -> None:
    """Ray Tune gives back the object, this package its ``repr``: reading an experiment's results runs no code."""
    report = running.tune.report

    def objective(config: dict[str, Any]) -> None:
        report({"loss": 1.0, "other": value})

    grid = running.fit(objective, metric="loss", mode="min")
    assert grid.num_errors == 0
    other = grid.get_best_result().metrics["other"]
    if running.is_ours:
        assert other == repr(value)


def test_nan_is_never_the_best(running: Api) -> None:
    grid = running.fit(lambda c: {"loss": c["x"]}, {"x": running.tune.grid_search([math.nan, 3.0, 2.0])})
    assert grid.get_best_result("loss", "min").config["x"] == 2.0
    assert grid.get_best_result("loss", "max").config["x"] == 3.0


def test_nothing_reported_has_no_best_result(running: Api) -> None:
    def objective(config: dict[str, Any]) -> None:
        raise ValueError("before the first report")

    grid = running.fit(objective)
    if not running.is_ours:
        pytest.skip("on purpose: Ray Tune 2.60 returns the trial that failed, without a value; here that is an error")
    with pytest.raises(RuntimeError):
        grid.get_best_result("loss", "min")


def test_best_checkpoints_are_kept_and_a_failed_trial_goes_on(running: Api) -> None:
    tune = running.tune
    grid = running.fit(
        saving(running),
        {"fails": True},
        checkpoint_config=tune.CheckpointConfig(num_to_keep=2, checkpoint_score_attribute="score"),
        failure_config=tune.FailureConfig(max_failures=1),
    )
    result = grid[0]
    assert result.error is None and result.metrics["step"] == 4 and result.metrics["start"] == 3
    best = result.get_best_checkpoint("score", "max")
    with best.as_directory() as folder:
        assert Path(folder, "step").read_text() == "2"
    with result.checkpoint.as_directory() as folder:
        assert Path(folder, "step").read_text() == "4"


def test_class_trainable_with_checkpoints(running: Api) -> None:
    tune = running.tune

    class Counter(tune.Trainable):  # type: ignore[misc, name-defined]
        def setup(self, config: dict[str, Any]) -> None:
            self.count = 0

        def step(self) -> dict[str, Any]:
            self.count += 1
            return {"count": self.count, "done": self.count >= 4}

        def save_checkpoint(self, checkpoint_dir: str) -> dict[str, int]:
            return {"count": self.count}

        def load_checkpoint(self, checkpoint: dict[str, int]) -> None:
            self.count = checkpoint["count"]

    configuration = tune.CheckpointConfig(checkpoint_frequency=2, checkpoint_at_end=True)
    result = running.fit(Counter, checkpoint_config=configuration)[0]
    assert result.metrics["count"] == 4 and result.checkpoint is not None
    assert {metrics["count"] for _, metrics in result.best_checkpoints} == {2, 4}


def test_context_of_a_trial(running: Api) -> None:
    root = running.root

    def objective(config: dict[str, Any]) -> dict[str, Any]:
        import importlib

        context = importlib.import_module(root).get_context()
        return {
            "id": context.get_trial_id(),
            "name": context.get_trial_name(),
            "dir": context.get_trial_dir(),
            "experiment": context.get_experiment_name(),
        }

    result = running.fit(objective)[0]
    metrics = result.metrics
    assert metrics["id"] == metrics["trial_id"] and metrics["experiment"] == "run"
    assert metrics["name"].startswith("objective_") and os.path.basename(metrics["dir"]) == os.path.basename(
        result.path
    )


def test_callbacks_are_called_in_their_order(running: Api) -> None:
    class Log(running.tune.Callback):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def setup(self, **info: Any) -> None:
            self.seen.append("setup")

        def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            self.seen.append("start")

        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
            self.seen.append((result["loss"], trial.config["x"], trial.trial_id == result["trial_id"]))

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            facts = trial.last_result["loss"], trial.evaluated_params, trial.trainable_name
            self.seen += ["complete", facts, trial.metric_analysis["loss"]["max"], os.path.isdir(trial.local_path)]

        def on_experiment_end(self, trials: Any, **info: Any) -> None:
            self.seen.append("end")

    log = Log()
    running.fit(reporting(running, 2), {"x": running.tune.grid_search([1]), "k": 5}, callbacks=[log])
    facts = (12, {"x": 1}, "objective")
    assert log.seen == ["setup", "start", (11, 1, True), (12, 1, True), "complete", facts, 12, True, "end"]


def test_searcher_is_asked_and_told(running: Api) -> None:
    class Steps(running("search").Searcher):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(metric="loss", mode="min")
            self.told: list[float] = []
            self.asked = 0

        def suggest(self, trial_id: str) -> dict[str, Any] | str:
            self.asked += 1
            return {"x": self.asked} if self.asked < 3 else "FINISHED"

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            self.told.append(result["loss"])

    searcher = Steps()
    grid = running.fit(reporting(running), {}, search_alg=searcher, num_samples=10, max_concurrent_trials=1)
    assert [result.config["x"] for result in grid] == [1, 2]
    assert len(grid) == 2


def test_scheduler_of_ones_own_stops_trials(running: Api) -> None:
    schedulers = running("schedulers")

    class Second(schedulers.FIFOScheduler):  # type: ignore[misc]
        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            stops = result["deep/acc"] >= 2
            return schedulers.TrialScheduler.STOP if stops else schedulers.TrialScheduler.CONTINUE

    assert running.fit(reporting(running), scheduler=Second())[0].metrics["training_iteration"] == 2


def test_asha_stops_bad_trials(running: Api) -> None:
    tune = running.tune
    scheduler = running("schedulers").ASHAScheduler(max_t=9, grace_period=1, reduction_factor=3)
    grid = running.fit(
        reporting(running, 9),
        {"x": tune.grid_search([1, 2, 3, 4, 5, 6])},
        metric="loss",
        mode="min",
        scheduler=scheduler,
        max_concurrent_trials=1,
    )
    iterations = [result.metrics["training_iteration"] for result in grid]
    assert iterations[0] == 9 and iterations[-1] == 1


def counting(api: Api, steps: int, begins: Path) -> Any:
    """Reports its steps and saves nothing; ``begins`` tells how often it was begun."""
    report = api.tune.report

    def objective(config: dict[str, Any]) -> None:
        with begins.open("a") as file:
            file.write(f"{config['x']}\n")
        for step in range(1, steps + 1):
            report({"score": config["x"] * step, "step": step})

    return objective


@pytest.mark.filterwarnings("ignore:.*checkpoint")
def test_hyperband_begins_trials_again_that_save_nothing(running: Api, tmp_path: Path) -> None:
    begins = tmp_path / "begins"
    scheduler = running("schedulers").HyperBandScheduler(max_t=9, reduction_factor=3)
    xs = list(range(1, 10))
    grid = running.fit(
        counting(running, 20, begins),
        {"x": running.tune.grid_search(xs)},
        metric="score",
        mode="max",
        scheduler=scheduler,
    )
    assert grid.num_errors == 0
    assert max(result.metrics["training_iteration"] for result in grid) == 9
    assert all(result.metrics["step"] == result.metrics["training_iteration"] for result in grid)
    begun = [begins.read_text().split().count(str(x)) for x in xs]
    assert max(begun) > 1 and min(begun) >= 1
    if running.is_ours:  # 9 run to 1, the best 3 of them to 3, the best of those to 9
        assert [result.metrics["training_iteration"] for result in grid] == [1] * 6 + [3] * 2 + [9]
        assert begun == [1] * 6 + [2] * 3


@pytest.mark.filterwarnings("ignore:.*checkpoint")
@pytest.mark.parametrize("synch", [False, True])
def test_population_that_saves_nothing_copies_nobody(running: Api, tmp_path: Path, synch: bool) -> None:
    begins = tmp_path / "begins"
    scheduler = running("schedulers").PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=2, hyperparam_mutations={"x": [1, 2, 3, 4]}, synch=synch
    )
    grid = running.fit(
        counting(running, 6, begins),
        {"x": running.tune.grid_search([1, 2])},
        metric="score",
        mode="max",
        scheduler=scheduler,
    )
    assert grid.num_errors == 0
    assert [(r.config["x"], r.metrics["step"], r.metrics["training_iteration"]) for r in grid] == [(1, 6, 6), (2, 6, 6)]
    begun = begins.read_text().split()
    assert set(begun) == {"1", "2"}  # and none with a mutated configuration
    if synch:  # each waits for the other, and begins anew
        assert len(begun) > 2


def test_analysis_of_a_run(running: Api) -> None:
    tune = running.tune
    options: dict[str, Any] = {"executor": "inline"} if running.is_ours else {}
    analysis = tune.run(
        reporting(running),
        config={"x": tune.grid_search([2, 1])},
        metric="loss",
        mode="min",
        storage_path=running.storage,
        name="run",
        verbose=0,
        **options,
    )
    assert analysis.best_config == {"x": 1} and analysis.best_result["loss"] == 13
    assert analysis.get_best_trial("loss", "max").config == {"x": 2}
    assert analysis.best_trial.last_result["loss"] == 13 and analysis.best_trial == analysis.get_best_trial(
        "loss", "min"
    )
    assert len(analysis.trials) == 2 and len(analysis.dataframe()) == 2
    assert list(analysis.dataframe(metric="loss", mode="max")["loss"]) == [23, 13]
    assert {len(frame) for frame in analysis.trial_dataframes.values()} == {3}
    assert len(analysis.results_df) == 2
    with pytest.raises(ValueError):
        analysis.dataframe(mode="max")


def test_restored_run_goes_on_with_what_failed(running: Api) -> None:
    marker = Path(running.storage, "mended")

    def objective(config: dict[str, Any]) -> dict[str, Any]:
        if config["x"] == 2 and not marker.exists():
            raise RuntimeError("not yet")
        return {"loss": config["x"]}

    tune = running.tune
    grid = running.fit(objective, {"x": tune.grid_search([1, 2])})
    assert grid.num_errors == 1 and tune.Tuner.can_restore(grid.experiment_path)
    assert not tune.Tuner.can_restore(running.storage)
    marker.touch()
    again = tune.Tuner.restore(grid.experiment_path, objective, resume_errored=True).fit()
    assert again.num_errors == 0 and sorted(result.metrics["loss"] for result in again) == [1, 2]


def test_only_the_same_trainable_and_parameters_are_restored(running: Api) -> None:
    tune = running.tune
    objective = reporting(running)
    running.fit(objective, {"x": tune.grid_search([1, 2])})
    path = os.path.join(running.storage, "run")

    def another(config: dict[str, Any]) -> None:
        pass

    class Other(tune.Trainable):  # type: ignore[misc, name-defined]
        pass

    with pytest.raises(ValueError, match="trainable"):
        tune.Tuner.restore(path, trainable=Other)
    if not running.is_ours:
        with pytest.raises(ValueError, match="trainable"):
            tune.Tuner.restore(path, trainable=another)
    else:  # on purpose: a mended function may have another name, and what was computed is not lost
        with pytest.warns(UserWarning, match="called 'another', and the run's was 'objective'"):
            tune.Tuner.restore(path, trainable=another)
    for space in ({"x": tune.grid_search([1, 2]), "new": 1}, {"y": 1}):
        with pytest.raises(ValueError, match="param_space"):
            tune.Tuner.restore(path, trainable=objective, param_space=space)
    again = tune.Tuner.restore(path, trainable=objective, param_space={"x": tune.grid_search([1, 2])})
    assert len(again.get_results()) == 2


def test_what_is_not_there_is_not_restored(api: Api) -> None:
    nowhere = os.path.join(api.storage, "nowhere")
    assert not api.tune.Tuner.can_restore(nowhere)
    with pytest.raises(ValueError):
        api.tune.ExperimentAnalysis(nowhere)
    with pytest.raises(RuntimeError):
        api.tune.Tuner(lambda config: None).get_results()


def test_error_of_a_trial_is_of_the_type_that_was_raised(running: Api) -> None:
    def objective(config: dict[str, Any]) -> None:
        raise {"value": ValueError, "key": KeyError, "os": FileNotFoundError}[config["kind"]]("boom")

    kinds = {"value": ValueError, "key": KeyError, "os": FileNotFoundError}
    grid = running.fit(objective, {"kind": running.tune.grid_search(list(kinds))})
    assert grid.num_errors == 3
    for result, kind in zip(grid, kinds.values(), strict=True):
        assert isinstance(result.error, kind) and "boom" in str(result.error)


def test_first_failure_is_raised_where_that_is_asked_for(running: Api) -> None:
    def objective(config: dict[str, Any]) -> None:
        raise ZeroDivisionError("boom")

    with pytest.raises(ZeroDivisionError, match="boom"):
        running.fit(objective, failure_config=running.tune.FailureConfig(fail_fast="raise"))


def test_names_of_trials_and_folders(running: Api) -> None:
    grid = running.fit(
        lambda c: {"loss": c["x"]},
        {"x": running.tune.grid_search([1, 2])},
        trial_name_creator=lambda trial: f"model_{trial.config['x']}",
        trial_dirname_creator=lambda trial: f"folder_{trial.config['x']}",
    )
    assert sorted(os.path.basename(result.path) for result in grid) == ["folder_1", "folder_2"]


def test_parameters_are_bound(running: Api) -> None:
    def objective(config: dict[str, Any], data: Any) -> dict[str, Any]:
        return {"loss": sum(data)}

    bound = running.tune.with_parameters(objective, data=[1, 2, 3])
    assert running.fit(bound)[0].metrics["loss"] == 6


def test_reporter_is_asked(running: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AIR_NEW_OUTPUT", "0")  # with its newer output Ray Tune asks no reporter at all
    calls: list[tuple[int, bool]] = []

    class Own(running.tune.ProgressReporter):  # type: ignore[misc, name-defined]
        def setup(self, **kwargs: Any) -> None:
            pass

        def should_report(self, trials: Any, done: bool = False) -> bool:
            return done

        def report(self, trials: Any, done: bool, *sys_info: str) -> None:
            calls.append((len(trials), done))

    running.fit(reporting(running), {"x": running.tune.grid_search([1, 2])}, progress_reporter=Own(), verbose=1)
    assert calls and calls[-1] == (2, True)


def test_files_of_the_loggers(running: Api) -> None:
    logger = running("logger")
    callbacks = [logger.JsonLoggerCallback(), logger.CSVLoggerCallback()]
    result = running.fit(reporting(running), callbacks=callbacks)[0]
    assert {"params.json", "result.json", "progress.csv"} <= set(os.listdir(result.path))
    assert Path(result.path, "params.json").read_text().replace("\n", "").replace(" ", "") == '{"x":1}'
    assert len(Path(result.path, "result.json").read_text().splitlines()) == 3
    assert "loss" in Path(result.path, "progress.csv").read_text().splitlines()[0]
