"""Where trials run: this process, local worker processes, or Ray."""

from __future__ import annotations

import os
from typing import Any

from tune_core.errors import InvalidArgumentError


def resolve(executor: Any) -> Any:
    """The executor for what a user gave: an instance, a name, or None for the environment's or the automatic choice."""
    if executor is None:
        executor = os.environ.get("TUNE_CORE_EXECUTOR") or "local"
    if executor == "local":
        from tune_core.executors.local import LocalExecutor

        return LocalExecutor()
    if executor == "inline":
        from tune_core.executors.inline import InlineExecutor

        return InlineExecutor()
    if isinstance(executor, str) or not hasattr(executor, "launch"):
        raise InvalidArgumentError(
            "RunConfig(executor)",
            f"is {executor!r}",
            "there is no such executor",
            "Use 'local', 'inline', 'ray', or an executor instance.",
        )
    return executor
