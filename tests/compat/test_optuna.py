"""Scripts written for Optuna, changed in the line that imports it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")

import tune_core as tune
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
    assert [(t.number, t.params, t.value, t.state) for t in again.trials] == [
        (t.number, t.params, t.value, t.state) for t in first.trials
    ]
    assert again.best_trial.number == first.best_trial.number
    again.optimize(objective, n_trials=2)
    assert len(again.trials) == 10
    assert set(values) <= {t.value for t in again.trials}
    again.optimize(objective, n_trials=1)
    assert [t.number for t in again.trials] == list(range(11))


def test_callback_may_stop_the_study(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        return float(trial.suggest_float("x", -10, 10) ** 2)

    study = optuna.create_study(storage_path=str(tmp_path))
    study.optimize(objective, n_trials=100, callbacks=[lambda study, trial: study.stop()])
    assert len(study.trials) < 20


def test_study_is_a_study_of_optunas(tmp_path: Path) -> None:
    import optuna as real

    study = optuna.create_study(storage_path=str(tmp_path))
    assert isinstance(study, real.Study)
    assert isinstance(study, optuna.Study)
    assert isinstance(study, optuna.study.Study)
    assert optuna.study.StudyDirection is real.study.StudyDirection
    assert optuna.study.create_study is optuna.create_study


def test_exception_of_the_objective_is_raised_as_it_was(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        raise ZeroDivisionError("by nothing")

    study = optuna.create_study(storage_path=str(tmp_path))
    with pytest.raises(ZeroDivisionError, match=r"^by nothing$") as caught:
        study.optimize(objective, n_trials=3, n_jobs=1)
    assert "objective" in str(caught.value.__cause__)
    assert [t.state.name for t in study.trials] == ["FAIL"]


def test_objective_that_returns_no_number_fails_its_trial(tmp_path: Path) -> None:
    def objective(trial: Any) -> Any:
        return [None, float("nan"), "word", (1.0, 2.0), 3.0][trial.number]

    study = optuna.create_study(storage_path=str(tmp_path))
    study.optimize(objective, n_trials=5, n_jobs=1)
    assert [t.state.name for t in study.trials] == ["FAIL"] * 4 + ["COMPLETE"]


def test_objective_may_stop_its_study_and_set_attributes_on_it(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        trial.study.set_user_attr("seen", trial.number)
        if trial.number == 3:
            trial.study.stop()
        return float(trial.suggest_float("x", 0, 1))

    study = optuna.create_study(storage_path=str(tmp_path))
    study.optimize(objective, n_trials=50, n_jobs=1)
    assert len(study.trials) == 4
    assert study.user_attrs == {"seen": 3}
    with pytest.raises(RuntimeError, match=r"callback"):
        study.stop()


def test_other_trials_cannot_be_read_in_a_worker_without_a_shared_storage(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        return float(trial.study.best_value)

    with pytest.raises(RuntimeError, match="sqlite"):
        optuna.create_study(storage_path=str(tmp_path)).optimize(objective, n_trials=1)


def test_trials_asked_told_and_added_by_hand_stand_beside_those_of_optimize(tmp_path: Path) -> None:
    study = optuna.create_study(storage_path=str(tmp_path))
    trial = study.ask()
    study.tell(trial, trial.suggest_float("x", 0, 1))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    assert [t.number for t in study.trials] == list(range(7))
    assert [t.state.name for t in study.trials].count("COMPLETE") == 6


def test_callbacks_are_called_once_for_each_trial_although_the_study_goes_on(tmp_path: Path) -> None:
    seen: list[int] = []
    study = optuna.create_study(storage_path=str(tmp_path), study_name="twice")
    for _ in range(2):
        study.optimize(
            lambda trial: trial.suggest_float("x", 0, 1),
            n_trials=3,
            callbacks=[lambda study, trial: seen.append(trial.number)],
        )
    again = optuna.create_study(storage_path=str(tmp_path), study_name="twice", load_if_exists=True)
    again.optimize(
        lambda trial: trial.suggest_float("x", 0, 1),
        n_trials=2,
        callbacks=[lambda study, trial: seen.append(trial.number)],
    )
    assert sorted(seen) == list(range(8))
    assert [t.value for t in again.trials][:6] == [t.value for t in study.trials]


def test_intermediate_values_come_back_when_a_study_goes_on(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        for step in range(3):
            trial.report(trial.number + step, step)
            trial.report(99.0, step)  # ignored, with Optuna's warning
        return float(trial.number)

    first = optuna.create_study(storage_path=str(tmp_path), study_name="s", pruner=optuna.pruners.NopPruner())
    first.optimize(objective, n_trials=2, n_jobs=1)
    again = optuna.create_study(
        storage_path=str(tmp_path), study_name="s", load_if_exists=True, pruner=optuna.pruners.NopPruner()
    )
    assert [t.intermediate_values for t in again.trials] == [t.intermediate_values for t in first.trials]
    again.optimize(objective, n_trials=1, n_jobs=1)
    expected = [{step: float(number + step) for step in range(3)} for number in range(3)]
    assert [t.intermediate_values for t in again.trials] == expected


def test_study_is_not_copied_for_each_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials copied while n and 2n trials run: twice as many, and no more than a few for each trial."""
    from optuna.storages import InMemoryStorage

    copied = 0
    whole, single = InMemoryStorage.get_all_trials, InMemoryStorage.get_trial

    def all_trials(self: Any, study_id: int, deepcopy: bool = True, states: Any = None) -> Any:
        nonlocal copied
        trials = whole(self, study_id, deepcopy, states)
        copied += len(trials) * deepcopy
        return trials

    def one_trial(self: Any, trial_id: int) -> Any:
        nonlocal copied
        copied += 1
        return single(self, trial_id)

    monkeypatch.setattr(InMemoryStorage, "get_all_trials", all_trials)
    monkeypatch.setattr(InMemoryStorage, "get_trial", one_trial)

    def objective(trial: Any) -> float:
        for step in range(4):
            trial.report(trial.number, step)
            trial.should_prune()
        return float(trial.suggest_float("x", 0, 1))

    counts = []
    for number in (20, 40):
        copied = 0
        study = optuna.create_study(
            storage_path=str(tmp_path),
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=optuna.pruners.MedianPruner(),
        )
        study.optimize(objective, n_trials=number, n_jobs=2)
        counts.append(copied)
    assert counts[1] <= 2.2 * counts[0]
    assert counts[1] <= 12 * 40


