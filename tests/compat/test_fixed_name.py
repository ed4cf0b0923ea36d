"""One script, run twice with a fixed name, killed, gone on with, run again: what lies where."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from imports import ROOT

import tune_core as tune

SCRIPT = """
import sys, time
import tune_core as tune

storage, first, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])

def objective(config):
    time.sleep(pause)
    return {"loss": first + config["x"]}

space = {"x": tune.grid_search([0, 1, 2])}
path = storage + "/study"
if "resume" in sys.argv and tune.Tuner.can_restore(path):
    tuner = tune.Tuner.restore(path, objective)
else:
    tuner = tune.Tuner(objective, param_space=space,
        run_config=tune.RunConfig(name="study", storage_path=storage, executor=tune.LocalExecutor(num_cpus=1)))
print(len(tuner.fit()))
"""


@pytest.mark.real
def test_nothing_is_lost_and_nothing_is_mixed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    storage = tmp_path / "storage"
    paths = os.pathsep.join([str(ROOT), str(ROOT / "integrations"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "TUNE_CORE_PROGRESS": "plain"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), str(storage), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)

    assert run("100", "0").returncode == 0
    second = run("200", "0")
    assert second.returncode == 0, second.stderr
    (aside,) = [folder for folder in storage.iterdir() if folder.name != "study"]
    assert aside.name.startswith("study_20") and str(aside) in second.stdout
    assert [r.metrics["loss"] for r in tune.ResultGrid.from_path(aside)] == [100, 101, 102]
    assert [r.metrics["loss"] for r in tune.ResultGrid.from_path(storage / "study")] == [200, 201, 202]

    killed = subprocess.Popen(
        [sys.executable, str(script), str(storage), "300", "0.5"], stdout=subprocess.DEVNULL, env=environment
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:  # until its first trial has ended
        grid = tune.ResultGrid.from_path(storage / "study") if tune.Tuner.can_restore(storage / "study") else []
        if any(r.metrics.get("loss") == 300 for r in grid):
            break
        time.sleep(0.1)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    gone_on = run("300", "0", "resume")
    assert gone_on.returncode == 0, gone_on.stderr
    assert [r.metrics["loss"] for r in tune.ResultGrid.from_path(storage / "study")] == [300, 301, 302]
    assert run("400", "0").returncode == 0
    found = sorted(min(r.metrics["loss"] for r in tune.ResultGrid.from_path(folder)) for folder in storage.iterdir())
    assert found == [100, 200, 300, 400]
