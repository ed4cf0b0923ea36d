"""A trial as callbacks see it, made by hand."""

from dataclasses import dataclass, field
from typing import Any

from tune_core.core.trial import RUNNING, Status


@dataclass
class View:
    path: str
    index: int = 0
    config: dict[str, Any] = field(default_factory=lambda: {"lr": 0.1, "net": {"layers": 2}})
    status: Status = RUNNING
    last_result: dict[str, Any] = field(default_factory=dict)
    iteration: int = 0
    checkpoint: str | None = None
    resources: dict[str, float] | None = None

    @property
    def trial_id(self) -> str:
        return f"{self.index:05d}"


def run(logger, trial, results, end="complete"):
    """Call the hooks as a run of one trial does."""
    call = {"iteration": 1, "trials": [trial], "trial": trial}
    logger.on_trial_start(**call)
    for i, result in enumerate(results, 1):
        logger.on_trial_result(**call, result={**result, "training_iteration": i, "trial_id": trial.trial_id})
    if end:
        getattr(logger, f"on_trial_{end}")(**call)
    logger.on_experiment_end(trials=[trial])
