"""The controller: events in, commands out."""

from __future__ import annotations

import math

import pytest

from tune_core.core import events as ev
from tune_core.errors import UserCodeError
from tune_core.schedulers.base import Continue, Exploit, Pause, Stop

from .helpers import Run, Scripted, kinds, only

SCHEDULER = ev.WAITS_FOR_SCHEDULER
DRIVER = ev.WAITS_FOR_DRIVER

# --- the plain course -------------------------------------------------------------------------------------------------


def test_a_suggestion_becomes_a_pending_trial_and_the_candidate():
    run = Run()
    run.suggest()
    assert run.statuses() == ["PENDING"]
    assert run.controller.next_trial_to_launch() is run.trial(0)
    assert run.scheduler.told == [("add", 0)]


def test_a_launch_carries_config_lease_and_attempt():
    run = Run(Scripted(lease=ev.Lease(until=9)))
    run.suggest()
    launch = run.launch()
    assert (launch.trial, launch.config, launch.lease, launch.attempt) == (0, {"x": 0}, ev.Lease(until=9), 1)
    assert (launch.checkpoint, launch.iteration, launch.seconds) == (None, 0, 0.0)


def test_trials_run_in_the_order_of_suggestion():
    run = Run()
    run.suggest(3)
    assert [run.launch().trial for _ in range(3)] == [0, 1, 2]
    assert run.controller.next_trial_to_launch() is None


def test_reports_update_the_last_and_the_best_result():
    run = Run().started(2)
    for trial, loss in ((0, 3.0), (1, 2.0), (0, 1.0), (0, 5.0)):
        assert run.report(trial, loss) == []
    assert run.trial(0).last.metrics == {"loss": 5.0}
    assert run.trial(0).best.metrics == {"loss": 1.0}
    assert run.controller.best is run.trial(0)


def test_a_run_finishes_when_all_trials_ended_and_none_will_come():
    run = Run().started(2)
    run.feed(ev.Exhausted())
    run.report(0)
    assert kinds(run.end(0)) == [ev.TellComplete]
    assert kinds(run.end(1)) == [ev.TellComplete, ev.Finish]
    assert run.controller.finished == "all trials have ended"


def test_exhaustion_with_nothing_left_finishes_the_run():
    assert kinds(Run().feed(ev.Exhausted())) == [ev.Finish]


def test_the_limit_on_concurrent_trials_holds():
    run = Run(max_concurrent=1)
    run.suggest(1)
    assert not run.controller.wants_suggestion()
    run.launch()
    assert not run.controller.wants_suggestion()
    run.suggest()
    assert run.controller.next_trial_to_launch() is None
    run.end(0)
    assert run.controller.next_trial_to_launch() is run.trial(1)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, "text", None, [1]])
def test_a_value_that_cannot_be_compared_is_the_worst(loss):
    run = Run().started(2)
    run.report(0, loss)
    run.report(1, 1e300)
    assert run.controller.best is run.trial(1)
    assert only(run.end(0), ev.TellComplete).error
    assert not only(run.end(1), ev.TellComplete).error


def test_a_trial_without_results_is_told_as_an_error():
    run = Run().started()
    assert only(run.end(0), ev.TellComplete).error


# --- late and repeated events -----------------------------------------------------------------------------------------


def test_a_report_told_twice_counts_once():
    run = Run().started()
    run.report(0, 1.0)
    assert run.feed(ev.Reported(0, 1, 9.0, 1.0, {"loss": 0.0}, None, SCHEDULER)) == []
    assert run.trial(0).last.metrics == {"loss": 1.0}


def test_what_comes_late_from_an_earlier_attempt_is_ignored():
    run = Run().started()
    run.end(0, "lost")
    run.launch()
    assert run.feed(ev.Reported(0, 1, 9.0, 1.0, {"loss": 0.0}, "c1", SCHEDULER, attempt=1)) == []
    assert run.feed(ev.Saved(0, 1, "c1", attempt=1)) == []
    assert run.feed(ev.Ended(0, "errored", 9.0, error="boom", attempt=1)) == []
    assert (run.statuses(), run.trial(0).last, run.trial(0).checkpoints) == (["RUNNING"], None, None)


