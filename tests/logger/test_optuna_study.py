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


def studies(folder: Path, objective: Any, space: dict[str, Any], **config: Any) -> list[Any]:
    """A run as a study kept up to date live, and as one exported afterwards."""
    live, exported = str(folder / "live.journal"), str(folder / "exported.journal")
    tune.Tuner(
        objective,
        param_space=space,
        tune_config=tune.TuneConfig(seed=0, **config),
        run_config=tune.RunConfig(
            storage_path=str(folder), name="exp", verbose=0, executor="inline", callbacks=[OptunaLoggerCallback(live)]
        ),
    ).fit()
    export_study(str(folder / "exp"), exported)
    return [
        optuna.load_study(
            study_name="exp",
            storage=optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(where)),
        )
        for where in (live, exported)
    ]


def test_several_metrics_are_several_objectives(tmp_path: Path) -> None:
    def both(config: dict[str, Any]) -> dict[str, Any]:
        return {"a": config["x"], "b": math.nan if config["x"] == 3 else -config["x"]}

    space = {"x": tune.grid_search([1, 2, 3])}
    for study in studies(tmp_path, both, space, metric=["a", "b"], mode=["min", "max"]):
        assert [direction.name for direction in study.directions] == ["MINIMIZE", "MAXIMIZE"]
        assert study.metric_names == ["a", "b"]
        assert [(t.state.name, t.values) for t in study.trials] == [
            ("COMPLETE", [1.0, -1.0]), ("COMPLETE", [2.0, -2.0]), ("FAIL", None)
        ]  # fmt: skip
        assert [t.params for t in study.best_trials] == [{"x": 1}]


def test_constraints_come_with_the_study(tmp_path: Path) -> None:
    def costly(config: dict[str, Any]) -> dict[str, Any]:
        return {"loss": config["x"], "cost": 9 - config["x"]}

    space = {"x": tune.grid_search([1, 5, 8])}
    for study in studies(tmp_path, costly, space, metric="loss", mode="min", constraints={"cost": ("<=", 5)}):
        assert [t.system_attrs["constraints"] for t in study.trials] == [[3.0], [-1.0], [-4.0]]
        assert study.best_trial.params == {"x": 5}


def test_simple_categories_keep_their_values(tmp_path: Path) -> None:
    space = {
        "k": tune.choice([16, 32]), "b": tune.choice([True, False]), "n": tune.choice([None, 0.5]),
        "mixed": tune.choice([1, True]), "list": tune.choice([[1], [2]]),
    }  # fmt: skip
    for study in studies(
        tmp_path, lambda config: {"loss": config["k"]}, space, metric="loss", mode="min", num_samples=9
    ):
        for trial in study.trials:
            kinds = {name: type(value) for name, value in trial.params.items()}
            assert kinds["k"] is int and kinds["b"] is bool and kinds["n"] in (float, type(None))
            assert kinds["mixed"] is str and kinds["list"] is str  # Optuna cannot tell the first apart, nor take a list
        assert study.best_params["k"] == 16


def test_a_run_without_a_metric_makes_a_study_of_the_one_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tune.Tuner(
        lambda config: {"acc": config["x"]},
        param_space={"x": tune.grid_search([1, 3, 2])},
        run_config=tune.RunConfig(storage_path=str(tmp_path), name="exp", verbose=0, executor="inline"),
    ).fit()
    with pytest.raises(tune.errors.InvalidArgumentError, match="has a metric and a mode, and this run has none"):
        export_study(str(tmp_path / "exp"), str(tmp_path / "s.journal"))
    where = str(tmp_path / "s.journal")
    assert main(["export", str(tmp_path / "exp"), "--to", "optuna", where, "--metric", "acc", "--mode", "max"]) == 0
    backend = optuna.storages.journal.JournalFileBackend(where)
    study = optuna.load_study(study_name="exp", storage=optuna.storages.JournalStorage(backend))
    assert study.best_value == 3 and study.directions[0].name == "MAXIMIZE"
    with pytest.raises(SystemExit):
        main(["export", str(tmp_path / "exp"), "--metric", "acc"])
    assert "--metric and --mode are of --to optuna" in capsys.readouterr().err
