"""Trackers hold what the journal holds: after a run on two workers, with failures, and after a kill and a restore."""

from __future__ import annotations

import importlib.util
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.errors import InvalidArgumentError
from tune_core.journal.histories import history
from tune_core.logger.tracker import Tracker

from . import readers

ROOT = Path(__file__).parents[2]

TRACKERS: dict[str, tuple[str, str, Callable[[str], dict[str, readers.Logged]]]] = {
    "wandb": ("wandb", "WandbLoggerCallback(project='p', dir=FOLDER, mode='offline')", readers.wandb),
    "mlflow": ("mlflow", "MLflowLoggerCallback(FOLDER_URI, experiment_name='e')", readers.mlflow),
    "comet": ("comet_ml", "CometLoggerCallback(online=False, offline_directory=FOLDER)", readers.comet),
    "aim": ("aim", "AimLoggerCallback(repo=FOLDER)", readers.aim),
    "tensorboard": ("tensorboardX", "TBXLoggerCallback()", readers.tensorboard),
}
each = pytest.mark.parametrize("kind", TRACKERS)


def objective(config: dict[str, Any]) -> None:
    for step in range(config["steps"]):
        if config["x"] == 3 and step == 2:
            raise RuntimeError("as planned")
        time.sleep(config.get("pause", 0))
        tune.report({"loss": config["x"] / (step + 1), "text": "t", "nested": {"a": step}})


def made(kind: str, folder: Path) -> Any:
    module, code, _ = TRACKERS[kind]
    pytest.importorskip(module)
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    folder.mkdir(parents=True, exist_ok=True)
    from tune_core import logger

    return eval(
        code,
        {**vars(logger), **{n: getattr(logger, n) for n in logger.__all__}},
        {"FOLDER": str(folder), "FOLDER_URI": folder.as_uri()},
    )


def read(kind: str, tmp_path: Path, experiment: str) -> dict[str, readers.Logged]:
    return TRACKERS[kind][2](experiment if kind == "tensorboard" else str(tmp_path / "kept"))


def compare(kind: str, found: dict[str, readers.Logged], experiment: str) -> None:
    """Every value of every trial, its configuration and how it ended."""
    results = tune.ResultGrid.from_path(experiment)
    histories = history(experiment)
    assert sorted(found) == [r.trial_id for r in results]
    for result in results:
        logged = found[result.trial_id]
        expected = [(row["training_iteration"], row["loss"]) for row in histories[result._trial.index]]
        assert [i for i, _ in logged.points] == [i for i, _ in expected], result.trial_id
        assert [v for _, v in logged.points] == pytest.approx([v for _, v in expected])
        assert {k: float(v) for k, v in logged.config.items() if k in ("x", "steps")} == {
            k: result.config[k] for k in ("x", "steps")
        }
        ended = "failed" if result.error else "finished"
        best = min(v for _, v in expected)
        assert logged.status == (f"best {best:g}" if kind == "tensorboard" else ended)