def test_a_report_of_a_trial_that_has_ended_is_ignored():
    run = Run().started()
    run.end(0)
    assert run.feed(ev.Reported(0, 1, 9.0, 1.0, {"loss": 0.0})) == []
    assert run.trial(0).last is None
    assert run.feed(ev.Saved(0, 1, "checkpoint_000001")) == []
    assert run.trial(0).checkpoints is None


def test_an_end_told_twice_counts_once():
    run = Run().started()
    run.end(0)
    assert run.end(0, "errored", error="boom") == []
    assert run.statuses() == ["TERMINATED"]


def test_decisions_about_a_trial_that_does_not_run_are_ignored():
    run = Run()
    run.suggest()
    run.feed(ev.Decided(0, "stop", "x"))
    assert run.trial(0).verdict is None


# --- the end of a lease -----------------------------------------------------------------------------------------------


def test_continue_extends_the_lease():
    run = Run(Scripted({(0, 1): Continue(until=3), (0, 2): Continue(steps=2, reason="good", advice="rest")})).started()
    assert run.report(0, waiting=SCHEDULER) == [ev.Extend(0, ev.Lease(until=3))]
    record, extend = run.report(0, waiting=SCHEDULER)
    assert record.event == ev.Decided(0, "continue", "good")
    assert extend == ev.Extend(0, ev.Lease(steps=2, advice="rest"))


def test_stop_halts_the_trial_and_keeps_the_reason():
    run = Run(Scripted({(0, 1): Stop("too slow")})).started()
    record, halt = run.report(0, waiting=SCHEDULER)
    assert record.event == ev.Decided(0, "stop", "too slow")
    assert halt == ev.Halt(0, "stopped", "too slow")
    run.end(0, "stopped", "too slow")
    assert (run.statuses(), run.trial(0).reason) == (["TERMINATED"], "too slow")


def test_a_trial_that_waits_for_the_driver_goes_on_under_its_lease_without_a_decision():
    run = Run(Scripted({(0, 1): Stop("never asked")})).started()
    assert run.report(0, waiting=DRIVER) == [ev.Extend(0, None)]


def test_a_stop_request_that_came_with_the_result_halts_a_waiting_trial():
    run = Run().started()
    assert run.feed(ev.StopRequested(0, "rule")) == [ev.Revoke(0, "rule")]
    assert only(run.report(0, waiting=DRIVER), ev.Halt) == ev.Halt(0, "stopped", "rule")
    run.end(0, "stopped")
    assert run.trial(0).reason == "rule"


def test_an_answer_that_is_no_decision_names_the_scheduler():
    run = Run(Scripted({(0, 1): "CONTINUE"})).started()
    with pytest.raises(UserCodeError, match=r"Scripted.on_result returned 'CONTINUE'"):
        run.report(0, waiting=SCHEDULER)


@pytest.mark.parametrize("method", ["on_add", "lease", "on_result", "on_end", "on_requeue", "choose", "discard"])
def test_whatever_a_scheduler_raises_is_said_to_be_its(method):
    scheduler = Scripted()
    run = Run(scheduler, max_failures=1)

    def broken(*args):
        raise KeyError("oops")

    def course():
        run.started()
        run.report(0, waiting=SCHEDULER)
        run.end(0, "errored", error="x")
        run.launch()
        run.end(0)

    setattr(scheduler, method, broken)
    with pytest.raises(UserCodeError, match=f"Scripted.{method} raised KeyError"):
        course()


@pytest.mark.parametrize("chosen", [7, -1, "0", 0, True])
def test_choosing_what_does_not_wait_names_the_scheduler(chosen):
    scheduler = Scripted()
    run = Run(scheduler).started(1)
    run.suggest()
    scheduler.choose = lambda waiting: chosen
    if chosen is True:  # an int like any other: the pending trial 1
        assert run.controller.next_trial_to_launch() is run.trial(1)
        return
    with pytest.raises(UserCodeError, match=r"Scripted\.choose returned"):
        run.controller.next_trial_to_launch()


# --- pausing ----------------------------------------------------------------------------------------------------------


def paused_run() -> tuple[Run, Scripted]:
    scheduler = Scripted({(0, 1): Pause("rung 1")})
    run = Run(scheduler).started()
    record, halt = run.report(0, checkpoint="checkpoint_000001", waiting=SCHEDULER)
    assert record.event.do == "pause" and halt == ev.Halt(0, "paused", "rung 1")
    run.end(0, "paused")
    return run, scheduler


