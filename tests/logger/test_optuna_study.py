"""Studies of Optuna, exported and live: read back with Optuna, and as optuna-dashboard's own API tells them."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from journals import Run

import tune_core as tune
from tune_core.cli.main import main
from tune_core.core import events as ev
from tune_core.results.recording import record
from tune_core.schedulers import ASHAScheduler

optuna = pytest.importorskip("optuna")

from tune_core.logger import OptunaLoggerCallback
from tune_core.logger.optuna import export_study

STATES = {"completed": "COMPLETE", "stopped early": "PRUNED", "failed": "FAIL", "stopped": "COMPLETE"}


def objective(config: dict[str, Any]) -> None:
    if config["opt"] == "bad":
        raise RuntimeError("as planned")
    for step in range(9):
        tune.report({"loss": config["lr"] + config["model"].get("depth", 3) / (step + 1), "acc": step, "nan": math.nan})


def fit(folder: Path, callbacks: list[Any]) -> tune.ResultGrid:
    return tune.Tuner(
        objective,
        param_space={
            "lr": tune.loguniform(1e-4, 1.0),
            "opt": tune.choice(["sgd", "adam", "bad"]),
            "batch": tune.choice([16, 32]),
            "model": tune.choice([{"kind": "tree", "depth": tune.randint(1, 9)}, {"kind": "svm"}]),
            "shape": tune.choice([[1, 2], [3]]),
        },
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", num_samples=30, seed=4, scheduler=ASHAScheduler(max_t=9, grace_period=1)
        ),
        run_config=tune.RunConfig(storage_path=str(folder), name="exp", verbose=0, callbacks=callbacks),
    ).fit()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tune.ResultGrid:
    return fit(tmp_path_factory.mktemp("runs"), [])


def load(path: Path, name: str = "exp") -> Any:
    from optuna.storages.journal import JournalFileBackend

    storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    return optuna.load_study(study_name=name, storage=storage)


def check(study: Any, results: tune.ResultGrid) -> None:
    recording = record(results)
    by_id = {t.user_attrs["trial_id"]: t for t in study.trials}
    assert sorted(by_id) == [r.trial_id for r in results]
    for trial in recording.trials:
        found = by_id[trial.trial_id]
        assert found.state.name == STATES[recording.outcome(trial)]
        assert found.params["lr"] == trial.config["lr"]
        assert found.params["opt"] == trial.config["opt"]
        assert found.distributions["lr"] == optuna.distributions.FloatDistribution(1e-4, 1.0, log=True)
        assert ("model/depth" in found.params) == ("depth" in trial.config["model"])
        if "depth" in trial.config["model"]:
            assert found.distributions["model/depth"] == optuna.distributions.IntDistribution(1, 8)
        course = recording.courses.get(trial.index)
        assert found.intermediate_values == (dict(zip(course.iterations, course.values)) if course else {})
        if course is not None:
            assert found.value == course.values[-1]
            assert found.user_attrs["last acc"] == trial.last.metrics["acc"]  # type: ignore[union-attr]
        if trial.reason and trial.error is None:
            assert found.user_attrs["reason"] == trial.reason
        assert found.datetime_complete >= found.datetime_start


def test_exported_study_is_the_experiment(results: tune.ResultGrid, tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    assert main(["export", results.experiment_path, "--to", "optuna", str(path)]) == 0
    check(load(path), results)
    assert load(path).direction.name == "MINIMIZE"
    assert main(["export", results.experiment_path, "--to", "optuna", str(path)]) == 1  # it is there already
    assert main(["export", results.experiment_path, "--to", "optuna", str(path), "--study-name", "again"]) == 0
    check(load(path, "again"), results)


def test_sqlite_holds_the_same(results: tune.ResultGrid, tmp_path: Path) -> None:
    assert export_study(results, str(tmp_path / "study.db")) == 30
    check(optuna.load_study(study_name="exp", storage=f"sqlite:///{tmp_path}/study.db"), results)


def test_live_logger_writes_the_same_study(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "live.journal"
    results = fit(tmp_path / "runs", [OptunaLoggerCallback(str(path))])
    assert "OptunaLoggerCallback" not in capfd.readouterr().err
    study = load(path)
    check(study, results)
    assert {tuple(t.distributions["opt"].choices) for t in study.trials} == {("sgd", "adam", "bad")}


def test_values_outside_the_space_widen_it(tmp_path: Path) -> None:
    run = Run(tmp_path / "exp", name="exp")
    run.header.space = {"x": "uniform(0.0, 1.0)"}
    run.lines[0] = ev.encode(run.header)
    run.trial([1.0], x=7.0)
    run.trial([1.0], x=0.5)
    assert export_study(run.save(), str(tmp_path / "s.journal")) == 2
    found = load(tmp_path / "s.journal").trials
    assert [t.params["x"] for t in found] == [7.0, 0.5]
    assert [t.distributions["x"].high for t in found] == [7.0, 1.0]


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


@pytest.mark.real
def test_optuna_dashboards_api_tells_the_same_values(results: tune.ResultGrid, tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    path = tmp_path / "study.journal"
    export_study(results, str(path))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = "import sys; from optuna_dashboard._cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, str(path), "--port", str(port), "--host", "127.0.0.1"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                studies = get(f"http://127.0.0.1:{port}/api/studies")["study_summaries"]
                break
            except OSError:
                assert time.monotonic() < deadline and server.poll() is None, "optuna-dashboard did not start"
                time.sleep(0.2)
        (summary,) = studies
        assert summary["study_name"] == "exp"
        detail = get(f"http://127.0.0.1:{port}/api/studies/{summary['study_id']}")
    finally:
        server.terminate()
        server.wait()
    recording = record(results)
    told = {next(a["value"] for a in t["user_attrs"] if a["key"] == "trial_id").strip('"'): t for t in detail["trials"]}
    assert sorted(told) == [r.trial_id for r in results]
    for trial in recording.trials:
        found = told[trial.trial_id]
        assert found["state"].upper()[:6] == STATES[recording.outcome(trial)][:6]
        course = recording.courses.get(trial.index)
        if course is not None:
            steps = {i["step"]: i["value"] for i in found["intermediate_values"]}
            assert steps == dict(zip(course.iterations, course.values))
            if found["values"] is not None:
                assert found["values"] == [course.values[-1]]
        params = {p["name"]: p["param_external_value"] for p in found["params"]}
        assert float(params["lr"]) == pytest.approx(trial.config["lr"])