@pytest.mark.real
@each
def test_tracker_holds_what_the_journal_holds(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tune_core.logger.tracker.ANNOUNCE_S", 120.0)  # a slow machine has to wait
    tracker = made(kind, tmp_path / "kept")
    results = tune.Tuner(
        objective,
        param_space={"x": tune.grid_search([1, 2, 3, 4]), "steps": 5},
        tune_config=tune.TuneConfig(metric="loss", mode="min", max_concurrent_trials=2),
        run_config=tune.RunConfig(storage_path=str(tmp_path / "runs"), name="tracked", verbose=0, callbacks=[tracker]),
    ).fit()
    assert results.num_errors == 1
    assert "LoggerCallback: " not in capfd.readouterr().err
    found = read(kind, tmp_path, results.experiment_path)
    compare(kind, found, results.experiment_path)
    if kind == "mlflow":
        (parent,) = {logged.parent for logged in found.values()}
        assert parent
    assert tracker.how_to_look


SCRIPT = """
import sys
import threading
sys.path[:0] = [{tests!r}, {root!r}]
from pathlib import Path
import tune_core as tune
from tests.logger.test_trackers import made, objective
if __name__ == "__main__":
    tune.Tuner(
        objective,
        param_space={{"x": tune.grid_search([1, 2, 4]), "steps": 8, "pause": 0.1}},
        tune_config=tune.TuneConfig(metric="loss", mode="min", max_concurrent_trials=2),
        run_config=tune.RunConfig(storage_path={storage!r}, name="tracked", verbose=0,
                                  callbacks=[made({kind!r}, Path({kept!r}))]),
    ).fit()
"""


@pytest.mark.real
@pytest.mark.slow
@each
def test_a_killed_run_goes_on_without_a_lost_or_double_point(kind: str, tmp_path: Path) -> None:
    pytest.importorskip(TRACKERS[kind][0])
    script = tmp_path / "run.py"
    kept, storage = str(tmp_path / "kept"), str(tmp_path / "runs")
    script.write_text(SCRIPT.format(tests=str(ROOT / "tests"), root=str(ROOT), storage=storage, kind=kind, kept=kept))
    experiment = f"{storage}/tracked"
    service = {
        name for name in os.environ if "WANDB_SERVICE" in name
    }  # of this process, which would keep its runs open
    driver = subprocess.Popen(
        [sys.executable, str(script)], env={k: v for k, v in os.environ.items() if k not in service}
    )
    try:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and driver.poll() is None:
            time.sleep(0.05)
            journal = Path(experiment, "journal.jsonl")
            if journal.exists() and journal.read_bytes().count(b'"e":"report"') >= 9:
                break
        assert driver.poll() is None, "it was to be killed while it ran"
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    results = tune.Tuner.restore(
        experiment, objective, run_config=tune.RunConfig(verbose=0, callbacks=[made(kind, tmp_path / "kept")])
    ).fit()
    assert results.num_errors == 0
    compare(kind, read(kind, tmp_path, experiment), experiment)


def test_a_tracker_that_cannot_be_reached_ends_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mlflow")
    from tune_core.logger import MLflowLoggerCallback

    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    results = tune.Tuner(
        objective,
        param_space={"x": tune.grid_search([1, 2]), "steps": 3},
        run_config=tune.RunConfig(
            storage_path=str(tmp_path), verbose=0, callbacks=[MLflowLoggerCallback("http://127.0.0.1:9")]
        ),
    ).fit()
    assert results.num_errors == 0
    said = capfd.readouterr().err
    assert "MLflowLoggerCallback:" in said
    assert "(connecting); the run goes on" in said


def test_wandb_without_a_key_is_refused_before_any_trial(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    from tune_core.logger import WandbLoggerCallback, setup_wandb

    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for call in (lambda: WandbLoggerCallback(project="p"), lambda: setup_wandb({})):
        with pytest.raises(InvalidArgumentError, match="WANDB_MODE=offline"):
            call()
    with pytest.raises(InvalidArgumentError, match="nowhere"):
        WandbLoggerCallback(api_key_file=str(tmp_path / "nowhere"))
    with pytest.warns(UserWarning, match="video_kwargs"):
        WandbLoggerCallback(mode="offline", video_kwargs={"fps": 4})


def with_wandb(config: dict[str, Any]) -> None:
    from tune_core.logger import setup_wandb

    run = setup_wandb(project="p", mode="offline", dir=config["folder"])
    for step in range(3):
        run.log({"loss": config["x"] + step, "training_iteration": step + 1})
        tune.report({"loss": config["x"] + step})


def with_mlflow(config: dict[str, Any]) -> None:
    from tune_core.logger import setup_mlflow

    mlflow = setup_mlflow(
        tracking_uri=Path(config["folder"]).as_uri(), experiment_name="inside", create_experiment_if_not_exists=True
    )
    for step in range(3):
        mlflow.log_metric("loss", config["x"] + step, step=step + 1)
        tune.report({"loss": config["x"] + step})


@pytest.mark.real
@pytest.mark.parametrize("kind", ["wandb", "mlflow"])
def test_an_objective_can_log_by_itself(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(kind)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    (tmp_path / "kept").mkdir()
    results = tune.Tuner(
        with_wandb if kind == "wandb" else with_mlflow,
        param_space={"x": tune.grid_search([1, 2, 3]), "folder": str(tmp_path / "kept")},
        tune_config=tune.TuneConfig(max_concurrent_trials=1),
        run_config=tune.RunConfig(storage_path=str(tmp_path / "runs"), name="inside", verbose=0),
    ).fit()
    assert results.errors == []
    if kind == "wandb":
        found = readers.wandb(str(tmp_path / "kept"))
        assert sorted(logged.points for logged in found.values()) == [
            [(1, x), (2, x + 1), (3, x + 2)] for x in (1, 2, 3)
        ]
        return
    import mlflow

    client = mlflow.tracking.MlflowClient(tracking_uri=(tmp_path / "kept").as_uri())
    runs = client.search_runs([client.get_experiment_by_name("inside").experiment_id])
    assert sorted(run.data.params["x"] for run in runs) == ["1", "2", "3"]
    for run in runs:
        points = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "loss")]
        assert points == [(s + 1, int(run.data.params["x"]) + s) for s in range(3)]
        assert run.info.status == "FINISHED"


def test_ray_tunes_import_paths_lead_to_the_trackers() -> None:
    from tune_core.air.integrations.comet import CometLoggerCallback
    from tune_core.air.integrations.mlflow import MLflowLoggerCallback, setup_mlflow
    from tune_core.air.integrations.wandb import WandbLoggerCallback, setup_wandb
    from tune_core.logger.aim import AimLoggerCallback

    for found in (
        CometLoggerCallback,
        MLflowLoggerCallback,
        setup_mlflow,
        WandbLoggerCallback,
        setup_wandb,
        AimLoggerCallback,
    ):
        assert found.__module__.startswith("tune_core.logger.")


@each
def test_a_missing_library_is_named_with_its_extra(kind: str) -> None:
    if importlib.util.find_spec(TRACKERS[kind][0]) is not None:
        pytest.skip("it is installed")
    from tune_core import logger
    from tune_core.errors import MissingDependencyError

    name = TRACKERS[kind][1].partition("(")[0]
    with pytest.raises(MissingDependencyError, match="pip install"):
        getattr(logger, name)()


def run_tracked(tracker: Any, tmp_path: Path, **more: Any) -> tune.ResultGrid:
    return tune.Tuner(
        more.pop("trainable", objective),
        param_space={"x": tune.grid_search([1]), "steps": 3},
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, callbacks=[tracker], executor="inline"),
    ).fit()


