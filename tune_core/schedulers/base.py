"""The scheduler's extension point: three methods on read-only values, and the decisions they answer with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tune_core.core.events import Lease
from tune_core.core.objective import Objective, check_mode
from tune_core.core.trial import Status, TrialView
from tune_core.schedulers.ray_methods import RayTuneMethods


@dataclass(frozen=True)
class Continue:
    """Go on until the time attribute reaches ``until`` (None: to the end), or for ``steps`` more results."""

    until: float | None = None
    reason: str = ""
    steps: int | None = None


@dataclass(frozen=True)
class Stop:
    """End the trial for good. ``early``: before it has had all that it could get; searchers are told it was pruned."""

    reason: str
    early: bool = True


@dataclass(frozen=True)
class Pause:
    """Put the trial aside with its checkpoint; :meth:`Scheduler.choose` may resume it."""

    reason: str


@dataclass(frozen=True)
class Exploit:
    """Go on as a copy of trial ``source``: load its checkpoint ``checkpoint`` and run ``config``.

    The source may be the trial itself, to go on with another configuration or with other ``resources``.
    """

    source: int
    config: dict[str, Any]
    reason: str
    checkpoint: str | None = None  # None: the source's latest at the time of the decision
    resources: dict[str, float] | None = None  # None: as before


Decision = Continue | Stop | Pause | Exploit


class WaitingTrials(Protocol):
    """The trials that could run now."""

    @property
    def pending(self) -> Iterable[TrialView]:
        """Trials not yet started, or waiting to start again, in the order in which they would run."""

    @property
    def paused(self) -> Iterable[TrialView]:
        """Trials put aside, in the order of their pausing."""

    def is_paused(self, index: int) -> bool:
        """Whether a trial is paused at this moment."""


class Scheduler(RayTuneMethods):
    """Decides, at the end of each lease, whether a trial goes on.

    A subclass usually needs :meth:`lease` (how far a trial may run before the next decision) and :meth:`on_result`
    (the decision). A scheduler is deterministic: it depends on its arguments, its seed and the calls it gets, and on
    no clock, so that replaying a journal through a fresh copy gives the same state and the same decisions.

    Parameters
    ----------
    metric, mode
        What to compare trials by; None takes ``TuneConfig``'s.
    time_attr
        The result field that measures progress and must never decrease.
    """

    saves_at_lease_end: bool = False
    """Whether class trainables save a checkpoint with each result that ends a lease (so that it can be paused)."""
    restarts_without_checkpoint: bool = False
    """Whether a trial paused without a checkpoint may start anew; otherwise that is an error."""
    needs_metric: bool = True
    observes: bool = False
    """Whether :meth:`observe` is called with the results in between."""

    def __init__(
        self, metric: str | None = None, mode: str | None = None, time_attr: str = "training_iteration"
    ) -> None:
        if mode is not None:
            check_mode(mode, f"{type(self).__name__}(mode)")
        self.metric = metric
        self.mode = mode
        self.time_attr = time_attr
        self.objective: Objective | None = None

    def setup(self, metric: str | None, mode: str | None, seed: int, space: Mapping[str, Any] | None) -> None:
        """Called once before the run, with the metric, mode and seed in force and the search space."""
        self.metric = self.metric or metric
        self.mode = self.mode or mode
        if self.metric is not None:
            self.objective = Objective(self.metric, self.mode or "max")

    def on_add(self, trial: TrialView) -> None:
        """A trial was suggested."""

    def lease(self, trial: TrialView) -> Lease:
        """How far ``trial`` may run; called each time it is launched."""
        return Lease()

    def on_result(self, trial: TrialView, result: Mapping[str, Any]) -> Decision:
        """``trial`` has reached the end of its lease with ``result``, and waits for the answer."""
        return Continue()

    def observe(self, trial: TrialView, result: Mapping[str, Any]) -> None:
        """``trial`` reported ``result`` under its lease; called only if :attr:`observes` is set."""

    def on_end(self, trial: TrialView, status: Status) -> None:
        """``trial`` ended (TERMINATED or ERROR), for whatever reason."""

    def on_requeue(self, trial: TrialView) -> None:
        """``trial`` goes back to its last checkpoint (``trial.iteration``), since its worker failed or was lost."""

    def choose(self, waiting: WaitingTrials) -> int | None:
        """Which waiting trial to run next on a free slot; None: the first pending one.

        A question: it must not change the scheduler's state. :meth:`lease` is called if the trial really starts.
        Paused trials run only if they are chosen here.
        """
        return None

    def discard(self) -> Iterable[tuple[int, Stop | str]]:
        """Paused trials that will never resume. Called after each event; each trial is named once.

        A text is the reason of an early stop; ``Stop(reason, early=False)`` ends a trial that has had all it could get.
        """
        return ()

    def pending_exploits(self) -> Iterable[tuple[int, Exploit]]:
        """Paused trials that are to become copies of others now; each is named once. Called after each event."""
        return ()

    def complete_space(self, space: Mapping[str, Any]) -> Mapping[str, Any]:
        """The search space with what the scheduler must have in it; called before :meth:`setup`."""
        return space

    def set_cluster_resources(self, capacity: Mapping[str, float], default_resources: Any) -> None:
        """Called before the run with what there is to share out among trials, and what a trial asks for by default."""

    def on_stall(self, exhausted: bool) -> None:
        """Nothing runs and nothing is pending: let paused trials go on or be discarded, or they are ended.

        ``exhausted`` says that no further trial will ever be added. Also called when the last suggestion has been
        added while trials still run.
        """

    def describe(self) -> str:
        """One line for the journal and the view."""
        return type(self).__name__

    def debug_string(self) -> str:
        """One line on the present state, for the live view."""
        return self.describe()
