"""Values that are drawn for a trial before it asks: the sampler's own, at no way to the driver, whatever happens."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

real: Any = pytest.importorskip("optuna")

import tune_core.compat.optuna as optuna
from tune_core.core import events as ev
from tune_core.journal import reader as journal


def unsteady(trial: Any) -> float:
    """Asks for other things in each trial: in another order, within other ranges, for more and for less."""
    number = trial.number
    kinds = {
        "x": lambda: trial.suggest_float("x", 0, 1 + number % 7 // 6),
        "n": lambda: float(trial.suggest_int("n", 1, 9)),
        "c": lambda: float([None, True, (1, 2), "a"].index(trial.suggest_categorical("c", [None, True, (1, 2), "a"]))),
        "s": lambda: trial.suggest_float("s", 3, 3),
        "l": lambda: trial.suggest_float("l", 1e-3, 1e3, log=True),
    }
    names = list(kinds)
    if number % 5 == 3:
        names.reverse()
    if number % 4 == 2:
        names = names[: number % 3 + 1]
    if number % 6 == 5:
        names.append("more")
        kinds["more"] = lambda: trial.suggest_float("more", 0, 1)
    total = 0.0
    for step, name in enumerate(names):
        total += kinds[name]()
        if number % 3 == 1:
            trial.report(total, step)
        if number % 8 == 7 and step == 2:
            raise ValueError("half-way")
    return total


@pytest.mark.parametrize(
    "sampler",
    [
        lambda: real.samplers.RandomSampler(seed=3),
        lambda: real.samplers.TPESampler(seed=3, n_startup_trials=5),
        lambda: real.samplers.TPESampler(seed=3, n_startup_trials=5, multivariate=True, group=True, constant_liar=True),
    ],
    ids=["random", "TPE", "TPE, joint"],
)
def test_values_drawn_ahead_are_those_that_optuna_draws_whatever_is_asked_for(tmp_path: Path, sampler: Any) -> None:
    found = []
    for module, place in ((real, {}), (optuna, {"storage_path": str(tmp_path)})):
        study = module.create_study(sampler=sampler(), **place)
        study.enqueue_trial({"x": 0.25, "c": "a"})
        study.optimize(unsteady, n_trials=20, n_jobs=1, catch=(ValueError,))
        study.optimize(unsteady, n_trials=6, n_jobs=1, catch=(ValueError,))
        found.append([(t.params, t.state.name, t.intermediate_values) for t in study.trials])
    assert found[0] == found[1]


def questions(folder: Path) -> list[int]:
    """The trials that asked their driver for a value, once for each."""
    (experiment,) = folder.iterdir()
    events = journal.read(str(experiment)).events
    return [e.trial for e in events if type(e) is ev.Reported and e.metrics.get("event") == "ask"]


def test_only_first_trial_asks_where_all_trials_use_the_same_parameters(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        return float(sum(trial.suggest_float(f"x{i}", 0, 1) for i in range(5)))

    optuna.create_study(storage_path=str(tmp_path)).optimize(objective, n_trials=10, n_jobs=1)
    assert questions(tmp_path) == [0] * 5


def test_sampler_whose_draws_cannot_be_undone_is_asked_each_time(tmp_path: Path) -> None:
    class Own(real.samplers.RandomSampler):
        pass

    study = optuna.create_study(storage_path=str(tmp_path), sampler=Own())
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3, n_jobs=1)
    assert questions(tmp_path) == [0, 1, 2]


CUT_OFF = """
import os, signal, sys, time
import tune_core.compat.optuna as optuna

def objective(trial):
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    with open(trial.study.user_attrs["seen"], "a") as file:
        file.write(f"{x!r} {y!r}" + os.linesep)
    if trial.number == 2:
        os.kill(trial.study.user_attrs["pid"], signal.SIGKILL)
        time.sleep(60)
    return x + y

study = optuna.create_study(study_name="s", storage_path=sys.argv[1])
study.set_user_attr("pid", os.getpid())
study.set_user_attr("seen", sys.argv[2])
study.optimize(objective, n_trials=20, n_jobs=1)
"""


def test_they_are_the_same_after_the_driver_was_killed(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        return float(trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1))

    script, seen = tmp_path / "script.py", tmp_path / "seen"
    script.write_text(CUT_OFF)
    command = [sys.executable, str(script), str(tmp_path / "kept"), str(seen)]
    assert subprocess.run(command, timeout=200).returncode == -signal.SIGKILL
    drawn = [tuple(map(float, line.split())) for line in seen.read_text().splitlines()]
    again = optuna.create_study(study_name="s", storage_path=str(tmp_path / "kept"), load_if_exists=True)
    assert [(t.params["x"], t.params["y"]) for t in again.trials] == drawn
    again.optimize(objective, n_trials=2, n_jobs=1)
    assert [t.state.name for t in again.trials] == ["COMPLETE"] * 4
    assert [(t.params["x"], t.params["y"]) for t in again.trials][:3] == drawn


def test_optuna_is_loaded_before_workers_are_forked_since_it_starts_no_thread() -> None:
    from tune_core.executors.local.template import FORKABLE

    assert {"optuna", "tune_optuna"} <= FORKABLE
    script = "import threading, optuna, tune_optuna; print(threading.active_count())"
    found = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=200, check=True)
    assert found.stdout.split() == ["1"]
