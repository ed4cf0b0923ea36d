"""Starting from what an earlier experiment found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy")

import tune_core as tune
from tune_core.search.auto import AutoSearch


def objective(config: dict[str, Any]) -> dict[str, Any]:
    if config["x"] > 0.9:
        raise ValueError("too large")
    return {"loss": (config["x"] - 0.5) ** 2}


def run(folder: Path, name: str, search: Any, space: Any, count: int) -> tune.ResultGrid:
    return tune.Tuner(
        objective,
        param_space=space,
        tune_config=tune.TuneConfig(metric="loss", mode="min", search_alg=search, num_samples=count, seed=1),
        run_config=tune.RunConfig(name=name, storage_path=str(folder), verbose=0, executor="inline"),
    ).fit()


def test_results_of_an_earlier_experiment_are_learnt_and_not_tried_again(tmp_path: Path) -> None:
    space = {"x": tune.uniform(0, 1)}
    earlier = run(tmp_path, "earlier", None, space, 20)
    usable = [r.config["x"] for r in earlier if r.error is None]

    search = AutoSearch(n_initial_points=1).warm_start(str(tmp_path / "earlier"))
    later = run(tmp_path, "later", search, space, 5)

    assert [values["x"] for values in search.learnt] == usable
    assert not {r.config["x"] for r in later} & {r.config["x"] for r in earlier}
    assert min(r.metrics["loss"] for r in later) < 1e-3


def test_configurations_outside_of_the_space_are_left_out(tmp_path: Path) -> None:
    earlier = run(tmp_path, "earlier", None, {"x": tune.uniform(0, 1)}, 20)
    search = AutoSearch().warm_start(earlier)
    run(tmp_path, "later", search, {"x": tune.uniform(0.25, 0.75)}, 6)

    assert len(search.learnt) == sum(0.25 <= r.config["x"] <= 0.75 for r in earlier)
    assert search.learnt


def test_a_warm_start_that_finds_nothing_usable_says_so(tmp_path: Path) -> None:
    earlier = run(tmp_path, "earlier", None, {"x": tune.uniform(0, 0.8)}, 4)
    search = AutoSearch().warm_start(earlier)
    with pytest.warns(UserWarning, match=r"none of 4 earlier trials could be used"):
        run(tmp_path, "later", search, {"x": tune.uniform(5, 6)}, 2)
    assert not search.learnt


def test_warm_start_survives_a_restore(tmp_path: Path) -> None:
    space = {"x": tune.uniform(0, 1)}
    run(tmp_path, "earlier", None, space, 12)
    before = run(tmp_path, "later", AutoSearch(n_initial_points=1).warm_start(str(tmp_path / "earlier")), space, 4)
    after = tune.Tuner.restore(str(tmp_path / "later"), objective, num_samples=6).fit()

    assert [r.config for r in after][:4] == [r.config for r in before]
    assert min(r.metrics["loss"] for r in after if r.error is None) < 1e-3


def test_parameters_may_have_been_added_and_removed_since(tmp_path: Path) -> None:
    earlier = run(tmp_path, "earlier", None, {"x": tune.uniform(0, 0.9), "gone": tune.uniform(0, 1), "fixed": 3}, 15)
    search = AutoSearch(n_initial_points=1).warm_start(earlier)
    space = {"x": tune.uniform(0, 1), "new": tune.choice(["a", "b"]), "fixed": 3}
    later = run(tmp_path, "later", search, space, 6)

    assert [values["x"] for values in search.learnt] == [r.config["x"] for r in earlier]
    assert {values["new"] for values in search.learnt} == {0, 1}
    assert min(r.metrics["loss"] for r in later if r.error is None) < 0.01
