"""Repeated suggestions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from tune_core.errors import InvalidArgumentError
from tune_core.search import Searcher
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
