"""The loggers that Ray Tune has on by default, as one setting: ``RunConfig(ray_files=True)``."""

from __future__ import annotations

from tune_core.logger.csv import CSVLoggerCallback
from tune_core.logger.json import JsonLoggerCallback
from tune_core.logger.tensorboardx import TBXLoggerCallback

DEFAULT_CALLBACK_CLASSES = (CSVLoggerCallback, JsonLoggerCallback, TBXLoggerCallback)
"""Ray Tune's default loggers."""
