"""Trials that become copies of others: what they save, and how they end where the copied training is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core import integration
from tune_core.schedulers import PopulationBasedTraining

STEPS = 4


def restored() -> tuple[int, float]:
    checkpoint = tune.get_checkpoint()
    if checkpoint is None:
        return 0, 0.0
    with checkpoint.as_directory() as folder:
        step, score = Path(folder, "state").read_text().split()
    return int(step), float(score)


def train(config: dict[str, Any], ends_by_itself: bool) -> None:
    """Scores rise by the rate; the state is saved with each second result, and once more at the end."""
    step, score = restored()
    if step == STEPS and ends_by_itself:
        raise integration.NothingLeft

    def write(folder: str) -> None:
        Path(folder, "state").write_text(f"{step} {score}")

    while step < STEPS:
        step, score = step + 1, score + config["rate"]
        integration.report_metrics({"score": score}, write if step % 2 == 0 else None)
    integration.save_checkpoint(write)


@pytest.mark.parametrize("ends_by_itself", [False, True])
def test_checkpoint_of_a_copy_that_has_nothing_left_to_train_is_that_of_its_own_last_result(
    tmp_path: Path, ends_by_itself: bool
) -> None:
    results = tune.Tuner(
        tune.with_parameters(train, ends_by_itself=ends_by_itself),
        param_space={"rate": tune.grid_search([0.1, 0.2, 0.3, 0.4])},
        tune_config=tune.TuneConfig(
            metric="score",
            mode="max",
            seed=0,
            scheduler=PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=2,
                quantile_fraction=0.5,
                synch=True,  # all are copied and copy at their last results, too
                hyperparam_mutations={"rate": tune.uniform(0, 1)},
                seed=0,
            ),
        ),
        run_config=tune.RunConfig(name="run", storage_path=str(tmp_path), verbose=0, executor="inline"),
    ).fit()

    copied_at_the_end = 0
    for trial in results:
        assert trial.status == "TERMINATED"
        with trial.checkpoint.as_directory() as folder:
            _, score = Path(folder, "state").read_text().split()
        assert float(score) == trial.metrics["score"]
        copied_at_the_end += trial.metrics["training_iteration"] == STEPS and "copies" in trial.explain()
    assert copied_at_the_end