def test_a_paused_trial_frees_its_worker_and_keeps_its_reason():
    run, _ = paused_run()
    assert (run.statuses(), run.trial(0).reason, run.trial(0).worker) == (["PAUSED"], "rung 1", None)
    assert run.controller.next_trial_to_launch() is None


def test_paused_trial_resumes_from_its_own_checkpoint():
    run, scheduler = paused_run()
    scheduler.resume = [0]
    launch = run.launch()
    assert (launch.checkpoint, launch.iteration, launch.seconds) == ((0, "checkpoint_000001"), 1, 1.0)
    assert launch.attempt == 2


def test_pausing_without_a_checkpoint_ends_the_run_with_an_error_that_says_why():
    run = Run(Scripted({(0, 1): Pause("rung 1")})).started()
    commands = run.report(0, waiting=SCHEDULER)
    assert ev.Halt in kinds(commands)
    finish = only(run.end(0, "stopped"), ev.Finish)
    assert "saved no checkpoint" in finish.error and "Scripted" in finish.error


def test_pausing_without_a_checkpoint_is_fine_if_the_scheduler_starts_anew():
    scheduler = Scripted({(0, 1): Pause("rung 1")})
    scheduler.restarts_without_checkpoint = True
    run = Run(scheduler).started()
    run.report(0, waiting=SCHEDULER)
    run.end(0, "paused")
    scheduler.resume = [0]
    assert (run.statuses(), run.launch().iteration) == (["PAUSED"], 0)


def test_paused_trials_that_nothing_can_resume_end_when_nothing_else_is_left():
    run, scheduler = paused_run()
    commands = run.feed(ev.Exhausted())
    assert scheduler.told.count(("stall", True)) == 2  # all suggested; nothing left
    assert ev.Finish in kinds(commands)
    assert run.trial(0).reason == "rung 1; nothing is left that could promote it"


def test_on_stall_may_let_a_paused_trial_go_on():
    run, scheduler = paused_run()
    scheduler.on_stall = lambda exhausted: scheduler.resume.append(0)
    assert run.feed(ev.Exhausted()) == []
    assert run.launch().trial == 0
    assert ev.Finish in kinds(run.end(0))


def test_a_stall_is_passed_on_while_more_may_come():
    run, scheduler = paused_run()
    assert run.feed(ev.Stalled()) == []
    assert ("stall", False) in scheduler.told


def test_a_trial_given_up_while_its_worker_puts_it_aside_ends_with_the_reason_of_that():
    scheduler = Scripted({(0, 1): Pause("waits for the others")})
    run = Run(scheduler).started(2)
    run.report(0, checkpoint="c1", waiting=ev.WAITS_FOR_SCHEDULER)
    scheduler.give_up = [(0, "was not among the best")]
    run.end(1)
    run.end(0, "paused", "waits for the others")
    assert str(run.trial(0).status) == "TERMINATED"
    assert run.trial(0).reason == "was not among the best"


def test_discarded_trials_end_with_the_schedulers_reason():
    scheduler = Scripted({(0, 1): Pause("rung 1")})
    run = Run(scheduler).started(2)
    run.report(0, checkpoint="c1", waiting=SCHEDULER)
    run.end(0, "paused")
    scheduler.give_up = [(0, "not promoted"), (1, "runs, so nothing happens")]
    record = only(run.end(1), ev.Record)
    assert record.event == ev.Decided(0, "stop", "not promoted")
    assert run.trial(0).reason == "not promoted"


def test_a_trial_that_was_to_be_paused_but_returned_is_complete():
    run = Run(Scripted({(0, 1): Pause("rung 1")})).started()
    run.report(0, checkpoint="c1", waiting=SCHEDULER)
    run.end(0, "completed")
    assert run.statuses() == ["TERMINATED"]


# --- exploiting -------------------------------------------------------------------------------------------------------


def exploiting(**rules) -> Run:
    """Trial 0 has two checkpoints; trial 1 waits to become a copy of it."""
    run = Run(Scripted({(1, 1): Exploit(0, {"x": 42}, "0 is better")}), **rules).started(2)
    run.report(0, checkpoint="a1")
    run.report(0, checkpoint="a2")
    return run


