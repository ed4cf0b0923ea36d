"""What a trial's session offers to user code, wherever that code runs: in the trial's process, or in one it started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from tune_core.core.values import Metrics

if TYPE_CHECKING:
    from tune_core.checkpoint import Checkpoint

SHARED = "TUNE_CORE_SESSION"
"""Environment variable in which a trial's process tells the processes that it starts how to reach its session."""


STOPPED = "tune-core ends this trial"
"""What an exception says that stands for :class:`StopTrial` on its way through another library's processes."""


class StopTrial(BaseException):
    """Raised by ``tune.report`` to end a trial. Not an ``Exception``, so that ``except Exception`` lets it pass."""


class NothingLeft(StopTrial):
    """Raised where a trial goes on from a checkpoint that has all of the training behind it: it is complete."""


class ProcessLost(Exception):
    """Raised in a trial's process when one that it has started was ended from outside: the trial is not at fault."""


class Session(Protocol):
    """One attempt at one trial, as user code sees it."""

    def report(self, metrics: Mapping[str, object], checkpoint: Checkpoint | None) -> bool:
        """Pass on a result; False if the trial is to end."""

    def start_checkpoint(self) -> Checkpoint | None:
        """The checkpoint to go on from."""

    def save(self, checkpoint: Checkpoint, again: bool = False, result: tuple[int, Metrics] | None = None) -> None:
        """Keep a checkpoint with the last result, or with the one of the given iteration, without a new one."""

    def checkpoint_due(self, metrics: Mapping[str, object]) -> bool:
        """Whether the scheduler may pause or copy the trial at its next report."""

    def preempted(self) -> bool:
        """Whether the trial is asked to save what it has and to end soon."""

    def at_end(self, function: Callable[[], None]) -> None:
        """Call ``function`` when the objective has returned."""

    @property
    def info(self) -> Mapping[str, Any]:
        """The trial's id, name, folder, resources and configuration, and the experiment's name."""
