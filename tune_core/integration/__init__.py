"""For people who write integrations: choose metrics, report them with a checkpoint, find what to resume from.

An integration translates a framework's hooks into these calls. The modules here that have a framework's name
(``integration.xgboost`` and so on) only forward to the packages that hold the callbacks, under the import paths that
Ray Tune's users know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tune_core.core.optional_imports import require
from tune_core.integration.forwarding import forward
from tune_core.integration.reporting import (
    RoundResults,
    check_count,
    check_hooks,
    choose_metrics,
    report_metrics,
    save_checkpoint,
)
from tune_core.integration.resuming import Start, checkpoint_file, start, start_metadata
from tune_core.integration.stepped_domains import steps
from tune_core.trainable.protocol import NothingLeft
from tune_core.trainable.session import advice, at_end, checkpoint_due, draft, in_session, join, share

__all__ = [
    "Metrics",
    "NothingLeft",
    "RoundResults",
    "Start",
    "advice",
    "at_end",
    "check_count",
    "check_hooks",
    "checkpoint_due",
    "checkpoint_file",
    "choose_metrics",
    "draft",
    "forward",
    "in_session",
    "join",
    "report_metrics",
    "require",
    "save_checkpoint",
    "share",
    "start",
    "start_metadata",
    "steps",
]

Metrics = str | Sequence[str] | Mapping[str, str] | None
"""Which metrics to report: None all, a name, names, or ``{name to report: the framework's name}``."""
