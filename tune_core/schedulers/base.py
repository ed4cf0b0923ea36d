"""The scheduler's extension point: three methods on read-only values, and the decisions they answer with.

How a scheduler works
---------------------
A scheduler allots the training budget among trials that a searcher suggested: *early stopping* and *successive halving*
compare trials at equal resource, *population-based training* lets the worse go on as copies of the better. It is a pure
state machine: events in, decisions out. It never holds the engine, and changes no trial itself.

**Leases instead of callbacks.** A scheduler is not asked about each result. When a trial is launched,
:meth:`Scheduler.lease` says how far it may run freely: until the time attribute (*resource*, *fidelity* or *budget* in
the literature) reaches a value, or for a number of results. Under its lease a trial reports without waiting. At the
lease's end it waits for the verdict: the next rung, the next perturbation interval. FIFO's lease is endless; one that
must see every result leases one step at a time, or sets :attr:`Scheduler.observes` and is shown the others, too.

**Events, in the order in which a trial meets them**

=================== ================================================================================================
``setup``           once: metric, mode, seed and space in force. Before it ``complete_space`` may add to the space.
``on_add``          a trial was suggested. It may start much later, or never.
``lease``           it starts, on each launch: the first, after a pause, after a failure, as a copy.
``observe``         a result under the lease; only on request.
``on_result``       the result at the lease's end; the trial waits for the answer, a *decision*.
``on_requeue``      its worker was lost: it goes back to its last checkpoint and will report steps again.
``on_end``          it ended for good, TERMINATED or ERROR, for whatever reason: it returned, met a stop condition,
                    failed too often, or this scheduler stopped it. Exactly once for each trial that was added.
=================== ================================================================================================

**Decisions.** :class:`Continue` with the next lease; :class:`Stop` for good, ``early`` if it could have had more (then
the searcher hears that it was pruned, at this fidelity); :class:`Pause`, which frees the slot and keeps the checkpoint;
:class:`Exploit`, to go on as a copy of another trial with another configuration. Each carries its reason, which is
journaled and shown.

**Questions.** On a free slot ``choose`` says which waiting trial runs next: without side effects, since the answer may
not be used. After each event ``discard`` names paused trials that will never resume, and ``pending_exploits`` those
that become copies; each is named once. ``on_stall`` says that nothing runs and nothing is pending, or that no
further trial will come: a synchronous bracket then closes with what it has.

**Invariants**

- Deterministic: state depends on the arguments, the seed and the events, and on no clock. A journal replayed through a
  fresh copy gives the same state and the same decisions.
- Monotone: the time attribute of a trial's reports rises, except after ``on_requeue`` or a copy, when steps come again.
  A step that has been judged is not judged a second time.
- Fair: values are compared at the same step only. NaN, infinite and missing values are the worst. A trial that failed
  leaves its rung.
- Live: a paused trial is at some time chosen, discarded or ended by ``on_stall``; none waits for ever.
- Linear: work and memory for n trials grow with n (``tests/schedulers/test_growth.py`` counts operations).
- A scheduler that stops early needs one metric; with several it says so before the first trial.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tune_core.core.events import Lease
from tune_core.core.objective import Objective, check_mode
from tune_core.core.trial import Status, TrialView
from tune_core.core.values import Config, Metrics
from tune_core.schedulers.ray_methods import RayTuneMethods
from tune_core.trainable.resources import Request


@dataclass(frozen=True)
class Continue:
    """Let the trial go on, without asking again for a while.

    Parameters
    ----------
    until
        Value of the time attribute at which the scheduler wants to see the trial again; None: never.
    reason
        Why, for ``tune-core explain``.
    steps
        Number of results after which it wants to see the trial again; None: ``until`` alone counts.
    advice
        What the objective is told if it asks, by ``tune_core.integration.advice()``, until its next report.
    """

    until: float | None = None
    reason: str = ""
    steps: int | None = None
    advice: str = ""


@dataclass(frozen=True)
class Stop:
    """End the trial for good.

    Parameters
    ----------
    reason
        Why, for ``tune-core explain`` and the trial's result.
    early
        Whether it ends before it has had all that it could get: searchers are told that it was pruned.
    """

    reason: str
    early: bool = True


@dataclass(frozen=True)
class Pause:
    """Pause the trial with its checkpoint; :meth:`Scheduler.choose` may resume it.

    Parameters
    ----------
    reason
        Why, for ``tune-core explain``.
    """

    reason: str


@dataclass(frozen=True)
class Exploit:
    """Let the trial go on from a checkpoint of another one, with a configuration of its own.

    Parameters
    ----------
    source
        Index of the trial whose checkpoint is loaded; the trial's own, to go on with another configuration or with
        other resources.
    config
        The configuration to run.
    reason
        Why, for ``tune-core explain``.
    checkpoint
        Name of the source's checkpoint; None: its latest at the time of the decision.
    resources
        What the trial asks for from now on; None: as before.
    """

    source: int
    config: Config
    reason: str
    checkpoint: str | None = None
    resources: dict[str, float] | None = None


Decision = Continue | Stop | Pause | Exploit


class WaitingTrials(Protocol):
    """The trials that could run now."""

    @property
    def pending(self) -> Iterable[TrialView]:
        """Trials not yet started, or waiting to start again, in the order in which they would run."""

    @property
    def paused(self) -> Iterable[TrialView]:
        """Paused trials, in the order in which they were paused."""

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
    warns_of_restarts: bool = True
    """Whether the user is warned of such a trial, which repeats what it did before; not where it remembers that."""
    goes_on_without_checkpoint: bool = False
    """Whether a trial that cannot be paused for want of a checkpoint runs on, under a new lease."""
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

    def on_result(self, trial: TrialView, result: Metrics) -> Decision:
        """``trial`` has reached the end of its lease with ``result``, and waits for the answer."""
        return Continue()

    def observe(self, trial: TrialView, result: Metrics) -> None:
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

    def complete_space(self, space: Mapping[str, object]) -> Mapping[str, object]:
        """The search space with what the scheduler must have in it; called before :meth:`setup`."""
        return space

    def set_cluster_resources(self, capacity: Mapping[str, float], default_resources: Request | None) -> None:
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
