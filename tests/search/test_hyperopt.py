"""HyperOpt as a searcher."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("hyperopt")

from tune_core.search.hyperopt import HyperOptSearch
from tune_core.testing.searchers import SearcherSuite


class TestContract(SearcherSuite):
    def make(self, **arguments: Any) -> Any:
        return HyperOptSearch(**arguments)
