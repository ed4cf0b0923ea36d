"""The inline executor keeps the contract of executors, as far as one process can."""

from __future__ import annotations

from typing import Any

from tune_core.executors import InlineExecutor
from tune_core.testing.executors import ExecutorSuite


class TestInline(ExecutorSuite):
    isolated = False
    concurrent = False

    def make(self, **options: Any) -> InlineExecutor:
        return InlineExecutor()
