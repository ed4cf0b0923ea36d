"""Reading an experiment back gives what the controller knew, from the journal alone."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from journals import Run, known, known_of, random_run

import tune_core as tune
from tune_core.core import events as ev
from tune_core.core.trial import ERROR, PAUSED, PENDING, TERMINATED
from tune_core.engine.rules import Rules
from tune_core.errors import JournalDamageWarning, JournalError
from tune_core.journal.histories import history
from tune_core.journal.lock import is_running
from tune_core.journal.reader import Reader
from tune_core.results.experiment_reader import TailReader, decisions, read_experiment
from tune_core.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    PopulationBasedTraining,
    SuccessiveHalvingScheduler,
)
from tune_core.schedulers.base import Pause, Scheduler
from tune_core.space.serialization import readable


@pytest.mark.parametrize("seed", range(150))
def test_reading_back_gives_the_state_of_the_controller(tmp_path: Path, seed: int) -> None:
    run = random_run(tmp_path, seed)

    experiment = read_experiment(run.save())

    assert known(experiment.controller) == known(run.controller)


def train(config: dict[str, Any]) -> None:
    start = tune.get_checkpoint()
    done = 0 if start is None else int((Path(start.path) / "step").read_text())
    for step in range(done + 1, 10):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step").write_text(str(step))
            tune.report({"loss": config["x"] + 1 / step}, checkpoint=tune.Checkpoint.from_directory(folder))


SCHEDULERS: dict[str, Callable[[], Scheduler]] = {
    "fifo": FIFOScheduler,
    "asha": lambda: ASHAScheduler(max_t=9, reduction_factor=2),
    "asha-promotion": lambda: ASHAScheduler(max_t=9, reduction_factor=2, rule="promotion"),
    "hyperband": lambda: HyperBandScheduler(max_t=9),
    "sha": lambda: SuccessiveHalvingScheduler(max_t=9, num_trials=4),
    "pbt": lambda: population(synch=False),
    "pbt-synchronous": lambda: population(synch=True),
}


def population(synch: bool) -> Scheduler:
    return PopulationBasedTraining(
        "training_iteration",
        perturbation_interval=2,
        hyperparam_mutations={"x": tune.uniform(0, 1)},
        quantile_fraction=0.5,
        synch=synch,
    )


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_reading_back_gives_what_a_real_run_ended_with(tmp_path: Path, name: str) -> None:
    results = tune.Tuner(
        train,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=6, scheduler=SCHEDULERS[name](), seed=3),
        run_config=tune.RunConfig(
            name=name, storage_path=str(tmp_path), verbose=0, checkpoint_config=tune.CheckpointConfig(num_to_keep=1)
        ),
    ).fit()

    read = read_experiment(results.experiment_path)

    assert read.finished == "all trials have ended"
    assert name == "fifo" or any(decisions(read.folder, trial.index) for trial in read.trials)
    assert [known_of(trial) for trial in read.trials] == [known_of(trial) for trial in results._trials]


@pytest.mark.parametrize("name", ["asha", "pbt"])
def test_decision_that_a_killed_driver_could_not_write_is_written_by_the_next(tmp_path: Path, name: str) -> None:
    def config(scheduler: Scheduler) -> tune.TuneConfig:
        return tune.TuneConfig(metric="loss", mode="min", num_samples=4, scheduler=scheduler, seed=3)

    space = {"x": tune.uniform(0, 1)}
    run_config = tune.RunConfig(name=name, storage_path=str(tmp_path), verbose=0)
    tune.Tuner(train, param_space=space, tune_config=config(SCHEDULERS[name]()), run_config=run_config).fit()
    journal = tmp_path / name / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    cut = max(at for at, line in enumerate(lines) if line.startswith(b'{"e":"decide"'))
    journal.write_bytes(b"".join(lines[:cut]))

    results = tune.Tuner.restore(
        tmp_path / name, train, param_space=space, tune_config=config(SCHEDULERS[name]()), run_config=run_config
    ).fit()

    after = journal.read_bytes().splitlines(keepends=True)
    assert after[cut] == lines[cut]
    assert b'"e":"restore"' in after[cut + 1]
    assert [known_of(t) for t in read_experiment(str(tmp_path / name)).trials] == list(map(known_of, results._trials))


def test_reading_runs_no_scheduler_and_no_searcher(tmp_path: Path) -> None:
    run = random_run(tmp_path, 1)
    code = (
        "import sys; from tune_core.results.experiment_reader import read_experiment as read; "
        "read(sys.argv[1]); print(*sys.modules)"
    )

    printed = subprocess.run([sys.executable, "-c", code, run.save()], check=True, capture_output=True, text=True)

    loaded = {name for name in printed.stdout.split() if name.startswith(("tune_core.schedulers.", "tune_core.search"))}
    assert loaded <= {"tune_core.schedulers.base", "tune_core.schedulers.ray_methods"}


def test_run_that_ends_since_its_scheduler_cannot_pause_reads_back_so(tmp_path: Path) -> None:
    class Pauses(Scheduler):
        def on_result(self, trial: object, result: object) -> Pause:
            return Pause("half")

    run = Run(tmp_path, scheduler=Pauses())
    run.launch(run.suggest(x=1))
    run.launch(run.suggest(x=2))
    run.suggest(x=3)
    run.report(0, waiting=ev.WAITS_FOR_SCHEDULER, loss=1.0)

    read = read_experiment(run.save())
    assert known(read.controller) == known(run.controller)
    assert read.trials[2].status is PENDING
    assert "saved no checkpoint" in decisions(run.folder, 0)[0].why


def test_failures_before_a_restore_are_judged_by_the_rules_of_then(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for x in range(2):
        run.launch(run.suggest(x=x))
    run.end(0, "errored", error="ValueError: once")
    run.apply(ev.Restored(run.tick(), settings=Rules("loss", "min", max_failures=1).settings()))
    run.launch(1)
    run.end(1, "errored", error="ValueError: once")

    statuses = [trial.status for trial in read_experiment(run.save()).trials]
    assert statuses == [trial.status for trial in run.trials] == [ERROR, PENDING]


def test_event_that_does_not_follow_is_a_clear_error(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.lines.append(ev.encode(ev.Launched(5, "worker", run.tick())))

    with pytest.raises(JournalError, match="does not follow from those before it"):
        read_experiment(run.save())


@pytest.mark.parametrize("seed", range(5))
def test_following_a_growing_journal_gives_the_same_as_reading_it_at_once(tmp_path: Path, seed: int) -> None:
    run = random_run(tmp_path, seed)
    data = b"".join(run.lines)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(data[: len(run.lines[0])])
    follower = TailReader(str(tmp_path))

    for end in range(len(run.lines[0]), len(data) + 1, 997):  # mostly in the middle of a line
        path.write_bytes(data[:end])
        follower.refresh()
    path.write_bytes(data)
    followed = follower.refresh()

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

    assert decisions(run.save(), trial) == [("pause", "below the median", 1, at)]
    assert read_experiment(run.folder).trials[0].status is PAUSED


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


def test_damaged_line_costs_only_what_it_held_and_is_reported(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for i in range(3):
        run.trial([float(i)], x=i)
    path = Path(run.save()) / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"loss":1.0', b'"loss":9.0'))

    with pytest.warns(JournalDamageWarning, match="is damaged: 111 bytes at byte"):
        experiment = read_experiment(run.folder)
    assert [trial.status for trial in experiment.trials] == [TERMINATED] * 3
    assert [trial.best_loss for trial in experiment.trials] == [0.0, math.inf, 2.0]


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
    code = "import sys; from tune_core.journal.lock import Lock; Lock(sys.argv[1]); print(flush=True); input()"
    code = code.replace("Lock(sys", "lock = Lock(sys")
    command = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline()
    assert is_running(str(tmp_path))
    process.communicate(b"\n")
    assert not is_running(str(tmp_path))


def test_process_number_in_the_lock_file_alone_means_nothing(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text(str(os.getpid()))
    assert not is_running(str(tmp_path))


def test_whoever_reads_more_of_a_journal_is_shown_its_reports(tmp_path: Path) -> None:
    """Charts, the live page and trackers are such readers."""
    run = Run(tmp_path)
    run.trial([0.5, 0.25], x=1)
    run.save()

    class Reports(TailReader):
        seen = 0

        def _take(self, event: Any) -> None:
            super()._take(event)
            self.seen += type(event) is ev.Reported

    reader = Reports(str(tmp_path))
    assert reader.refresh().reports == reader.seen == 2
