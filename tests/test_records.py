"""Reading an experiment back gives what the controller knew, from the journal alone."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
from journals import Run, random_run

from tune_core.engine import events as ev
from tune_core.engine.reader import Reader, is_running
from tune_core.errors import JournalError
from tune_core.fold import Fold, read_experiment
from tune_core.records import history, readable
from tune_core.schedulers.base import Pause, Scheduler
from tune_core.trial import ERROR, PAUSED, PENDING, RUNNING, TERMINATED


@pytest.mark.parametrize("seed", range(150))
def test_fold_agrees_with_the_controller_on_every_trial(tmp_path: Path, seed: int) -> None:
    run = random_run(tmp_path, seed)

    experiment = read_experiment(run.save())

    assert len(experiment.trials) == len(run.trials)
    for record, trial in zip(experiment.trials, run.trials):
        assert record.status is trial.status, trial
        assert record.config == trial.config
        assert (record.iteration, record.attempt, record.failures, record.losses) == (
            trial.iteration,
            trial.attempt,
            trial.failures,
            trial.losses,
        )
        assert (record.last is None) == (trial.last is None)
        if record.last is not None and trial.last is not None:
            assert (record.last.iteration, record.last.at) == (trial.last.iteration, trial.last.at)
            assert record.previous_s == trial.previous_s
        assert record.best_loss == trial.best_loss
        assert record.error == trial.error
        assert [k.name for k in record.checkpoints or ()] == [k.name for k in trial.checkpoints or ()]
    best = run.controller.best
    assert (experiment.best and experiment.best.index) == (best and best.index)
    assert experiment.finished == run.controller.finished


@pytest.mark.parametrize("seed", range(5))
def test_following_a_growing_journal_gives_the_same_as_reading_it_at_once(tmp_path: Path, seed: int) -> None:
    run = random_run(tmp_path, seed)
    data = b"".join(run.lines)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(data[: len(run.lines[0])])
    fold = Fold(str(tmp_path))

    for end in range(len(run.lines[0]), len(data) + 1, 997):  # mostly in the middle of a line
        path.write_bytes(data[:end])
        fold.refresh()
    path.write_bytes(data)
    followed = fold.refresh()

    at_once = read_experiment(str(tmp_path))
    assert [(t.status, t.iteration, t.reason) for t in followed.trials] == [
        (t.status, t.iteration, t.reason) for t in at_once.trials
    ]
    assert followed.reports == at_once.reports


def test_reason_of_the_end_is_kept(tmp_path: Path) -> None:
    run = Run(tmp_path)
    trial = run.suggest(x=1)
    run.launch(trial)
    run.report(trial, loss=1.0)
    run.end(trial, "stopped", "loss reached 1")

    assert read_experiment(run.save()).trials[0].reason == "loss reached 1"


def test_decisions_are_kept_with_iteration_and_time(tmp_path: Path) -> None:
    class Pauses(Scheduler):
        restarts_without_checkpoint = True

        def on_result(self, trial: object, result: object) -> Pause:
            return Pause("below the median")

    run = Run(tmp_path, scheduler=Pauses())
    trial = run.suggest(x=1)
    run.launch(trial)
    run.report(trial, waiting=ev.WAITS_FOR_SCHEDULER, loss=1.0)
    at = run.now
    run.end(trial, "paused")

    record = read_experiment(run.save()).trials[0]
    assert record.decisions == [("pause", "below the median", 1, at)]
    assert record.status is PAUSED


def test_failed_trial_waits_for_its_retry_while_retries_last(tmp_path: Path) -> None:
    run = Run(tmp_path, max_failures=1)
    trial = run.suggest(x=1)
    run.launch(trial)
    run.end(trial, "errored", error="ValueError: once")
    record = read_experiment(run.save()).trials[0]
    assert (record.status, record.error) == (PENDING, "ValueError: once")

    run.launch(trial)
    run.end(trial, "errored", error="ValueError: twice")
    record = read_experiment(run.save()).trials[0]
    assert (record.status, record.reason, record.failures) == (ERROR, "ValueError: twice", 2)


def test_refused_trial_has_failed(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.suggest(x=1)
    run.apply(ev.Refused(0, "the trial asks for 8 GPUs"))

    record = read_experiment(run.save()).trials[0]
    assert (record.status, record.error) == (ERROR, "the trial asks for 8 GPUs")


def test_history_drops_what_came_after_the_checkpoint_that_a_retry_started_from(tmp_path: Path) -> None:
    run = Run(tmp_path, max_failures=1)
    trial = run.suggest(x=1)
    run.launch(trial)
    run.report(trial, loss=1.0)
    run.report(trial, checkpoint="checkpoint_000002", loss=2.0)
    run.report(trial, loss=3.0)
    run.end(trial, "crashed", error="gone")
    run.launch(trial)
    run.report(trial, loss=30.0)
    run.report(trial, loss=40.0)

    results = history(run.save())[trial]

    assert [(r["training_iteration"], r["loss"]) for r in results] == [(1, 1.0), (2, 2.0), (3, 30.0), (4, 40.0)]
    assert [r["time_this_iter_s"] for r in results] == [1.0] * 4
    assert results[1]["checkpoint_dir_name"] == "checkpoint_000002"


def test_history_of_one_trial_holds_no_other(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for i in range(12):
        run.trial([float(i)], x=i)

    assert list(history(run.save(), 1)) == [1]


def test_nan_and_infinity_come_back(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.trial([math.nan, math.inf], x=1)

    first, second = history(run.save())[0]
    assert math.isnan(first["loss"])
    assert second["loss"] == math.inf
    assert read_experiment(run.folder).trials[0].best_loss == math.inf


def test_torn_tail_is_left_out(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.trial([1.0], x=1)
    whole = len(b"".join(run.lines))
    run.trial([2.0], x=2)
    path = Path(run.save()) / "journal.jsonl"
    path.write_bytes(path.read_bytes()[: whole + 30])

    assert len(read_experiment(run.folder).trials) == 1


def test_corrupt_line_ends_the_reading(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for i in range(3):
        run.trial([float(i)], x=i)
    path = Path(run.save()) / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"loss":1.0', b'"loss":9.0'))

    experiment = read_experiment(run.folder)
    assert [trial.status for trial in experiment.trials] == [TERMINATED, RUNNING]


def test_folder_without_a_journal_is_said_to_hold_no_experiment(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="holds no experiment") as caught:
        read_experiment(str(tmp_path))
    assert caught.value.cause
    assert caught.value.fix


def test_empty_journal_has_no_first_line(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b"")
    with pytest.raises(JournalError, match="no whole first line"):
        Reader(str(tmp_path))


def test_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    header = ev.Header(schema=ev.SCHEMA + 1, version="99.0", name="x", seed=0, at=0.0)
    (tmp_path / "journal.jsonl").write_bytes(ev.encode(header))
    with pytest.raises(JournalError, match="Upgrade"):
        Reader(str(tmp_path))


@pytest.mark.parametrize(
    ("journaled", "shown"),
    [
        ({"__choice__": 1, "repr": "len"}, "len"),
        ({"__choice__": 0, "repr": "?", "value": {"C": 1.5}}, {"C": 1.5}),
        ({"__const__": True, "repr": "<Net>"}, "<Net>"),
        ({"__tuple__": [1, {"__number__": "inf"}]}, (1, math.inf)),
        ({"__number__": "123456789012345678901234567890"}, 123456789012345678901234567890),
        ({"__plain__": {"__tuple__": [1]}}, {"__tuple__": [1]}),
        ({"a": [{"__value__": True, "repr": "x"}]}, {"a": ["x"]}),
    ],
)
def test_journaled_values_are_readable(journaled: object, shown: object) -> None:
    assert readable(journaled) == shown


def test_experiment_knows_its_notes_and_its_duration(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.apply(ev.Noted("the tail was torn"))
    run.trial([1.0], x=1)
    run.exhaust()

    experiment = read_experiment(run.save())
    assert experiment.notes == ["the tail was torn"]
    assert experiment.total_time_s == run.now - run.header.at
    assert experiment.finished == "all trials have ended"


def test_process_that_holds_the_lock_is_known_to_run_or_not(tmp_path: Path) -> None:
    assert not is_running(str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (tmp_path / ".lock").write_text(str(process.pid))
    assert is_running(str(tmp_path))
    process.communicate(b"\n")
    assert not is_running(str(tmp_path))
