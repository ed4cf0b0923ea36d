"""Trials that become copies while they are paused, decisions on those being paused, and messages that come late."""

from __future__ import annotations

from typing import Any

from tune_core.core import events as ev
from tune_core.schedulers.base import Exploit, Pause

from .helpers import Run, Scripted

SCHEDULER = ev.WAITS_FOR_SCHEDULER


class Revising(Scripted):
    """Revises what it is told to."""

    def __init__(self, answers: Any) -> None:
        super().__init__(answers)
        self.to_revise: list[tuple[int, Exploit]] = []

    def pending_exploits(self):
        given, self.to_revise = self.to_revise, []
        return given


def paused_pair(**rules: Any) -> Run:
    """Trial 1 was told to pause, trial 0 runs and has a checkpoint."""
    run = Run(Revising({(1, 1): Pause("waits")}), **rules).started(2)
    run.report(0, checkpoint="a1")
    run.report(1, checkpoint="b1", waiting=SCHEDULER)
    return run


def test_paused_trial_becomes_a_copy_when_the_scheduler_says_so() -> None:
    run = paused_pair()
    run.end(1, "paused")
    run.scheduler.to_revise = [(1, Exploit(0, {"x": 9}, "0 is better", resources={"cpu": 2}))]
    commands = run.report(0, waiting=SCHEDULER)
    decided = [c.event for c in commands if type(c) is ev.Record]
    assert decided == [ev.Decided(1, "exploit", "0 is better", None, 0, {"x": 9}, {"cpu": 2}, "a1")]
    launch = run.launch(1)
    assert (launch.config, launch.checkpoint, launch.resources) == ({"x": 9}, (0, "a1"), {"cpu": 2})


def test_trial_that_is_still_letting_go_becomes_a_copy_when_it_has() -> None:
    run = paused_pair()
    run.scheduler.to_revise = [(1, Exploit(0, {"x": 9}, "0 is better"))]
    run.report(0, waiting=SCHEDULER)
    run.end(1, "paused")
    assert run.launch(1).checkpoint == (0, "a1")


def test_trial_that_is_still_letting_go_can_be_given_up() -> None:
    run = paused_pair()
    run.scheduler.give_up = [(1, "left behind")]
    run.report(0, waiting=SCHEDULER)
    run.end(1, "paused")
    assert str(run.trial(1).status) == "TERMINATED"
    assert run.trial(1).reason == "left behind"


def test_message_of_an_attempt_that_is_over_changes_nothing() -> None:
    run = Run(max_failures=1).started(1)
    run.report(0, checkpoint="a1")
    run.end(0, "crashed", error="gone")
    run.launch(0)
    before = run.trial(0).iteration
    assert run.feed(ev.Reported(0, 5, run.clock, 5.0, {"loss": 0.0}, "late", attempt=1)) == []
    assert run.feed(ev.Saved(0, 5, "late", attempt=1)) == []
    assert run.feed(ev.Ended(0, "completed", run.clock, attempt=1)) == []
    assert run.trial(0).iteration == before
    assert str(run.trial(0).status) == "RUNNING"


def test_scheduler_that_observes_gets_the_results_in_between() -> None:
    class Observing(Scripted):
        observes = True

        def observe(self, trial, result):
            self.told.append(("observe", result["loss"]))

    run = Run(Observing()).started(1)
    run.report(0, 0.5)
    run.report(0, 0.4, waiting=SCHEDULER)
    run.report(0, 0.3, waiting=ev.WAITS_FOR_DRIVER)
    assert [t for t in run.scheduler.told if t[0] == "observe"] == [("observe", 0.5), ("observe", 0.3)]
