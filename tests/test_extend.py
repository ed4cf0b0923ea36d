"""A finished experiment is extended with more samples: the earlier trials stay, the new ones follow the same seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.errors import TuneError

pytestmark = pytest.mark.real


def square(config: dict[str, Any]) -> dict[str, float]:
    return {"loss": config["x"] ** 2}


class StopsAfter(tune.Callback):
    """Ends the driver with an error at a trial."""

    strict = True

    def __init__(self, index: int) -> None:
        self.index = index

    def on_trial_result(self, trial: Any, **info: Any) -> None:
        if trial.index == self.index:
            raise RuntimeError("enough")


def tuner(folder: Path, name: str, samples: int) -> tune.Tuner:
    return tune.Tuner(
        square,
        param_space={"x": tune.uniform(-1, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=samples, seed=3),
        run_config=tune.RunConfig(name=name, storage_path=str(folder), verbose=0, executor="inline"),
    )


def test_finished_run_is_extended_to_what_a_longer_run_would_have_been(tmp_path: Path) -> None:
    tuner(tmp_path, "short", 4).fit()
    config = tune.RunConfig(verbose=0, executor="inline")

    extended = tune.Tuner.restore(tmp_path / "short", square, num_samples=7, run_config=config).fit()

    longer = tuner(tmp_path, "long", 7).fit()
    assert [result.config for result in extended] == [result.config for result in longer]
    assert extended.num_terminated == 7


def test_extended_run_can_be_extended_again(tmp_path: Path) -> None:
    tuner(tmp_path, "run", 2).fit()
    config = tune.RunConfig(verbose=0, executor="inline")
    for samples in (3, 5):
        results = tune.Tuner.restore(tmp_path / "run", square, num_samples=samples, run_config=config).fit()
        assert len(results) == samples


def test_extension_that_was_cut_off_is_still_asked_for_by_a_plain_restore(tmp_path: Path) -> None:
    tuner(tmp_path, "run", 2).fit()
    config = tune.RunConfig(verbose=0, executor="inline", callbacks=[StopsAfter(4)])
    with pytest.raises(TuneError, match="StopsAfter"):
        tune.Tuner.restore(tmp_path / "run", square, num_samples=7, run_config=config).fit()

    results = tune.Tuner.restore(
        tmp_path / "run", square, run_config=tune.RunConfig(verbose=0, executor="inline")
    ).fit()

    assert len(results) == 7


def test_experiment_cannot_be_made_shorter_than_its_last_extension(tmp_path: Path) -> None:
    tuner(tmp_path, "run", 2).fit()
    config = tune.RunConfig(verbose=0, executor="inline")
    tune.Tuner.restore(tmp_path / "run", square, num_samples=5, run_config=config).fit()

    with pytest.raises(TuneError, match="is 3, and 5 were asked for before"):
        tune.Tuner.restore(tmp_path / "run", square, num_samples=3)
