"""A local web page that shows experiments live, from their journals: ``tune-core dashboard``."""

from __future__ import annotations

from tune_core.dashboard.server import Dashboard

__all__ = ["Dashboard"]
