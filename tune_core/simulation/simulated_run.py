"""One simulated run: the real engine over simulated workers, through all lives of its driver."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Mapping
from typing import Any

from tune_core import space
from tune_core._version import __version__
from tune_core.core import events as ev
from tune_core.core.validation import python_values
from tune_core.core.values import Config
from tune_core.engine.checkpoint_retention import CheckpointConfig
from tune_core.engine.controller import Controller
from tune_core.engine.loop import Loop
from tune_core.engine.loop_settings import LoopSettings
from tune_core.engine.observers import Observers
from tune_core.engine.replay import replay
from tune_core.engine.rules import Rules
from tune_core.engine.suggestions import Suggestions
from tune_core.engine.trial_facts import RunFacts
from tune_core.errors import InvalidArgumentError
from tune_core.executors.base import RunSpec
from tune_core.executors.machine_resources import Machine
from tune_core.schedulers import scheduler_from
from tune_core.search import searcher_from
from tune_core.simulation.executor import Faults, SimulatedExecutor
from tune_core.simulation.objective import Store, as_model
from tune_core.simulation.result import DriverDied, SimulatedJournal, Simulation
from tune_core.space.serialization import describe, from_json, to_json

Check = Callable[[Controller, SimulatedExecutor, Any], None]


@python_values
def simulate(
    objective: Any,
    param_space: Mapping[str, object] | None = None,
    *,
    metric: str,
    mode: str,
    workers: int = 8,
    num_samples: int = 100,
    scheduler: Any = None,
    search_alg: object = None,
    time_budget_s: float | None = None,
    stop: Mapping[str, float] | None = None,
    max_failures: int = 0,
    checkpoint_config: CheckpointConfig | None = None,
    max_concurrent_trials: int | None = None,
    resources: object = None,
    machine: Mapping[str, float] | None = None,
    speed: Callable[[Any], float] | None = None,
    faults: Faults | None = None,
    checkpoint_every: int = 0,
    launch_s: float = 0.0,
    seed: int = 0,
    target: float | None = None,
    keep_journal: bool = True,
    check: Check | None = None,
) -> Simulation:
    """Run an experiment in virtual time: the real engine, with simulated workers.

    Parameters
    ----------
    objective
        What a trial does: ``f(config)`` that yields ``(seconds, metrics)`` for each step; ``f(config, step)`` that
        returns them, or None past the end; or ``f(config, step, state)`` that returns ``(seconds, metrics, state)``.
    param_space
        As for ``Tuner``.
    metric, mode
        What to optimise.
    workers
        How many trials run at once.
    num_samples, scheduler, search_alg, time_budget_s, max_concurrent_trials
        As in ``TuneConfig``; times are virtual seconds.
    stop
        Thresholds of metrics, as in ``RunConfig(stop={...})``.
    max_failures, checkpoint_config
        As in ``RunConfig``.
    resources, machine, speed
        What each trial asks for, e.g. ``{"cpu": 2}``; what there is to share out (else each trial takes one worker);
        and how many times faster a trial is with the resources that it holds.
    faults
        What goes wrong; see :class:`Faults`.
    checkpoint_every
        Trials save a checkpoint each so many steps; those that a scheduler needs are saved anyhow.
    launch_s
        What it takes to start a trial on a worker.
    seed
        Seed of everything that is random: the same seed gives the same journal, byte for byte.
    target
        A value of the metric; the result says when it was reached first.
    keep_journal
        Keep the journal in memory; without it the run only counts.
    check
        Called with the controller, the executor and the event after each event.

    Returns
    -------
    Simulation
        Trials, times, utilisation and the journal. Printing it gives a summary.

    Raises
    ------
    SimulationStalledError
        If the run waits for something that will never happen, or an objective fails at the same step for ever.

    Examples
    --------
    >>> import tune_core as tune
    >>> from tune_core.schedulers import ASHAScheduler
    >>> result = simulate(
    ...     lambda config, step: (60.0, {"loss": config["x"] + 1 / step}),
    ...     {"x": tune.uniform(0, 1)},
    ...     metric="loss", mode="min", workers=16, num_samples=200,
    ...     scheduler=ASHAScheduler(max_t=27, reduction_factor=3),
    ... )
    >>> len(result.trials), result.utilisation > 0.5
    (200, True)
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise InvalidArgumentError(
            "simulate(workers)", f"is {workers!r}", "trials run on workers", "Use an integer from 1."
        )
    param_space = dict(param_space or {})
    space.validate(param_space)
    run = _Simulated(
        objective, param_space, metric, mode, workers, num_samples, scheduler, search_alg, time_budget_s, stop, seed
    )
    run.rules = Rules(
        metric,
        mode,
        max_failures=max_failures,
        max_concurrent=max_concurrent_trials,
        checkpoints=checkpoint_config or CheckpointConfig(),
    )
    run.faults = faults or Faults()
    run.resources = resources
    run.machine = machine
    run.options = {"checkpoint_every": checkpoint_every, "launch_s": launch_s, "speed": speed}
    run.check = check
    run.target = _Target(target, mode) if target is not None else None
    run.journal = SimulatedJournal(keep_journal or run.faults.driver_deaths > 0)
    return run.run()


