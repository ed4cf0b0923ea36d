"""A Ray Train trainer inside of a trial: its reports are the trial's, and a scheduler's stop ends it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from imports import ROOT

ray = pytest.importorskip("ray")
pytest.importorskip("ray.train", exc_type=ImportError)  # needs more than Ray itself

import tune_core as tune
from tune_core.schedulers import PopulationBasedTraining

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "integrations"), str(ROOT / "tests")])  # for the trainer's workers
    ray.init(
        num_cpus=4, include_dashboard=False, logging_level="ERROR", log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": path}},
    )  # fmt: skip
    yield
    ray.shutdown()


def loop(config: dict[str, Any]) -> None:
    import tempfile

    import ray.train

    for step in range(1, 5):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step").write_text(str(step))
            is_first = ray.train.get_context().get_world_rank() == 0
            checkpoint = ray.train.Checkpoint.from_directory(folder) if is_first else None
            ray.train.report({"loss": config["x"] * step, "step": step}, checkpoint=checkpoint)


def objective(config: dict[str, Any]) -> None:
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    from tune_core.integration.ray_train import TuneReportCallback

    DataParallelTrainer(
        loop,
        train_loop_config=config,
        scaling_config=ray.train.ScalingConfig(num_workers=2, resources_per_worker={"CPU": 0.5}),
        run_config=ray.train.RunConfig(
            storage_path=config["folder"], name=f"x{config['x']}", callbacks=[TuneReportCallback()]
        ),
    ).fit()


def test_trainer_reports_to_its_trial_and_ends_with_it(tmp_path: Path) -> None:
    bundles = tune.PlacementGroupFactory([{"cpu": 0.5}, {"cpu": 0.5}, {"cpu": 0.5}])
    results = tune.Tuner(
        tune.with_resources(objective, bundles),
        param_space={"x": tune.grid_search([1, 3]), "folder": str(tmp_path / "ray")},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", max_concurrent_trials=1,
            scheduler=tune.ASHAScheduler(max_t=4, grace_period=2, reduction_factor=2),
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="ray"),
    ).fit()  # fmt: skip
    assert results.num_errors == 0, results.errors
    assert [(r.metrics["loss"], r.metrics["training_iteration"]) for r in results] == [(4, 4), (6, 2)]
    for result in results:
        kept = Path(result.checkpoint.to_directory(), "step").read_text()
        assert int(kept) == result.metrics["step"]
        assert Path(result.metrics["checkpoint_path"], "step").read_text() == kept


def steps_on(config: dict[str, Any]) -> None:
    """Goes on from where ``config["start"]`` says."""
    import tempfile

    import ray.train

    for step in range(config["start"] + 1, 7):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step").write_text(str(step))
            is_first = ray.train.get_context().get_world_rank() == 0
            checkpoint = ray.train.Checkpoint.from_directory(folder) if is_first else None
            result = {"loss": config["x"] / step, "step": step, "start": config["start"]}
            ray.train.report(result, checkpoint=checkpoint)


def resumed(config: dict[str, Any]) -> None:
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    from tune_core.integration.ray_train import TuneReportCallback

    start, checkpoint = 0, tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            start = int(Path(folder, "step").read_text())
    trial = tune.get_context().get_trial_id()
    DataParallelTrainer(
        steps_on,
        train_loop_config={**config, "start": start},
        scaling_config=ray.train.ScalingConfig(num_workers=2, resources_per_worker={"CPU": 0.5}),
        run_config=ray.train.RunConfig(
            storage_path=config["folder"], name=f"{trial}_{start}_{config['x']}", callbacks=[TuneReportCallback()]
        ),
    ).fit()


def test_population_based_training_copies_the_checkpoint_of_a_trainer(tmp_path: Path) -> None:
    results = tune.Tuner(
        tune.with_resources(resumed, {"cpu": 0.25}),  # the trainer reserves a placement group of its own
        param_space={"x": tune.grid_search([1.0, 100.0]), "folder": str(tmp_path / "ray")},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min",
            scheduler=PopulationBasedTraining(
                time_attr="training_iteration", perturbation_interval=3, synch=True, quantile_fraction=0.5,
                resample_probability=0.0, hyperparam_mutations={"x": [1.0, 100.0]},
            ),
        ),
        run_config=tune.RunConfig(name="run", storage_path=str(tmp_path), verbose=0, executor="ray"),
    ).fit()  # fmt: skip
    assert results.num_errors == 0, results.errors
    assert '"do":"exploit"' in (tmp_path / "run" / "journal.jsonl").read_text()
    assert [(result.metrics["step"], result.metrics["start"]) for result in results] == [(6, 3), (6, 3)]
    for result in results:
        assert Path(result.checkpoint.to_directory(), "step").read_text() == "6"


def test_callback_outside_of_a_trial_is_refused() -> None:
    from tune_core.errors import TuneError
    from tune_core.integration.ray_train import TuneReportCallback

    with pytest.raises(TuneError, match="outside of a trial"):
        TuneReportCallback()
