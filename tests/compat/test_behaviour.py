"""What scripts written for Ray Tune rely on, beyond names: fields of results, arguments, variables, objects by hand."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.core.environment import RAY_VARIABLES
from tune_core.errors import InvalidArgumentError, TuneError, UserCodeError
from tune_core.journal.reader import read
from tune_core.stopper import Stopper

AUTOMATIC = {
    "training_iteration",
    "time_this_iter_s",
    "time_total_s",
    "time_since_restore",
    "iterations_since_restore",
    "timesteps_total",
    "episodes_total",
    "hostname",
    "node_ip",
    "pid",
    "date",
    "timestamp",
    "trial_id",
    "experiment_tag",
    "config",
    "done",
}


def steps(config: dict[str, Any]) -> None:
    for step in range(1, 4):
        tune.report({"loss": config["x"] / step, "timesteps_this_iter": 10, "episodes_this_iter": 2})


class Counter(tune.Trainable):
    """Counts its steps; keeps the count in a checkpoint."""

    logged: list[dict[str, Any]]

    def setup(self, config: dict[str, Any]) -> None:
        self.count = config.get("start", 0)
        self.logged = []

    def step(self) -> dict[str, Any]:
        self.count += 1
        return {"count": self.count, "timesteps_this_iter": 5, "done": self.count >= self.config.get("end", 99)}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, int]:
        return {"count": self.count}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.count = checkpoint["count"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.count = new_config.get("start", 0)
        return True

    def log_result(self, result: dict[str, Any]) -> None:
        self.logged.append(result)

    def _export_model(self, export_formats: list[str], export_dir: str) -> dict[str, str]:
        path = os.path.join(export_dir, "model.txt")
        Path(path).write_text(str(self.count))
        return dict.fromkeys(export_formats, path)


@pytest.fixture
def fit(tmp_path: Path) -> Any:
    def run(trainable: Any, space: Any = None, **options: Any) -> tune.ResultGrid:
        of_tune = {key: options.pop(key) for key in list(options) if key in tune.TuneConfig.__dataclass_fields__}
        config = tune.RunConfig(
            **{"storage_path": str(tmp_path), "name": "run", "verbose": 0, "executor": "inline", **options}
        )
        return tune.Tuner(
            trainable, param_space=space or {"x": 1.0}, tune_config=tune.TuneConfig(**of_tune), run_config=config
        ).fit()

    return run


# --- automatic fields -------------------------------------------------------------------------------------------------


class Watch(tune.Callback):
    def __init__(self) -> None:
        self.results: list[dict[str, Any]] = []

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        self.results.append(result)


class See(Stopper):
    def __init__(self) -> None:
        self.results: list[dict[str, Any]] = []

    def __call__(self, trial_id: str, result: Any) -> bool:
        self.results.append(dict(result))
        return False

    def stop_all(self) -> bool:
        return False


@pytest.mark.parametrize("where", ["result", "frame", "table", "callback", "stopper"])
def test_every_automatic_field_is_everywhere(fit: Any, where: str) -> None:
    watch, see = Watch(), See()
    grid = fit(steps, {"x": tune.grid_search([1.0])}, callbacks=[watch], stop=see)
    frame = grid[0].metrics_dataframe
    seen: dict[str, list[dict[str, Any]]] = {
        "result": [grid[0].metrics],
        "frame": [dict(row) for row in frame.to_dict("records")],
        "table": [dict(row) for row in grid.get_dataframe().to_dict("records")],
        "callback": watch.results,
        "stopper": see.results,
    }
    last = seen[where][-1]
    missing = AUTOMATIC - set(last)
    if where in ("frame", "table"):  # there the configuration has columns of its own
        missing -= {"config", "done", "experiment_tag"}
    assert not missing
    assert last["timesteps_total"] == 30 and last["episodes_total"] == 6 and last["iterations_since_restore"] == 3
    assert last["hostname"] == socket.gethostname() and last["pid"] == os.getpid()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", last["date"])
    assert last["time_total_s"] >= last["time_this_iter_s"] >= 0


def test_counts_since_the_restore_start_anew_and_sums_go_on(fit: Any) -> None:
    class Fails(Counter):
        def step(self) -> dict[str, Any]:
            result = super().step()
            if self.count == 4 and self._trial_info["attempt"] == 1:
                raise RuntimeError("once")
            return result

    checkpoints = tune.CheckpointConfig(checkpoint_frequency=1)
    failures = tune.FailureConfig(max_failures=1)
    grid = fit(Fails, {"end": 5}, checkpoint_config=checkpoints, failure_config=failures)
    frame = grid[0].metrics_dataframe
    assert list(frame["timesteps_total"]) == [5, 10, 15, 20, 25]
    assert list(frame["iterations_since_restore"]) == [1, 2, 3, 1, 2]
    assert list(frame["timesteps_since_restore"]) == [5, 10, 15, 5, 10]
    assert grid[0].metrics["timesteps_since_restore"] == 10


def test_stop_condition_on_a_sum_is_met(fit: Any) -> None:
    assert fit(steps, stop={"timesteps_total": 20})[0].metrics["training_iteration"] == 2
    assert fit(steps, stop={"episodes_total": 2})[0].metrics["training_iteration"] == 1


# --- a class by hand --------------------------------------------------------------------------------------------------


def test_class_by_hand_trains_saves_restores_and_starts_over(tmp_path: Path) -> None:
    first = Counter({"start": 3})
    results = [first.train() for _ in range(2)]
    assert [r["count"] for r in results] == [4, 5]
    assert [r["training_iteration"] for r in results] == [1, 2]
    assert {"pid", "hostname", "node_ip", "date", "time_total_s", "timesteps_total"} <= results[1].keys()
    assert first.logged == results
    saved = first.save(str(tmp_path / "here"))
    assert saved.metrics["count"] == 5 and os.path.samefile(saved.checkpoint.path, tmp_path / "here")
    for source in (saved, saved.checkpoint, saved.checkpoint.path):
        second = Counter({})
        second.restore(source)
        again = second.train()
        assert (again["count"], again["training_iteration"], again["timesteps_total"]) == (6, 3, 15)
        assert again["iterations_since_restore"] == 1
    assert second.reset({"start": 10}) and second.train()["training_iteration"] == 1
    assert [r["count"] for r in second.train_buffered(60, max_buffer_length=2)] == [12, 13]
    assert first.export_model("model", str(tmp_path)) == {"model": str(tmp_path / "model.txt")}
    with pytest.raises(InvalidArgumentError, match="no format"):
        first.export_model(["pickle"])


def test_validate_save_restore_tells_a_class_that_forgets() -> None:
    from tune_core.utils import validate_save_restore

    assert validate_save_restore(Counter)


def test_function_by_hand_goes_from_report_to_report(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        start = 0
        if (found := tune.get_checkpoint()) is not None:
            with found.as_directory() as folder:
                start = int(Path(folder, "n").read_text())
        for n in range(start + 1, 4):
            folder = tmp_path / f"made{n}"
            folder.mkdir(exist_ok=True)
            (folder / "n").write_text(str(n))
            tune.report({"n": n, "x": config["x"]}, checkpoint=tune.Checkpoint.from_directory(folder))

    trainable = tune.trainable.wrap_function(objective)
    first = trainable({"x": 7})
    assert [first.train()["n"] for _ in range(2)] == [1, 2]
    second = trainable({"x": 8})
    second.restore(first.save())
    assert second.train()["n"] == 3
    assert second.train()["done"] is True
    first.stop()
    assert tune.get_context().get_trial_id() is None


def test_overridden_log_result_sees_each_result_of_a_run(fit: Any, tmp_path: Path) -> None:
    class Logs(Counter):
        def log_result(self, result: dict[str, Any]) -> None:
            with open(tmp_path / "log", "a") as file:
                print(result["count"], result["training_iteration"], result["timesteps_total"], file=file)

    fit(Logs, {"end": 3})
    assert (tmp_path / "log").read_text().split("\n")[:3] == ["1 1 5", "2 2 10", "3 3 15"]


# --- tune.run and its arguments ---------------------------------------------------------------------------------------

RAYS_ARGUMENTS: dict[str, Any] = {
    "log_to_file": True,
    "sync_config": tune.SyncConfig(),
    "trial_name_creator": lambda trial: f"t{trial.trial_id}",
    "trial_dirname_creator": lambda trial: f"d{trial.trial_id}",
    "storage_filesystem": None,
    "resume_config": tune.ResumeConfig(),
    "chdir_to_trial_dir": False,
    "keep_checkpoints_num": 2,
    "checkpoint_score_attr": "min-count",
    "checkpoint_freq": 1,
    "checkpoint_at_end": True,
    "export_formats": ["model"],
    "restore": None,
}


@pytest.mark.parametrize("argument", sorted(RAYS_ARGUMENTS))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_argument_of_rays_run_is_taken(tmp_path: Path, argument: str) -> None:
    given = {argument: RAYS_ARGUMENTS[argument]}
    analysis = tune.run(Counter, config={"end": 2}, storage_path=str(tmp_path), verbose=0, executor="inline", **given)
    assert analysis.trials[0].last_result["count"] == 2


def test_older_checkpoint_arguments_say_what_checkpoint_config_says(tmp_path: Path) -> None:
    options: dict[str, Any] = {"storage_path": str(tmp_path), "verbose": 0, "executor": "inline"}
    older = {"checkpoint_freq": 1, "keep_checkpoints_num": 1, "checkpoint_score_attr": "min-count"}
    trial = tune.run(Counter, config={"end": 3}, **older, **options).trials[0]
    assert [metrics["count"] for _, metrics in trial.best_checkpoints][-1] == 3
    assert len(trial.best_checkpoints) < 3
    with pytest.raises(InvalidArgumentError, match="older forms"):
        tune.run(Counter, checkpoint_freq=1, checkpoint_config=tune.CheckpointConfig(), **options)


def test_restore_starts_every_trial_from_a_checkpoint(tmp_path: Path) -> None:
    by_hand = Counter({"start": 40})
    by_hand.train()
    saved = by_hand.save(str(tmp_path / "saved"))
    space = {"end": tune.grid_search([42, 43])}
    analysis = tune.run(
        Counter, config=space, restore=saved.path, storage_path=str(tmp_path / "e"), verbose=0, executor="inline"
    )
    assert [len(t.metrics_dataframe) for t in analysis.trials] == [1, 2]


def test_export_formats_export_each_trials_model(tmp_path: Path) -> None:
    options: dict[str, Any] = {"storage_path": str(tmp_path), "verbose": 0, "executor": "inline"}
    trial = tune.run(Counter, config={"end": 2}, export_formats=["model"], **options).trials[0]
    assert Path(trial.path, "model.txt").read_text() == "2"
    with pytest.raises(InvalidArgumentError, match="is a function"):
        tune.run(steps, config={"x": 1}, export_formats=["model"], **options)


def test_trials_and_folders_have_the_names_that_were_asked_for(fit: Any, tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        Path(tune.get_trial_dir() or "", "note.txt").write_text(str(tune.get_trial_name()))
        return {"loss": config["x"]}

    grid = fit(
        objective,
        {"x": tune.grid_search([1, 2])},
        trial_name_creator=lambda trial: f"model_x{trial.config['x']}",
        trial_dirname_creator=lambda trial: f"{trial.trainable_name}_{trial.experiment_tag}",
    )
    assert [os.path.basename(r.path) for r in grid] == ["objective_0_x=1", "objective_1_x=2"]
    assert [Path(r.path, "note.txt").read_text() for r in grid] == ["model_x1", "model_x2"]
    again = tune.ResultGrid.from_path(grid.experiment_path)
    assert [r.path for r in again] == [r.path for r in grid]
    assert tune.Result.from_path(again[1].path).metrics["loss"] == 2
    with pytest.raises(UserCodeError, match=r"trial_dirname_creator(.|\n)*another trial"):
        fit(objective, {"x": tune.grid_search([1, 2])}, trial_dirname_creator=lambda trial: "same")


@pytest.mark.parametrize("folder", ["same", "trial_00001", "trial_00007", "ä" * 200])
def test_folder_that_cannot_be_a_trials_own_is_refused_before_anything_is_in_it(fit, folder):
    def objective(config):
        return {"loss": config["x"]}

    with pytest.raises(UserCodeError, match="trial_dirname_creator"):
        fit(objective, {"x": tune.grid_search([1, 2])}, trial_dirname_creator=lambda trial: folder, executor="local")


def test_usual_name_may_be_returned_for_a_trials_folder(fit):
    names = [
        Path(result.path).name
        for result in fit(
            lambda config: {"loss": 1},
            {"x": tune.grid_search([1, 2])},
            trial_dirname_creator=lambda trial: f"trial_{trial.trial_id}",
        )
    ]
    assert names == ["trial_00000", "trial_00001"]


def test_registered_trainable_experiment_and_several_experiments(tmp_path: Path) -> None:
    tune.register_trainable("counter", Counter)
    options: dict[str, Any] = {"storage_path": str(tmp_path)}
    one = tune.Experiment("one", "counter", config={"end": 1}, **options)
    assert tune.run(one, verbose=0, executor="inline").experiment_path == str(tmp_path / "one")
    spec = {"run": "counter", "config": {"end": tune.grid_search([1, 2])}, "storage_path": str(tmp_path)}
    trials = tune.run_experiments({"two": spec}, verbose=0)
    assert [trial.last_result["count"] for trial in trials] == [1, 2]
    with pytest.raises(InvalidArgumentError, match="not registered"):
        tune.run("nobody")
    with pytest.raises(InvalidArgumentError, match="no such argument"):
        tune.run_experiments({"two": {**spec, "speed": 3}})


def test_metrics_as_keywords_get_an_error_that_shows_the_dict(fit: Any) -> None:
    def objective(config: dict[str, Any]) -> None:
        tune.report(loss=1)  # type: ignore[call-arg]

    assert 'tune.report({"loss": loss})' in str(fit(objective)[0].error)


# --- metric, mode, seed -----------------------------------------------------------------------------------------------


def test_metric_without_a_mode_is_maximised_and_said(fit: Any) -> None:
    with pytest.warns(UserWarning, match='"max" is taken'):
        grid = fit(lambda c: {"score": c["x"]}, {"x": tune.grid_search([1, 2])}, metric="score")
    assert grid.get_best_result().config == {"x": 2}


def test_bare_number_is_compared_without_a_name(fit: Any) -> None:
    grid = fit(lambda c: c["x"], {"x": tune.grid_search([1, 2])}, mode="max", scheduler=tune.ASHAScheduler())
    assert grid.get_best_result().config == {"x": 2}


def test_numpys_seed_before_fit_repeats_the_run_and_is_journaled(fit: Any) -> None:
    import numpy as np

    def draws() -> tuple[list[float], int]:
        np.random.seed(1234)
        grid = fit(lambda c: {"loss": c["x"]}, {"x": tune.uniform(0, 1)}, num_samples=3)
        return [r.config["x"] for r in grid], read(grid.experiment_path).header.seed

    first, second = draws(), draws()
    assert first == second
    assert len(set(first[0])) == 3


# --- resources --------------------------------------------------------------------------------------------------------


def test_resources_in_every_documented_form() -> None:
    from tune_core.air import ScalingConfig
    from tune_core.execution.placement_groups import resource_dict_to_pg_factory

    bundles = tune.PlacementGroupFactory([{"CPU": 1}, {"CPU": 2, "GPU": 0.5, "lamp": 1}])
    assert bundles.head_cpus == 1
    assert bundles.required_resources == {"CPU": 3.0, "GPU": 0.5, "lamp": 1.0}
    assert tune.with_resources(steps, {"cpu": 1, "custom_resources": {"lamp": 2}}).resources["custom_resources"]
    asked = tune.with_resources(steps, ScalingConfig(num_workers=2, use_gpu=True)).resources
    assert asked.required_resources == {"CPU": 3.0, "GPU": 2.0}
    assert resource_dict_to_pg_factory({"cpu": 2, "custom_resources": {"lamp": 1}}).bundles == [{"CPU": 2, "lamp": 1}]


def test_custom_resources_and_memory_are_counted(fit: Any) -> None:
    def objective(config: dict[str, Any]) -> None:
        tune.report({"resources": tune.get_trial_resources()})

    executor = tune.LocalExecutor(num_cpus=1, resources={"lamp": 2})
    asked = tune.with_resources(objective, {"cpu": 1, "custom_resources": {"lamp": 2}, "memory": 1 << 20})
    found = fit(asked, executor=executor)[0].metrics["resources"]
    assert found == {"cpu": 1, "lamp": 2, "memory": 1 << 20}
    with pytest.raises(TuneError, match="GiB of memory"):
        fit(tune.with_resources(objective, {"memory": 1 << 50}), executor=tune.LocalExecutor(num_cpus=1))


# --- reporters --------------------------------------------------------------------------------------------------------


class Own(tune.ProgressReporter):
    def __init__(self) -> None:
        self.calls: list[tuple[int, bool]] = []

    def should_report(self, trials: Any, done: bool = False) -> bool:
        return True

    def report(self, trials: Any, done: bool, *sys_info: str) -> None:
        self.calls.append((len(trials), done))


def test_reporter_of_ones_own_is_asked_and_called(fit: Any) -> None:
    own = Own()
    fit(steps, {"x": tune.grid_search([1.0, 2.0])}, progress_reporter=own)
    assert own.calls[-1] == (2, True)
    assert not any(done for _, done in own.calls[:-1])


def test_subclass_of_the_cli_reporter_is_called(fit: Any, capsys: pytest.CaptureFixture[str]) -> None:
    class Final(tune.CLIReporter):
        def should_report(self, trials: Any, done: bool = False) -> bool:
            return done

    fit(steps, {"x": tune.grid_search([1.0])}, progress_reporter=Final(metric_columns=["loss"]))
    printed = capsys.readouterr().out
    assert "Number of trials: 1/1 (1 TERMINATED)" in printed
    assert "steps_00000" in printed and "loss" in printed


# --- what is resumed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("finished", "starts"), [("SKIP", []), ("RESTART", [0, 0]), ("RESUME", [2, 2])])
def test_finished_trials_are_resumed_as_asked(finished: str, starts: list[int], tmp_path: Path) -> None:
    begins = tmp_path / "begins"

    def objective(config: dict[str, Any]) -> None:
        start = int(Path(found.path, "step").read_text()) if (found := tune.get_checkpoint()) else 0
        with begins.open("a") as file:
            file.write(f"{start} ")
        for step in range(start + 1, 3):
            made = Path(tempfile.mkdtemp(dir=tmp_path))
            (made / "step").write_text(str(step))
            tune.report({"step": step}, checkpoint=tune.Checkpoint.from_directory(str(made)))

    options: dict[str, Any] = {
        "config": {"x": tune.grid_search([1, 2])},
        "storage_path": str(tmp_path),
        "name": "run",
        "verbose": 0,
        "executor": "inline",
    }
    tune.run(objective, **options)
    assert begins.read_text() == "0 0 "
    begins.write_text("")
    kind = tune.ResumeConfig.ResumeType
    analysis = tune.run(objective, **options, resume=True, resume_config=tune.ResumeConfig(finished=kind[finished]))
    assert list(map(int, begins.read_text().split())) == starts
    assert [trial.last_result["step"] for trial in analysis.trials] == [2, 2]


# --- environment variables --------------------------------------------------------------------------------------------


def test_every_variable_of_ray_tune_is_in_the_table() -> None:
    for name, what in RAY_VARIABLES.items():
        assert what.startswith(("honoured", "not needed", "set in")), name


def test_folder_of_experiments_from_the_environment(fit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNE_CORE_STORAGE", raising=False)
    for name in ("TUNE_RESULT_DIR", "RAY_AIR_LOCAL_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
        assert fit(steps, storage_path=None).experiment_path == str(tmp_path / name / "run")


def test_undated_folder_from_the_environment(fit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_DISABLE_DATED_SUBDIR", "1")
    assert fit(steps, name=None).experiment_path == str(tmp_path / "steps")


def test_strict_metric_checking_can_be_switched_off(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
    grid = fit(lambda c: {"other": c["x"]}, {"x": 1}, metric="loss", mode="min")
    assert grid.num_errors == 0


def test_length_of_a_tag_from_the_environment(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_MAX_LEN_IDENTIFIER", "8")
    metrics = fit(lambda c: {"loss": 1}, {"a_long_name": tune.uniform(0, 1)})[0].metrics
    assert metrics["experiment_tag"] == "0_a_long"


def test_signal_for_a_graceful_end_is_known(fit: Any) -> None:
    def objective(config: dict[str, Any]) -> None:
        for step in range(10_000):
            if step == 3:
                os.kill(os.getpid(), signal.SIGUSR1)
            tune.report({"step": step})

    assert threading.current_thread() is threading.main_thread()
    grid = fit(objective)
    assert grid[0].metrics["step"] < 9_999
    assert grid[0].status == "PENDING"  # can be gone on with
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


# --- files ------------------------------------------------------------------------------------------------------------


def test_one_setting_writes_the_files_of_ray_tune(fit: Any) -> None:
    def objective(config: dict[str, Any]) -> None:
        tune.report({"loss": config["x"]})
        if config["x"] == 2:
            raise ValueError("two is refused")

    grid = fit(objective, {"x": tune.grid_search([1, 2])}, ray_files=True)
    assert {"params.json", "params.pkl", "result.json", "progress.csv"} <= set(os.listdir(grid[0].path))
    assert "two is refused" in Path(grid[1].path, "error.txt").read_text()
    assert not Path(grid[0].path, "error.txt").exists()


def test_no_such_files_without_the_setting(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not os.path.exists(os.path.join(fit(steps)[0].path, "result.json"))
    monkeypatch.setenv("TUNE_CORE_RAY_FILES", "1")
    assert os.path.exists(os.path.join(fit(steps)[0].path, "result.json"))
    monkeypatch.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    assert not os.path.exists(os.path.join(fit(steps)[0].path, "result.json"))


def test_policy_files_tell_who_copied_whom(fit: Any) -> None:
    from tune_core.schedulers import PopulationBasedTraining, PopulationBasedTrainingReplay

    class Model(Counter):
        def step(self) -> dict[str, Any]:
            self.count += self.config["rate"]
            return {"count": self.count}

    scheduler = PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=2,
        hyperparam_mutations={"rate": [1, 5]},
        quantile_fraction=0.5,
        seed=1,
        synch=True,
    )
    grid = fit(
        Model,
        {"rate": tune.grid_search([1, 5])},
        metric="count",
        mode="max",
        scheduler=scheduler,
        stop={"training_iteration": 8},
        ray_files=True,
        executor=tune.LocalExecutor(num_cpus=2),
    )
    folder = Path(grid.experiment_path)
    lines = [json.loads(line) for line in (folder / "pbt_global.txt").read_text().splitlines()]
    assert lines and lines[0][0].startswith("0_") and lines[0][1].startswith("1_")
    assert lines[0][4]["rate"] == 5
    replay = PopulationBasedTrainingReplay(str(folder / "pbt_policy_00000.txt"))
    assert replay.config["rate"] == lines[0][4]["rate"] or replay.config["rate"] in (1, 5)


def test_output_is_found_under_the_names_asked_for(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        print("hello")
        return {"loss": 1}

    options: dict[str, Any] = {"storage_path": str(tmp_path), "verbose": 0}
    trial = tune.run(objective, config={"x": 1}, log_to_file=("out.txt", "err.txt"), **options).trials[0]
    assert Path(trial.path, "out.txt").read_text() == Path(trial.path, "err.txt").read_text() == "hello\n"
    trial = tune.run(objective, config={"x": 1}, log_to_file=True, **options).trials[0]
    assert "hello" in Path(trial.path, "stdout").read_text()
    with pytest.raises(InvalidArgumentError, match="two names"):
        tune.RunConfig(log_to_file=3)


def test_callbacks_from_the_environment(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TUNE_CALLBACKS", "tune_core.logger.JsonLoggerCallback")
    assert os.path.exists(os.path.join(fit(steps)[0].path, "result.json"))
    monkeypatch.setenv("RAY_TUNE_CALLBACKS", "nowhere.Nothing")
    with pytest.raises(InvalidArgumentError, match="RAY_TUNE_CALLBACKS"):
        fit(steps)


def test_whole_errors_are_printed_if_the_environment_says_so(
    fit: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def objective(config: dict[str, Any]) -> None:
        raise ValueError("this line of the traceback")

    monkeypatch.setenv("TUNE_PRINT_ALL_TRIAL_ERRORS", "1")
    fit(objective)
    printed = capsys.readouterr().out
    assert "Traceback" in printed and "this line of the traceback" in printed


def test_settings_of_syncing_that_are_needless_are_said_to_be() -> None:
    tune.RunConfig(sync_config=tune.SyncConfig(sync_artifacts=True))
    with pytest.warns(UserWarning, match=r"SyncConfig\(sync_period\) has no effect"):
        tune.RunConfig(sync_config=tune.SyncConfig(sync_period=10))
