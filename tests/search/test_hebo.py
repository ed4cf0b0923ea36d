"""HEBOSearch."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("hebo")

import torch

import tune_core as tune
from tune_core.search.hebo import HEBOSearch
from tune_core.testing.searchers import SearcherSuite


class TestContract(SearcherSuite):
    asks = 4

    def make(self, **arguments: Any) -> Any:
        return HEBOSearch(**arguments)


def test_torchs_global_generator_is_left_as_it_was() -> None:
    search = HEBOSearch({"x": tune.uniform(0, 1)}, "loss", "min", rand_sample=2)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    for number in range(4):
        config = search.suggest(f"{number:05d}")
        search.on_trial_complete(f"{number:05d}", {"loss": config["x"]})
    assert torch.equal(torch.random.get_rng_state(), before)
