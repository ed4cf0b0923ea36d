"""The parts of a run's configuration that change what its events lead to, and how the journal keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tune_core.core.constraints import Constraint, constraints_of
from tune_core.core.events import Header
from tune_core.core.values import JsonObject
from tune_core.engine.checkpoint_retention import CheckpointConfig


@dataclass(frozen=True)
class Rules:
    """The parts of a run's configuration that the controller needs."""

    metric: str | None = None
    mode: str | None = None
    max_failures: int = 0
    fail_fast: bool = False
    max_losses: int = 100
    max_concurrent: int | None = None
    checkpoints: CheckpointConfig = field(default_factory=CheckpointConfig)
    stop: Mapping[str, float] = field(default_factory=dict)  # thresholds that workers watch
    constraints: Sequence[Constraint] = ()

    def settings(self) -> JsonObject:
        """What a header or a restore journals, so that a reader can tell a retry from an end."""
        return {
            "max_failures": self.max_failures,
            "max_worker_losses": self.max_losses,
            "fail_fast": self.fail_fast,
            "stop": dict(self.stop),
            "num_to_keep": self.checkpoints.num_to_keep,
            "checkpoint_score_attribute": self.checkpoints.checkpoint_score_attribute,
            "checkpoint_score_order": self.checkpoints.checkpoint_score_order,
        }

    def changed(self, settings: Mapping[str, Any]) -> Rules:
        """These rules with what :meth:`settings` of others gave."""
        known = self.settings()
        known.update((name, value) for name, value in settings.items() if name in known)
        return replace(
            self,
            max_failures=known["max_failures"],
            max_losses=known["max_worker_losses"],
            fail_fast=bool(known["fail_fast"]),
            stop=known["stop"],
            checkpoints=CheckpointConfig(
                known["num_to_keep"], known["checkpoint_score_attribute"], known["checkpoint_score_order"]
            ),
        )

    @classmethod
    def of(cls, header: Header) -> Rules:
        """The rules that a run began with."""
        return cls(header.metric, header.mode, constraints=constraints_of(header)).changed(header.settings)
