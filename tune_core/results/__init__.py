"""What a run found: :class:`ResultGrid`, one :class:`Result` for each trial, from a live run or from a folder alone."""

from __future__ import annotations

from tune_core.results.grid import ResultGrid
from tune_core.results.result import Result

__all__ = ["Result", "ResultGrid"]
