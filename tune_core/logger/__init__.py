"""Loggers: callbacks that write each trial's results to files or to a tracking service."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tune_core.callback import LoggerCallback
    from tune_core.logger.aim import AimLoggerCallback
    from tune_core.logger.comet import CometLoggerCallback
    from tune_core.logger.csv import CSVLoggerCallback
    from tune_core.logger.json import JsonLoggerCallback
    from tune_core.logger.mlflow import MLflowLoggerCallback, setup_mlflow
    from tune_core.logger.optuna import OptunaLoggerCallback
    from tune_core.logger.tensorboardx import TBXLoggerCallback
    from tune_core.logger.wandb import WandbLoggerCallback, setup_wandb

_HOMES = {
    "LoggerCallback": "tune_core.callback",
    "CSVLoggerCallback": "tune_core.logger.csv",
    "JsonLoggerCallback": "tune_core.logger.json",
    "MLflowLoggerCallback": "tune_core.logger.mlflow",
    "TBXLoggerCallback": "tune_core.logger.tensorboardx",
    "AimLoggerCallback": "tune_core.logger.aim",
    "CometLoggerCallback": "tune_core.logger.comet",
    "WandbLoggerCallback": "tune_core.logger.wandb",
    "OptunaLoggerCallback": "tune_core.logger.optuna",
    "setup_mlflow": "tune_core.logger.mlflow",
    "setup_wandb": "tune_core.logger.wandb",
}

__all__ = [
    "AimLoggerCallback",
    "CSVLoggerCallback",
    "CometLoggerCallback",
    "JsonLoggerCallback",
    "LoggerCallback",
    "MLflowLoggerCallback",
    "OptunaLoggerCallback",
    "TBXLoggerCallback",
    "WandbLoggerCallback",
    "setup_mlflow",
    "setup_wandb",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
