"""Drives a controller by hand: events in, commands out, the invariants checked after every event."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tune_core.core import events as ev
from tune_core.core.trial import PAUSED, PENDING, RUNNING, Trial
from tune_core.engine.checkpoint_retention import CheckpointConfig
from tune_core.engine.controller import Controller
from tune_core.engine.rules import Rules
from tune_core.schedulers.base import Continue, Scheduler


class Scripted(Scheduler):
    """A scheduler that gives the answers it was told to give, and keeps what it was told."""

    restarts_without_checkpoint = False

    def __init__(self, answers: dict[tuple[int, int], Any] | None = None, lease: ev.Lease | None = None) -> None:
        super().__init__("loss", "min")
        self.answers = answers or {}  # by (trial, iteration)
        self.given_lease = lease or ev.Lease()
        self.resume: list[int] = []  # whom to choose
        self.give_up: list[tuple[int, str]] = []
        self.told: list[tuple[Any, ...]] = []

    def lease(self, trial):
        return self.given_lease

    def on_add(self, trial):
        self.told.append(("add", trial.index))

    def on_result(self, trial, result):
        return self.answers.get((trial.index, trial.iteration), Continue())

    def on_end(self, trial, status):
        self.told.append(("end", trial.index, str(status)))

    def on_requeue(self, trial):
        self.told.append(("requeue", trial.index, trial.iteration))

    def on_stall(self, exhausted):
        self.told.append(("stall", exhausted))

    def choose(self, waiting):
        return next((i for i in self.resume if waiting.is_paused(i)), None)

    def discard(self):
        given, self.give_up = self.give_up, []
        return given


class Run:
    """A controller, the events it was fed, and the commands it gave."""

    def __init__(self, scheduler: Scheduler | None = None, **rules: Any) -> None:
        checkpoints = {k: rules.pop(k) for k in ("num_to_keep", "checkpoint_score_attribute") if k in rules}
        self.scheduler = scheduler if scheduler is not None else Scripted()
        self.controller = Controller(
            Rules("loss", "min", checkpoints=CheckpointConfig(**checkpoints), **rules), self.scheduler
        )
        self.events: list[ev.Event] = []
        self.commands: list[ev.Command] = []
        self.clock = 0.0

    def feed(self, event: ev.Event) -> list[ev.Command]:
        """Apply an event, check the invariants, and return its commands."""
        self.events.append(event)
        commands = self.controller.apply(event)
        self.events += [c.event for c in commands if isinstance(c, ev.Record)]
        self.commands += commands
        check(self.controller)
        return commands

    # --- short forms --------------------------------------------------------------------------------------------------

    def suggest(self, count: int = 1) -> None:
        for _ in range(count):
            index = len(self.controller.trials)
            self.feed(ev.Suggested(index, {"x": index}))

    def launch(self, trial: int | None = None) -> ev.Launch:
        if trial is None:
            candidate = self.controller.next_trial_to_launch()
            assert candidate is not None
            trial = candidate.index
        self.clock += 1
        commands = self.feed(ev.Launched(trial, "w", self.clock, self.trial(trial).attempt + 1))
        return only(commands, ev.Launch)

    def report(self, trial: int, loss: Any = 1.0, checkpoint: str | None = None, waiting: int = 0) -> list[ev.Command]:
        self.clock += 1
        iteration = self.trial(trial).iteration + 1
        seconds = float(iteration)
        attempt = self.trial(trial).attempt
        commands = self.feed(
            ev.Reported(trial, iteration, self.clock, seconds, {"loss": loss}, checkpoint, waiting, attempt=attempt)
        )
        return [c for c in commands if type(c) is not ev.KeepCheckpoint]  # one for each checkpoint: of no interest here

    def end(self, trial: int, how: str = "completed", why: str = "", error: str = "") -> list[ev.Command]:
        self.clock += 1
        return self.feed(ev.Ended(trial, how, self.clock, why, error))

    def trial(self, index: int) -> Trial:
        return self.controller.trials[index]

    def statuses(self) -> list[str]:
        return [str(t.status) for t in self.controller.trials]

    def started(self, count: int = 1) -> Run:
        """With so many trials suggested and launched."""
        self.suggest(count)
        for _ in range(count):
            self.launch()
        return self


def only(commands: list[ev.Command], kind: type) -> Any:
    """The one command of a kind."""
    found = [c for c in commands if type(c) is kind]
    assert len(found) == 1, commands
    return found[0]


def kinds(commands: list[ev.Command]) -> list[type]:
    return [type(c) for c in commands]


def check(controller: Controller) -> None:
    """What is true of a controller between any two events."""
    trials = controller.trials
    statuses = Counter(t.status for t in trials)
    assert +controller.counts == +statuses
    assert sorted(controller.pending) == [t.index for t in trials if t.status is PENDING]
    assert sorted(controller.paused) == [t.index for t in trials if t.status is PAUSED]
    assert sorted(controller.running) == [t.index for t in trials if t.status is RUNNING]
    waiting = bool(controller.pending or controller.paused)
    if controller.finished is not None:
        assert not controller.running
        assert controller.interrupted or not waiting
    else:
        over = controller.exhausted or controller.stopping is not None
        assert controller.running or not over or (waiting and controller.stopping is None)
    if controller.stopping is not None and not controller.interrupted and not controller.running:
        assert not waiting
    pins: Counter[tuple[int, str]] = Counter()
    for t in trials:
        assert t.start_from is None or t.start_pinned or t.start_from.trial == t.index
        references = [t.copy_from, t.start_from if t.start_pinned else None]
        pins.update((k.trial, k.name) for k in references if k is not None)
        for kept in [*references, t.start_from]:
            assert kept is None or kept in trials[kept.trial].checkpoints  # nobody refers to what was deleted
        assert (t.exploit is None) == (t.copy_from is None)
    assert +controller.retention.pins == +pins
    losses = [t.best_loss for t in trials if t.best is not None]
    if losses:
        assert controller.best is not None and controller.best.best_loss == min(losses)


def snapshot(controller: Controller) -> dict[str, Any]:
    """All of a controller's state as plain values, to compare two."""
    return {
        "trials": [{name: getattr(t, name) for name in Trial.__slots__} for t in controller.trials],
        "pending": list(controller.pending),
        "paused": list(controller.paused),
        "running": sorted(controller.running),
        "best": controller.best and controller.best.index,
        "pins": dict(controller.retention.pins),
        "flags": (
            controller.exhausted,
            controller.stopping,
            controller.interrupted,
            controller.finished,
            controller.fatal,
            controller._stalled,
        ),
    }


def outcome(controller: Controller) -> dict[str, Any]:
    """What a controller knows of the run, without what only its own scheduler leads to."""
    state = snapshot(controller)
    state["flags"] = state["flags"][:-2]
    return state


def is_decision(event: Any) -> bool:
    """Whether an event follows from the one before it."""
    return isinstance(event, ev.Decided)
