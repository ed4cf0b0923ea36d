"""Our own default."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("numpy")

from tune_core import space as sp
from tune_core.search.auto import AutoSearch
from tune_core.testing.searchers import SearcherSuite


class TestContract(SearcherSuite):
    def make(self, **arguments: Any) -> Any:
        return AutoSearch(**arguments)


def search(space: Any, loss: Callable[[Any], float], trials: int, seed: int, workers: int = 1) -> list[Any]:
    searcher = AutoSearch()
    searcher.set_search_properties("loss", "min", space, seed=seed, num_samples=trials)
    configs: list[Any] = []
    told = 0
    while told < trials:
        while len(configs) < min(trials, told + workers):
            configs.append(searcher.suggest(f"{len(configs):05d}"))
        value = loss(configs[told])
        searcher.on_trial_complete(f"{told:05d}", None if value is None else {"loss": value}, value is None)
        told += 1
    return configs


def branin(c: Any) -> float:
    x, y = c["x"], c["y"]
    return float(
        (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2 + 10 * (1 - 0.125 / math.pi) * math.cos(x) + 10
    )


BRANIN = {"x": sp.uniform(-5, 10), "y": sp.uniform(0, 15)}


@pytest.mark.parametrize("workers", [1, 8])
def test_continuous_minimum_is_found_within_forty_trials(workers: int) -> None:
    found = [min(map(branin, search(BRANIN, branin, 40, seed, workers))) for seed in range(3)]
    assert max(found) < 0.398 + (0.01 if workers == 1 else 0.2)


def test_noise_does_not_keep_it_in_one_place() -> None:
    rng = random.Random(0)
    configs = search(BRANIN, lambda c: branin(c) + rng.gauss(0, 10), 40, 0)
    near = [c for c in configs if abs(c["x"] - configs[-1]["x"]) < 0.05 and abs(c["y"] - configs[-1]["y"]) < 0.05]
    assert len(near) < 10
    assert min(map(branin, configs[10:])) < 4.0


def test_better_than_random_on_whole_numbers_logarithms_and_conditions() -> None:
    space = {
        "rate": sp.loguniform(1e-5, 1.0),
        "width": sp.lograndint(4, 1025),
        "model": sp.choice([{"kind": "a", "depth": sp.randint(1, 20)}, {"kind": "b", "share": sp.uniform(0, 1)}, "c"]),
    }

    def loss(c: Any) -> float:
        m = c["model"]
        inner = 1.0 if m == "c" else (m["depth"] - 7) ** 2 / 50 if m["kind"] == "a" else 0.3 + (m["share"] - 0.2) ** 2
        return float((math.log10(c["rate"]) + 2.5) ** 2 / 4 + (math.log2(c["width"]) - 7) ** 2 / 20 + inner)

    best = [min(map(loss, search(space, loss, 40, seed))) for seed in range(3)]
    drawn = [min(loss(sp.generate(space, 1000 * seed + i, 0)) for i in range(40)) for seed in range(10)]
    assert sum(best) / 3 < sorted(drawn)[3]


def test_a_finite_space_is_tried_once_each_and_then_ends() -> None:
    space = {"a": sp.choice(["x", "y", "z"]), "n": sp.randint(0, 4)}
    searcher = AutoSearch()
    searcher.set_search_properties("loss", "min", space, seed=0, num_samples=100)
    seen = []
    while isinstance(config := searcher.suggest(f"{len(seen):05d}"), dict):
        searcher.on_trial_complete(f"{len(seen):05d}", {"loss": float(config["n"])})
        seen.append((config["a"], config["n"]))
    assert config == AutoSearch.FINISHED
    assert len(seen) == len(set(seen)) == 12


def test_what_was_stopped_early_is_suggested_again_once_nothing_else_is_left() -> None:
    searcher = AutoSearch()
    searcher.set_search_properties("loss", "min", {"n": sp.randint(0, 6)}, seed=0, num_samples=100)
    for number in range(6):
        n = searcher.suggest(f"{number:05d}")["n"]
        result = {"loss": float(n), "training_iteration": 1}
        (searcher.on_trial_pruned if n % 2 else searcher.on_trial_complete)(f"{number:05d}", result)
    again = []
    while isinstance(config := searcher.suggest(f"{6 + len(again):05d}"), dict):
        searcher.on_trial_complete(f"{6 + len(again):05d}", {"loss": float(config["n"]), "training_iteration": 9})
        again.append(config["n"])
    assert sorted(again) == [1, 3, 5]
    assert config == AutoSearch.FINISHED


def test_where_neighbours_differ_as_strangers_do_half_of_the_suggestions_are_random() -> None:
    """The model's guesses are worth nothing on a hash of the flags, and much on their number."""

    def reasons(loss: Any) -> list[str]:
        searcher = AutoSearch()
        flags = {f"b{i}": sp.choice([False, True]) for i in range(10)}
        searcher.set_search_properties("loss", "min", flags, seed=1, num_samples=100)
        found = []
        for number in range(60):
            config = searcher.suggest(f"{number:05d}")
            found.append(searcher.last_reason)
            searcher.on_trial_complete(f"{number:05d}", {"loss": loss(config)})
        return found

    chaos = reasons(lambda c: random.Random(str(sorted(c.items()))).random())
    order = reasons(lambda c: float(sum(c.values())))
    assert 15 <= sum("hardly been better" in why for why in chaos) <= 26
    assert not any("hardly been better" in why for why in order)


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e9, 1e300])
def test_the_unit_of_the_loss_does_not_matter(scale: float) -> None:
    best = min(branin(c) for c in search(BRANIN, lambda c: scale * branin(c), 30, 1))
    assert best < 1.0


def test_outliers_and_failures_do_not_hide_the_valley() -> None:
    def loss(c: Any) -> Any:
        return None if c["x"] > 8 else 1e20 if c["y"] > 12 else branin(c)

    assert min(branin(c) for c in search(BRANIN, loss, 50, 0) if c["x"] <= 8 and c["y"] <= 12) < 0.5


def test_equal_losses_are_no_error() -> None:
    configs = search(BRANIN, lambda c: 1.0, 20, 0)
    assert len({(c["x"], c["y"]) for c in configs}) == 20
