"""Nodes that do not see the experiment's folder send their checkpoints and artifacts to the store themselves."""

import os
import time
from pathlib import Path

import fsspec
import pytest

import tune_core as tune
from storage.steps import report_step, steps_done

ray = pytest.importorskip("ray")


def objective(config):
    start = steps_done()
    Path(tune.get_context().get_trial_dir(), "notes.txt").write_text(str(start))
    for step in range(start + 1, 7):
        report_step(step, {"loss": 1 / step, "start": start})
        if step == 3 and start == 0:
            if config["store"] is not None:
                last = Path(config["store"], f"trial_{tune.get_context().get_trial_id()}/checkpoint_000003/.commit")
                while not last.exists():
                    time.sleep(0.05)
            time.sleep(1.0)
            os._exit(1)  # as if its node was lost


@pytest.fixture
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, ignore_reinit_error=True)
    yield
    ray.shutdown()


def fit(path, filesystem, **run):
    from tune_core.executors.ray import RayExecutor

    return tune.Tuner(
        objective,
        param_space={"i": tune.grid_search([1, 2]), "store": f"{path}/run" if filesystem else None},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        run_config=tune.RunConfig(
            name="run",
            storage_path=path,
            storage_filesystem=filesystem,
            verbose=0,
            executor=RayExecutor(shared_storage=False),
            failure_config=tune.FailureConfig(max_failures=1),
            sync_config=tune.SyncConfig(sync_artifacts=True, mirror_interval_s=0.2),
            **run,
        ),
    ).fit()


def test_lost_worker_goes_on_from_the_checkpoint_that_it_sent(cluster, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("TUNE_CORE_CACHE", str(cache))
    grid = fit(str(tmp_path / "store"), fsspec.filesystem("file"))
    assert [(r.metrics["training_iteration"], r.metrics["start"]) for r in grid] == [(6, 3), (6, 3)]
    assert not list(cache.rglob("checkpoint_*")), "a checkpoint went through the driver"
    assert Path(tmp_path, "store/run/trial_00001/notes.txt").read_text() == "3"
    monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / "another"))
    read = tune.ResultGrid.from_path(str(tmp_path / "store/run"), storage_filesystem=fsspec.filesystem("file"))
    assert [Path(r.checkpoint.to_directory(), "step").read_text() for r in read] == ["6", "6"]


def test_artifacts_come_to_the_folder_from_nodes_that_do_not_see_it(cluster, tmp_path):
    grid = fit(str(tmp_path / "runs"), None)
    assert grid.num_errors == 0
    assert Path(tmp_path, "runs/run/trial_00000/notes.txt").exists()
