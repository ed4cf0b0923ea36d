"""``ResultGrid`` and ``Result``: from a live run and from a folder alone."""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from imports import ROOT
from journals import Run

import tune_core as tune
from tune_core.core import events as ev
from tune_core.core.trial import ERROR, TERMINATED
from tune_core.errors import InvalidArgumentError, JournalError, MetricError, TuneError
from tune_core.results import Result, ResultGrid

SCOPES = ["last", "avg", "last-5-avg", "last-10-avg", "min", "max", "all"]


class Odd:
    """An object that JSON cannot hold."""

    def __repr__(self) -> str:
        return "Odd()"


def objective(config: dict[str, Any]) -> None:
    import tempfile

    for step in range(3):
        if config["x"] == 3:
            raise ValueError("three is refused")
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step.txt").write_text(str(step))
            checkpoint = tune.Checkpoint.from_directory(folder)
            tune.report({"loss": abs(config["x"] - 2) + (step - 1) ** 2, "nested": {"a": step}}, checkpoint=checkpoint)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> ResultGrid:
    folder = tmp_path_factory.mktemp("storage")
    return tune.Tuner(
        objective,
        param_space={"x": tune.grid_search([1, 2, 3, 4]), "odd": tune.choice([Odd()]), "deep": {"y": 5}},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        run_config=tune.RunConfig(name="real", storage_path=str(folder), executor="inline", verbose=0),
    ).fit()


@pytest.fixture(scope="module")
def read(grid: ResultGrid) -> ResultGrid:
    return ResultGrid.from_path(grid.experiment_path)


def test_grid_is_a_sequence_of_results_in_the_order_of_suggestion(grid: ResultGrid) -> None:
    assert len(grid) == 4
    assert [result.config["x"] for result in grid] == [1, 2, 3, 4]
    assert [result.trial_id for result in grid[1:3]] == ["00001", "00002"]
    assert grid[-1].trial_id == "00003"


def test_read_grid_equals_the_live_one(grid: ResultGrid, read: ResultGrid) -> None:
    for live, back in zip(grid, read):
        without = ("config", "experiment_tag")
        assert {k: v for k, v in live.metrics.items() if k not in without} == {
            k: v for k, v in back.metrics.items() if k not in without
        }
        assert (live.status, live.reason, live.path) == (back.status, back.reason, back.path)
        assert str(live.checkpoint) == str(back.checkpoint)
    assert grid.get_best_result().trial_id == read.get_best_result().trial_id


def test_live_config_holds_the_objects_and_the_read_one_their_text(grid: ResultGrid, read: ResultGrid) -> None:
    assert isinstance(grid[0].config["odd"], Odd)
    assert read[0].config == {"x": 1, "odd": "Odd()", "deep": {"y": 5}}


def test_metrics_have_the_automatic_fields(grid: ResultGrid) -> None:
    metrics = grid[1].metrics
    assert metrics["training_iteration"] == 3
    assert metrics["trial_id"] == "00001"
    assert metrics["done"] is True
    assert metrics["config"]["x"] == 2
    assert 0 <= metrics["time_this_iter_s"] <= metrics["time_total_s"]
    assert metrics["checkpoint_dir_name"].startswith("checkpoint_000003")
    assert {"timestamp", "date", "experiment_tag"} <= metrics.keys()


def test_failed_trial_has_its_error_with_traceback_and_the_others_none(grid: ResultGrid, read: ResultGrid) -> None:
    for found in (grid, read):
        assert (found.num_errors, found.num_terminated) == (1, 3)
        (error,) = found.errors
        assert "Trial 00002 failed: ValueError: three is refused" in str(error)
        assert "Traceback" in str(error)
        assert found[0].error is None
        assert found[2].status is ERROR


def test_result_of_a_trial_that_never_reported_has_no_metrics_but_what_is_known(grid: ResultGrid) -> None:
    metrics = grid[2].metrics
    assert metrics["trial_id"] == "00002"
    assert "loss" not in metrics
    assert grid[2].metrics_dataframe is None
    assert grid[2].checkpoint is None
    assert grid[2].best_checkpoints == []


