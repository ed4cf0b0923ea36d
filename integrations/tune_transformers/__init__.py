"""Hugging Face's ``Trainer`` in tune-core: callbacks, resuming, and ``hyperparameter_search``."""

from __future__ import annotations

from tune_transformers.callbacks import TuneReportCallback, TuneReportCheckpointCallback, get_folder, resume
from tune_transformers.search import hyperparameter_search

__all__ = ["TuneReportCallback", "TuneReportCheckpointCallback", "get_folder", "hyperparameter_search", "resume"]