def test_an_exploit_restarts_the_trial_as_a_copy():
    run = exploiting()
    record, halt = run.report(1, waiting=SCHEDULER)
    assert record.event == ev.Decided(1, "exploit", "0 is better", source=0, config={"x": 42}, checkpoint="a2")
    assert halt == ev.Halt(1, "paused", "0 is better")
    run.end(1, "paused")
    launch = run.launch()
    assert (launch.trial, launch.config, launch.checkpoint, launch.iteration) == (1, {"x": 42}, (0, "a2"), 2)


def test_an_exploit_of_a_named_checkpoint_takes_that():
    run = exploiting()
    run.scheduler.answers[1, 1] = Exploit(0, {"x": 42}, "0 is better", "a1")
    run.report(1, waiting=SCHEDULER)
    run.end(1, "paused")
    assert run.launch().checkpoint == (0, "a1")


def test_without_a_checkpoint_to_copy_the_trial_goes_on():
    run = Run(Scripted({(1, 1): Exploit(0, {"x": 42}, "0 is better")})).started(2)
    warning, record, extend = run.report(1, waiting=SCHEDULER)
    assert record.event.do == "continue" and "no checkpoint yet" in record.event.why
    assert extend == ev.Extend(1, ev.Lease())
    assert "Scripted" in warning.text and "trial 00000 has saved none: trial 00001 goes on as it is" in warning.text


def test_cost_of_trials_that_save_nothing_is_told_once():
    scheduler = Scripted({(0, 1): Pause("rung"), (1, 1): Pause("rung"), (2, 1): Exploit(0, {"x": 1}, "copy")})
    scheduler.restarts_without_checkpoint = True
    run = Run(scheduler).started(3)
    warnings = [c for trial in range(3) for c in run.report(trial, waiting=SCHEDULER) if type(c) is ev.Warn]
    assert len(warnings) == 1
    assert "Scripted pauses trials" in warnings[0].text and "start anew" in warnings[0].text


def test_pause_without_a_checkpoint_is_none_where_the_scheduler_lets_the_trial_go_on():
    scheduler = Scripted({(0, 1): Pause("rung")})
    scheduler.goes_on_without_checkpoint = True
    warning, record, extend = Run(scheduler).started().report(0, waiting=SCHEDULER)
    assert "goes on as it is" in warning.text
    assert (record.event.do, record.event.why) == ("continue", "would be paused, and has no checkpoint yet")
    assert extend == ev.Extend(0, ev.Lease())


def test_nothing_is_told_of_trials_that_save():
    run, _ = paused_run()
    assert ev.Warn not in kinds(run.feed(ev.Exhausted()))
    run = exploiting()
    assert ev.Warn not in kinds(run.report(1, waiting=SCHEDULER))


def test_a_checkpoint_that_a_copy_needs_is_not_deleted_until_the_copy_has_its_own():
    run = exploiting(num_to_keep=1)
    run.report(1, waiting=SCHEDULER)
    assert ev.DropCheckpoint not in kinds(run.report(0, checkpoint="a3"))  # a2 is pinned by the exploit
    run.end(1, "paused")
    run.launch()
    assert ev.DropCheckpoint not in kinds(run.report(0, checkpoint="a4"))[1:]
    assert ev.DropCheckpoint(0, "a2") in run.report(1, checkpoint="b3")


def test_a_copy_of_a_copy_that_has_saved_nothing_starts_from_the_same_checkpoint():
    answers = {(1, 1): Exploit(0, {"x": 42}, "0 is better"), (2, 1): Exploit(1, {"x": 43}, "1 is better")}
    run = Run(Scripted(answers)).started(3)
    run.report(0, checkpoint="a1")
    run.report(1, checkpoint="b1", waiting=SCHEDULER)
    run.end(1, "paused")
    run.launch()
    run.report(2, waiting=SCHEDULER)
    run.end(2, "paused")
    assert run.launch().checkpoint == (0, "a1")  # and not b1, from before trial 1 became a copy


