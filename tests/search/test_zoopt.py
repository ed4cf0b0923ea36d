"""ZOOptSearch as a searcher."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("zoopt")

from tune_core.search.zoopt import ZOOptSearch
from tune_core.testing.searchers import SearcherSuite


class TestContract(SearcherSuite):
    def make(self, **arguments: Any) -> Any:
        return ZOOptSearch(**arguments)
