"""What can be tuned: functions and classes derived from :class:`Trainable`, with parameters or resources bound."""

from __future__ import annotations

from tune_core.trainable.base import DONE, RESULT_DUPLICATE, SHOULD_CHECKPOINT, Trainable
from tune_core.trainable.prepared import (
    Prepared,
    is_class,
    name_of,
    prepare,
    request_of,
    with_parameters,
    with_resources,
)

__all__ = [
    "DONE",
    "RESULT_DUPLICATE",
    "SHOULD_CHECKPOINT",
    "Prepared",
    "Trainable",
    "is_class",
    "name_of",
    "prepare",
    "request_of",
    "with_parameters",
    "with_resources",
]
