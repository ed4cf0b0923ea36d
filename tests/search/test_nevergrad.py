"""NevergradSearch."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("nevergrad")

from tune_core.search.nevergrad import NevergradSearch
from tune_core.testing.searchers import SearcherSuite


class TestContract(SearcherSuite):
    def make(self, **arguments: Any) -> Any:
        return NevergradSearch(**arguments)
