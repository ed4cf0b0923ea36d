"""A journal that is replayed leaves the scheduler as the run did."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journals import Moody, Run, known, random_run

import tune_core as tune
from tune_core.core import events as ev
from tune_core.engine.controller import Controller
from tune_core.engine.replay import replay
from tune_core.journal.reader import parse
from tune_core.schedulers import HyperBandScheduler, PopulationBasedTraining


def population(**more: Any) -> PopulationBasedTraining:
    return PopulationBasedTraining(
        "training_iteration", perturbation_interval=1, hyperparam_mutations={"x": tune.uniform(0, 1)}, **more
    )


def step(run: Run, trial: int, checkpoint: str | None = None) -> None:
    """One result, and what the engine asks for afterwards."""
    run.report(trial, checkpoint, ev.WAITS_FOR_SCHEDULER, loss=1.0 + trial)
    if run.trials[trial].verdict is not None:
        run.end(trial, "paused")
    while (waiting := run.controller.next_trial_to_launch()) is not None and len(run.controller.running) < 2:
        run.launch(waiting.index)


def state_of(scheduler: Any) -> Any:
    waiting = list(scheduler._waiting), sorted(scheduler._arrived), scheduler._next, list(scheduler._ranking)
    return waiting, [(m.last, m.changes, m.loss) for m in scheduler._members.values()]


@pytest.mark.parametrize("synch", [False, True])
@pytest.mark.parametrize("saving", [[], [0], [0, 1, 2]])
def test_population_is_as_it_was_after_each_event(synch: bool, saving: list[int], tmp_path: Path) -> None:
    run = Run(tmp_path, scheduler=population(synch=synch))
    for _ in range(3):
        run.suggest(x=0.5)
    run.exhaust()
    run.launch(0)
    run.launch(1)
    for turn in range(1, 9):
        for trial in list(run.controller.running):
            step(run, trial, f"checkpoint_{turn:06d}" if trial in saving else None)
            log = parse(b"".join(run.lines))
            scheduler = population(synch=synch)
            scheduler.setup("loss", "min", 7, {})
            controller = Controller(run.rules, scheduler)
            replay(log.header, log.events, controller)
            assert known(controller) == known(run.controller)
            assert state_of(scheduler) == state_of(run.scheduler)


def test_hyperband_without_checkpoints_is_as_it_was(tmp_path: Path) -> None:
    run = Run(tmp_path, scheduler=HyperBandScheduler(max_t=9, reduction_factor=3))
    for _ in range(9):
        run.suggest(x=0.5)
    run.exhaust()
    run.launch(0)
    run.launch(1)
    for _ in range(12):
        for trial in list(run.controller.running):
            step(run, trial)
    assert any(trial.attempt > 1 for trial in run.trials)
    log = parse(b"".join(run.lines))
    scheduler = HyperBandScheduler(max_t=9, reduction_factor=3)
    scheduler.setup("loss", "min", 7, {})
    controller = Controller(run.rules, scheduler)
    replay(log.header, log.events, controller)
    assert known(controller) == known(run.controller)
    assert scheduler.debug_string() == run.scheduler.debug_string()


def test_a_restore_takes_events_as_they_are_read_and_keeps_none_of_them(tmp_path: Path) -> None:
    run = random_run(tmp_path, 5)
    log = parse(b"".join(run.lines))
    controller = Controller(run.rules, Moody())
    behind: list[int] = []

    def coming() -> Iterator[Any]:
        suggested = 0
        for event in log.events:
            behind.append(suggested - len(controller.trials))
            suggested += type(event) is ev.Suggested
            yield event

    replay(log.header, coming(), controller)

    assert len(controller.trials) > 10
    assert max(behind) <= 1  # the event before is applied when it is known that no decision follows
