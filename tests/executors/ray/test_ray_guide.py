"""The guide's sweep over many nodes, to the letter, on nodes that have neither the script nor its modules."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from imports import ROOT

pytest.importorskip("ray")

from executors.ray.ray_nodes import Nodes
from tune_core.core import events as ev
from tune_core.journal import reader as journal

MODULE = """
import os
import tune_core as tune
from my_helper import start_value

def train(config):
    loss = start_value(config["lr"])
    for step in range(9):
        loss *= 0.9
        tune.report({"loss": loss, "sees": os.path.exists(os.environ["PROJECT"])})
"""
HELPER = "def start_value(lr):\n    return abs(lr - 0.01) + 1\n"


def test_sweep_of_the_guide_runs_on_three_nodes_that_have_none_of_its_files(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "guides" / "ray.md").read_text()
    (script,) = [code for code in re.findall(r"```python no-run\n(.*?)```", page, re.DOTALL) if "my_project" in code]
    project = tmp_path / "disk" / "project"
    project.mkdir(parents=True)
    (project / "script.py").write_text(script)
    (project / "my_project.py").write_text(MODULE)
    (project / "my_helper.py").write_text(HELPER)
    nodes = Nodes(tmp_path / "disk", 0)
    try:
        for _ in range(3):
            nodes.add(num_cpus=8, num_gpus=1, env_vars={"PROJECT": str(project), "PYTHONPATH": str(ROOT)})
        environment = {
            **os.environ,
            "RAY_ADDRESS": nodes.address,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "TUNE_CORE_STORAGE": str(tmp_path / "disk" / "results"),
        }
        done = subprocess.run(
            [sys.executable, "script.py"], cwd=project, env=environment, capture_output=True, text=True, timeout=240
        )
    finally:
        nodes.stop()

    assert done.returncode == 0, done.stderr[-3000:]
    (folder,) = [path.parent for path in (tmp_path / "disk" / "results").glob("*/journal.jsonl")]
    events = list(journal.read(str(folder)).events)
    launched = [event for event in events if type(event) is ev.Launched]
    ends = [event.how for event in events if type(event) is ev.Ended]
    assert len(launched) >= 200 and set(ends) <= {"completed", "stopped"}
    assert len({event.worker.partition("/")[0] for event in launched}) == 3, "all nodes worked"
    sees = {event.metrics["sees"] for event in events if type(event) is ev.Reported}
    assert sees == {not nodes.apart}, "the nodes had the script's folder"
