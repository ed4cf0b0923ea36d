"""AxSearch as a searcher."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("ax")

from tune_core.search.ax import AxSearch
from tune_core.testing.searchers import SearcherSuite


class TestContract(SearcherSuite):
    asks = 5

    def make(self, **arguments: Any) -> Any:
        return AxSearch(**arguments)
