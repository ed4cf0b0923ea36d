"""Where trials run: this process, local worker processes, or Ray."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from tune_core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from tune_core.executors.base import Executor, RunSpec
    from tune_core.executors.inline import InlineExecutor
    from tune_core.executors.local.executor import LocalExecutor
    from tune_core.executors.ray.executor import RayExecutor

__all__ = ["Executor", "InlineExecutor", "LocalExecutor", "RayExecutor", "RunSpec", "executor_from", "ray_is_up"]

_MODULES = {
    "Executor": "base",
    "RunSpec": "base",
    "InlineExecutor": "inline",
    "LocalExecutor": "local.executor",
    "RayExecutor": "ray.executor",
}
_NAMED = {"local": "LocalExecutor", "inline": "InlineExecutor", "ray": "RayExecutor"}
VARIABLE = "TUNE_CORE_EXECUTOR"


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]


def ray_is_up() -> bool:
    """Whether this process has joined a Ray cluster, or ``RAY_ADDRESS`` names one. Imports nothing."""
    ray = sys.modules.get("ray")
    return bool(os.environ.get("RAY_ADDRESS")) or bool(getattr(ray, "is_initialized", bool)())


def executor_from(executor: Any) -> Any:
    """The executor for what a user gave.

    Parameters
    ----------
    executor
        An executor, or the name of one: ``"local"``, ``"inline"`` or ``"ray"``. None takes the name in the environment
        variable ``TUNE_CORE_EXECUTOR``; without it Ray if it is up, else local worker processes. A run that is started
        inside a trial stays in the trial's own place, and takes local ones.

    Raises
    ------
    InvalidArgumentError
        If there is no such executor.
    """
    asked = "RunConfig(executor)"
    if executor is None:
        executor = os.environ.get(VARIABLE) or None
        asked = f"The environment variable {VARIABLE}"
    if executor is None:
        from tune_core.trainable.session import in_session

        executor = "ray" if ray_is_up() and not in_session() else "local"
    if isinstance(executor, str) and executor.lower() in _NAMED:
        return __getattr__(_NAMED[executor.lower()])()
    if isinstance(executor, type) or not hasattr(executor, "launch"):
        raise InvalidArgumentError(
            asked,
            f"is {executor!r}",
            "there is no such executor" if isinstance(executor, str) else "that is no executor",
            "Use 'local', 'inline', 'ray', or an executor such as tune_core.executors.LocalExecutor(num_cpus=4).",
        )
    return executor
