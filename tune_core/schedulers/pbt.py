"""Population based training: the worst trials go on as copies of the best, with slightly different hyperparameters."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sortedcontainers import SortedList

from tune_core.core.events import Lease
from tune_core.core.objective import lookup
from tune_core.core.random_state import seeded
from tune_core.core.trial import PAUSED, PENDING, Status, TrialView
from tune_core.core.validation import fraction, python_value, python_values, share
from tune_core.core.values import Config, Metrics
from tune_core.errors import InvalidArgumentError
from tune_core.schedulers.base import Continue, Decision, Exploit, Pause, Scheduler, WaitingTrials
from tune_core.schedulers.perturbation import as_python_number, check_mutations, complete, explore, python_mutations
from tune_core.schedulers.rung_levels import as_number, show


class PopulationMember:
    """One trial of the population."""

    __slots__ = ("changes", "last", "loss", "trial")

    def __init__(self, trial: TrialView) -> None:
        self.trial = trial
        self.loss: float | None = None  # at its last perturbation; None before the first
        self.last: Any = 0  # time of its last perturbation
        self.changes = 0  # exploits so far


class Population(Scheduler):
    """Base of PBT and PB2: who copies whom, and when. A subclass says with which hyperparameters (:meth:`explored`)."""

    saves_at_lease_end = True

    custom_explore_fn: Callable[[Config], Config] | None = None

    @python_values
    def __init__(
        self,
        time_attr: str,
        metric: str | None,
        mode: str | None,
        perturbation_interval: float,
        burn_in_period: float,
        quantile_fraction: float,
        synch: bool,
        seed: int | None,
    ) -> None:
        super().__init__(metric, mode, time_attr)
        name = type(self).__name__
        self.perturbation_interval = as_number(fraction(f"{name}(perturbation_interval)", perturbation_interval))
        self.burn_in_period = burn_in_period
        self.quantile_fraction = share(f"{name}(quantile_fraction)", quantile_fraction, 0.5)
        self.synch = synch
        self.restarts_without_checkpoint = synch
        self.goes_on_without_checkpoint = not synch  # it takes no turns: at each of them it would start anew
        self.seed = seed
        self._members: dict[int, PopulationMember] = {}
        self._ranking = SortedList()  # (loss, index) of the members that have one, best first
        self._arrived: set[int] = set()  # at the present time of a synchronous population
        self._waiting: dict[int, None] = {}  # may run on and do not, those that have waited longest first
        self._revised: list[tuple[int, Exploit]] = []
        self._is_whole = False  # nobody else will join for now
        self._next = max(self.perturbation_interval, burn_in_period)  # synchronous: when all meet
        self.space: Mapping[str, object] = {}

    def setup(self, metric: str | None, mode: str | None, seed: int, space: Mapping[str, object] | None) -> None:
        super().setup(metric, mode, seed, space)
        self.seed = seed if self.seed is None else self.seed
        self.space = space or {}

    def explored(
        self, member: PopulationMember, source: PopulationMember, rng: random.Random
    ) -> tuple[Config, list[str]]:
        """The configuration with which ``member`` goes on as a copy of ``source``, and what changed, in words."""
        raise NotImplementedError

    def custom(self, config: Config, words: list[str], rng: random.Random) -> Config:
        """What the user's function makes of a changed configuration; ``words`` tell that it was called."""
        if self.custom_explore_fn is None:
            return config
        with seeded(rng.getrandbits(32)):
            config = self.custom_explore_fn(config)
        if not isinstance(config, dict):
            raise InvalidArgumentError(
                f"{type(self).__name__}(custom_explore_fn)",
                f"returned {config!r}",
                "it is to return the configuration",
                "Return the dict that it was given, changed or not.",
            )
        words.append("then custom_explore_fn")
        return config

    def described(self, name: str, changed: Iterable[str]) -> str:
        """One line: who copies whom and when, and which hyperparameters are changed."""
        return (
            f"{name}{', synchronous' if self.synch else ''}: every {self.perturbation_interval:g} {self.time_attr}, "
            f"the worst {self.quantile_fraction:g} copy the best; {', '.join(changed) or 'custom'}"
        )

    # --- trials -------------------------------------------------------------------------------------------------------

    def on_add(self, trial: TrialView) -> None:
        self._members[trial.index] = PopulationMember(trial)
        self._waiting[trial.index] = None
        self._is_whole = False

    def lease(self, trial: TrialView) -> Lease:
        self._waiting.pop(trial.index, None)
        return Lease(self._until(self._members[trial.index]))

    def on_result(self, trial: TrialView, result: Metrics) -> Decision:
        member = self._members[trial.index]
        time = lookup(result, self.time_attr)
        until = self._until(member)
        if time < until:
            return Continue(until)
        assert self.objective is not None
        self._unrank(member)
        member.loss = self.objective.loss(result)
        self._ranking.add((member.loss, trial.index))
        self.learn(member, time)
        member.last = time
        return self._wait_for_population(member) if self.synch else self._perturb(member)

    def learn(self, member: PopulationMember, time: Any) -> None:
        """``member`` has its score at ``time``; ``member.last`` is still when it had the one before."""

    def on_end(self, trial: TrialView, status: Status) -> None:
        member = self._members.pop(trial.index, None)
        if member is not None:
            self._unrank(member)
        self._waiting.pop(trial.index, None)
        self._arrived.discard(trial.index)
        self._meet_if_all_are_there()

    def on_requeue(self, trial: TrialView) -> None:
        self._waiting[trial.index] = None
        self._members.setdefault(trial.index, PopulationMember(trial))
        self._arrived.discard(trial.index)

    def choose(self, waiting: WaitingTrials) -> int | None:
        """New members first; then whoever has waited longest, copies and others alike."""
        if not self._is_whole:
            return None
        return next((i for i in self._waiting if self._members[i].trial.status in (PENDING, PAUSED)), None)

    def pending_exploits(self) -> Iterable[tuple[int, Exploit]]:
        if not self._revised:
            return ()
        revised, self._revised = self._revised, []
        return revised

    def on_stall(self, exhausted: bool) -> None:
        self._is_whole = True
        self._meet_if_all_are_there()

    # --- decisions ----------------------------------------------------------------------------------------------------

    def _until(self, member: PopulationMember) -> Any:
        return self._next if self.synch else max(member.last + self.perturbation_interval, self.burn_in_period)

    def _tails(self) -> tuple[range, range]:
        """The worst and the best members, by position in the ranking; both empty where none can be told apart."""
        members = len(self._ranking)
        number = math.ceil(members * self.quantile_fraction)
        if number > members / 2:
            number = members // 2
        best = min(number, self._ranking.bisect_left((math.inf, -1)))
        return (range(members - number, members), range(best)) if best else (range(0), range(0))

    def _at(self, position: int) -> PopulationMember:
        return self._members[self._ranking[position][1]]

    def _unrank(self, member: PopulationMember) -> None:
        if member.loss is not None:
            self._ranking.discard((member.loss, member.trial.index))

    def _perturb(self, member: PopulationMember) -> Decision:
        if not self._is_whole:
            self._waiting[member.trial.index] = None
            return Pause(f"at {self.time_attr} {member.last}: lets the rest of the population start")
        worst, best = self._tails()
        if self._ranking.index((member.loss, member.trial.index)) in worst:
            return self._exploit(member, best, worst)
        if self._waiting:
            self._waiting[member.trial.index] = None
            return Pause(f"at {self.time_attr} {member.last}: lets the rest of the population catch up")
        return Continue(self._until(member), f"{self._rank(member)}: goes on as it is")

    def _exploit(self, member: PopulationMember, best: range, worst: range) -> Exploit:
        rng = random.Random(f"{self.seed}:{member.trial.index}:{member.changes}:{member.last}")
        source = self._at(rng.choice(best))
        config, words = self.explored(member, source, rng)
        member.changes += 1
        reason = (
            f"{self._rank(member)}, among the worst {len(worst)}: copies trial {source.trial.trial_id} "
            f"({self._show(source)}); {', '.join(words) or 'same hyperparameters'}"
        )
        member.last = source.last
        self._waiting[member.trial.index] = None
        return Exploit(source.trial.index, config, reason)

    # --- a synchronous population -------------------------------------------------------------------------------------

    def _wait_for_population(self, member: PopulationMember) -> Decision:
        self._arrived.add(member.trial.index)
        if not self._all_are_there():
            missing = len(self._members) - len(self._arrived)
            return Pause(f"at {self.time_attr} {member.last}: waits for {missing} others of the population")
        index = member.trial.index
        self._meet_all()
        for position, (revised, exploit) in enumerate(self._revised):
            if revised == index:
                del self._revised[position]
                return exploit
        self._waiting.pop(index, None)
        return Continue(self._next, f"{self._rank(member)}: goes on as it is")

    def _all_are_there(self) -> bool:
        return self._is_whole and bool(self._members) and len(self._arrived) == len(self._members)

    def _meet_if_all_are_there(self) -> None:
        if self.synch and self._all_are_there():
            self._meet_all()

    def _meet_all(self) -> None:
        """All have their scores: decide for all of them."""
        worst, best = self._tails()
        losers = [self._at(position) for position in worst]
        copies = {m.trial.index: self._exploit(m, best, worst) for m in losers}
        latest = max(m.last for m in self._members.values())
        self._next = max(self._next + self.perturbation_interval, latest)
        self._arrived.clear()
        for index in self._members:
            self._waiting[index] = None
            if index in copies:
                self._revised.append((index, copies[index]))

    # --- words --------------------------------------------------------------------------------------------------------

    def _rank(self, member: PopulationMember) -> str:
        better = self._ranking.bisect_left((member.loss, -1))
        return f"{self._show(member)} is number {better + 1} of {len(self._ranking)}"

    def _show(self, member: PopulationMember) -> str:
        assert self.objective is not None
        if member.loss is None or member.loss == math.inf:
            return f"{self.objective.metric} that is no finite number"
        return show(self.objective, member.loss)