@pytest.mark.parametrize("how", ["errored", "crashed", "lost", "timeout"])
def test_a_trial_that_fails_on_its_way_to_become_a_copy_becomes_it(how):
    run = exploiting(max_failures=1)
    run.report(1, waiting=SCHEDULER)
    run.end(1, how, error="boom")
    assert run.launch().config == {"x": 42}
    assert run.trial(1).exploit is None


def test_a_trial_that_ends_on_its_way_to_become_a_copy_lets_the_checkpoint_go():
    run = exploiting(num_to_keep=1)
    run.report(1, waiting=SCHEDULER)
    run.report(0, checkpoint="a3")
    assert ev.DropCheckpoint(0, "a2") in run.end(1, "completed")


def test_a_stop_request_overrules_an_exploit():
    run = exploiting()
    run.report(1, waiting=SCHEDULER)
    run.feed(ev.StopRequested(1, "enough"))
    run.end(1, "paused")
    assert (run.statuses()[1], run.trial(1).reason) == ("TERMINATED", "enough")


# --- checkpoints ------------------------------------------------------------------------------------------------------


def test_only_the_latest_checkpoints_are_kept():
    run = Run(num_to_keep=2).started()
    dropped = [c for i in range(5) for c in run.report(0, checkpoint=f"c{i}") if isinstance(c, ev.DropCheckpoint)]
    assert [c.name for c in dropped] == ["c0", "c1", "c2"]


def test_the_best_checkpoints_and_the_latest_are_kept():
    run = Run(num_to_keep=2, checkpoint_score_attribute="loss").started()  # order: max
    for i, loss in enumerate([1.0, 9.0, math.nan, 2.0]):
        run.report(0, loss, checkpoint=f"c{i}")
    assert [k.name for k in run.trial(0).checkpoints] == ["c1", "c3"]


def test_a_checkpoint_without_a_report_counts_too():
    run = Run().started()
    run.report(0)
    run.feed(ev.Saved(0, 1, "c1"))
    assert run.trial(0).checkpoint == "c1"


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["errored", "crashed", "timeout"])
def test_a_failed_trial_is_tried_again_from_its_last_checkpoint_while_retries_last(how):
    run = Run(max_failures=1).started()
    run.report(0, checkpoint="c1")
    run.report(0)
    assert run.end(0, how, error="boom") == []
    assert run.trial(0).iteration == 1
    assert run.scheduler.told[-1] == ("requeue", 0, 1)
    launch = run.launch()
    assert (launch.checkpoint, launch.iteration, launch.attempt) == ((0, "c1"), 1, 2)
    assert only(run.end(0, how, error="Traceback\nValueError: boom"), ev.TellComplete).error
    assert (run.statuses(), run.trial(0).reason) == (["ERROR"], "ValueError: boom")


def test_retries_without_end():
    run = Run(max_failures=-1).started()
    for _ in range(50):
        run.end(0, "errored", error="boom")
        run.launch()
    assert run.trial(0).failures == 50


def test_a_lost_worker_does_not_count_as_a_failure():
    run = Run().started()
    run.end(0, "lost", error="node gone")
    assert (run.statuses(), run.trial(0).failures, run.trial(0).worker_losses) == (["PENDING"], 0, 1)


def test_losses_are_bounded():
    run = Run(max_losses=2).started()
    for _ in range(2):
        run.end(0, "lost", error="node gone")
        run.launch()
    run.end(0, "lost", error="node gone")
    assert run.statuses() == ["ERROR"]
    assert "lost 3 times. node gone" in run.trial(0).error


def test_fail_fast_ends_the_run():
    run = Run(fail_fast=True).started(2)
    run.suggest()
    commands = run.end(0, "errored", error="boom")
    assert ev.Revoke(1, "trial 00000 failed and fail_fast is set") in commands
    assert run.statuses() == ["ERROR", "RUNNING", "PENDING"]
    assert ev.Finish in kinds(run.end(1, "revoked"))


def test_trials_that_were_cut_off_when_another_failed_are_finished_after_a_restore():
    run = Run(fail_fast=True).started(2)
    run.suggest()
    run.report(1, checkpoint="checkpoint_000001")
    run.end(0, "errored", error="boom")
    run.end(1, "revoked")
    assert run.statuses() == ["ERROR", "PENDING", "PENDING"]
    assert not [c for c in run.commands if type(c) is ev.TellComplete and c.trial]
    run.feed(ev.Restored(9.0))
    assert run.launch().checkpoint == (1, "checkpoint_000001")
    assert run.launch().trial == 2


