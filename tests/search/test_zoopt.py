"""ZOOptSearch as a searcher."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("zoopt")

import tune_core as tune
from tune_core.search.zoopt import ZOOptSearch
from tune_core.testing.searchers import SearcherSuite


class TestContract(SearcherSuite):
    def make(self, **arguments: Any) -> Any:
        return ZOOptSearch(**arguments)


def test_a_space_of_few_points_ends_the_search_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    search = ZOOptSearch(random_state_seed=3)
    search.set_search_properties("loss", "min", {"n": tune.randint(0, 4)}, num_samples=100)
    tried = 0
    for number in range(100):
        config = search.suggest(str(number))
        if config == search.FINISHED:
            break
        assert isinstance(config, dict)
        tried += 1
        search.on_trial_complete(str(number), {"loss": float(config["n"])})
    assert 4 <= tried < 100
    assert capsys.readouterr().out == ""
