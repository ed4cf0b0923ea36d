"""What a trial had to show at one moment: kept with each checkpoint, for a trial that goes back to it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tune_core.core.events import Reported
    from tune_core.core.values import Config, ResultDict


class Standing:
    """A trial's standing at one moment: its best result, and the last known value of each metric.

    A checkpoint carries the one of the moment when it was made, so that a trial which goes back to it stands there
    again. Two are always equal: a standing follows from the events before it, and comparing it would compare those.
    """

    __slots__ = ("best", "best_config", "best_loss", "known")

    def __init__(
        self,
        best: Reported | None = None,
        best_loss: float = math.inf,
        best_config: Config | None = None,
        known: ResultDict | None = None,
    ) -> None:
        self.best = best
        self.best_loss = best_loss
        self.best_config = best_config
        self.known = known

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Standing)

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "Standing()"


NOTHING = Standing()
"""Before the first result."""
