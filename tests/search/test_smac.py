"""SMACSearch as a searcher."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("smac")

from tune_core.search.smac import SMACSearch
from tune_core.testing.searchers import SearcherSuite


class TestContract(SearcherSuite):
    asks = 12

    def make(self, **arguments: Any) -> Any:
        return SMACSearch(n_trials=20, **arguments)