class PopulationBasedTraining(Population):
    """Train a population; every so often the worst copy the best, and explore around their hyperparameters.

    Parameters
    ----------
    time_attr
        The result field that measures progress.
    metric, mode
        What to compare trials by; None takes ``TuneConfig``'s.
    perturbation_interval
        How far apart in ``time_attr`` a trial's perturbations are. A trial saves a checkpoint at each.
    burn_in_period
        No trial is perturbed before this value of ``time_attr``.
    hyperparam_mutations
        For each hyperparameter a domain, a list of values, or a function that draws one; nested dicts too. What
        ``param_space`` lacks is drawn from here at the start.
    quantile_fraction
        Which share of the population copies, and which is copied; at most a half. 0 copies nothing.
    resample_probability
        How likely a hyperparameter is drawn anew; otherwise a number is multiplied by one of ``perturbation_factors``,
        and a choice moves to a neighbour.
    perturbation_factors
        The factors by which a number is multiplied when it is not drawn anew; default 1.2 and 0.8.
    custom_explore_fn
        Takes the new configuration, and returns what is to be run.
    log_config
        Whether the experiment's folder gets ``pbt_policy_<trial>.txt`` and ``pbt_global.txt`` with each copy that was
        made, as Ray Tune writes them; the journal has each with its reason anyway.
    require_attrs
        Accepted and ignored: results without ``time_attr`` are always an error.
    synch
        Whether all trials wait for one another at each perturbation.
    seed
        Seed of the perturbations; None takes the run's.

    Notes
    -----
    Values never leave their domains: numbers are cut at the bounds, quantised ones stay on their grid, integers stay
    integers. If there are more trials than workers, trials take turns, so that the population grows up together.

    References
    ----------
    Jaderberg, Dalibard, Osindero, Czarnecki, Donahue, Razavi, Vinyals, Green, Dunning, Simonyan, Fernando,
    Kavukcuoglu: Population Based Training of Neural Networks. arXiv:1711.09846, 2017.
    """

    @python_values
    def __init__(
        self,
        time_attr: str = "time_total_s",
        metric: str | None = None,
        mode: str | None = None,
        perturbation_interval: float = 60.0,
        burn_in_period: float = 0.0,
        hyperparam_mutations: Mapping[str, object] | None = None,
        quantile_fraction: float = 0.25,
        resample_probability: float = 0.25,
        perturbation_factors: Sequence[float] = (1.2, 0.8),
        custom_explore_fn: Callable[[Config], Config] | None = None,
        log_config: bool = True,
        require_attrs: bool = True,
        synch: bool = False,
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__(time_attr, metric, mode, perturbation_interval, burn_in_period, quantile_fraction, synch, seed)
        mutations = python_mutations(hyperparam_mutations or {})
        check_mutations("PopulationBasedTraining(hyperparam_mutations)", mutations)
        if not mutations and custom_explore_fn is None:
            raise InvalidArgumentError(
                "PopulationBasedTraining(hyperparam_mutations)",
                "is empty, and there is no custom_explore_fn",
                "copies would train with the very same hyperparameters",
                'Use e.g. hyperparam_mutations={"lr": tune.loguniform(1e-4, 1e-1)}.',
            )
        factors = tuple(map(python_value, perturbation_factors))
        if not factors or not all((as_python_number(f) or 0) > 0 for f in factors):
            raise InvalidArgumentError(
                "PopulationBasedTraining(perturbation_factors)",
                f"is {perturbation_factors!r}",
                "hyperparameters are multiplied by one of them",
                "Use positive numbers around 1, e.g. (1.2, 0.8).",
            )
        self.hyperparam_mutations = mutations
        self.resample_probability = share("PopulationBasedTraining(resample_probability)", resample_probability)
        self.perturbation_factors = factors
        self.custom_explore_fn = custom_explore_fn
        self.log_config = log_config

    def complete_space(self, space: Mapping[str, object]) -> Mapping[str, object]:
        return complete(space, self.hyperparam_mutations)

    def explored(
        self, member: PopulationMember, source: PopulationMember, rng: random.Random
    ) -> tuple[Config, list[str]]:
        config, words = explore(
            source.trial.config,
            self.hyperparam_mutations,
            self.space,
            rng,
            self.resample_probability,
            self.perturbation_factors,
        )
        return self.custom(config, words, rng), words

    def describe(self) -> str:
        return self.described("PBT", self.hyperparam_mutations)

    def debug_string(self) -> str:
        return f"{self.describe()}; {sum(m.changes for m in self._members.values())} copies made by those alive"
