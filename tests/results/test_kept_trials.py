"""Trials of a large experiment, read when they are asked for: the same as by reading the whole journal."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
from journals import Moody, random_run

import tune_core as tune
from tune_core.cli.main import main
from tune_core.core import events as ev
from tune_core.fit import experiment_run
from tune_core.journal import kept_index
from tune_core.journal.format import JOURNAL_FILE, LineScanner
from tune_core.journal.trial_index import forget
from tune_core.results import ResultGrid, kept_row, kept_trials
from tune_core.results.experiment_reader import read_experiment
from tune_core.results.kept_trials import TRIALS_FILE, KeptTrials, read_by_need
from tune_core.schedulers.base import Continue, Exploit


@pytest.fixture(autouse=True)
def every_journal_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (kept_index, kept_row, experiment_run):
        monkeypatch.setattr(module, "LEAST_BYTES", 0)


def state_of(trial: Any) -> list[Any]:
    return [repr(getattr(trial, name)) for name in type(trial).__slots__]


def objective(config: dict[str, Any]) -> None:
    if config["x"] < 0.1:
        raise ValueError("too small")
    for step in range(1, 4):
        tune.report({"loss": config["x"] + 0.5 * (step - 2) ** 2, "n": {"step": step}})


def run(folder: Path, samples: int = 12, **more: Any) -> str:
    tune.Tuner(
        objective,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=samples, seed=1, **more),
        run_config=tune.RunConfig(executor="inline", storage_path=str(folder), name="run", verbose=0),
    ).fit()
    return str(folder / "run")


def scanned(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Fills with how many bytes of journals are scanned from now on."""
    read: list[int] = []

    def noting(scan: Any) -> Any:
        def scanning(self: Any, *about: Any) -> Any:
            for part in scan(self, *about):
                read.append(len(part))
                yield part

        return scanning

    for name in ("scan", "scan_known"):
        monkeypatch.setattr(LineScanner, name, noting(getattr(LineScanner, name)))
    return read


def test_each_trial_is_what_the_whole_journal_tells_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run(tmp_path)
    whole = [state_of(trial) for trial in read_experiment(folder).trials]
    read = scanned(monkeypatch)

    known = read_by_need(folder)

    assert isinstance(known.trials, KeptTrials) and len(known.trials) == 12
    assert [state_of(known.trials[i]) for i in range(12)] == whole
    assert known.trials[-1] is known.trials[11] and [t.index for t in known.trials[3:5]] == [3, 4]
    assert not read
    assert [state_of(trial) for trial in known.trials.all()] == whole  # type: ignore[attr-defined]
    assert read


