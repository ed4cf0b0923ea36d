"""Random courses of a run: the invariants hold, every run can be ended, and a replay gives the same state."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tune_core.core import events as ev
from tune_core.core.trial import Status
from tune_core.engine.controller import Controller
from tune_core.engine.recorded_decisions import PassiveScheduler
from tune_core.engine.replay import replay
from tune_core.schedulers import ASHAScheduler
from tune_core.schedulers.base import Continue, Exploit, Pause, Scheduler, Stop

from .helpers import Run, check, is_decision, outcome, snapshot

HEADER = ev.Header(version="1", name="n", seed=0, at=0.0)
ENDS = ("completed", "errored", "crashed", "lost", "timeout")


class Erratic(Scheduler):
    """Answers anything, but always the same to the same."""

    restarts_without_checkpoint = True

    def __init__(self, seed: int) -> None:
        super().__init__("loss", "min")
        self.seed = seed
        self.trials: dict[int, Any] = {}

    def _draw(self, *key: Any) -> random.Random:
        return random.Random(repr((self.seed, *key)))

    def on_add(self, trial):
        self.trials[trial.index] = trial

    def lease(self, trial):
        return ev.Lease(steps=self._draw("lease", trial.index, trial.iteration).choice([None, 1, 2]))

    def on_result(self, trial, result):
        draw = self._draw("result", trial.index, trial.iteration)
        kind = draw.randrange(6)
        if kind == 0:
            return Stop("stop")
        if kind == 1:
            return Pause("pause")
        copies = trial.config.get("copies", 0)
        if kind == 2 and copies < 3:  # else two trials could copy each other for ever
            return Exploit(draw.choice(sorted(self.trials)), {"x": draw.random(), "copies": copies + 1}, "copy")
        return Continue(steps=draw.choice([None, 1, 2]), reason=draw.choice(["", "fine"]))

    def choose(self, waiting):
        paused = sorted(t.index for t in waiting.paused)
        return paused[0] if paused and self._draw("choose", *paused).random() < 0.5 else None

    def discard(self):
        return [(i, "given up") for i, t in self.trials.items() if i % 5 == 4 and t.status is Status.PAUSED]


def schedulers(seed: int) -> list[Callable[[], Scheduler]]:
    return [
        lambda: Erratic(seed),
        lambda: ready(ASHAScheduler(max_t=9, grace_period=1, reduction_factor=2)),
        lambda: ready(ASHAScheduler(max_t=9, grace_period=1, reduction_factor=2, rule="promotion")),
    ]


def ready(scheduler: Scheduler) -> Scheduler:
    scheduler.setup("loss", "min", 0, {})
    return scheduler


class Course:
    """An executor and a user who do anything that they could do, and some things that come too late."""

    def __init__(self, make: Callable[[], Scheduler], draw: random.Random, **rules: Any) -> None:
        self.make, self.rules, self.draw = make, rules, draw
        self.run = Run(make(), **rules)
        self.leases: dict[int, ev.Lease] = {}
        self.halted: dict[int, str] = {}  # what a worker has been told and not yet obeyed
        self.blocked: set[int] = set()  # waits for an answer
        self.names = 0

    @property
    def controller(self):
        return self.run.controller

    def act(self, commands: list[ev.Command]) -> None:
        for command in commands:
            if isinstance(command, ev.Launch):
                self.leases[command.trial] = command.lease
                self.halted.pop(command.trial, None)
                self.blocked.discard(command.trial)
            elif isinstance(command, ev.Extend):
                self.blocked.remove(command.trial)
                if command.lease is not None:
                    self.leases[command.trial] = command.lease
            elif isinstance(command, ev.Halt):
                self.blocked.remove(command.trial)
                self.halted.setdefault(command.trial, command.how)
            elif isinstance(command, ev.Revoke):
                self.blocked.discard(command.trial)
                self.halted.setdefault(command.trial, "revoked")

    def report(self, trial: int) -> None:
        lease, iteration = self.leases[trial], self.run.trial(trial).iteration + 1
        if lease.steps is not None:
            self.leases[trial] = lease = ev.Lease(lease.until, lease.steps - 1)
        due = (lease.steps is not None and lease.steps <= 0) or (lease.until is not None and iteration >= lease.until)
        checkpoint = None
        if due or self.draw.random() < 0.3:
            self.names += 1
            checkpoint = f"c{self.names}"
        loss = self.draw.choice([self.draw.random(), float("nan")]) if self.draw.random() < 0.1 else self.draw.random()
        waiting = ev.WAITS_FOR_SCHEDULER if due else self.draw.choice([0, 0, ev.WAITS_FOR_DRIVER])
        if waiting:
            self.blocked.add(trial)
        self.act(self.run.report(trial, loss, checkpoint, waiting))

    def end(self, trial: int, how: str) -> None:
        self.blocked.discard(trial)
        self.halted.pop(trial, None)
        self.act(self.run.end(trial, how, error="boom" if how in ENDS[1:] else ""))

    def restore(self) -> None:
        """The driver dies, and another replays what was journaled."""
        events = copy.deepcopy(self.run.events)
        fresh = Run(self.make(), **self.rules)
        replay(HEADER, events, fresh.controller)
        assert snapshot(fresh.controller) == snapshot(self.controller)
        self.check_other_readers()
        fresh.events = events
        self.run = fresh
        self.leases.clear()
        self.halted.clear()
        self.blocked.clear()
        draw = self.draw
        self.act(fresh.feed(ev.Restored(self.run.clock, draw.random() < 0.9, draw.random() < 0.5, draw.random() < 0.3)))

    def check_other_readers(self) -> None:
        """Who decides nothing, or would decide otherwise, comes to the same state all the same."""
        expected = outcome(self.controller)
        reader = Controller(self.controller.rules, PassiveScheduler())
        for event in copy.deepcopy(self.run.events):
            reader.apply(event)
        check(reader)
        assert outcome(reader) == expected
        other = self.draw.choice([Erratic(self.draw.randrange(2**32)), ready(ASHAScheduler(max_t=9, rule="promotion"))])
        changed = Run(other, **self.rules)
        events = [*self.run.events, ev.Noted("no decision on the last event was lost")]
        replay(HEADER, copy.deepcopy(events), changed.controller)
        check(changed.controller)
        assert outcome(changed.controller) == expected

    def die_while_writing(self) -> None:
        """The journal ends before all decisions on its last event: the next driver makes and writes them again."""
        whole = [number for number, event in enumerate(self.run.events) if not is_decision(event)]
        first = self.draw.choice(whole or [0])
        end = self.draw.randint(first + 1, next((n for n in whole if n > first), len(self.run.events)))
        events = copy.deepcopy(self.run.events[:end])
        fresh = Run(self.make(), **self.rules)
        unrecorded = replay(HEADER, copy.deepcopy(events), fresh.controller).unrecorded
        check(fresh.controller)
        reader = Controller(fresh.controller.rules, PassiveScheduler())
        for event in [*events, *unrecorded]:
            reader.apply(event)
        assert outcome(reader) == outcome(fresh.controller)

    def step(self) -> None:
        controller, draw = self.controller, self.draw
        running = sorted(controller.running)
        free = [t for t in running if t not in self.blocked and t not in self.halted]
        leaving = [t for t in running if t in self.halted]
        options: list[tuple[int, Callable[[], None]]] = []
        if controller.finished is None:
            candidate = controller.next_trial_to_launch()
            if candidate is not None:
                options.append((8, lambda: self.act([self.run.launch(candidate.index)])))
            if controller.wants_suggestion():
                options.append((6, self.run.suggest))
            if not controller.exhausted and not running and not controller.pending:
                options.append((2, lambda: self.act(self.run.feed(ev.Stalled()))))
            if len(controller.trials) > 6 and not controller.exhausted:
                options.append((2, lambda: self.act(self.run.feed(ev.Exhausted()))))
            if controller.stopping is None:
                options.append((0, lambda: self.act(self.run.feed(ev.StopRequested(-1, "stop all")))))
            if not controller.interrupted:
                options.append((0, lambda: self.act(self.run.feed(ev.Interrupted("ctrl-c", self.run.clock)))))
        if free:
            options.append((20, lambda: self.report(draw.choice(free))))
            options.append((4, lambda: self.end(draw.choice(free), draw.choice(ENDS))))
        if leaving:
            leaver = draw.choice(leaving)
            options.append((12, lambda: self.end(leaver, self.halted[leaver])))
            options.append((1, lambda: self.end(leaver, draw.choice(ENDS))))
        if controller.trials:
            trial = draw.randrange(len(controller.trials))
            if controller.finished is None:
                options.append((1, lambda: self.act(self.run.feed(ev.StopRequested(trial, "stop one")))))
                options.append((1, lambda: self.act(self.run.feed(ev.Refused(trial, "too big")))))
            last = self.run.trial(trial).last
            if last is not None:
                options.append((1, lambda: self.act(self.run.feed(last))))  # told twice
            if trial not in controller.running:
                options.append((1, lambda: self.act(self.run.end(trial, "errored", error="too late"))))
        options.append((1, self.restore))
        weights = [weight or 0.3 for weight, _ in options]
        draw.choices([act for _, act in options], weights)[0]()

    def finish(self) -> None:
        """From any state, workers that obey bring the run to its end."""
        for _ in range(2000):
            controller = self.controller
            if controller.finished is not None:
                return
            candidate = controller.next_trial_to_launch()
            running = sorted(controller.running)
            leaving = [t for t in running if t in self.halted]
            if leaving:
                self.end(leaving[0], self.halted[leaving[0]])
            elif candidate is not None:
                self.act([self.run.launch(candidate.index)])
            elif running:
                assert not self.blocked, "a worker waits for an answer that nobody gives"
                if self.run.trial(running[0]).iteration < 12 and self.leases[running[0]] != ev.Lease():
                    self.report(running[0])
                else:
                    self.end(running[0], "completed")
            else:
                assert not controller.exhausted, "exhausted, nothing runs, nothing can, and the run is not over"
                self.act(self.run.feed(ev.Exhausted()))
        pytest.fail("the run does not come to an end")


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**32),
    which=st.integers(0, 2),
    length=st.integers(0, 150),
    max_failures=st.sampled_from([0, 1, -1]),
    num_to_keep=st.sampled_from([None, 1, 2]),
    max_concurrent=st.sampled_from([None, 1, 3]),
    fail_fast=st.booleans(),
)
@example(  # the other scheduler stops where the first did, but takes the trial for cut short
    seed=2129463146, which=1, length=35, max_failures=0, num_to_keep=None, max_concurrent=3, fail_fast=False
)
@example(  # the other scheduler stops there for a reason of its own, and takes the trial for complete
    seed=380197, which=0, length=86, max_failures=1, num_to_keep=None, max_concurrent=3, fail_fast=True
)
def test_any_course_keeps_the_invariants_and_comes_to_an_end(seed, which, length, num_to_keep, **rules):
    make = schedulers(seed)[which]
    course = Course(make, random.Random(seed), num_to_keep=num_to_keep, max_losses=3, **rules)
    for _ in range(length):
        course.step()
    course.restore()
    if course.run.events:
        course.die_while_writing()
    course.finish()
    course.restore()
    if course.controller.finished is None:
        course.finish()
