"""HEBOSearch."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("hebo")

from tune_core.search.hebo import HEBOSearch
from tune_core.testing.searchers import SearcherSuite


class TestContract(SearcherSuite):
    asks = 4

    def make(self, **arguments: Any) -> Any:
        return HEBOSearch(**arguments)