def test_metrics_dataframe_has_every_result(read: ResultGrid) -> None:
    frame = read[0].metrics_dataframe
    assert list(frame["training_iteration"]) == [1, 2, 3]
    assert list(frame["loss"]) == [2, 1, 2]
    assert list(frame["nested/a"]) == [0, 1, 2]


def test_checkpoint_is_the_latest_and_the_best_is_by_the_metric_asked_for(grid: ResultGrid, read: ResultGrid) -> None:
    for found in (grid, read):
        result = found[0]
        assert result.checkpoint is not None
        assert Path(result.checkpoint.path, "step.txt").read_text() == "2"
        best = result.get_best_checkpoint("loss", "min")
        assert best is not None
        assert Path(best.path, "step.txt").read_text() == "1"
        assert [metrics["nested"]["a"] for _, metrics in result.best_checkpoints] == [0, 1, 2]


def test_best_checkpoint_by_a_metric_that_was_not_reported_names_those_that_were(grid: ResultGrid) -> None:
    with pytest.raises(MetricError, match=r"'acc'.*never reported.*loss"):
        grid[0].get_best_checkpoint("acc", "max")


def test_deleted_checkpoints_are_not_listed(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.launch(run.suggest(x=1))
    run.report(0, checkpoint="checkpoint_000001", loss=1.0)
    run.report(0, checkpoint="checkpoint_000002", loss=2.0)
    (tmp_path / "trial_00000" / "checkpoint_000002").mkdir(parents=True)

    (only,) = ResultGrid.from_path(run.save())[0].best_checkpoints
    assert only[0].path.endswith("checkpoint_000002")
    assert only[1]["loss"] == 2.0


def test_checkpoint_saved_after_the_last_result_comes_with_that_result(tmp_path: Path) -> None:
    class Counts(tune.Trainable):
        def step(self) -> dict[str, Any]:
            return {"count": self.iteration + 1}

        def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
            return {}

    result = tune.Tuner(
        Counts,
        run_config=tune.RunConfig(
            storage_path=str(tmp_path),
            stop={"training_iteration": 5},
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=2, checkpoint_at_end=True),
            executor="inline",
            verbose=0,
        ),
    ).fit()[0]

    assert [metrics["count"] for _, metrics in result.best_checkpoints] == [2, 4, 5]


def test_result_from_the_path_of_a_trial(grid: ResultGrid) -> None:
    result = Result.from_path(grid[1].path)
    assert result.config["x"] == 2
    assert result.metrics["loss"] == grid[1].metrics["loss"]


def test_path_that_is_no_trial_is_refused(grid: ResultGrid) -> None:
    for path in (grid.experiment_path, grid.experiment_path + "/trial_00099"):
        with pytest.raises(InvalidArgumentError, match="no trial's folder"):
            Result.from_path(path)


def test_get_results_of_a_restored_tuner(grid: ResultGrid) -> None:
    restored = tune.Tuner.restore(grid.experiment_path, trainable=objective).get_results()
    assert [result.trial_id for result in restored] == [result.trial_id for result in grid]


def test_grid_travels_by_pickle(read: ResultGrid) -> None:
    back = pickle.loads(pickle.dumps(read))
    assert back.get_best_result().trial_id == read.get_best_result().trial_id


def test_filesystem_reaches_the_path(grid: ResultGrid) -> None:
    assert grid.filesystem.exists(grid.experiment_path)
    assert grid[0].filesystem.isdir(grid[0].path)


# --- the best ---------------------------------------------------------------------------------------------------------


def curves(tmp_path: Path, metric: str | None = "loss", mode: str | None = "min") -> ResultGrid:
    """Three trials, each the best in a scope of its own (for the smallest): last, min, avg."""
    run = Run(tmp_path, metric, mode)
    run.trial([9.0, 9.0, 2.0], x=0)
    run.trial([9.0, 1.0, 8.0], x=1)
    run.trial([3.0, 3.0, 3.0], x=2)
    return ResultGrid.from_path(run.save())


