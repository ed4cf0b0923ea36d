"""BayesOptSearch as a searcher."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("bayes_opt")

from tune_core.search.bayesopt import BayesOptSearch
from tune_core.testing.searchers import SearcherSuite


class TestContract(SearcherSuite):
    asks = 8

    def make(self, **arguments: Any) -> Any:
        return BayesOptSearch(**arguments)
