"""Trials under a virtual clock: any number of workers, and faults that come from a seed.

Everything that would take time becomes an entry in a heap; :meth:`SimulatedExecutor.poll` takes the next one and moves
the clock there. The loop, the controller and the journal are the real ones.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tune_core.core import events as ev
from tune_core.core.objective import lookup
from tune_core.core.plain_values import plain_metrics
from tune_core.core.time_attribute import OF_EVERY_RESULT, check_time
from tune_core.core.validation import python_fields
from tune_core.errors import InvalidArgumentError, MetricError, TuneError
from tune_core.executors.base import END_GRACE_S, Executor, RunSpec
from tune_core.executors.machine_resources import Allocation, Machine
from tune_core.simulation.objective import Model, Store
from tune_core.trainable import DONE

STEP, SEND, RESUME, CRASH, NODE, REPAIR, WAKE = range(7)
IDLE_POLLS = 1000
"""Polls in a row with nothing under way after which the simulation is said to hang."""
FAILURES_IN_VAIN = 1000
"""So many failures in a row of a trial's objective at the same step, and the simulation is given up."""


class SimulationStalledError(TuneError):
    """A simulated run waits for something that will never happen."""


@dataclass(frozen=True)
class Faults:
    """What goes wrong, and how often. Times are virtual seconds, rates are per second of a trial's work.

    Parameters
    ----------
    slow_workers, slow_by
        Share of the workers that are slower, and how many times.
    straggling
        σ: each lease takes 1 + abs(z) times as long, z normal with this deviation.
    crash_rate
        A worker process dies; counts against ``max_failures``.
    error_rate
        The objective raises; counts against ``max_failures``.
    node_loss_rate, node_size, repair_s
        A node with so many workers goes, and comes back after ``repair_s``; its trials are run again.
    latency_s
        Mean delay of a message, exponentially distributed.
    duplicates
        Share of messages that arrive a second time, later.
    driver_deaths
        How many times the driver is killed, in the middle of writing its journal, and started again.
    """

    slow_workers: float = 0.0
    slow_by: float = 4.0
    straggling: float = 0.0
    crash_rate: float = 0.0
    error_rate: float = 0.0
    node_loss_rate: float = 0.0
    node_size: int = 1
    repair_s: float = 60.0
    latency_s: float = 0.0
    duplicates: float = 0.0
    driver_deaths: int = 0

    def __post_init__(self) -> None:
        python_fields(self)
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise InvalidArgumentError(
                    f"Faults({name})", f"is {value!r}", "it is a number from 0", f"Use e.g. Faults({name}=0.1)."
                )


class _Attempt:
    """One launched trial."""

    __slots__ = (
        "answered",
        "iteration",
        "job",
        "over",
        "place",
        "reported",
        "revoked",
        "seconds",
        "slowness",
        "state",
        "steps",
        "until",
        "waiting",
    )

    def __init__(self, job: ev.Launch, place: int, state: Any) -> None:
        self.job = job
        self.place = place
        self.state = state
        self.iteration = job.iteration
        self.seconds = job.seconds
        self.until = job.lease.until
        self.steps = job.lease.steps
        self.slowness = 1.0
        self.waiting = False
        self.over = False  # its end has been sent
        self.revoked: str | None = None
        self.reported = 0.0  # arrival of its last message
        self.answered = 0  # answers received; an older one in the heap is void