class PrunesAll(optuna.pruners.BasePruner):  # type: ignore[misc, name-defined]
    def prune(self, study: Any, trial: Any) -> bool:
        return True


def test_objective_that_asks_for_no_pruning_is_not_pruned(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        for step in range(3):
            trial.report(x, step)
        assert trial.should_prune()
        return float(x)

    study = optuna.create_study(storage_path=str(tmp_path), pruner=PrunesAll())
    study.optimize(objective, n_trials=3)

    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 3
    assert all(list(t.intermediate_values) == [0, 1, 2] for t in study.trials)
    assert study.best_value == min(t.params["x"] for t in study.trials)


def test_what_is_set_after_the_pruners_decision_is_kept(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.report(x, 5)
        if trial.should_prune():
            trial.set_user_attr("after", trial.number)
            trial.suggest_int("late", 0, 3)
            raise optuna.TrialPruned()
        return float(x)

    study = optuna.create_study(storage_path=str(tmp_path), pruner=PrunesAll())
    study.optimize(objective, n_trials=3)

    assert [t.state.name for t in study.trials] == ["PRUNED"] * 3
    assert [t.user_attrs["after"] for t in study.trials] == [0, 1, 2]
    assert all(t.params.keys() == {"x", "late"} for t in study.trials)
    assert all(t.value == t.intermediate_values[5] == t.params["x"] for t in study.trials)


def conditional(trial: Any) -> float:
    kind = trial.suggest_categorical("kind", [(1, 2), (3, 4)])
    x = trial.suggest_float("x", -10, 10)
    n = trial.suggest_int("n", 1, 8, log=True) if x > 0 else 0
    return float((x - 2) ** 2 + kind[0] + n)


@pytest.mark.parametrize("sampler", ["RandomSampler", "TPESampler", "QMCSampler", "NSGAIISampler"])
def test_seeded_sampler_draws_with_one_job_what_it_draws_in_optuna(tmp_path: Path, sampler: str) -> None:
    import optuna as real

    def params(module: Any, **place: Any) -> list[Any]:
        study = module.create_study(sampler=getattr(module.samplers, sampler)(seed=1), **place)
        study.optimize(conditional, n_trials=14, n_jobs=1)
        return [(t.params, t.value) for t in study.trials]

    assert params(optuna, storage_path=str(tmp_path)) == params(real)


def pruned(trial: Any) -> float:
    x, y = trial.suggest_float("x", -10, 10), trial.suggest_float("y", 1e-3, 1, log=True)
    loss = float((x - 2) ** 2 + y)
    for step in range(4):
        trial.report(loss - step, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return loss


def two_values(trial: Any) -> tuple[float, float]:
    x = trial.suggest_float("x", -10, 10)
    return x**2, (x - 2) ** 2


@pytest.mark.parametrize(
    ("objective", "pruner"), [(pruned, "MedianPruner"), (pruned, "HyperbandPruner"), (two_values, "NopPruner")]
)
def test_with_one_job_a_study_is_what_it_is_in_optuna(tmp_path: Path, objective: Any, pruner: str) -> None:
    import optuna as real

    def trials(module: Any, **place: Any) -> list[Any]:
        study = module.create_study(
            study_name="same",  # Hyperband's brackets hang on it
            directions=["minimize"] * (1 + (objective is two_values)),
            sampler=module.samplers.TPESampler(seed=3, multivariate=True),
            pruner=getattr(module.pruners, pruner)(),
            **place,
        )
        study.enqueue_trial({"x": 1.0})
        study.optimize(objective, n_trials=14, n_jobs=1)
        return [(t.number, t.state, t.params, t.values, t.intermediate_values) for t in study.trials]

    assert trials(optuna, storage_path=str(tmp_path)) == trials(real)


def test_grid_is_run_once_with_one_job(tmp_path: Path) -> None:
    study = optuna.create_study(
        storage_path=str(tmp_path), sampler=optuna.samplers.GridSampler({"a": [1, 2, 3], "b": [4, 5]}, seed=0)
    )
    study.optimize(lambda trial: trial.suggest_int("a", 1, 3) + trial.suggest_int("b", 4, 5), n_jobs=1)
    assert sorted(t.value for t in study.trials) == [5, 6, 6, 7, 7, 8]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_categories_stay_what_they_are(tmp_path: Path, n_jobs: int) -> None:
    choices = [(1, 2), (3, ("a", None)), True, 1.5, 7, "7", None]

    def objective(trial: Any) -> float:
        value = trial.suggest_categorical("c", choices)
        trial.set_user_attr("seen", repr(value))
        return float(choices.index(value))

    study = optuna.create_study(storage_path=str(tmp_path), study_name="s")
    study.enqueue_trial({"c": (1, 2)})
    study.optimize(objective, n_trials=12, n_jobs=n_jobs)
    study.optimize(objective, n_trials=4, n_jobs=n_jobs)
    again = optuna.create_study(storage_path=str(tmp_path), study_name="s", load_if_exists=True)
    for trials in (study.trials, again.trials):
        assert len(trials) == 16
        assert [t.state.name for t in trials] == ["COMPLETE"] * 16
        assert [repr(t.params["c"]) for t in trials] == [t.user_attrs["seen"] for t in trials]
    assert study.trials[0].params == {"c": (1, 2)}


def test_attributes_and_parameters_of_a_failed_trial_are_kept(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        trial.set_user_attr("x", trial.suggest_float("x", 0, 1))
        raise ZeroDivisionError("by nothing")

    study = optuna.create_study(storage_path=str(tmp_path))
    with pytest.raises(ZeroDivisionError):
        study.optimize(objective, n_trials=1, n_jobs=1)
    assert study.trials[0].user_attrs["x"] == study.trials[0].params["x"]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    optuna.logging.enable_propagation()
    caplog.set_level("INFO", "optuna")
    yield lambda: [record.getMessage() for record in caplog.records]
    optuna.logging.disable_propagation()


def test_each_trial_is_logged_as_in_optuna(tmp_path: Path, lines: Any) -> None:
    import optuna as real

    def objective(trial: Any) -> Any:
        x = trial.suggest_int("x", 0, 9)
        if trial.number == 1:
            raise optuna.TrialPruned("too bad")
        if trial.number == 2:
            raise ValueError("no")
        return [x, None, None, None, float("nan"), (1.0, 2.0)][trial.number]

    said = []
    for module, place in ((real, {}), (optuna, {"storage_path": str(tmp_path)})):
        before = len(lines())
        study = module.create_study(sampler=module.samplers.RandomSampler(seed=0), **place)
        study.optimize(objective, n_trials=6, n_jobs=1, catch=(ValueError,))
        new = [line for line in lines()[before:] if line.startswith("Trial ") and "failed with value" not in line]
        said.append(new)
    theirs, ours = said
    assert len(theirs) == len(ours) == 6
    assert ours[:2] == theirs[:2]
    for their, our in zip(theirs[2:], ours[2:], strict=True):
        assert our.startswith(their.rstrip(".")), (our, their)
    assert "It returned None" in ours[3]


def test_error_of_a_sampler_or_a_callback_is_raised_as_it_is(tmp_path: Path) -> None:
    class Broken(optuna.samplers.RandomSampler):  # type: ignore[misc, name-defined]
        def sample_independent(self, *given: Any) -> Any:
            raise ImportError("install it")

    study = optuna.create_study(storage_path=str(tmp_path), sampler=Broken())
    with pytest.raises(ImportError, match=r"^install it$"):
        study.optimize(conditional, n_trials=2, n_jobs=1)

    def callback(study: Any, trial: Any) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        optuna.create_study(storage_path=str(tmp_path)).optimize(
            conditional, n_trials=2, n_jobs=1, callbacks=[callback]
        )


CUT_OFF = """
import os, signal, sys, time
import tune_core.compat.optuna as optuna

def objective(trial):
    x = trial.suggest_float("x", 0, 1)
    y = trial.suggest_float("y", 0, 1)
    if trial.number == 2:
        os.kill(trial.study.user_attrs["pid"], signal.SIGKILL)
        time.sleep(60)
    return x + y

study = optuna.create_study(study_name="s", storage_path=sys.argv[1])
study.set_user_attr("pid", os.getpid())
study.optimize(objective, n_trials=20, n_jobs=1)
"""


def test_cut_off_trials_go_on_as_the_first_of_those_asked_for(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(CUT_OFF)
    assert subprocess.run([sys.executable, str(script), str(tmp_path)], timeout=200).returncode == -signal.SIGKILL

    again = optuna.create_study(study_name="s", storage_path=str(tmp_path), load_if_exists=True)
    assert [t.state.name for t in again.trials] == ["COMPLETE", "COMPLETE", "RUNNING"]
    before = [t.params for t in again.trials]
    again.optimize(lambda trial: trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1), n_trials=2, n_jobs=1)
    assert [t.state.name for t in again.trials] == ["COMPLETE"] * 4
    assert [t.params for t in again.trials][:2] == before[:2]
    assert again.trials[2].params["x"] == before[2]["x"]


def test_study_goes_on_with_another_objective(tmp_path: Path) -> None:
    def other(trial: Any) -> float:
        return -float(trial.suggest_float("y", 0, 1))

    study = optuna.create_study(storage_path=str(tmp_path))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    study.optimize(other, n_trials=2)
    assert [set(t.params) for t in study.trials] == [{"x"}, {"x"}, {"y"}, {"y"}]
    assert study.best_value == min(-t.params["y"] for t in study.trials[2:])


def test_experiment_of_an_earlier_release_can_be_loaded(tmp_path: Path) -> None:
    """Its results do not say what they are, and a trial that the pruner ended has no outcome."""
    text = optuna.distributions.distribution_to_json(optuna.distributions.FloatDistribution(0, 9))

    def objective(config: Any) -> None:
        x = float(config["number"])
        used = {"params": {"x": x}, "distributions": {"x": text}}
        tune.report({"value": x + 1, "step": 0, **used})
        if x < 2:
            tune.report({"value": x, "values": [x], "state": "COMPLETE" if x else "FAIL", **used})

    tune.Tuner(
        objective,
        param_space={"number": tune.grid_search([0, 1, 2])},
        run_config=tune.RunConfig(name="s", storage_path=str(tmp_path), verbose=0),
    ).fit()
    study = optuna.create_study(storage_path=str(tmp_path), study_name="s", load_if_exists=True)
    found = [(t.state.name, t.params, t.value, t.intermediate_values) for t in study.trials]
    assert found == [
        ("FAIL", {"x": 0.0}, None, {0: 1.0}),
        ("COMPLETE", {"x": 1.0}, 1.0, {0: 2.0}),
        ("PRUNED", {"x": 2.0}, 3.0, {0: 3.0}),
    ]


def test_range_may_change_from_trial_to_trial(tmp_path: Path) -> None:
    def objective(trial: Any) -> float:
        return float(trial.suggest_int("x", 100 * trial.number, 100 * trial.number + 9))

    study = optuna.create_study(storage_path=str(tmp_path))
    study.optimize(objective, n_trials=30, n_jobs=2)
    assert all(0 <= t.value - 100 * t.number <= 9 and t.params == {"x": t.value} for t in study.trials)


def test_infinite_values_are_values(tmp_path: Path) -> None:
    study = optuna.create_study(storage_path=str(tmp_path))
    study.optimize(lambda trial: float("inf") if trial.number else float("-inf"), n_trials=2, n_jobs=1)
    assert [(t.state.name, t.value) for t in study.trials] == [("COMPLETE", float("-inf")), ("COMPLETE", float("inf"))]


@pytest.mark.parametrize("nothing", [{"n_trials": 0}, {"timeout": 0}, {"n_trials": 2, "timeout": -1.5}])
def test_where_nothing_is_left_to_do_nothing_is_done(nothing: Any, tmp_path: Path) -> None:
    study = optuna.create_study(storage_path=str(tmp_path))
    study.optimize(lambda trial: 1.0, **nothing)
    assert study.trials == []


def test_no_trial_begins_after_a_callback_has_raised(tmp_path: Path) -> None:
    def callback(study: Any, trial: Any) -> None:
        raise ZeroDivisionError("mine")

    study = optuna.create_study(storage_path=str(tmp_path))
    with pytest.raises(ZeroDivisionError, match="mine"):
        study.optimize(lambda trial: 1.0, n_trials=5, n_jobs=1, callbacks=[callback])
    assert [t.state.name for t in study.trials] == ["COMPLETE"]


def test_a_copied_study_has_what_there_was_and_what_it_runs_itself(tmp_path: Path) -> None:
    import copy

    study = optuna.create_study(storage_path=str(tmp_path))
    study.optimize(lambda trial: 1.0, n_trials=2)
    first, second = copy.deepcopy(study), copy.deepcopy(study)
    for number, one in enumerate((first, second, study)):
        one.optimize(lambda trial: 2.0, n_trials=number + 1)
    assert [len(one.trials) for one in (first, second, study)] == [3, 4, 5]