@pytest.mark.parametrize("most", [0, 3, 200])
def test_all_that_is_asked_of_results_is_answered_the_same(
    tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run(tmp_path)
    monkeypatch.setattr(kept_trials, "MOST_ALONE", most)

    def answers() -> list[str]:
        grid = ResultGrid.from_path(folder)
        found = [repr(grid), grid._repr_html_(), repr(grid.num_errors), repr(grid.num_terminated), repr(len(grid))]
        for scope in ("last", "all", "min", "max", "avg", "last-5-avg"):
            for is_filtered in (True, False):
                best = grid.best_value(None, None, scope, is_filtered)
                found += [repr(best[:2]), best[2].trial_id, repr(best[2].config), repr(best[2].metrics)]
        found += [repr(grid.get_best_result("n/step", "max")), repr(grid.rows()), repr(list(map(str, grid.errors)))]
        found += [repr(grid[5].metrics), grid[5].explain(), repr(grid[2:4]), repr(list(grid)), grid.explain("00003")]
        found += [repr([result.reason for result in reversed(grid)])]
        return found

    kept = answers()
    os.unlink(os.path.join(folder, TRIALS_FILE))
    monkeypatch.setattr(kept_trials, "keep", lambda *about: None)
    assert kept == answers()


@pytest.mark.parametrize("command", [["show"], ["best"], ["best", "--scope", "last", "--json"], ["show", "-n", "3"]])
def test_commands_say_the_same_and_read_little(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(tmp_path)
    read = scanned(monkeypatch)
    capsys.readouterr()
    assert main([command[0], folder, *command[1:]]) == 0
    told = capsys.readouterr()
    assert not read
    os.unlink(os.path.join(folder, TRIALS_FILE))

    assert main([command[0], folder, *command[1:]]) == 0

    assert capsys.readouterr() == told and read
    assert os.path.exists(os.path.join(folder, TRIALS_FILE)), "whoever reads all leaves it for the next"
    assert main([command[0], folder, *command[1:]]) == 0
    assert capsys.readouterr() == told


class Apart(Moody):
    """Decides as the other does, and lets no trial become a copy of another."""

    def on_result(self, trial: Any, result: Any) -> Any:
        decision = super().on_result(trial, result)
        return Continue() if isinstance(decision, Exploit) else decision


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("copies", [False, True])
def test_random_runs_are_read_the_same_by_need(tmp_path: Path, seed: int, copies: bool) -> None:
    """With failures, pauses, stops and restores; where a trial may depend on others, all are read."""
    made = random_run(tmp_path, seed, scheduler=None if copies else Apart())
    if made.controller.finished is None:
        made.apply(ev.Interrupted("interrupted", made.tick()))
    while made.controller.running:
        made.end(next(iter(made.controller.running)), "revoked")
    folder = made.save()
    whole = read_experiment(folder)
    read_by_need(folder)
    forget(os.path.join(folder, JOURNAL_FILE))
    known = read_by_need(folder)

    assert isinstance(known.trials, KeptTrials) or copies or not whole.trials
    assert [state_of(known.trials[i]) for i in range(len(whole.trials))] == [state_of(trial) for trial in whole.trials]
    assert (known.finished, known.interrupted, known.counts) == (whole.finished, whole.interrupted, whole.counts)
    assert (known.notes, known.damage, known.total_time_s) == (whole.notes, whole.damage, whole.total_time_s)


def test_a_run_with_copies_is_read_as_a_whole(tmp_path: Path) -> None:
    runs = [random_run(tmp_path / str(seed), seed) for seed in range(12)]
    copied = [made for made in runs if any(trial.is_copy for trial in made.trials)]
    assert copied
    for made in copied:
        read_by_need(made.save())
        assert not os.path.exists(os.path.join(made.folder, TRIALS_FILE))


@pytest.mark.parametrize("how", ["flipped", "cut", "empty", "another's"])
def test_a_damaged_file_is_left_aside(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(tmp_path / "a")
    path = Path(folder, TRIALS_FILE)
    whole = [state_of(trial) for trial in read_experiment(folder).trials]
    data = path.read_bytes()
    other = Path(run(tmp_path / "b", 9), TRIALS_FILE).read_bytes()
    for place in range(0, len(data), 17) if how == "flipped" else (5, len(data) // 2, len(data) - 1):
        flipped = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        path.write_bytes({"flipped": flipped, "cut": data[:place], "empty": b"", "another's": other}[how])
        known = read_by_need(folder)
        assert not isinstance(known.trials, KeptTrials)
        assert [state_of(trial) for trial in known.trials] == whole


def experiment_best(folder: str) -> str:
    best = read_experiment(folder).best_known
    assert best is not None
    return best.trial_id


def test_a_file_that_tells_otherwise_than_the_journal_does_not_count(tmp_path: Path) -> None:
    folder = run(tmp_path)
    experiment = read_experiment(folder)
    whole = [state_of(trial) for trial in experiment.trials]
    experiment.trials[4].best_loss -= 100.0
    stamp = kept_row.stamp_of(folder)
    kept_trials.keep(folder, experiment.header, experiment.controller, stamp, [])

    grid = ResultGrid.from_path(folder)

    best = experiment_best(folder)
    assert best != "00004"
    assert grid.get_best_result(scope="all").trial_id == best
    assert [state_of(grid._trials[i]) for i in range(12)] == whole
    assert f"by trial {best}" in repr(ResultGrid.from_path(folder))


@pytest.mark.parametrize("what", ["grown", "damaged", "cut"])
def test_a_journal_that_has_changed_is_read(tmp_path: Path, what: str, recwarn: pytest.WarningsRecorder) -> None:
    folder = run(tmp_path)
    path = Path(folder, JOURNAL_FILE)
    data = path.read_bytes()
    read_by_need(folder)
    at = len(data) // 2
    if what == "grown":
        path.write_bytes(data + ev.encode(ev.Noted("more")))
    else:
        path.write_bytes(data[:at] if what == "cut" else data[:at] + b"?" + data[at + 1 :])
    known = read_by_need(folder)
    assert "more" in known.notes or known.damage
    assert [state_of(t) for t in known.trials] == [state_of(t) for t in read_experiment(folder).trials]


def test_what_was_found_stays_when_the_folder_is_gone_or_the_run_goes_on(tmp_path: Path) -> None:
    folder = run(tmp_path)
    gone, going_on = ResultGrid.from_path(folder), ResultGrid.from_path(folder)
    whole = [state_of(trial) for trial in read_experiment(folder).trials]
    tune.Tuner.restore(folder, objective, num_samples=15).fit()
    assert state_of(going_on._trials[3]) == whole[3]
    assert [state_of(trial) for trial in going_on._trials.all()] == whole  # type: ignore[attr-defined]
    assert len(ResultGrid.from_path(folder)) == 15
    shutil.rmtree(folder)
    assert state_of(gone._trials[3]) == whole[3]
    assert [repr(trial) for trial in gone._trials] and len(gone._trials.all()) == 12  # type: ignore[attr-defined]


def test_a_restored_run_is_read_by_need_too(tmp_path: Path) -> None:
    folder = run(tmp_path)
    tune.Tuner.restore(folder, objective, num_samples=15, restart_errored=True).fit()
    whole = read_experiment(folder)
    known = read_by_need(folder)
    assert isinstance(known.trials, KeptTrials)
    assert [state_of(known.trials[i]) for i in range(15)] == [state_of(trial) for trial in whole.trials]


def test_grids_are_pickled_with_their_trials(tmp_path: Path) -> None:
    grid = ResultGrid.from_path(run(tmp_path))
    again = pickle.loads(pickle.dumps(grid._trials))
    assert [state_of(trial) for trial in again] == [state_of(trial) for trial in grid._trials.all()]  # type: ignore[attr-defined]


def test_trials_with_folders_of_their_own_are_not_kept(tmp_path: Path) -> None:
    folder = run(tmp_path, trial_dirname_creator=lambda trial: f"mine{trial.trial_id}")
    assert not os.path.exists(os.path.join(folder, TRIALS_FILE))
    assert ResultGrid.from_path(folder).explain("mine00003")


def test_a_run_that_a_failure_ended_is_not_kept(tmp_path: Path) -> None:
    def failing(config: dict[str, Any]) -> None:
        raise RuntimeError("no")

    tune.Tuner(
        failing,
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=3),
        run_config=tune.RunConfig(
            executor="inline",
            storage_path=str(tmp_path),
            name="run",
            verbose=0,
            failure_config=tune.FailureConfig(fail_fast=True),
        ),
    ).fit()
    assert not os.path.exists(tmp_path / "run" / TRIALS_FILE)
