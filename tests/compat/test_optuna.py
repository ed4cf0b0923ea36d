"""Scripts written for Optuna, changed in the line that imports it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")

import tune_core.compat.optuna as optuna


def test_first_example_of_optunas_documentation(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", -10, 10)
        return (x - 2) ** 2

    study = optuna.create_study(storage_path=str(tmp_path))
    study.optimize(objective, n_trials=40)

    assert len(study.trials) == 40
    assert abs(study.best_params["x"] - 2) < 2
    assert study.best_value == (study.best_params["x"] - 2) ** 2


def test_conditional_objective_learns_only_from_what_each_trial_used(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        name = trial.suggest_categorical("classifier", ["SVC", "Forest"])
        if name == "SVC":
            return 1.0 + float(trial.suggest_float("svc_c", 1e-10, 1e10, log=True) > 1)
        return float(trial.suggest_int("depth", 2, 32, log=True))

    study = optuna.create_study(storage_path=str(tmp_path), sampler=optuna.samplers.TPESampler(seed=1))
    study.optimize(objective, n_trials=20, n_jobs=1)

    for trial in study.trials:
        used = {"SVC": {"classifier", "svc_c"}, "Forest": {"classifier", "depth"}}[trial.params["classifier"]]
        assert set(trial.params) == used


def test_pruner_ends_trials(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        for step in range(5):
            trial.report(x + 1 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned()
        return float(x)

    study = optuna.create_study(
        storage_path=str(tmp_path),
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )
    study.optimize(objective, n_trials=20, n_jobs=1)

    states = [t.state.name for t in study.trials]
    assert states.count("PRUNED") > 3
    assert states.count("COMPLETE") + states.count("PRUNED") == 20
    pruned = next(t for t in study.trials if t.state.name == "PRUNED")
    assert pruned.intermediate_values
    assert set(pruned.params) == {"x"}


def test_caught_exceptions_are_failures_and_others_end_the_study(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        if trial.number % 2:
            raise ValueError("no")
        return float(x)

    study = optuna.create_study(storage_path=str(tmp_path))
    study.optimize(objective, n_trials=6, catch=ValueError)
    assert [t.state.name for t in study.trials].count("FAIL") == 3

    with pytest.raises(Exception, match="no"):
        optuna.create_study(storage_path=str(tmp_path)).optimize(objective, n_trials=6)


def test_several_objectives_enqueued_trials_attributes_and_callbacks(tmp_path: Path) -> None:
    seen = []

    def objective(trial: Any) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 1)
        trial.set_user_attr("double", 2 * x)
        return x, 1 - x

    study = optuna.create_study(storage_path=str(tmp_path), directions=["minimize", "maximize"])
    study.enqueue_trial({"x": 0.25})
    study.optimize(objective, n_trials=5, callbacks=[lambda study, trial: seen.append(trial.number)])

    assert study.trials[0].params == {"x": 0.25}
    assert study.trials[0].user_attrs == {"double": 0.5}
    assert len(study.best_trials) == 1
    assert sorted(seen) == [0, 1, 2, 3, 4]


def test_study_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        return float(trial.suggest_float("x", -10, 10) ** 2)

    first = optuna.create_study(study_name="mine", storage_path=str(tmp_path))
    first.optimize(objective, n_trials=5)
    values = sorted(t.value for t in first.trials)
    first.optimize(objective, n_trials=3)
    assert len(first.trials) == 8
    assert set(values) <= {t.value for t in first.trials}

    again = optuna.create_study(study_name="mine", storage_path=str(tmp_path), load_if_exists=True)
    again.optimize(objective, n_trials=10)
    assert len(again.trials) == 10
    assert set(values) <= {t.value for t in again.trials}


def test_callback_may_stop_the_study(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        return float(trial.suggest_float("x", -10, 10) ** 2)

    study = optuna.create_study(storage_path=str(tmp_path))
    study.optimize(objective, n_trials=100, callbacks=[lambda study, trial: study.stop()])
    assert len(study.trials) < 20
