"""What reads an experiment does as much for each result, however many there are; what asks for one trial, for that."""

from __future__ import annotations

import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from growth.counting import stays_linear, work
from tune_core.cli.main import main
from tune_core.journal import format as journal_format
from tune_core.journal import histories, kept_index
from tune_core.results import ResultGrid, export, frames
from tune_core.results.analysis import ExperimentAnalysis
from tune_core.results.recording import record
from tune_core.schedulers import ASHAScheduler

N = 30
STEPS = 6


def objective(config: dict[str, Any]) -> None:
    for step in range(1, STEPS + 1):
        tune.report({"loss": config["x"] + 1 / step, "size": step, "nested": {"accuracy": config["x"]}})


@pytest.fixture(scope="module")
def experiments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Experiments of N, 2 N and 8 N trials, each in a folder of its name with nothing else in it."""
    base = tmp_path_factory.mktemp("experiments")
    for n in (N, 2 * N, 8 * N):
        tune.Tuner(
            objective,
            param_space={"x": tune.uniform(0, 1), "kind": tune.choice(["a", "b"])},
            tune_config=tune.TuneConfig(
                metric="loss", mode="min", num_samples=n, seed=1, scheduler=ASHAScheduler(max_t=STEPS, grace_period=2)
            ),
            run_config=tune.RunConfig(executor="inline", storage_path=str(base / str(n)), name="run", verbose=0),
        ).fit()
    return base


def path(experiments: Path, n: int) -> str:
    return str(experiments / str(n) / "run")


READERS: dict[str, Callable[[str], object]] = {
    "from_path": ResultGrid.from_path,
    "best by the last result": lambda folder: ResultGrid.from_path(folder).get_best_result(),
    "best by all results": lambda folder: ResultGrid.from_path(folder).get_best_result(scope="all"),
    "best by an average": lambda folder: ResultGrid.from_path(folder).get_best_result(scope="last-5-avg"),
    "best by another metric": lambda folder: ResultGrid.from_path(folder).get_best_result("size", "max", "avg"),
    "pareto front": lambda folder: ResultGrid.from_path(folder).pareto_front(["loss", "size"], ["min", "min"]),
    "data frame": lambda folder: ResultGrid.from_path(folder).get_dataframe(),
    "data frame of the best": lambda folder: ResultGrid.from_path(folder).get_dataframe("loss", "min"),
    "each trial's data frame": lambda folder: [r.metrics_dataframe for r in ResultGrid.from_path(folder)],
    "each trial's story": lambda folder: [r.explain() for r in ResultGrid.from_path(folder)],
    "each trial's value": lambda folder: [(r.metrics, r.config, r.error, r.path) for r in ResultGrid.from_path(folder)],
    "all data frames": lambda folder: list(ExperimentAnalysis(folder).trial_dataframes.values()),
    "one data frame of all": lambda folder: ResultGrid.from_path(folder).metrics_dataframe,
    "analysis": lambda folder: (ExperimentAnalysis(folder).best_config, ExperimentAnalysis(folder).results),
    "recording": record,
}


@pytest.mark.parametrize("name", READERS)
def test_reading(experiments: Path, name: str) -> None:
    stays_linear(lambda n: lambda: READERS[name](path(experiments, n)), N)


COMMANDS: dict[str, list[str]] = {
    "show": ["show", "EXP"],
    "show all": ["show", "EXP", "-n", "1000000"],
    "best": ["best", "EXP"],
    "best, last": ["best", "EXP", "--scope", "last", "--json"],
    "explain": ["explain", "EXP", "3"],
    "export": ["export", "EXP", "-o", "OUT.csv"],
    "export all results": ["export", "EXP", "--results", "-o", "OUT.csv"],
    "export json": ["export", "EXP", "--results", "-o", "OUT.json"],
    "watch": ["watch", "EXP", "--once"],
    "report": ["report", "EXP", "-o", "OUT.html"],
    "report, Markdown": ["report", "EXP", "-o", "OUT.md"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(experiments: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    def prepare(n: int) -> Callable[[], object]:
        words = [path(experiments, n) if word == "EXP" else word for word in COMMANDS[name]]
        words = [word.replace("OUT", str(tmp_path / f"{n}")) for word in words]
        return lambda: main(words)

    stays_linear(prepare, N)
    assert capsys.readouterr().err == ""


def test_ls_of_many_experiments(experiments: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def prepare(count: int) -> Callable[[], object]:
        for i in range(count):
            os.makedirs(tmp_path / str(count), exist_ok=True)
            os.symlink(path(experiments, N), tmp_path / str(count) / f"run{i}")
        return lambda: main(["ls", str(tmp_path / str(count))])

    stays_linear(prepare, 2)


def test_one_trials_results_after_the_first_cost_the_same_in_a_large_experiment(experiments: Path) -> None:
    costs = {}
    for n in (N, 8 * N):
        results = ResultGrid.from_path(path(experiments, n))
        results[0].explain()  # finds where each trial's lines are
        costs[n] = work(lambda results=results: (results[7].explain(), results[7].metrics_dataframe))
    assert costs[8 * N] <= 1.5 * costs[N]


@pytest.mark.parametrize("command", [["show", "-n", "3"], ["best"], ["best", "--scope", "last"]])
def test_commands_on_a_large_experiment_read_the_trials_that_they_show(
    experiments: Path, tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = work(lambda: main([command[0], path(experiments, 8 * N), *command[1:]]))
    monkeypatch.setattr(kept_index, "LEAST_BYTES", 0)
    shutil.copytree(path(experiments, 8 * N), tmp_path / "run")
    copy = str(tmp_path / "run")
    main([command[0], copy, *command[1:]])  # leaves beside the journal what the next looks at
    assert work(lambda: main([command[0], copy, *command[1:]])) < whole / 4


@pytest.mark.parametrize("name", ["trial_dataframes", "parquet"])
def test_memory_of_all_results_is_that_of_a_few_trials_at_a_time(
    experiments: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pandas" if name == "trial_dataframes" else "pyarrow")
    monkeypatch.setattr(journal_format, "CHUNK_BYTES", 1 << 13)
    monkeypatch.setattr(export, "LEAST_BYTES", 0)

    def peak(batch_bytes: int, most_trials: int) -> int:
        monkeypatch.setattr(histories, "BATCH_BYTES", batch_bytes)
        monkeypatch.setattr(frames, "MOST_TRIALS", most_trials)
        grid = ResultGrid.from_path(path(experiments, 8 * N))
        every = ExperimentAnalysis(grid).trial_dataframes
        grid[0].explain()  # finds where each trial's lines are
        tracemalloc.start()
        try:
            if name == "parquet":
                export.export(grid.experiment_path, "parquet", str(tmp_path / "out.parquet"), every_report=True)
            else:
                assert sum(map(len, every.values())) > 8 * N
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1, 8)  # what is imported then is not counted again
    assert peak(1, 8) < 0.5 * peak(1 << 40, 8 * N)


def long_course(config: dict[str, Any]) -> None:
    for step in range(config["steps"]):
        tune.report({"loss": config["x"], "step": step})


def test_memory_of_a_restore_is_that_of_the_trials_and_not_of_their_results(tmp_path: Path) -> None:
    def peak(steps: int) -> int:
        name = f"steps{steps}"
        tune.Tuner(
            long_course,
            param_space={"x": tune.uniform(0, 1), "steps": steps},
            tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=40, seed=1),
            run_config=tune.RunConfig(executor="inline", storage_path=str(tmp_path), name=name, verbose=0),
        ).fit()
        tuner = tune.Tuner.restore(str(tmp_path / name), long_course)
        tracemalloc.start()
        try:
            assert len(tuner.fit()) == 40
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)  # what is imported then is not counted again
    assert peak(2000) < 3 * peak(250)
