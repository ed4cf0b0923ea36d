"""Optuna as a searcher."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("optuna")

from tune_core.search.optuna import OptunaSearch
from tune_core.testing.searchers import SearcherSuite


class TestContract(SearcherSuite):
    def make(self, **arguments: Any) -> Any:
        return OptunaSearch(**arguments)
