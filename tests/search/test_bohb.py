"""TuneBOHB as a searcher."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("hpbandster")

from tune_core.search.bohb import TuneBOHB
from tune_core.testing.searchers import SearcherSuite


class TestContract(SearcherSuite):
    def make(self, **arguments: Any) -> Any:
        return TuneBOHB(**arguments)
