"""Loggers: callbacks that write each trial's results to files or to a tracking service."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tune_core.callback import LoggerCallback
    from tune_core.logger.csv import CSVLoggerCallback
    from tune_core.logger.json import JsonLoggerCallback
    from tune_core.logger.mlflow import MLflowLoggerCallback
    from tune_core.logger.tensorboardx import TBXLoggerCallback

_HOMES = {
    "LoggerCallback": "tune_core.callback",
    "CSVLoggerCallback": "tune_core.logger.csv",
    "JsonLoggerCallback": "tune_core.logger.json",
    "MLflowLoggerCallback": "tune_core.logger.mlflow",
    "TBXLoggerCallback": "tune_core.logger.tensorboardx",
}

__all__ = [
    "CSVLoggerCallback",
    "JsonLoggerCallback",
    "LoggerCallback",
    "MLflowLoggerCallback",
    "TBXLoggerCallback",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