@pytest.mark.parametrize("other", [False, True], ids=["the run's metric", "another metric"])
@pytest.mark.parametrize(
    ("scope", "mode", "best"),
    [
        ("last", "min", 0),
        ("avg", "min", 2),
        ("last-5-avg", "min", 2),
        ("min", "min", 1),
        ("all", "min", 1),
        ("max", "min", 2),
        ("last", "max", 1),
        ("avg", "max", 0),
        ("all", "max", 0),
        ("min", "max", 2),
    ],
)
def test_best_by_scope(tmp_path: Path, scope: str, mode: str, best: int, other: bool) -> None:
    grid = curves(tmp_path, *((None, None) if other else ("loss", mode)))
    assert grid.get_best_result("loss", mode, scope=scope).config == {"x": best}


def test_mean_of_the_last_results_looks_at_those_alone(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.trial([100.0] * 5 + [1.0] * 5, x=0)
    run.trial([2.0] * 10, x=1)
    grid = ResultGrid.from_path(run.save())

    assert grid.get_best_result(scope="last-5-avg").config == {"x": 0}
    assert grid.get_best_result(scope="last-10-avg").config == {"x": 1}


def test_results_before_a_restart_do_not_count_in_a_mean(tmp_path: Path) -> None:
    run = Run(tmp_path, max_failures=1)
    run.launch(run.suggest(x=0))
    run.report(0, loss=100.0)
    run.end(0, "crashed", error="gone")
    run.launch(0)
    run.report(0, loss=1.0)
    run.end(0)
    run.trial([2.0], x=1)

    assert ResultGrid.from_path(run.save()).get_best_result(scope="avg").config == {"x": 0}


def test_nested_metric_is_reached_by_its_path(grid: ResultGrid) -> None:
    assert grid.get_best_result("nested/a", "max").metrics["nested"] == {"a": 2}


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan], ids=str)
def test_worst_value_of_a_trial_that_diverged_is_no_number(tmp_path: Path, mode: str, odd: float) -> None:
    """By its worst value a trial is compared only if that is a number; a good infinity is not the worst."""
    run = Run(tmp_path, "loss", mode)
    run.trial([2.0, 1.0], x=0)
    run.trial([1.5, odd, 1.6], x=1)
    grid = ResultGrid.from_path(run.save())
    scope = "max" if mode == "min" else "min"

    counts = odd == (-math.inf if mode == "min" else math.inf)
    assert grid.get_best_result(scope=scope).config == {"x": 1 if counts else 0}


