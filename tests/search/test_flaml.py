"""FLAML's searchers."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("flaml")

from tune_core.search.flaml import CFO, BlendSearch
from tune_core.testing.searchers import SearcherSuite


class TestBlendSearch(SearcherSuite):
    def make(self, **arguments: Any) -> Any:
        return BlendSearch(**arguments)


class TestCFO(SearcherSuite):
    def make(self, **arguments: Any) -> Any:
        return CFO(**arguments)
