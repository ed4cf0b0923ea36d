"""A driver that gets SIGTERM, as on a machine that is taken back: trials save, all is sent, another machine goes on."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tune_core as tune
from storage.steps import report_step, steps_done

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[2])
import tune_core as tune
from storage.test_preemption import objective
tune.Tuner(
    objective,
    param_space={"x": tune.grid_search([1.0, 2.0])},
    tune_config=tune.TuneConfig(metric="loss", mode="min"),
    run_config=tune.RunConfig(name="run", storage_path=sys.argv[1], verbose=0),
).fit()
"""


def objective(config):
    """Reports rarely; when the machine is taken back it reports at once what it has."""
    start = steps_done()
    step = start
    while start == 0 or step < start + 3:  # the first attempt goes on until it is told to end
        step += 1
        time.sleep(0.01)
        if tune.get_context().preempted or step >= start + 3 > 3:
            report_step(step, {"loss": config["x"] / step, "start": start})


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_trials_save_when_the_driver_is_told_to_end(kind, tmp_path, request, monkeypatch):
    base = str(tmp_path / "runs") if kind == "folder" else f"{request.getfixturevalue('s3_bucket')}/runs"
    monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / "a"))
    driver = subprocess.Popen([sys.executable, "-c", SCRIPT, base, str(Path(__file__).resolve().parents[1])])
    deadline = time.monotonic() + 60
    while not _launched(f"{base}/run"):
        assert time.monotonic() < deadline and driver.poll() is None
        time.sleep(0.1)
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(60) == 0
    monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / "b"))
    before = tune.ResultGrid.from_path(f"{base}/run")
    saved = [result.metrics["training_iteration"] for result in before if result.checkpoint is not None]
    assert saved and set(saved) == {1}
    after = tune.Tuner.restore(f"{base}/run", objective).fit()
    went_on = [result.metrics["start"] > 0 for result in after]
    assert sum(went_on) == len(saved)


def _launched(path):
    from tune_core.errors import TuneError

    try:
        grid = tune.ResultGrid.from_path(path)
    except TuneError:
        return False
    return any(str(result.status) == "RUNNING" for result in grid)


def test_nothing_is_preempted_outside_of_a_trial():
    assert tune.get_context().preempted is False
