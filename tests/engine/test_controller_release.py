"""What becomes of a trial whose worker is gone, and of a run that stops while trials are still letting go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from journals import Run

from tune_core.core import events as ev
from tune_core.core.trial import PENDING, TERMINATED
from tune_core.schedulers.base import Continue, Decision, Exploit, Pause, Scheduler, Stop


class Says(Scheduler):
    """Answers each result with the next of some decisions."""

    restarts_without_checkpoint = True

    def __init__(self, *decisions: Decision) -> None:
        super().__init__()
        self._decisions = list(decisions)

    def on_result(self, trial: Any, result: Any) -> Decision:
        return self._decisions.pop(0) if self._decisions else Continue()


def waiting(tmp_path: Path, *decisions: Decision, max_failures: int = 0) -> Run:
    """Trial 0 runs with a checkpoint; trial 1 has just been decided on."""
    run = Run(tmp_path, scheduler=Says(*decisions), max_failures=max_failures)
    for x in (0, 1):
        run.launch(run.suggest(x=x))
    run.report(0, checkpoint="checkpoint_000001", loss=1.0)
    run.report(1, waiting=ev.WAITS_FOR_SCHEDULER, loss=2.0)
    return run


def test_run_that_stops_ends_though_a_trial_is_put_aside_after_that(tmp_path: Path) -> None:
    run = waiting(tmp_path, Pause("later"))
    run.apply(ev.StopRequested(-1, "enough"))
    run.end(1, "paused")
    run.end(0, "revoked")

    assert [trial.status for trial in run.trials] == [TERMINATED, TERMINATED]
    assert run.controller.finished == "enough"


def test_run_that_stops_ends_though_a_trial_was_to_become_a_copy(tmp_path: Path) -> None:
    run = waiting(tmp_path, Exploit(0, {"x": 9}, "better"))
    run.apply(ev.StopRequested(-1, "enough"))
    run.end(0, "revoked")
    run.end(1, "paused")

    assert run.controller.finished == "enough"


def test_run_that_stops_ends_though_a_worker_was_lost(tmp_path: Path) -> None:
    run = waiting(tmp_path)
    run.apply(ev.StopRequested(-1, "enough"))
    run.end(0, "lost")
    run.end(1, "lost")

    assert run.controller.finished == "enough"


def test_trial_whose_worker_dies_after_the_decision_to_copy_becomes_the_copy(tmp_path: Path) -> None:
    run = waiting(tmp_path, Exploit(0, {"x": 9}, "better"), max_failures=1)
    run.end(1, "crashed", error="gone")

    trial = run.trials[1]
    assert (trial.status, trial.config, trial.iteration) == (PENDING, {"x": 9}, 1)
    assert trial.exploit is None


def test_trial_whose_worker_is_lost_after_the_decision_to_stop_has_stopped(tmp_path: Path) -> None:
    run = waiting(tmp_path, Stop("bad"))
    run.end(1, "lost")

    assert (run.trials[1].status, run.trials[1].reason) == (TERMINATED, "bad")


def test_checkpoint_is_free_again_when_the_trial_that_was_to_copy_it_ends(tmp_path: Path) -> None:
    run = waiting(tmp_path, Exploit(0, {"x": 9}, "better"))
    kept = run.trials[0].checkpoints[0]
    assert run.controller.retention.is_pinned(kept)

    run.end(1, "crashed", error="gone")

    assert not run.controller.retention.is_pinned(kept)


def test_copy_of_a_trial_without_checkpoints_of_its_own_loads_the_one_it_started_from(tmp_path: Path) -> None:
    run = waiting(tmp_path, Exploit(0, {"x": 9}, "better"), Exploit(1, {"x": 8}, "better still"))
    run.end(1, "paused")
    run.launch(1)
    run.launch(run.suggest(x=2))
    run.report(2, waiting=ev.WAITS_FOR_SCHEDULER, loss=3.0)
    run.end(2, "paused")

    assert run.trials[2].start_from == run.trials[0].checkpoints[0]


def test_trial_that_crashes_while_the_run_is_interrupted_can_be_resumed(tmp_path: Path) -> None:
    run = waiting(tmp_path, max_failures=1)
    run.apply(ev.Interrupted("Ctrl-C", run.tick()))
    run.end(0, "crashed", error="killed")
    run.end(1, "revoked")

    assert [trial.status for trial in run.trials] == [PENDING, PENDING]
    assert run.controller.finished == "Ctrl-C"


def test_trial_handed_back_before_it_began_waits_again_and_counts_no_loss(tmp_path: Path) -> None:
    run = waiting(tmp_path)
    run.end(1, "returned")

    assert (run.trials[1].status, run.trials[1].worker_losses, run.trials[1].failures) == (PENDING, 0, 0)