class _Simulated:
    """One simulated run, over the lives of its drivers."""

    rules: Rules
    faults: Faults
    resources: Any
    machine: Mapping[str, float] | None
    options: dict[str, Any]
    check: Check | None
    target: _Target | None
    journal: SimulatedJournal

    def __init__(
        self,
        objective: Any,
        param_space: Mapping[str, object],
        metric: str,
        mode: str,
        workers: int,
        num_samples: int,
        scheduler: Any,
        search_alg: object,
        time_budget_s: float | None,
        stop: Mapping[str, float] | None,
        seed: int,
    ) -> None:
        self.model = as_model(objective)
        self.space = param_space
        self.metric = metric
        self.mode = mode
        self.workers = workers
        self.num_samples = num_samples
        self.budget = time_budget_s
        self.stop = dict(stop or {})
        self.seed = seed
        self.store = Store()
        self._parts = (scheduler, search_alg)  # as given: each driver, and each simulation, starts from a copy
        self._deaths = 0
        self.working_s = self.occupied_s = 0.0
        self.reports = 0

    def run(self) -> Simulation:
        """Run until it is finished, starting the driver again whenever it dies."""
        now = 0.0
        while True:
            loop = self._driver(now)
            try:
                loop.run()
                break
            except DriverDied:
                self._deaths += 1
                now = loop.executor.clock() + 1.0
            finally:
                self._account(loop.executor)
        return Simulation(
            loop.controller,
            self.journal,
            time_s=loop.executor.clock(),
            workers=self.workers,
            working_s=self.working_s,
            occupied_s=self.occupied_s,
            reports=self.reports,
            driver_deaths=self._deaths,
            checkpoints=self.store,
            target=self.target.value if self.target is not None else None,
            target_at=self.target.at if self.target is not None else None,
        )

    def _account(self, executor: Any) -> None:
        executor.close()
        self.working_s += executor.working_s
        self.occupied_s += executor.occupied_s
        self.reports += executor.reports

    def _driver(self, now: float) -> Loop:
        """Everything that a driver builds, from the journal if there is one."""
        given_scheduler, given_searcher = copy.deepcopy(self._parts)
        scheduler = scheduler_from(given_scheduler)
        self.space = dict(scheduler.complete_space(self.space))
        searcher = searcher_from(given_searcher, space=self.space, num_samples=self.num_samples)
        searcher.set_search_properties(self.metric, self.mode, self.space, seed=self.seed, num_samples=self.num_samples)
        scheduler.setup(self.metric, self.mode, self.seed, self.space)
        scheduler.set_cluster_resources(self._capacity(), self._request())
        controller = Controller(self.rules, scheduler)
        direct = searcher.stateless
        limit = None if direct or self.num_samples == -1 else self.num_samples
        suggestions = _Suggestions(searcher, limit, lambda: None)
        executor = SimulatedExecutor(
            self.model,
            self.workers,
            self.seed,
            self.faults,
            self.store,
            now,
            _machine(self.machine),
            **self.options,
        )
        used_s, unrecorded = 0.0, []
        log = self.journal.recover()
        if log is not None:
            replayed = replay(log.header, log.events, controller, suggestions, self._decoder(searcher))
            used_s, unrecorded = replayed.used_s, replayed.unrecorded
        if self.budget is not None:
            executor.deadline = now + max(0.0, self.budget - used_s)
        plan = LoopSettings(
            self._spec(scheduler),
            default_resources=self.resources,
            encode_config=lambda config: to_json(config, self.space),
            time_budget_s=self.budget,
            used_s=used_s,
            retry_s=0.0,
            handle_signals=False,
        )
        observers = Observers((), controller.trials, RunFacts(""), lambda text: None)
        loop = _SimulatedLoop(controller, executor, self.journal, suggestions, observers, _NullObservers(), plan)
        loop.check = self.check
        loop.target = self.target
        self.journal.mortal(self._lifetime(), f"{self.seed}:tear:{self._deaths}")
        if log is not None:
            for decision in unrecorded:
                loop.record(decision)
            loop.feed(ev.Restored(now))
        else:
            self.journal.append(ev.encode(self._header(scheduler, searcher)))
        return loop

    def _lifetime(self) -> int | None:
        """After how many lines of the journal the driver dies; None: never."""
        if self._deaths >= self.faults.driver_deaths:
            return None
        return random.Random(f"{self.seed}:death:{self._deaths}").randrange(1, 2 + 5 * abs(self.num_samples))

    def _decoder(self, searcher: Any) -> Callable[[int, Config], Config]:
        def decode(index: int, config: Config) -> Config:
            at = getattr(searcher, "config_at", None)
            return from_json(config, self.space, lambda: at(index) if at is not None else None)

        return decode

    def _spec(self, scheduler: Any) -> RunSpec:
        return RunSpec(
            name="simulation",
            folder="",
            payload=None,
            time_attr=scheduler.time_attr,
            stop=self.stop,
            saves_at_lease_end=scheduler.saves_at_lease_end,
        )

    def _header(self, scheduler: Any, searcher: Any) -> ev.Header:
        return ev.Header(
            version=__version__,
            name="simulation",
            seed=self.seed,
            at=0.0,
            metric=self.metric,
            mode=self.mode,
            num_samples=self.num_samples,
            scheduler=scheduler.describe(),
            searcher=type(searcher).__name__,
            space=describe(self.space),
            time_attr=scheduler.time_attr,
            settings={**self.rules.settings(), "capacity": self._capacity(), "resources": self._request()},
        )

    def _capacity(self) -> dict[str, float]:
        return dict(self.machine or {"cpu": self.workers})

    def _request(self) -> dict[str, float]:
        return dict(self.resources or {"cpu": 1})


