"""When the cluster's head is gone, the run ends with a clear error, loses nothing, and can be restored elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray")

DRIVER = """
import json, sys, tempfile, time
from pathlib import Path
import tune_core as tune

def slow(config):
    start = 0
    if tune.get_checkpoint():
        start = int(Path(tune.get_checkpoint().path, "step").read_text())
    for step in range(start, 40):
        time.sleep(config["step_s"])
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step").write_text(str(step + 1))
            tune.report({"step": step, "start": start}, checkpoint=tune.Checkpoint.from_directory(folder))

def on_a_cluster_whose_head_dies(folder):
    from ray.cluster_utils import Cluster
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})

    class Kills(tune.Callback):
        left = 6

        def on_trial_result(self, **info):
            self.left -= 1
            if self.left == 0:
                cluster.head_node.kill_gcs_server()

    try:
        tune.Tuner(slow, param_space={"step_s": 0.5}, tune_config=tune.TuneConfig(num_samples=2),
                   run_config=tune.RunConfig(name="run", storage_path=folder, verbose=0, callbacks=[Kills()],
                                             executor=tune.RayExecutor(address=cluster.address))).fit()
    except tune.TuneError as error:
        print(json.dumps([type(error).__name__, str(error)]))
    cluster.shutdown()

def restored_on_local_workers(folder):
    slow.__globals__["time"].sleep = lambda seconds: None
    results = tune.Tuner.restore(folder + "/run", slow, param_space={"step_s": 0.5},
                                 tune_config=tune.TuneConfig(num_samples=2),
                                 run_config=tune.RunConfig(executor="local", verbose=0)).fit()
    print(json.dumps([[result.metrics["step"], result.metrics["start"]] for result in results]))

globals()[sys.argv[1]](sys.argv[2])
"""


def run(tmp_path: Path, part: str) -> list[object]:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    command = [sys.executable, str(script), part, str(tmp_path)]
    driver = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        output, errors = driver.communicate(timeout=100)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)  # Ray's agents don't see that their cluster's head is gone
    assert output, errors
    answer: list[object] = json.loads(output.splitlines()[-1])
    return answer


def test_run_on_a_cluster_whose_head_dies_ends_with_a_clear_error_and_is_restored(tmp_path: Path) -> None:
    kind, text = run(tmp_path, "on_a_cluster_whose_head_dies")
    assert kind == "ExecutorError"
    assert "has not answered for 10 s" in str(text) and "Tuner.restore" in str(text)

    results = run(tmp_path, "restored_on_local_workers")
    assert [step for step, _ in results] == [39, 39]  # type: ignore[misc]
    assert all(start > 0 for _, start in results)  # type: ignore[misc]
