"""Which checkpoints of a trial are kept: the latest, the best, and all that somebody still refers to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from tune_core.core.objective import Objective, check_mode
from tune_core.core.standing import NOTHING, Standing
from tune_core.core.validation import python_fields
from tune_core.errors import InvalidArgumentError


class RetainedCheckpoint(NamedTuple):
    """A checkpoint: whose, its name, where in the training it was made, and what its trial had to show then."""

    trial: int
    name: str
    iteration: int
    seconds: float
    loss: float
    totals: dict[str, float] | None = None  # timesteps and episodes up to there, where they are counted
    standing: Standing = NOTHING
    metrics: dict[str, Any] | None = None  # the last known values then; None: its result no longer counts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RetainedCheckpoint) and self[:2] == other[:2]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[:2])


@dataclass
class CheckpointConfig:
    """How checkpoints are made and kept.

    Parameters
    ----------
    num_to_keep
        Checkpoints kept for each trial; None keeps all. The latest is kept besides, and so is one that a paused trial
        or a pending exploit refers to.
    checkpoint_score_attribute
        Metric by which the best ``num_to_keep`` are chosen; ``"a/b"`` reaches into nested dicts. A checkpoint whose
        result lacks it counts with its last known value. None keeps the latest ones.
    checkpoint_score_order
        ``"max"`` or ``"min"``.
    checkpoint_frequency
        Class trainables save a checkpoint every so many iterations; 0 never.
    checkpoint_at_end
        Class trainables save a checkpoint when they end.
    """

    num_to_keep: int | None = None
    checkpoint_score_attribute: str | None = None
    checkpoint_score_order: str = "max"
    checkpoint_frequency: int = 0
    checkpoint_at_end: bool | None = None

    def __post_init__(self) -> None:
        python_fields(self)
        check_mode(self.checkpoint_score_order, "CheckpointConfig(checkpoint_score_order)")
        score = self.checkpoint_score_attribute
        if score is not None and (not isinstance(score, str) or not score):
            raise InvalidArgumentError(
                "CheckpointConfig(checkpoint_score_attribute)",
                f"is {score!r}",
                "it is the name of a metric",
                'Use e.g. checkpoint_score_attribute="loss", or None to keep the latest.',
            )
        if not isinstance(self.checkpoint_at_end, bool | None):
            raise InvalidArgumentError(
                "CheckpointConfig(checkpoint_at_end)",
                f"is {self.checkpoint_at_end!r}",
                "it says yes or no",
                "Use True, False or None.",
            )
        for name, value, least in (
            ("num_to_keep", self.num_to_keep, 1),
            ("checkpoint_frequency", self.checkpoint_frequency, 0),
        ):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise InvalidArgumentError(
                    f"CheckpointConfig({name})",
                    f"is {value!r}",
                    f"it counts checkpoints or iterations, from {least}",
                    f"Use an integer of at least {least}" + (", or None to keep all." if least else "."),
                )

    @property
    def objective(self) -> Objective | None:
        """What makes one checkpoint better than another; None: being later."""
        if self.checkpoint_score_attribute is None:
            return None
        return Objective(self.checkpoint_score_attribute, self.checkpoint_score_order)


class Retention:
    """Decides which checkpoints may be deleted, and remembers who refers to which."""

    def __init__(self, config: CheckpointConfig) -> None:
        self.change(config)
        self.pins: Counter[tuple[int, str]] = Counter()  # how many refer to a (trial, name)

    def change(self, config: CheckpointConfig) -> None:
        """Keep checkpoints by other rules from now on."""
        self._keep = config.num_to_keep
        self._objective = config.objective

    def loss(self, metrics: dict[str, object] | None) -> float:
        """How a checkpoint made with these metrics ranks: lower is kept longer."""
        if self._objective is None or metrics is None:
            return 0.0
        return self._objective.loss(metrics)

    def pin(self, kept: RetainedCheckpoint) -> None:
        """Somebody other than its own trial refers to this checkpoint."""
        self.pins[kept.trial, kept.name] += 1

    def unpin(self, kept: RetainedCheckpoint) -> None:
        """That reference is gone."""
        key = (kept.trial, kept.name)
        self.pins[key] -= 1
        if self.pins[key] <= 0:
            del self.pins[key]

    def is_pinned(self, kept: RetainedCheckpoint) -> bool:
        """Whether another trial refers to this checkpoint."""
        return (kept.trial, kept.name) in self.pins

    def checkpoints_to_delete(self, kept: list[RetainedCheckpoint]) -> list[RetainedCheckpoint]:
        """Those of a trial's checkpoints (oldest first) that may go; they are taken out of the list."""
        if self._keep is None or len(kept) <= self._keep:
            return []
        best = kept[-self._keep :]
        if self._objective is not None:
            best = sorted(kept, key=lambda k: (k.loss, -k.iteration))[: self._keep]
        gone = [k for k in kept if k not in best and k is not kept[-1] and not self.is_pinned(k)]
        for candidate in gone:
            kept.remove(candidate)
        return gone
