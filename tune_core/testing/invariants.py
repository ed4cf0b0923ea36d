"""What must hold after every event of every run; for simulations, and for tests of other people's schedulers."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Collection, Mapping
from typing import Any

from tune_core.core import events as ev
from tune_core.core.trial import ERROR, PAUSED, PENDING, RUNNING, TERMINATED
from tune_core.engine.controller import Controller
from tune_core.engine.replay import replay
from tune_core.engine.rules import Rules
from tune_core.journal.format import JOURNAL_FILE, Log
from tune_core.journal.reader import parse
from tune_core.results.experiment_reader import read_experiment
from tune_core.schedulers.base import Scheduler
from tune_core.schedulers.rung_levels import Rung


class InvariantError(AssertionError):
    """Something that must always hold does not."""


class Invariants:
    """Checks a simulated run after each event. Pass an instance as ``simulate(check=...)``.

    Parameters
    ----------
    every
        Compare whole queues only after each so many events; what an event touches is looked at every time.
    """

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self.events = 0

    def __call__(self, controller: Controller, executor: object, event: ev.Event) -> None:
        """Check the state after ``event``."""
        self.events += 1
        index = getattr(event, "trial", -1)
        if index >= 0:
            self._check_trial(controller, executor, index)
        if self.events % self.every == 0:
            self._check_queues(controller)
            self._check_places(controller, executor)
            check_rungs(controller.scheduler)

    def _check_trial(self, controller: Controller, executor: Any, index: int) -> None:
        """It is in the one place that its status says, and what it refers to is there."""
        trial = controller.trials[index]
        places = [index in controller.running, index in controller.paused, trial.status in (TERMINATED, ERROR)]
        expected = [trial.status is RUNNING, trial.status is PAUSED, trial.status in (TERMINATED, ERROR)]
        _require(places == expected, f"trial {index} is {trial.status}, and is found in {places}")
        kept = list(trial.checkpoints or ())
        if trial.status not in (TERMINATED, ERROR) and trial.start_from is not None:
            kept.append(trial.start_from)
        for checkpoint in kept:
            _require(
                executor.store.has(checkpoint.trial, checkpoint.name),
                f"trial {index} refers to {checkpoint.name} of trial {checkpoint.trial}, which was deleted",
            )
        if trial.status is PAUSED:
            _require(bool(trial.reason), f"trial {index} was paused without a reason")

    def _check_queues(self, controller: Controller) -> None:
        """No trial is in two places, and the counts are right."""
        pending, paused, running = list(controller.pending), set(controller.paused), set(controller.running)
        _require(len(pending) == len(set(pending)), f"a trial is pending twice: {pending}")
        _require(not paused & running, f"paused and running: {paused & running}")
        _require(not set(pending) & (paused | running), f"pending and elsewhere: {set(pending) & (paused | running)}")
        statuses = [t.status for t in controller.trials]
        for status, queue in ((PENDING, pending), (PAUSED, paused), (RUNNING, running)):
            found = statuses.count(status)
            _require(
                found == len(queue) == controller.counts[status],
                f"{status}: {found} trials, {len(queue)} in the queue, {controller.counts[status]} counted",
            )

    def _check_places(self, controller: Controller, executor: Any) -> None:
        """No worker has two trials, and no more run than there are workers."""
        places = [run.place for run in executor.attempts.values()]
        _require(len(places) == len(set(places)), f"two trials on one worker: {sorted(places)}")
        _require(len(places) <= executor.workers, f"{len(places)} trials on {executor.workers} workers")
        limit = controller.rules.max_concurrent
        _require(limit is None or len(controller.running) <= limit, f"{len(controller.running)} run, {limit} may")


def check_rungs(scheduler: Scheduler) -> None:
    """No rung counts a trial twice."""
    for rung in rungs_of(scheduler):
        trials = [trial for _, trial in rung.ranking]
        _require(len(trials) == len(set(trials)), f"rung {rung.milestone} counts a trial twice: {sorted(trials)}")


def rungs_of(scheduler: Any) -> list[Rung]:
    """All rungs that a scheduler keeps, wherever it keeps them."""
    found: list[Rung] = []
    todo: list[object] = [vars(scheduler)]
    while todo:
        item = todo.pop()
        if isinstance(item, Rung):
            if not any(item is rung for rung in found):
                found.append(item)
        elif isinstance(item, dict):
            todo.extend(v for k, v in item.items() if not isinstance(k, int))
        elif isinstance(item, (list, tuple)):
            todo.extend(i for i in item if isinstance(i, (Rung, list, tuple)))
    return found


def check_end(controller: Controller) -> None:
    """Every trial has ended, and says why."""
    for trial in controller.trials:
        _require(trial.status in (TERMINATED, ERROR), f"trial {trial.index} is {trial.status} at the end")
        _require(trial.status is TERMINATED or bool(trial.error), f"trial {trial.index} failed without an error")


def check_journal(
    data: bytes, controller: Controller, scheduler: Scheduler, space: Mapping[str, object] | None = None
) -> None:
    """Each decision has a reason; a restore comes to the same state by the journal, and so does whoever reads it.

    Parameters
    ----------
    data
        The journal.
    controller
        The state in which the run ended.
    scheduler
        A scheduler as it was given to the run, not used since.
    space
        The search space.
    """
    log = parse(data)
    for event in log.events:
        if type(event) is ev.Decided:
            _require(bool(event.why), f"a decision without a reason: {event}")
    fresh = copy.deepcopy(scheduler)
    header = log.header
    fresh.setup(header.metric, header.mode, header.seed, fresh.complete_space(space or {}))
    fresh.set_cluster_resources(header.settings.get("capacity", {}), header.settings.get("resources"))
    again = Controller(controller.rules, fresh)
    replay(header, log.events, again)
    _compare(controller, again, "restored")
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, JOURNAL_FILE), "wb") as file:
            file.write(data)
        _compare(controller, read_experiment(folder).controller, "read back", but=("rungs", "scheduler"))


def _compare(controller: Controller, other: Controller, how: str, but: Collection[str] = ()) -> None:
    mine, theirs = state(controller), state(other)
    for key, value in mine.items():
        _require(key in but or value == theirs[key], f"{how} from the journal, {key} differs:\n{value}\n{theirs[key]}")


def decisions_again(
    log: Log, scheduler: Scheduler, rules: Rules, space: Mapping[str, object] | None = None
) -> list[ev.Decided]:
    """The decisions that ``scheduler``, unused, makes when it is given a run's events again.

    Parameters
    ----------
    log
        The run's journal, as read.
    scheduler, rules, space
        As in the run.
    """
    header = log.header
    scheduler.setup(header.metric, header.mode, header.seed, scheduler.complete_space(space or {}))
    scheduler.set_cluster_resources(header.settings.get("capacity", {}), header.settings.get("resources"))
    controller = Controller(rules, scheduler)
    made: list[ev.Decided] = []
    for event in log.events:
        if type(event) is ev.Decided:
            continue  # to be made again
        records = [command.event for command in controller.apply(event) if type(command) is ev.Record]
        made += [record for record in records if isinstance(record, ev.Decided)]
    return made


def state(controller: Controller) -> dict[str, Any]:
    """All that matters of a controller, to compare two."""
    return {
        "trials": [
            (
                t.index,
                t.config,
                str(t.status),
                t.iteration,
                t.attempt,
                t.failures,
                t.worker_losses,
                t.best_loss,
                repr(t.last.metrics) if t.last else None,  # NaN does not equal itself
                t.reason,
                t.start_from,
                t.exploit,
                t.copy_from,
                t.error,
                t.checkpoints or [],
            )
            for t in controller.trials
        ],
        "pending": list(controller.pending),
        "paused": list(controller.paused),
        "running": list(controller.running),
        "pins": dict(controller.retention.pins),
        "best": controller.best and controller.best.index,
        "counts": {k: v for k, v in controller.counts.items() if v},
        "rungs": [rung.ranking for rung in rungs_of(controller.scheduler)],
        "scheduler": controller.scheduler.debug_string(),
        "finished": controller.finished is None,
    }


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvariantError(otherwise)
