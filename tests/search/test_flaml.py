"""FLAML's searchers."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("flaml")

import tune_core as tune
from tune_core.search.flaml import CFO, BlendSearch
from tune_core.testing.searchers import SearcherSuite


class TestBlendSearch(SearcherSuite):
    def make(self, **arguments: Any) -> Any:
        return BlendSearch(**arguments)


class TestCFO(SearcherSuite):
    def make(self, **arguments: Any) -> Any:
        return CFO(**arguments)


@pytest.mark.parametrize("kind", [BlendSearch, CFO])
def test_a_space_of_few_points_ends_the_search_without_a_word(kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    search = kind(seed=3)
    search.set_search_properties("loss", "min", {"n": tune.randint(0, 4)}, num_samples=30)
    tried = []
    for number in range(30):
        config = search.suggest(str(number))
        if config == search.FINISHED:
            break
        assert isinstance(config, dict)
        tried.append(config["n"])
        search.on_trial_complete(str(number), {"loss": float(config["n"])})
    assert config == search.FINISHED
    assert sorted(tried) == sorted(set(tried))
    assert not caplog.records


def test_a_search_that_ends_before_it_has_tried_all_points_says_so() -> None:
    search = CFO(seed=3)
    space = {"a": tune.choice([1, 2]), "b": tune.choice(["x", "y", "z"])}
    search.set_search_properties("loss", "min", space, num_samples=30)
    with pytest.warns(
        UserWarning, match=r"CFO finds no further point: the search ends after (\d) of 6 points"
    ) as warned:
        for number in range(30):
            config = search.suggest(str(number))
            if not isinstance(config, dict):
                break
            search.on_trial_complete(str(number), {"loss": float(config["a"])})
    assert config == search.FINISHED
    assert f"after {number} of 6 points" in str(warned[0].message)
    assert number < 6