def test_an_objective_that_cannot_run_at_all_ends_the_run_with_its_error():
    run = Run().started(2)
    run.suggest()
    run.end(0, "invalid", "the objective cannot be loaded", "no module named x")
    finish = only(run.end(1, "revoked"), ev.Finish)
    assert finish.error == "no module named x"
    assert run.statuses() == ["ERROR", "PENDING", "PENDING"]  # a restore, with what was missing, finishes them


def test_a_refused_trial_fails_and_the_others_go_on():
    run = Run()
    run.suggest(2)
    assert only(run.feed(ev.Refused(0, "the trial asks for 9 gpu")), ev.TellComplete).error
    assert run.statuses() == ["ERROR", "PENDING"]
    assert run.feed(ev.Refused(0, "again")) == []


# --- stop requests ----------------------------------------------------------------------------------------------------


def test_stopping_the_run_ends_what_waits_and_revokes_what_runs():
    run, _ = paused_run()
    run.suggest(2)
    run.launch(1)
    assert run.feed(ev.StopRequested(-1, "budget"))[-1] == ev.Revoke(1, "budget")
    assert run.statuses() == ["TERMINATED", "RUNNING", "TERMINATED"]
    assert not run.controller.wants_suggestion() and run.controller.next_trial_to_launch() is None
    assert only(run.end(1, "revoked"), ev.Finish).why == "budget"


def test_stopping_twice_keeps_the_first_reason():
    run = Run().started()
    run.feed(ev.StopRequested(-1, "first"))
    assert run.feed(ev.StopRequested(-1, "second")) == []
    assert only(run.end(0, "revoked"), ev.Finish).why == "first"


def test_stopping_a_waiting_trial_ends_it():
    run, _ = paused_run()
    run.suggest()
    run.feed(ev.StopRequested(0, "x"))
    run.feed(ev.StopRequested(1, "x"))
    assert run.statuses() == ["TERMINATED", "TERMINATED"]
    assert run.feed(ev.StopRequested(1, "again")) == []


def test_a_trial_that_is_put_aside_while_the_run_ends_does_not_hold_it_up():
    run = Run(Scripted({(0, 1): Pause("rung 1")})).started()
    run.report(0, checkpoint="c1", waiting=SCHEDULER)
    run.feed(ev.StopRequested(-1, "budget"))
    assert ev.Finish in kinds(run.end(0, "paused"))
    assert run.trial(0).reason == "budget"


def test_a_copy_in_the_making_does_not_hold_up_the_end():
    run = exploiting()
    run.report(1, waiting=SCHEDULER)
    run.feed(ev.StopRequested(-1, "budget"))
    run.end(0, "revoked")
    assert ev.Finish in kinds(run.end(1, "paused"))


def test_a_lost_trial_does_not_hold_up_the_end():
    run = Run().started()
    run.feed(ev.StopRequested(-1, "budget"))
    assert ev.Finish in kinds(run.end(0, "lost"))
    assert run.statuses() == ["TERMINATED"]


def test_a_trial_that_fails_while_the_run_ends_is_not_tried_again():
    run = Run(max_failures=5).started()
    run.feed(ev.StopRequested(-1, "budget"))
    run.end(0, "errored", error="boom")
    assert run.statuses() == ["ERROR"]


def test_a_report_at_a_leases_end_while_the_run_ends_is_halted():
    run = Run().started()
    run.feed(ev.StopRequested(-1, "budget"))
    assert run.report(0, waiting=SCHEDULER) == [ev.Halt(0, "stopped", "budget")]


# --- interruption and restore -----------------------------------------------------------------------------------------


def test_an_interruption_keeps_unfinished_trials_resumable():
    run, _ = paused_run()
    run.suggest(2)
    run.launch(1)
    assert run.feed(ev.Interrupted("ctrl-c", 5.0)) == [ev.Revoke(1, "ctrl-c")]
    assert run.report(1, waiting=SCHEDULER) == [ev.Halt(1, "revoked", "ctrl-c")]
    assert kinds(run.end(1, "revoked")) == [ev.Finish]
    assert run.statuses() == ["PAUSED", "PENDING", "PENDING"]


