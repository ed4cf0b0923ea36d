"""Changing what trials hold while they run: free CPUs and GPUs go to those that are left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tune_core.core.events import Lease
from tune_core.core.objective import Objective, check_mode
from tune_core.core.trial import PENDING, RUNNING, Status, TrialView
from tune_core.core.validation import integer, python_values
from tune_core.core.values import Metrics
from tune_core.errors import InvalidArgumentError
from tune_core.schedulers.base import Continue, Decision, Exploit, Scheduler, Stop, WaitingTrials
from tune_core.schedulers.fifo import FIFOScheduler
from tune_core.trainable.resources import Request

Resources = Mapping[str, float]


class Shares:
    """What an allocation function may look at: the trials that have not ended, and what there is to share out."""

    def __init__(self, scheduler: ResourceChangingScheduler) -> None:
        self._scheduler = scheduler

    @property
    def capacity(self) -> Resources:
        """All there is."""
        return self._scheduler.capacity

    @property
    def base(self) -> Resources:
        """What a trial asks for at first."""
        return self._scheduler.base_resources

    def get_live_trials(self) -> list[TrialView]:
        """Trials that have not ended, in the order of suggestion."""
        return [self._scheduler.live[i] for i in sorted(self._scheduler.live)]

    def holds(self, trial: TrialView) -> Resources:
        """What a trial holds, or will ask for when it starts."""
        return trial.resources if isinstance(trial.resources, Mapping) else self.base

    def free(self, besides: TrialView) -> dict[str, float]:
        """What the running trials other than ``besides`` leave."""
        left = dict(self.capacity)
        for other in self._scheduler.live.values():
            resumes = other.status is PENDING and other.iteration > 0  # waits for what it was given
            if other.index != besides.index and (other.status is RUNNING or resumes):
                for name, amount in self.holds(other).items():
                    left[name] = left.get(name, 0) - amount
        return left


Allocation = Callable[[Shares, TrialView, Metrics, Scheduler], "Resources | None"]
"""``(shares, trial, result, scheduler) -> resources``; None leaves the trial with what it holds."""


class DistributeResources:
    """Share everything evenly among the trials that can run at once.

    Parameters
    ----------
    increase_by
        Give more only in such portions, e.g. ``{"cpu": 1, "gpu": 1}``; None gives any whole number.
    reserve_resources
        What to leave over, e.g. ``{"cpu": 1}``.
    add_bundles
        Accepted and ignored: a trial holds its resources in one piece.
    """

    @python_values
    def __init__(
        self,
        add_bundles: bool = False,
        increase_by: Resources | None = None,
        reserve_resources: Resources | None = None,
    ) -> None:
        self.increase_by = _lower(increase_by)
        self.reserve_resources = _lower(reserve_resources)

    def __call__(self, shares: Shares, trial: TrialView, result: Metrics, scheduler: Scheduler) -> Resources | None:
        return self._shared(shares, trial, self._competitors(shares))

    def _competitors(self, shares: Shares) -> int:
        fit = min((int(shares.capacity.get(n, 0) // a) for n, a in shares.base.items() if a), default=1)
        return max(1, min(len(shares.get_live_trials()), fit))

    def _shared(self, shares: Shares, trial: TrialView, among: int) -> Resources:
        free = shares.free(trial)
        made: dict[str, float] = {}
        for name, least in shares.base.items():
            all_of_it = shares.capacity.get(name, 0) - self.reserve_resources.get(name, 0)
            fair = min(all_of_it / among, free.get(name, 0) - self.reserve_resources.get(name, 0))
            made[name] = self._in_portions(name, least, fair)
        return made

    def _in_portions(self, name: str, least: float, most: float) -> float:
        if not least or (self.increase_by and name not in self.increase_by):
            return least
        portion = self.increase_by.get(name, 1) or 1
        return least + max(0, int((most - least) // portion)) * portion


class DistributeResourcesToTopJob(DistributeResources):
    """Give what is free to the trial with the best last result; the others keep what a trial asks for at first.

    Parameters
    ----------
    add_bundles, increase_by, reserve_resources
        As for :class:`DistributeResources`.
    metric, mode
        What makes a trial the best; None takes the scheduler's.
    """

    @python_values
    def __init__(
        self,
        add_bundles: bool = False,
        increase_by: Resources | None = None,
        reserve_resources: Resources | None = None,
        metric: str | None = None,
        mode: str | None = None,
    ) -> None:
        super().__init__(add_bundles, increase_by, reserve_resources)
        if mode is not None:
            check_mode(mode, "DistributeResourcesToTopJob(mode)")
        self.metric = metric
        self.mode = mode

    def __call__(self, shares: Shares, trial: TrialView, result: Metrics, scheduler: Scheduler) -> Resources | None:
        metric, mode = self.metric or scheduler.metric, self.mode or scheduler.mode
        if metric is None:
            return None
        objective = Objective(metric, mode or "max")
        losses = {t.index: objective.loss(t.last_result) for t in shares.get_live_trials() if t.last_result}
        losses[trial.index] = objective.loss(result)
        if min(losses, key=lambda index: (losses[index], index)) != trial.index:
            return dict(shares.base)
        return self._shared(shares, trial, 1)


class ResourceChangingScheduler(Scheduler):
    """Let another scheduler decide, and change what trials hold as others end.

    A trial whose share has changed is paused with its checkpoint and goes on with its new resources; what it holds is
    in ``tune.get_context().get_trial_resources()``.

    Parameters
    ----------
    base_scheduler
        Decides on the trials; None lets them run to their ends.
    resources_allocation_function
        What a trial is to hold; see :class:`DistributeResources`, the default.
    check_every
        Look after each so many results of a trial. Each time it saves a checkpoint.
    """

    saves_at_lease_end = True
    needs_metric = False

    @python_values
    def __init__(
        self,
        base_scheduler: Scheduler | None = None,
        resources_allocation_function: Allocation | None = None,
        check_every: int = 1,
    ) -> None:
        if base_scheduler is not None and not isinstance(base_scheduler, Scheduler):
            raise InvalidArgumentError(
                "ResourceChangingScheduler(base_scheduler)",
                f"is {base_scheduler!r}",
                "it is no scheduler",
                "Use e.g. ASHAScheduler(), or None.",
            )
        self.base_scheduler = base_scheduler or FIFOScheduler()
        super().__init__(self.base_scheduler.metric, self.base_scheduler.mode, self.base_scheduler.time_attr)
        self.allocate: Allocation = resources_allocation_function or DistributeResources()
        self.check_every = integer("ResourceChangingScheduler(check_every)", check_every)
        self.needs_metric = self.base_scheduler.needs_metric
        self.restarts_without_checkpoint = self.base_scheduler.restarts_without_checkpoint
        self.goes_on_without_checkpoint = self.base_scheduler.goes_on_without_checkpoint
        self.observes = self.base_scheduler.observes
        self.capacity: Resources = {}
        self.base_resources: Resources = {"cpu": 1}
        self.live: dict[int, TrialView] = {}
        self._until: dict[int, Lease] = {}  # the base scheduler's leases
        self._shares = Shares(self)

    def setup(self, metric: str | None, mode: str | None, seed: int, space: Mapping[str, object] | None) -> None:
        super().setup(metric, mode, seed, space)
        self.base_scheduler.setup(metric, mode, seed, space)

    def complete_space(self, space: Mapping[str, object]) -> Mapping[str, object]:
        return self.base_scheduler.complete_space(space)

    def set_cluster_resources(self, capacity: Mapping[str, float], default_resources: Request | None) -> None:
        self.capacity = dict(capacity)
        if default_resources is not None:
            self.base_resources = _amounts(default_resources)
        self.base_scheduler.set_cluster_resources(capacity, default_resources)

    def on_add(self, trial: TrialView) -> None:
        self.live[trial.index] = trial
        self.base_scheduler.on_add(trial)

    def lease(self, trial: TrialView) -> Lease:
        return self._shorter(trial, self.base_scheduler.lease(trial))

    def on_result(self, trial: TrialView, result: Metrics) -> Decision:
        lease = self._until.get(trial.index, Lease())
        decision: Decision = Continue(lease.until, steps=lease.steps)
        if self._is_due(lease, result):
            decision = self.base_scheduler.on_result(trial, result)
        elif self.base_scheduler.observes:
            self.base_scheduler.observe(trial, result)
        if not isinstance(decision, Continue):
            return decision
        shorter = self._shorter(trial, Lease(decision.until, decision.steps))
        answer = self.allocate(self._shares, trial, result, self)
        wanted = None if answer is None else _amounts(answer)
        holds = self._shares.holds(trial)
        if wanted is None or _same(wanted, holds):
            return Continue(shorter.until, decision.reason, shorter.steps)
        reason = f"its share of {_show(self.capacity)} is {_show(wanted)} now, and was {_show(holds)}"
        return Exploit(trial.index, dict(trial.config), reason, resources=wanted)

    def observe(self, trial: TrialView, result: Metrics) -> None:
        self.base_scheduler.observe(trial, result)

    def on_end(self, trial: TrialView, status: Status) -> None:
        self.live.pop(trial.index, None)
        self._until.pop(trial.index, None)
        self.base_scheduler.on_end(trial, status)

    def on_requeue(self, trial: TrialView) -> None:
        self.live[trial.index] = trial
        self.base_scheduler.on_requeue(trial)

    def choose(self, waiting: WaitingTrials) -> int | None:
        return self.base_scheduler.choose(waiting)

    def discard(self) -> Iterable[tuple[int, Stop | str]]:
        return self.base_scheduler.discard()

    def pending_exploits(self) -> Iterable[tuple[int, Exploit]]:
        return self.base_scheduler.pending_exploits()

    def on_stall(self, exhausted: bool) -> None:
        self.base_scheduler.on_stall(exhausted)

    def describe(self) -> str:
        return f"{self.base_scheduler.describe()}; resources by {type(self.allocate).__name__}"

    def debug_string(self) -> str:
        return self.base_scheduler.debug_string()

    def _shorter(self, trial: TrialView, lease: Lease) -> Lease:
        """The base scheduler's lease, but to be looked at in between."""
        self._until[trial.index] = lease
        steps = self.check_every if lease.steps is None else min(self.check_every, lease.steps)
        return Lease(lease.until, steps)

    def _is_due(self, lease: Lease, result: Metrics) -> bool:
        """Whether the base scheduler's own lease has ended."""
        if lease.steps is not None:
            return True
        if lease.until is None:
            return False
        time = result.get(self.time_attr)
        return time is not None and bool(time >= lease.until)


def _amounts(resources: Any) -> dict[str, float]:
    """Names and amounts, also of a ``PlacementGroupFactory``, which Ray Tune's allocation functions return."""
    bundles = getattr(resources, "bundles", None)
    if bundles is None:
        return _lower(resources)
    if len(bundles) > 1:
        raise InvalidArgumentError(
            "ResourceChangingScheduler(resources_allocation_function)",
            f"returned {resources!r}",
            "a trial's own bundle can be changed while it runs, not those of its workers",
            "Return one bundle, or a dict of resources.",
        )
    return _lower(bundles[0])


def _lower(resources: Resources | None) -> dict[str, float]:
    return {(n.lower() if n.lower() in ("cpu", "gpu") else n): a for n, a in (resources or {}).items()}


def _same(one: Resources, other: Resources) -> bool:
    return all(one.get(n, 0) == other.get(n, 0) for n in {*one, *other})


def _show(resources: Resources) -> str:
    return " ".join(f"{amount:g} {name}" for name, amount in resources.items()) or "nothing"