class SimulatedExecutor(Executor):
    """Runs simulated trials.

    Parameters
    ----------
    model
        What a trial does; see :func:`tune_core.simulate.simulate` for the forms.
    workers
        How many trials run at once.
    seed
        Seed of durations and faults.
    faults
        What goes wrong.
    store
        Where checkpoints go; shared by the executors of one run whose driver dies.
    start_s
        The clock's reading at the start.
    machine
        Resources to share out, instead of one worker a trial.
    checkpoint_every
        Save a checkpoint each so many steps; 0 only where the scheduler asks for one.
    launch_s
        What starting a trial on a worker takes.
    """

    name = "simulated"

    def __init__(
        self,
        model: Model,
        workers: int,
        seed: int = 0,
        faults: Faults | None = None,
        store: Store | None = None,
        start_s: float = 0.0,
        machine: Machine | None = None,
        checkpoint_every: int = 0,
        launch_s: float = 0.0,
        speed: Callable[[Any], float] | None = None,
    ) -> None:
        self.model = model
        self.workers = workers
        self.faults = faults or Faults()
        self.store = store if store is not None else Store()
        self.working_s = 0.0  # spent in steps, over all workers
        self.occupied_s = 0.0  # from launch to end, over all workers
        self.deadline = math.inf  # the clock stops here once, so that a time budget is kept
        self.reports = 0
        self._in_vain: dict[int, tuple[int, int]] = {}  # by trial: the furthest step, failures since it was reached
        self.attempts: dict[int, _Attempt] = {}
        self._seed = seed
        self._now = start_s
        self._machine = machine
        self._grants: dict[int, Allocation] = {}
        self._every = checkpoint_every
        self._launch_s = launch_s
        self._speed = speed
        self._random = random.Random(f"{seed}:{start_s}")
        self._heap: list[tuple[float, int, int, Any, Any]] = []
        self._count = 0
        self._free = list(range(workers))
        self._down: set[int] = set()
        self._reserved = -1
        self._idle = 0
        self._out: list[Any] = []
        self._act = False
        self._hazard = self.faults.crash_rate + self.faults.error_rate
        self._handlers: list[Callable[[Any, Any], None]] = [
            self._on_step,
            self._on_send,
            self._on_resume,
            self._on_crash,
            self._on_node,
            self._on_repair,
            self._on_wake,
        ]
        slow = random.Random(f"{seed}:slow")
        share = self.faults.slow_workers
        self._slowness = [self.faults.slow_by if share and slow.random() < share else 1.0 for _ in range(workers)]

    # --- the executor's contract --------------------------------------------------------------------------------------

    def pack(self, prepared: object) -> Any:
        return None

    def start(self, run: RunSpec, pump: Callable[[list[ev.Batch]], None]) -> None:
        self._spec = run
        self._stop = tuple(run.stop.items())
        self._schedule_node()

    def refuse(self, resources: Any) -> str | None:
        return None if self._machine is None or not resources else self._machine.refuse(resources)

    def room(self, resources: Any) -> bool:
        return bool(self._free) and (self._machine is None or not resources or self._machine.fits(resources))

    def reserve(self, resources: Any) -> str | None:
        if not self._free:
            return None
        if self._machine is not None and resources:
            grant = self._machine.take(resources)
            if grant is None:
                return None
            self._grants[self._free[0]] = grant
        return f"w{heapq.heappop(self._free)}"

    def launch(self, worker: str, job: ev.Launch) -> None:
        state = self.store.load(*job.checkpoint) if job.checkpoint is not None else None
        run = _Attempt(job, int(worker[1:]), state)
        self.attempts[job.trial] = run
        self.occupied_s -= self._now
        self._straggle(run)
        delay = self._latency() + self._launch_s
        if delay:
            self._push(self._now + delay, RESUME, run, (run.answered, None))
        else:
            self._begin_step(run)

    def extend(self, trial: int, lease: ev.Lease | None) -> None:
        self._answer(trial, lease)

    def halt(self, trial: int, how: str, why: str) -> None:
        self._answer(trial, (how, why))

    def revoke(self, trial: int, why: str) -> None:
        run = self.attempts.get(trial)
        if run is None or run.over:
            return
        if run.waiting:
            self._answer(trial, ("revoked", why))
        else:
            run.revoked = why
            self._push(self._now + END_GRACE_S, WAKE, None, None)

    def kill(self, trial: int, how: str, why: str) -> None:
        run = self.attempts.get(trial)
        if run is not None and not run.over:
            self._end(run, how, why, "" if how in ("stopped", "paused", "revoked") else why)

    def poll(self, timeout_s: float) -> list[ev.Batch]:
        """Move the clock to the next thing that the driver must act on, and return what happened up to then."""
        heap, handlers = self._heap, self._handlers
        while heap and (not self._act or heap[0][0] <= self._now):
            if heap[0][0] > self.deadline:
                self._now, self.deadline = self.deadline, math.inf
                break
            self._now, _, kind, run, what = heapq.heappop(heap)
            handlers[kind](run, what)
        self._act = False  # what is to be acted on has been handed over; an answer may set it before the next look
        out, self._out = self._out, []
        if out:
            self._idle = 0
            return [ev.Batch(b"".join([line for line, _ in out]), [event for _, event in out])]
        if not heap and self.deadline < math.inf:
            self._now, self.deadline = self.deadline, math.inf
        self._idle += 1
        if self._idle > IDLE_POLLS:
            waiting = sorted(t for t, r in self.attempts.items() if r.waiting)
            raise SimulationStalledError(
                "The simulated run",
                f"hangs at {self._now:g} s with nothing under way; trials that wait for an answer: {waiting or 'none'}",
                "a scheduler or searcher waits for something that will not happen",
                "Look at the last decisions in the journal.",
            )
        return []

    def wake(self) -> None:
        """Nothing waits here: time is virtual."""

    def clock(self) -> float:
        return self._now

    monotonic = clock

    def waits_for(self) -> str | None:
        return None

    def close(self, grace_s: float = 0.0) -> None:
        """End all trials; those that ran are accounted for up to now."""
        for run in self.attempts.values():
            run.over = True
            self.occupied_s += self._now
        self.attempts.clear()
        self._heap.clear()

    # --- what happens -------------------------------------------------------------------------------------------------

    def _push(self, at: float, kind: int, run: Any, what: Any) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, kind, run, what))

    def _begin_step(self, run: _Attempt) -> None:
        try:
            step = self.model(run.job.config, run.iteration + 1, run.state)
        except Exception as error:
            self._fail(run, error)
            return
        if step is None:
            self._end(run, "completed", "", "")
            return
        seconds = float(step[0]) * run.slowness
        if self._hazard:
            within = self._random.expovariate(self._hazard)
            if within < seconds:
                self._push(self._now + within, CRASH, run, within)
                return
        self._push(self._now + seconds, STEP, run, (seconds, step))

    def _fail(self, run: _Attempt, error: Exception) -> None:
        self._end(run, "errored", "", f"{type(error).__name__}: {error}")
        self._count_failure(run, error)

    def _count_failure(self, run: _Attempt, error: Exception) -> None:
        """An objective that always fails at the same step would be tried for ever where retries have no limit."""
        furthest, failures = self._in_vain.get(run.job.trial, (-1, 0))
        failures, furthest = (failures + 1, furthest) if run.iteration <= furthest else (1, run.iteration)
        self._in_vain[run.job.trial] = furthest, failures
        if failures >= FAILURES_IN_VAIN:
            raise SimulationStalledError(
                f"Trial {run.job.trial:05d} of the simulated run",
                f"failed {failures} times in a row without getting beyond step {furthest}: {error!r}",
                "the objective fails there each time, and retries have no limit",
                "Give max_failures a number, or mend the objective.",
            )

    def _on_step(self, run: _Attempt, what: Any) -> None:
        """A step has been done: report it as a worker would."""
        if run.over:
            return
        seconds, (_, metrics, state) = what
        self.working_s += seconds
        run.seconds += seconds
        job = run.job
        plain, nonfinite = plain_metrics(metrics)
        if self._spec.time_attr not in OF_EVERY_RESULT:
            try:
                check_time(plain, self._spec.time_attr)
            except MetricError as error:  # a worker's report raises it in the objective
                self._fail(run, error)
                return
        run.iteration += 1
        run.state = state
        self.reports += 1
        event = ev.Reported(job.trial, run.iteration, self._now, run.seconds, plain, None, 0, nonfinite, job.attempt)
        stop = self._meets_stop(event)
        how = "stopped"
        if stop is None and plain.get(DONE) is True:
            how, stop = "completed", "the result said done"
        due = stop is None and self._lease_ends(run, event)
        spec = self._spec
        if (due and spec.saves_at_lease_end) or (self._every and run.iteration % self._every == 0):
            event.checkpoint = name = _checkpoint_name(run)
            self.store.save(job.trial, name, run.state)
        if stop is not None:
            self._send(run, event)
            self._end(run, how, stop, "")
        elif due or spec.needs_every_result:
            event.waiting = ev.WAITS_FOR_SCHEDULER if due else ev.WAITS_FOR_DRIVER
            run.waiting = True
            self._send(run, event)
            if run.revoked is not None:
                self._end(run, "revoked", run.revoked, "")
        else:
            self._send(run, event)
            if run.revoked is not None:
                self._end(run, "revoked", run.revoked, "")
            else:
                self._begin_step(run)

    def _meets_stop(self, event: ev.Reported) -> str | None:
        for name, threshold in self._stop:
            if name == "training_iteration":
                value: Any = event.iteration
            elif name == "time_total_s":
                value = event.seconds
            else:
                value = lookup(event.metrics, name)
            if isinstance(value, (int, float)) and value >= threshold:
                return f"stop condition: {name} = {value} has reached {threshold}"
        return None

    def _lease_ends(self, run: _Attempt, event: ev.Reported) -> bool:
        if run.steps is not None:
            run.steps -= 1
            if run.steps <= 0:
                return True
        if run.until is None:
            return False
        attr = self._spec.time_attr
        if attr == "training_iteration":
            return event.iteration >= run.until
        if attr == "time_total_s":
            return event.seconds >= run.until
        value = lookup(event.metrics, attr)
        return value is not None and bool(value >= run.until)

    def _on_crash(self, run: _Attempt, worked: float) -> None:
        if run.over:
            return
        self.working_s += worked
        if self._random.random() * self._hazard < self.faults.crash_rate:
            self._end(run, "crashed", "", "the simulated worker process died")
        else:
            self._end(run, "errored", "", "RuntimeError: a simulated error")

    # --- messages -----------------------------------------------------------------------------------------------------

    def _latency(self) -> float:
        mean = self.faults.latency_s
        return self._random.expovariate(1.0 / mean) if mean else 0.0

    def _send(self, run: _Attempt, event: ev.Event) -> None:
        """A worker sends; messages of one worker arrive in order."""
        line = ev.encode(event)
        if type(event) is ev.Reported and event.nonfinite:
            ev.restore_nonfinite(event)
        delay = self._latency()
        run.reported = at = max(run.reported, self._now + delay)
        if at > self._now:
            self._push(at, SEND, run, (line, event))
        else:
            self._on_send(run, (line, event))
        if self.faults.duplicates and self._random.random() < self.faults.duplicates:
            self._push(at + self._latency() + self._random.random(), SEND, None, (line, event))

    def _on_send(self, run: _Attempt | None, message: tuple[bytes, Any]) -> None:
        """The driver gets a message; ``run`` is None for one that it has had before."""
        event = message[1]
        self._out.append(message)
        if type(event) is ev.Ended:
            self._act = True
            if run is not None:
                self._release(run)
        elif event.waiting:
            self._act = True

    def _answer(self, trial: int, answer: Any) -> None:
        run = self.attempts.get(trial)
        if run is None or run.over or not run.waiting:
            return
        delay = self._latency()
        run.answered += 1
        if delay:
            self._push(self._now + delay, RESUME, run, (run.answered, answer))
        else:
            self._on_resume(run, (run.answered, answer))

    def _on_resume(self, run: _Attempt, what: tuple[int, Any]) -> None:
        """A worker gets an answer, or begins."""
        number, answer = what
        if run.over or number != run.answered:
            return
        run.waiting = False
        if isinstance(answer, tuple):
            self._end(run, answer[0], answer[1], "")
            return
        if run.revoked is not None:
            self._end(run, "revoked", run.revoked, "")
            return
        if answer is not None:
            run.until, run.steps = answer.until, answer.steps
            self._straggle(run)
        self._begin_step(run)

    def _end(self, run: _Attempt, how: str, why: str, error: str) -> None:
        run.over = True
        run.waiting = False
        self._send(run, ev.Ended(run.job.trial, how, self._now, why, error, run.job.attempt))

    def _release(self, run: _Attempt) -> None:
        if self.attempts.get(run.job.trial) is run:
            del self.attempts[run.job.trial]
        self.occupied_s += self._now
        grant = self._grants.pop(run.place, None)
        if grant is not None and self._machine is not None:
            self._machine.give_back(grant)
        if run.place not in self._down:
            heapq.heappush(self._free, run.place)

    # --- workers ------------------------------------------------------------------------------------------------------

    def _straggle(self, run: _Attempt) -> None:
        slowness = self._slowness[run.place]
        if self.faults.straggling:
            slowness *= 1.0 + abs(self._random.gauss(0.0, self.faults.straggling))
        if self._speed is not None:
            slowness /= self._speed(run.job.resources)
        run.slowness = slowness

    def _schedule_node(self) -> None:
        rate = self.faults.node_loss_rate
        if rate:
            nodes = math.ceil(self.workers / max(1, int(self.faults.node_size)))
            self._push(self._now + self._random.expovariate(rate * nodes), NODE, None, self._random.randrange(nodes))

    def _on_node(self, _: object, node: int) -> None:
        """A node goes, with all that it runs."""
        size = max(1, int(self.faults.node_size))
        gone = set(range(node * size, min(self.workers, (node + 1) * size))) - self._down
        if not self.attempts and not self._free:
            return  # the run is over
        self._down |= gone
        self._free = [place for place in self._free if place not in gone]
        heapq.heapify(self._free)
        for run in list(self.attempts.values()):
            if run.place in gone and not run.over:
                self._end(run, "lost", "", "the simulated node went down")
        self._push(self._now + self.faults.repair_s, REPAIR, None, gone)
        self._schedule_node()

    def _on_repair(self, _: object, gone: set[int]) -> None:
        self._down -= gone
        used = {run.place for run in self.attempts.values()}
        for place in sorted(gone - used):
            heapq.heappush(self._free, place)
        self._act = True

    def _on_wake(self, _: object, what: Any) -> None:
        self._act = True


def _checkpoint_name(run: _Attempt) -> str:
    name = f"checkpoint_{run.iteration:06d}"
    return name if run.job.attempt == 1 else f"{name}_{run.job.attempt}"