def test_a_trial_that_was_to_stop_stops_though_the_run_is_interrupted():
    run = Run(Scripted({(0, 1): Stop("too slow")})).started()
    run.report(0, waiting=SCHEDULER)
    run.feed(ev.Interrupted("ctrl-c", 5.0))
    run.end(0, "revoked")
    assert run.statuses() == ["TERMINATED"]


@pytest.mark.parametrize(("how", "retries"), [("lost", 0), ("errored", 1), ("crashed", 1)])
def test_a_trial_that_would_be_tried_again_is_after_an_interruption(how, retries):
    run = Run(max_failures=retries).started()
    run.feed(ev.Interrupted("ctrl-c", 5.0))
    run.end(0, how, error="boom")
    assert run.statuses() == ["PENDING"]


def test_restoring_runs_orphans_again_from_their_checkpoints():
    run = Run().started(2)
    run.report(0, checkpoint="c1")
    run.feed(ev.Restored(9.0))
    assert run.statuses() == ["PENDING", "PENDING"]
    assert {run.launch().checkpoint for _ in range(2)} == {(0, "c1"), None}


def test_restoring_carries_out_a_verdict_that_the_worker_had_not_obeyed():
    answers = {(0, 1): Stop("slow"), (1, 1): Pause("rung"), (2, 1): Exploit(0, {"x": 42}, "copy")}
    run = Run(Scripted(answers)).started(3)
    for trial in range(3):
        run.report(trial, checkpoint=f"c{trial}", waiting=SCHEDULER)
    run.feed(ev.Restored(9.0))
    assert run.statuses() == ["TERMINATED", "PAUSED", "PENDING"]
    assert run.launch().checkpoint == (0, "c0")


def test_restoring_with_a_pause_of_a_trial_without_checkpoint_keeps_it_paused():
    scheduler = Scripted({(0, 1): Pause("rung 1")})
    scheduler.restarts_without_checkpoint = True
    run = Run(scheduler).started()
    run.report(0, waiting=SCHEDULER)
    run.feed(ev.Restored(9.0))
    assert run.statuses() == ["PAUSED"]


def failed_run() -> Run:
    run = Run(max_failures=0).started(2)
    run.feed(ev.Exhausted())
    run.report(0, checkpoint="c1")
    run.end(0, "errored", error="boom")
    run.end(1)
    assert run.controller.finished
    return run


def test_restoring_a_finished_run_finishes_at_once():
    assert kinds(failed_run().feed(ev.Restored(9.0))) == [ev.Finish]


def test_errored_trials_go_on_from_their_checkpoints_if_asked():
    run = failed_run()
    assert run.feed(ev.Restored(9.0, errored=True)) == []
    launch = run.launch()
    assert (launch.trial, launch.checkpoint, run.trial(0).failures, run.trial(0).error) == (0, (0, "c1"), 0, None)


def test_errored_trials_start_over_if_asked():
    run = failed_run()
    run.feed(ev.Restored(9.0, restart_errored=True))
    launch = run.launch()
    assert (launch.checkpoint, launch.iteration) == (None, 0)


def test_unfinished_trials_end_if_they_are_not_to_be_resumed():
    run, _ = paused_run()
    run.suggest(2)
    run.launch(1)
    run.feed(ev.Restored(9.0, unfinished=False))
    assert set(run.statuses()) == {"TERMINATED"}
    assert "resume_unfinished=False" in run.trial(1).reason


def test_extending_a_finished_run_wants_suggestions_again():
    run = failed_run()
    assert run.feed(ev.Restored(9.0, num_samples=3)) == []
    assert run.controller.wants_suggestion()


def test_a_run_that_a_budget_ended_goes_on_when_restored():
    run = Run().started()
    run.feed(ev.StopRequested(-1, "budget"))
    run.end(0, "revoked")
    assert run.feed(ev.Restored(9.0)) == []
    assert run.controller.wants_suggestion()


def test_notes_and_headers_change_nothing():
    run = Run()
    assert run.feed(ev.Noted("hello")) == []
    assert run.feed(ev.Header(version="1", name="n", seed=0, at=0.0)) == []
    assert run.feed(ev.Finished(1.0, "over")) == []
    assert run.controller.finished == "over"