def test_worst_infeasible_trial_never_wins(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        for loss in (config["x"] + 1, config["x"]):
            tune.report({"loss": loss, "cost": 5 - config["x"]})

    grid = tune.Tuner(
        objective,
        param_space={"x": tune.grid_search([1, 2, 3])},
        tune_config=tune.TuneConfig(metric="loss", mode="min", constraints={"cost": ("<=", 3)}),
        run_config=tune.RunConfig(storage_path=str(tmp_path), executor="inline", verbose=0),
    ).fit()
    assert {scope: grid.get_best_result(scope=scope).config["x"] for scope in SCOPES} == dict.fromkeys(SCOPES, 2)


KEPT = {
    "sizes": (64, 64),
    "nested": {"deep": [math.inf, (1, 2)]},
    "act": math.tanh,
    "odd": Odd(),
    "path": Path("/data"),
    "big": 2**80,
}


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("named", [True, False], ids=["the run's metric", "another metric"])
def test_best_config_holds_the_objects_in_every_scope(tmp_path: Path, scope: str, named: bool) -> None:
    def objective(config: dict[str, Any]) -> None:
        for loss in (2, 1, 3):
            tune.report({"loss": loss})

    space = {f"choice_{name}": tune.choice([value]) for name, value in KEPT.items()}
    grid = tune.Tuner(
        objective,
        param_space={**space, **KEPT},
        tune_config=tune.TuneConfig(metric="loss", mode="min") if named else tune.TuneConfig(),
        run_config=tune.RunConfig(storage_path=str(tmp_path), executor="inline", verbose=0),
    ).fit()
    for mode in ("min", "max"):
        config = grid.get_best_result("loss", mode, scope=scope).config
        assert config == {**{f"choice_{name}": value for name, value in KEPT.items()}, **KEPT}


def test_config_from_a_folder_is_as_near_to_it_as_text_and_numbers_come(tmp_path: Path) -> None:
    grid = tune.Tuner(
        lambda config: {"loss": 1.0},
        param_space={**{f"choice_{name}": tune.choice([value]) for name, value in KEPT.items()}, **KEPT},
        run_config=tune.RunConfig(storage_path=str(tmp_path), executor="inline", verbose=0),
    ).fit()
    told = {
        "sizes": (64, 64),
        "nested": {"deep": [math.inf, (1, 2)]},
        "act": "math.tanh",
        "odd": "Odd()",
        "path": "/data",
        "big": 2**80,
    }
    config = ResultGrid.from_path(grid.experiment_path)[0].config
    constants = {**told, "odd": "test_results.Odd" if "." not in __name__ else f"{__name__}.Odd"}
    assert config == {**{f"choice_{name}": value for name, value in told.items()}, **constants}


def test_nan_inside_a_list_is_nan_for_all_who_read_it(tmp_path: Path) -> None:
    grid = tune.Tuner(
        lambda config: {"loss": 1.0, "per_class": [0.1, math.nan, {"a": [-math.inf]}]},
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    ).fit()
    for one in (grid[0], ResultGrid.from_path(grid.experiment_path)[0]):
        first, second, third = one.metrics["per_class"]
        assert first == 0.1 and math.isnan(second) and third == {"a": [-math.inf]}


@pytest.mark.parametrize("scope", SCOPES)
def test_nan_never_wins(tmp_path: Path, scope: str) -> None:
    run = Run(tmp_path)
    run.trial([math.nan] * 2, x=0)
    run.trial([math.inf] * 2, x=1)
    run.trial([5.0] * 2, x=2)
    grid = ResultGrid.from_path(run.save())

    assert grid.get_best_result(scope=scope).config == {"x": 2}
    assert grid.get_best_result(scope=scope, filter_nan_and_inf=False).config == {"x": 2}


def test_only_nan_is_an_error_unless_not_filtered(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.trial([math.nan], x=0)
    grid = ResultGrid.from_path(run.save())

    with pytest.raises(MetricError, match="only NaN and infinite") as caught:
        grid.get_best_result()
    assert all((caught.value.asked, caught.value.found, caught.value.cause, caught.value.fix))
    assert grid.get_best_result(filter_nan_and_inf=False).config == {"x": 0}


def test_equal_values_go_to_the_first_trial(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.trial([1.0], x=0)
    run.trial([1.0], x=1)
    assert ResultGrid.from_path(run.save()).get_best_result().config == {"x": 0}


def test_metric_that_nobody_reported_names_those_that_were(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match="acc") as caught:
        curves(tmp_path).get_best_result("acc", "max")
    assert "loss" in caught.value.cause
    assert all((caught.value.asked, caught.value.found, caught.value.cause, caught.value.fix))


def test_run_whose_trials_all_failed_says_how_the_first_did(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.launch(run.suggest(x=1))
    run.end(0, "errored", error="Traceback\nZeroDivisionError: division by zero")

    with pytest.raises(MetricError, match="ZeroDivisionError") as caught:
        ResultGrid.from_path(run.save()).get_best_result()
    assert all((caught.value.asked, caught.value.found, caught.value.cause, caught.value.fix))


def test_run_without_trials_says_so(tmp_path: Path) -> None:
    grid = ResultGrid.from_path(Run(tmp_path).save())
    with pytest.raises(MetricError, match="no trials"):
        grid.get_best_result()
    assert "0 trials" in repr(grid)
    assert grid.get_dataframe().empty


@pytest.mark.parametrize(
    ("metric", "mode", "says"), [(None, "min", r"\(metric\)"), ("loss", None, r"\(mode\)"), ("loss", "best", "'best'")]
)
def test_metric_and_mode_must_be_known(tmp_path: Path, metric: str | None, mode: str | None, says: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        curves(tmp_path, None, None).get_best_result(metric, mode)


def test_unknown_scope_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="last-5-avg"):
        curves(tmp_path).get_best_result(scope="median")


# --- tables -----------------------------------------------------------------------------------------------------------


def test_dataframe_has_one_row_a_trial_with_its_last_result(read: ResultGrid) -> None:
    frame = read.get_dataframe()
    assert list(frame["trial_id"]) == ["00000", "00001", "00003"]  # the failed one has no result
    assert list(frame["config/x"]) == [1, 2, 4]
    assert list(frame["config/deep/y"]) == [5, 5, 5]
    assert {"loss", "nested/a", "training_iteration", "timestamp", "time_total_s", "logdir"} <= set(frame.columns)
    assert list(frame["training_iteration"]) == [3, 3, 3]


@pytest.mark.parametrize("metric", ["loss", "nested/a"])
def test_dataframe_by_a_metric_has_each_trials_best_result(read: ResultGrid, metric: str) -> None:
    frame = read.get_dataframe(metric, "min")
    assert list(frame["training_iteration"]) == [2 if metric == "loss" else 1] * 3


def test_dataframe_needs_metric_and_mode_together(read: ResultGrid) -> None:
    with pytest.raises(InvalidArgumentError, match="filter_mode"):
        read.get_dataframe(filter_metric="loss")


def test_repr_shows_counts_best_and_folder(read: ResultGrid) -> None:
    text = repr(read)
    assert "4 trials (3 TERMINATED, 1 ERROR)" in text
    assert "best loss=0 (min) by trial 00001" in text
    assert read.experiment_path in text
    assert "Result(00001, TERMINATED, loss=1" in repr(read[1])


def test_repr_of_a_large_run_is_short(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for i in range(100):
        run.trial([float(i)], x=i)
    grid = ResultGrid.from_path(run.save())
    assert len(repr(grid).splitlines()) < 20
    assert "90 more" in repr(grid)


def test_html_escapes_what_users_wrote(tmp_path: Path) -> None:
    run = Run(tmp_path, name="<b>run</b>")
    run.trial([1.0], text="<script>alert(1)</script>")
    html = ResultGrid.from_path(run.save())._repr_html_()
    assert "<script>" not in html
    assert "<b>run" not in html
    assert "<table>" in html


def test_reading_needs_no_pandas_and_no_numpy(grid: ResultGrid) -> None:
    program = (
        "import sys; from tune_core.results import ResultGrid; grid = ResultGrid.from_path(sys.argv[1]);"
        "print(repr(grid), grid.get_best_result(), grid.explain(0));"
        "assert not {'pandas', 'numpy', 'rich', 'cloudpickle'} & set(sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program, grid.experiment_path], check=True, capture_output=True, env=env)


# --- explaining -------------------------------------------------------------------------------------------------------


def test_story_tells_decisions_with_reasons_in_order(tmp_path: Path) -> None:
    from engine.test_controller_release import Says

    from tune_core.schedulers.base import Continue, Exploit, Pause, Stop

    decisions = (Continue(9, "top third"), Exploit(0, {"x": 7}, "trial 0 is better"), Pause("half"), Stop("no hope"))
    run = Run(tmp_path, scheduler=Says(*decisions))
    run.launch(run.suggest(x=0))
    run.report(0, checkpoint="checkpoint_000001", loss=1.0)
    run.launch(run.suggest(x=1))
    run.report(1, waiting=ev.WAITS_FOR_SCHEDULER, loss=2.0)
    run.report(1, waiting=ev.WAITS_FOR_SCHEDULER, loss=3.0)
    run.end(1, "paused")
    run.launch(1)
    run.report(1, waiting=ev.WAITS_FOR_SCHEDULER, loss=4.0)
    run.end(1, "paused")
    run.apply(ev.Launched(1, "worker2", run.tick(), 3))
    run.report(1, waiting=ev.WAITS_FOR_SCHEDULER, loss=5.0)
    run.end(1, "stopped")

    story = ResultGrid.from_path(run.save()).explain("00001")

    expected = [
        "suggested: x=1",
        "launched on worker1",
        "go on until 9: top third",
        "become a copy of trial 00000 with x=7: trial 0 is better",
        "attempt 2",
        "pause: half",
        "worker2, attempt 3",
        "stop: no hope",
        "stopped",
    ]
    at = 0
    for text in expected:
        at = story.index(text, at)
    assert "loss=1" not in story


def test_story_gives_no_time_where_the_journal_has_none(tmp_path: Path) -> None:
    from engine.test_controller_release import Says

    from tune_core.schedulers.base import Pause

    run = Run(tmp_path, scheduler=Says(Pause("half")))
    run.launch(run.suggest(x=0))
    run.report(0, checkpoint="checkpoint_000001", waiting=ev.WAITS_FOR_SCHEDULER, loss=1.0)
    run.end(0, "paused")
    run.exhaust()

    story = ResultGrid.from_path(run.save()).explain(0).splitlines()

    assert story[1] == "             suggested: x=0"
    assert story[2].startswith("      1.0 s  launched")
    assert "      2.0 s  pause: half" in story
    assert "             stop: half; nothing is left that could promote it" in story


def test_story_tells_a_failure_by_the_exception(read: ResultGrid) -> None:
    assert "failed: ValueError: three is refused" in read[2].explain()


def test_story_tells_why_a_waiting_trial_never_ran(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.suggest(x=0)
    run.apply(ev.StopRequested(-1, "the time budget of 5 s is used up"))
    assert "asked to stop: the time budget of 5 s is used up" in ResultGrid.from_path(run.save()).explain(0)


@pytest.mark.parametrize("trial", ["00099", "x", "-1", ""])
def test_unknown_trial_is_said_with_the_range_of_known_ones(read: ResultGrid, trial: str) -> None:
    with pytest.raises(InvalidArgumentError, match="00000 to 00003"):
        read.explain(trial)


@pytest.mark.parametrize("trial", [1, "1", "00001", "trial_00001"])
def test_trial_is_found_by_any_form_of_its_id(read: ResultGrid, trial: str | int) -> None:
    assert "Trial 00001" in read.explain(trial)


def test_no_experiment_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(JournalError):
        ResultGrid.from_path(tmp_path)


def test_status_and_reason_are_shown(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.launch(run.suggest(x=0))
    run.report(0, loss=1.0)
    run.end(0, "stopped", "loss reached 1")
    result = ResultGrid.from_path(run.save())[0]
    assert (result.status, result.reason) == (TERMINATED, "loss reached 1")
    assert isinstance(result.error, TuneError | None)


# --- values that some results lack, several metrics, copies, fresh starts ---------------------------------------------


def fitted(objective: Any, folder: Path, space: dict[str, Any], **settings: Any) -> ResultGrid:
    run = tune.RunConfig(name="run", storage_path=str(folder), executor="inline", verbose=0)
    return tune.Tuner(objective, param_space=space, tune_config=tune.TuneConfig(**settings), run_config=run).fit()


def with_latency_once(config: dict[str, Any]) -> None:
    for step in range(1, 4):
        tune.report({"loss": config["x"] / step, **({"latency": config["x"]} if step == 2 else {})})


def fitted_with_a_least_latency(folder: Path) -> ResultGrid:
    space = {"x": tune.grid_search([1, 5, 20])}
    return fitted(with_latency_once, folder, space, metric="loss", mode="min", constraints={"latency": (">=", 4)})


def test_constraint_on_a_metric_that_the_last_result_lacks_takes_its_last_known_value(tmp_path: Path) -> None:
    grid = fitted_with_a_least_latency(tmp_path)
    assert grid.get_best_result().config == {"x": 5}
    assert ResultGrid.from_path(grid.experiment_path).get_best_result().config == {"x": 5}


def test_constraint_on_an_automatic_field_is_met(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        for _ in range(config["n"]):
            tune.report({"loss": -config["n"]})

    limits = {"training_iteration": ("<=", 2)}
    grid = fitted(
        objective, tmp_path, {"n": tune.grid_search([1, 2, 3])}, metric="loss", mode="min", constraints=limits
    )
    assert grid.get_best_result().config == {"n": 2}


def test_what_is_shown_as_the_best_meets_the_constraints(tmp_path: Path) -> None:
    from tune_core.display.snapshot import experiment_summary
    from tune_core.results.experiment_reader import read_experiment

    grid = fitted_with_a_least_latency(tmp_path)
    summary = experiment_summary(read_experiment(grid.experiment_path), "finished")
    assert "Best loss: 1.6667 (min), trial 00001" in summary
    assert "By last values" not in summary
    assert "best loss=1.6667 (min) by trial 00001\n" in repr(grid)


def test_one_of_several_metrics_has_the_mode_that_the_run_gave_it(tmp_path: Path) -> None:
    space = {"x": tune.grid_search([1, 2])}
    grid = fitted(
        lambda config: {"a": config["x"], "b": config["x"]}, tmp_path, space, metric=["a", "b"], mode=["min", "max"]
    )
    assert [grid.get_best_result(metric).config["x"] for metric in ("a", "b")] == [1, 2]


def test_best_by_a_value_from_before_a_copy_has_the_configuration_of_then(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    for x in (1, 2):
        run.launch(run.suggest(x=x))
    run.report(0, checkpoint="checkpoint_000001", loss=9.0, first=1)
    run.report(1, checkpoint="checkpoint_000001", loss=1.0, first=2)
    run.apply(ev.Decided(0, "exploit", "behind", None, 1, {"x": 7}, None, "checkpoint_000001"))
    run.end(0, "paused")
    run.launch(0)
    run.report(0, loss=0.5)
    grid = ResultGrid.from_path(run.save())
    assert grid.get_best_result("first", "min").config == {"x": 1}
    assert grid.get_best_result().config == {"x": 7}


def test_checkpoints_from_before_a_fresh_start_have_no_results_of_after_it(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        import tempfile

        again = (tmp_path / "again").exists()
        for step in range(2):
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "again.txt").write_text(str(again))
                checkpoint = tune.Checkpoint.from_directory(folder)
                tune.report({"loss": step + (10 if again else 0)}, checkpoint=checkpoint)
        if not again:
            raise ValueError("first attempt")

    path = fitted(objective, tmp_path, {}, metric="loss", mode="min").experiment_path
    (tmp_path / "again").touch()
    tune.Tuner.restore(
        path, objective, restart_errored=True, run_config=tune.RunConfig(executor="inline", verbose=0)
    ).fit()
    result = ResultGrid.from_path(path)[0]
    best = result.get_best_checkpoint("loss", "min")
    assert best is not None
    assert Path(best.path, "again.txt").read_text() == "True"
    assert [metrics.get("loss") for _, metrics in result.best_checkpoints] == [None, None, 10, 11]


def test_changing_a_configuration_that_was_handed_out_changes_no_result(tmp_path: Path) -> None:
    class Changing(tune.Callback):
        def on_trial_result(self, iteration: Any, trials: Any, trial: Any, result: Any, **info: Any) -> None:
            for config in (trial.config, result["config"]):
                config["layers"].append(9)
                config.clear()

    def stop(trial_id: str, result: dict[str, Any]) -> bool:
        result["config"].clear()
        return False

    grid = tune.Tuner(
        lambda config: {"loss": len(config["layers"])},
        param_space={"layers": tune.grid_search([[1], [1, 2]])},
        run_config=tune.RunConfig(
            storage_path=str(tmp_path), executor="inline", callbacks=[Changing()], stop=stop, verbose=0
        ),
    ).fit()
    grid[0].config.clear()
    grid[0].metrics["config"].clear()
    assert [result.config for result in grid] == [{"layers": [1]}, {"layers": [1, 2]}]
    assert [result.metrics["config"] for result in grid] == [{"layers": [1]}, {"layers": [1, 2]}]


def test_what_is_printed_of_results_holds_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", name="\x1b[2Jrun")
    run.trial([1.0], **{"\x9b31m": "\x1b]0;title\x07"})
    grid = ResultGrid.from_path(run.save())
    for text in (repr(grid), repr(grid[0]), grid[0].explain()):
        assert "\x1b" not in text and "\x9b" not in text and "\x07" not in text


def test_error_of_a_trial_holds_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    def objective(config: dict[str, object]) -> None:
        raise ValueError("\x1b]0;title\x07\nsecond line")

    def tuner(name: str, fail_fast: object) -> tune.Tuner:
        failure = tune.FailureConfig(fail_fast=fail_fast)
        run = tune.RunConfig(
            name=name, storage_path=str(tmp_path), executor="inline", failure_config=failure, verbose=0
        )
        return tune.Tuner(objective, run_config=run)

    with pytest.raises(tune.TuneError) as raised:
        tuner("raising", "raise").fit()
    for text in (str(tuner("run", False).fit()[0].error), str(raised.value)):
        assert r"\x1b]0;title\x07" in text and "\nsecond line" in text
        assert "\x1b" not in text and "\x07" not in text
