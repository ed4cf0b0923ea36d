"""The Ray executor: the contract of executors, on one Ray for the whole module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

ray = pytest.importorskip("ray")

from tune_core.executors import RayExecutor
from tune_core.testing.executors import ExecutorSuite


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    ray.init(num_cpus=2, num_gpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    yield
    ray.shutdown()


class TestRay(ExecutorSuite):
    def make(self, **options: Any) -> RayExecutor:
        return RayExecutor()
