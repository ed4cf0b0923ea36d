"""DragonflySearch."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("dragonfly")

from tune_core.search.dragonfly import DragonflySearch
from tune_core.testing.searchers import SearcherSuite


class TestContract(SearcherSuite):
    asks = 4

    def make(self, **arguments: Any) -> Any:
        return DragonflySearch(**arguments)
