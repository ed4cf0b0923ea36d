"""Trials in worker processes of this machine."""

from tune_core.compat.names import forward

__getattr__ = forward(__name__)
