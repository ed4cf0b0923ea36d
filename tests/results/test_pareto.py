"""Pareto fronts and hypervolumes."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

import tune_core as tune
from tune_core.errors import InvalidArgumentError
from tune_core.results.pareto import front, hypervolume, losses_of


def test_front_is_what_no_other_point_dominates() -> None:
    rng = random.Random(0)
    for dimensions in (2, 3):
        points = [tuple(rng.randrange(6) for _ in range(dimensions)) for _ in range(40)]
        expected = [
            i
            for i, p in enumerate(points)
            if not any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in points)
        ]
        assert front(points) == expected


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_hypervolume_counts_the_cells_that_are_dominated(dimensions: int) -> None:
    rng = random.Random(dimensions)
    for _ in range(10):
        points = [tuple(rng.randrange(5) for _ in range(dimensions)) for _ in range(rng.randrange(1, 7))]
        cells = itertools.product(range(5), repeat=dimensions)
        dominated = sum(any(all(p <= c for p, c in zip(q, cell, strict=True)) for q in points) for cell in cells)
        assert hypervolume(points, (5,) * dimensions) == dominated


def test_modes_and_useless_values() -> None:
    results = [{"a": 1, "b": 2}, {"a": 1}, {"a": float("nan"), "b": 1}, {"a": 2, "b": 3}]

    assert losses_of(results, ["a", "b"], ["min", "max"]) == [(1.0, -2.0), None, None, (2.0, -3.0)]


def test_points_outside_of_the_reference_add_nothing() -> None:
    assert hypervolume([(5.0, 0.0)], (4.0, 4.0)) == 0.0
    assert hypervolume([], (4.0, 4.0)) == 0.0
    with pytest.raises(InvalidArgumentError, match="reference"):
        hypervolume([(1.0, 2.0)], (1.0,))


def test_result_grid_knows_its_front_and_volume(tmp_path: Path) -> None:
    def objective(config: dict[str, int]) -> dict[str, int]:
        return {"loss": config["x"], "speed": config["x"] * config["y"]}

    grid = tune.Tuner(
        objective,
        param_space={"x": tune.grid_search([1, 2]), "y": tune.grid_search([1, 5])},
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="inline"),
    ).fit()

    found = grid.pareto_front(["loss", "speed"], ["min", "max"])
    assert sorted((r.config["x"], r.config["y"]) for r in found) == [(1, 5), (2, 5)]
    assert grid.hypervolume(["loss", "speed"], ["min", "max"], (3, 0)) == 15.0
