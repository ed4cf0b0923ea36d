"""Our own default."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("numpy")

from tune_core.search.auto import AutoSearch
from tune_core.testing.searchers import SearcherSuite


class TestContract(SearcherSuite):
    def make(self, **arguments: Any) -> Any:
        return AutoSearch(**arguments)
