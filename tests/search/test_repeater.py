"""Repeated suggestions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core import space as sp
from tune_core.errors import InvalidArgumentError, RestoreError
from tune_core.search import BasicVariantGenerator, Searcher, create_searcher
from tune_core.search.repeater import TRIAL_INDEX, Repeater


class Recording(Searcher):
    def __init__(self) -> None:
        super().__init__("loss", "min")
        self.asked: list[str] = []
        self.told: list[tuple[str, Any, bool]] = []
        self.adopted: list[tuple[str, Any]] = []

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        self.asked.append(trial_id)
        return {"x": len(self.asked)}

    def adopt(self, trial_id: str, config: Mapping[str, Any]) -> None:
        self.adopted.append((trial_id, dict(config)))

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        self.told.append((trial_id, result and result["loss"], error))


def test_searcher_is_told_the_mean_of_all_repetitions_once() -> None:
    inner = Recording()
    repeater = Repeater(inner, repeat=2)

    assert [repeater.suggest(i) for i in "abc"] == [
        {"x": 1, TRIAL_INDEX: 0},
        {"x": 1, TRIAL_INDEX: 1},
        {"x": 2, TRIAL_INDEX: 0},
    ]
    repeater.on_trial_complete("b", {"loss": 3.0})
    assert inner.told == []
    repeater.on_trial_complete("a", {"loss": 1.0})
    assert inner.told == [("a", 2.0, False)]
    assert (repeater.groups["a"].mean, repeater.groups["a"].sd) == (2.0, math.sqrt(2))


def test_failed_repetitions_are_left_out_and_all_failed_is_a_failure() -> None:
    inner = Recording()
    repeater = Repeater(inner, repeat=2, set_index=False)
    for i in "abcd":
        repeater.suggest(i)
    repeater.on_trial_complete("a", error=True)
    repeater.on_trial_complete("b", {"loss": 5.0})
    repeater.on_trial_complete("c", {"loss": math.nan})
    repeater.on_trial_complete("d", error=True)

    assert inner.told == [("a", 5.0, False), ("c", None, True)]


def test_adopted_trials_find_their_group_again() -> None:
    inner = Recording()
    repeater = Repeater(inner, repeat=2)
    repeater.adopt("a", {"x": 7, TRIAL_INDEX: 0})
    repeater.adopt("b", {"x": 7, TRIAL_INDEX: 1})
    repeater.adopt("c", {"x": 8, TRIAL_INDEX: 0})

    assert inner.adopted == [("a", {"x": 7}), ("c", {"x": 8})]
    assert repeater.suggest("d") == {"x": 8, TRIAL_INDEX: 1}


@pytest.mark.parametrize("arguments", [(Recording(), 0), (Recording(), True), (Recording, 2), ("optuna", 2)])
def test_bad_argument_is_an_error(arguments: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="Repeater"):
        Repeater(*arguments)


@pytest.mark.parametrize("name", ["auto", "optuna", "hyperopt"])
def test_saved_in_the_middle_of_a_group_it_goes_on_the_same(name: str, tmp_path: Path) -> None:
    pytest.importorskip({"auto": "numpy"}.get(name, name))
    space = {"x": sp.uniform(0, 1), "act": sp.choice([None, {"a": 1}, (1, 2)])}

    def make() -> Repeater:
        repeater = Repeater(create_searcher(name), repeat=3)
        repeater.set_search_properties("a/b", "min", space, seed=1, num_samples=60)
        return repeater

    first = make()
    for i in range(13):
        config = first.suggest(f"{i}")
        assert isinstance(config, dict)
        if i != 12:
            first.on_trial_complete(f"{i}", {"a": {"b": config["x"] + config[TRIAL_INDEX]}})
    first.save(str(tmp_path / "state"))
    again = make()
    again.restore(str(tmp_path / "state"))

    assert again.groups == first.groups
    for i in range(13, 30):
        config = first.suggest(f"{i}")
        assert again.suggest(f"{i}") == config
        for repeater in (first, again):
            assert isinstance(config, dict)
            repeater.on_trial_complete(f"{i - 1}", {"a": {"b": config["x"]}})


def test_file_of_something_else_is_no_state_of_a_repeater(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    inner = create_searcher("auto")
    inner.set_search_properties("loss", "min", {"x": sp.uniform(0, 1)}, seed=1)
    inner.save(str(tmp_path / "state"))

    with pytest.raises(RestoreError, match="was not written by a repeater"):
        Repeater(create_searcher("auto"), repeat=3).restore(str(tmp_path / "state"))


def numbers_told(told: list[Any], result: Mapping[str, Any]) -> None:
    told.append({name: result[name] for name in ("loss", "size", "n/latency")})


class RecordingSeveral(Recording):
    pruned: list[str]

    def __init__(self) -> None:
        super().__init__()
        self._metric, self._mode = ["loss", "size"], ["min", "max"]
        self.numbers: list[Any] = []
        self.pruned = []

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        self.told.append((trial_id, None, error))
        if result is not None:
            numbers_told(self.numbers, result)

    def on_trial_pruned(self, trial_id: str, result: Mapping[str, Any]) -> None:
        self.pruned.append(trial_id)
        numbers_told(self.numbers, result)


def reported(loss: float, size: float, latency: int) -> dict[str, Any]:
    return {"loss": loss, "size": size, "n": {"latency": latency}}


def test_each_metric_that_is_told_is_a_mean() -> None:
    inner = RecordingSeveral()
    repeater = Repeater(inner, repeat=2)
    for i in "abcd":
        repeater.suggest(i)
    repeater.on_trial_complete("a", reported(1.0, 10.0, 3))
    repeater.on_trial_complete("b", reported(3.0, 30.0, 4))
    repeater.on_trial_complete("c", reported(1.0, math.nan, 3))
    repeater.on_trial_complete("d", reported(math.inf, 1.0, 3))

    assert inner.numbers == [{"loss": 2.0, "size": 20.0, "n/latency": 3.5}]
    assert inner.told == [("a", None, False), ("c", None, True)]


def test_repetitions_that_were_ended_early_count_only_where_none_is_complete() -> None:
    inner = RecordingSeveral()
    repeater = Repeater(inner, repeat=2)
    for i in "abcd":
        repeater.suggest(i)
    repeater.on_trial_pruned("a", reported(5.0, 1.0, 1))
    repeater.on_trial_complete("b", reported(1.0, 2.0, 2))
    repeater.on_trial_pruned("c", reported(4.0, 1.0, 1))
    repeater.on_trial_pruned("d", reported(6.0, 1.0, 1))

    assert [one["loss"] for one in inner.numbers] == [1.0, 5.0]
    assert (inner.told, inner.pruned) == ([("a", None, False)], ["c"])


def test_a_grid_is_repeated_in_full(tmp_path: Path) -> None:
    results = tune.Tuner(
        lambda config: {"loss": config["a"]},
        param_space={"a": tune.grid_search([1, 2, 3])},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", num_samples=2, search_alg=Repeater(BasicVariantGenerator(), 2)
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="inline"),
    ).fit()
    assert sorted(result.config["a"] for result in results) == [1, 1, 2, 2, 3, 3]