def test_a_server_that_refuses_connections_is_named_at_once_and_not_waited_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    from tune_core.logger import MLflowLoggerCallback

    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)  # MLflow tries for two minutes
    tracker = MLflowLoggerCallback("http://127.0.0.1:9")
    assert run_tracked(tracker, tmp_path).num_errors == 0
    said = capfd.readouterr().err
    assert "http://127.0.0.1:9 cannot be reached: Connection refused" in said
    assert "nothing was sent; all of it is in the journal" in said
    assert tracker._thread is None


class Hangs(Tracker):
    """A service that answers only when it is let."""

    def __init__(self, why: str, finish_s: float) -> None:
        super().__init__(finish_s)
        self.why = why
        self.answer = threading.Event()

    def unreachable(self) -> str:
        return self.why

    def send_open(self, trial: Any) -> tuple[Any, int]:
        self.answer.wait(60)
        return None, 0


def test_a_long_wait_at_the_end_is_announced_with_its_cause(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tune_core.logger.tracker.ANNOUNCE_S", 0.1)
    monkeypatch.setattr("tune_core.logger.tracker.UNREACHED_S", 0.2)
    tracker = Hangs("http://there cannot be reached: gone", 120.0)
    run_tracked(tracker, tmp_path)
    tracker.answer.set()
    said = capfd.readouterr().err
    assert "it is still sending, and http://there cannot be reached: gone; the end of the run waits 0.1 s more" in said
    assert "it has not sent everything after 0.2 s; what is missing is in the journal only" in said


def test_a_service_that_comes_back_gets_what_it_has_missed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tune_core.logger.tracker.AGAIN_S", 0.05)

    class Late(Tracker):
        attempts = 0
        sent: tuple[int, ...] = ()

        def send_connect(self, name: str, folder: str) -> None:
            type(self).attempts += 1
            if self.attempts < 3:
                raise ConnectionRefusedError("nobody listens")

        def send_open(self, trial: Any) -> tuple[Any, int]:
            return None, 0

        def send_result(self, trial: Any, number: int, result: Any) -> None:
            type(self).sent += (number,)

    def waits(config: dict[str, Any]) -> None:
        objective(config)
        deadline = time.monotonic() + 30
        while Late.attempts < 3 and time.monotonic() < deadline:
            time.sleep(0.02)

    run_tracked(Late(), tmp_path, trainable=waits)
    assert Late.sent == (0, 1, 2)
    assert capfd.readouterr().err.count("nobody listens (connecting); the run goes on, and it is tried again") == 1


def test_tensorboard_leaves_out_what_is_not_finite(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorboardX")
    from tune_core.logger import TBXLoggerCallback

    def diverges(config: dict[str, Any]) -> None:
        for value in (1.0, math.nan, math.inf, 2.0):
            tune.report({"loss": value, "sizes": [1.0, value], "huge": 10**400 if value == 2.0 else 1})

    assert run_tracked(TBXLoggerCallback(), tmp_path, trainable=diverges).num_errors == 0
    said = capfd.readouterr()
    assert "NaN or Inf" not in said.out + said.err
    assert "TBXLoggerCallback: " not in said.err
