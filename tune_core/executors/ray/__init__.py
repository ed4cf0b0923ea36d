"""Trials on Ray actors."""

from tune_core.compat.names import forward

__getattr__ = forward(__name__)
