"""SMACSearch as a searcher."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("smac")

from tune_core import space as sp
from tune_core.search.smac import SMACSearch
from tune_core.testing.searchers import SearcherSuite


class TestContract(SearcherSuite):
    asks = 12

    def make(self, **arguments: Any) -> Any:
        return SMACSearch(n_trials=20, **arguments)


def test_finite_space_ends_when_smac_finds_nothing_new() -> None:
    search = SMACSearch()
    search.set_search_properties("loss", "min", {"n": sp.randint(0, 2)}, seed=1, num_samples=20)
    answers = []
    for i in range(4):
        answers.append(search.suggest(f"{i}"))
        if isinstance(answers[-1], dict):
            search.on_trial_complete(f"{i}", {"loss": float(i), "training_iteration": 1})

    assert sorted(a["n"] for a in answers[:2]) == [0, 1]
    assert answers[2:] == ["FINISHED", "FINISHED"]