class _SimulatedLoop(Loop):
    """The real loop, but for where checkpoints are deleted, and for whoever checks after each event."""

    check: Check | None = None
    target: _Target | None = None

    def _apply(self, event: ev.Event) -> None:
        super()._apply(event)
        if self.target is not None and self.target.at is None:
            self.target.see(self.controller)
        if self.check is not None:
            self.check(self.controller, self.executor, event)  # type: ignore[arg-type]

    def _drop_checkpoint(self, command: ev.DropCheckpoint) -> None:
        self.executor.store.drop(command.trial, command.name)  # type: ignore[attr-defined]


class _Target:
    """When a value of the metric was reached first."""

    def __init__(self, value: float, mode: str) -> None:
        self.value = value
        self.at: float | None = None
        self._loss = value if mode == "min" else -value

    def see(self, controller: Controller) -> None:
        best = controller.best
        if best is not None and best.best is not None and best.best_loss <= self._loss:
            self.at = best.best.at


class _Suggestions(Suggestions):
    """Asks and tells at once, in the loop's own thread: a simulated run depends on no real time."""

    def _submit(self, job: Callable[[], None], wakes: bool = True) -> None:
        job()

    def next(self) -> Config | None:
        answer = super().next()
        return super().next() if answer is None and self._ready else answer

    def prepare(self, running: int) -> None:
        """Nothing is asked ahead: an answer takes no virtual time."""


class _NullObservers:
    """Watches nothing."""

    def update(self, controller: Controller, now: float, waits_for: str | None) -> None:
        """Nothing to draw."""

    def note(self, text: str) -> None:
        """Nobody to tell."""


def _machine(amounts: Mapping[str, float] | None) -> Machine | None:
    if amounts is None:
        return None
    rest = {name: amount for name, amount in amounts.items() if name not in ("cpu", "gpu")}
    return Machine(amounts.get("cpu", 0), [str(i) for i in range(math.floor(amounts.get("gpu", 0)))], rest)
