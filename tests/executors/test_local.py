"""The local executor: the contract of executors, and what only processes of this machine can show."""

from __future__ import annotations

from typing import Any

from tune_core.executors import LocalExecutor
from tune_core.testing.executors import ExecutorSuite


class TestLocal(ExecutorSuite):
    def make(self, **options: Any) -> LocalExecutor:
        return LocalExecutor(**{"num_cpus": 2, **options})
