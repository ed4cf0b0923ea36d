"""What OptunaSearch can do beyond the contract of searchers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

optuna = pytest.importorskip("optuna")

import tune_core as tune
from tune_core.errors import InvalidArgumentError, MetricError
from tune_core.search.optuna import OptunaSearch
from tune_core.testing.searchers import SearcherDriver


def run(search: OptunaSearch, space: Any = None, seed: int = 0) -> SearcherDriver:
    return SearcherDriver(search, {} if space is None else space, seed)


def test_suggests_what_optuna_itself_would() -> None:
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=5))
    drive = run(OptunaSearch(seed=5), {"x": tune.uniform(-1, 1), "n": tune.randint(0, 9), "c": tune.choice(["a", "b"])})
    for i in range(30):
        trial = study.ask()
        x, n = trial.suggest_float("x", -1, 1), trial.suggest_int("n", 0, 8)
        c = trial.suggest_categorical("c", [0, 1])
        config = drive.ask()
        assert config == {"x": x, "n": n, "c": "ab"[c]}
        loss = x * x + n + c
        study.tell(trial, loss)
        drive.tell(f"{i:05d}", loss=loss)


def test_dict_of_distributions_is_a_space() -> None:
    space = {
        "x": optuna.distributions.FloatDistribution(0.1, 1, log=True),
        "n": optuna.distributions.IntDistribution(2, 8, step=2),
        "c": optuna.distributions.CategoricalDistribution(["a", None]),
    }
    drive = run(OptunaSearch(space, points_to_evaluate=[{"x": 0.5, "n": 4, "c": None}]))
    assert drive.ask() == {"x": 0.5, "n": 4, "c": None}
    drive.tell("00000", loss=1.0)
    config = drive.ask()
    assert 0.1 <= config["x"] <= 1
    assert config["n"] in (2, 4, 6, 8)


def test_define_by_run_function_with_branches_and_constants() -> None:
    def space(trial: Any) -> dict[str, Any]:
        if trial.suggest_categorical("model", ["svm", "tree"]) == "svm":
            trial.suggest_float("C", 1e-3, 1e3, log=True)
        else:
            trial.suggest_int("depth", 1, 9)
        return {"batch": 32}

    searcher = OptunaSearch(space, points_to_evaluate=[{"model": "tree", "depth": 3}])
    drive = run(searcher)
    assert drive.ask() == {"model": "tree", "depth": 3, "batch": 32}
    drive.tell("00000", loss=0.5)
    searcher.add_evaluated_point({"model": "svm", "C": 2.0}, 0.25)
    assert searcher._study.best_params == {"model": "svm", "C": 2.0}
    for i in range(1, 12):
        config = drive.ask()
        assert set(config) - {"model", "batch"} == {{"svm": "C", "tree": "depth"}[config["model"]]}
        drive.tell(f"{i:05d}", loss=1.0)


def test_several_objectives_reach_optuna_in_their_directions() -> None:
    searcher = OptunaSearch(metric=["loss", "speed"], mode=["min", "max"])
    searcher.set_search_properties(None, None, {"x": tune.uniform(0, 1)}, seed=1)
    for i in range(12):
        config = searcher.suggest(f"{i}")
        assert isinstance(config, dict)
        searcher.on_trial_complete(f"{i}", {"loss": config["x"], "speed": config["x"] * 2})
    searcher.suggest("nan")
    searcher.on_trial_complete("nan", {"loss": 1.0, "speed": float("nan")})
    searcher.add_evaluated_point({"x": 0.5}, [0.5, 1.0])  # type: ignore[arg-type]

    states = [trial.state.name for trial in searcher._study.trials]
    assert states.count("COMPLETE") == 13
    assert states.count("FAIL") == 1
    assert searcher._study.trials[0].values == [
        searcher._study.trials[0].params["x"],
        2 * searcher._study.trials[0].params["x"],
    ]


@pytest.mark.parametrize(("metric", "mode"), [(["a", "b"], ["min"]), (["a"], ["least"]), ([], []), ([1], ["min"])])
def test_metrics_and_modes_that_do_not_fit_are_refused(metric: Any, mode: Any) -> None:
    with pytest.raises((MetricError, InvalidArgumentError), match="mode"):
        OptunaSearch(metric=metric, mode=mode)


def test_pruned_trials_are_pruned_in_optuna_and_failed_ones_failed() -> None:
    searcher = OptunaSearch()
    drive = run(searcher, {"x": tune.uniform(0, 1)})
    for _ in range(3):
        drive.ask()
    searcher.on_trial_pruned("00000", SearcherDriver.result("00000", 0.7))
    searcher.on_trial_complete("00001", None, True)
    searcher.on_trial_complete("00002", SearcherDriver.result("00002", 0.2))

    pruned, failed, complete = searcher._study.trials
    assert (pruned.state.name, pruned.intermediate_values) == ("PRUNED", {3: 0.7})
    assert failed.state.name == "FAIL"
    assert (complete.state.name, complete.value) == ("COMPLETE", 0.2)


def test_sampler_that_has_seen_the_whole_grid_ends_the_search() -> None:
    sampler = optuna.samplers.GridSampler({"a": ["x", "y"], "b": [7, 8, 9]}, seed=1)
    drive = run(OptunaSearch(sampler=sampler), {"a": tune.choice(["x", "y"]), "b": tune.choice([7, 8, 9])})
    seen = set()
    for i in range(6):
        config = drive.ask()
        seen.add((config["a"], config["b"]))
        drive.tell(f"{i:05d}", loss=1.0)
    assert len(seen) == 6
    assert drive.ask() == "FINISHED"


def test_sampler_class_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="class"):
        OptunaSearch(sampler=optuna.samplers.TPESampler)


@pytest.mark.real
def test_scheduler_and_optuna_in_one_run_tell_what_was_pruned(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        for step in range(9):
            tune.report({"loss": config["x"] + 1 / (step + 1)})

    searcher = OptunaSearch()
    tune.Tuner(
        objective,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            search_alg=searcher,
            scheduler=tune.ASHAScheduler(max_t=9, reduction_factor=3),
            num_samples=20,
            seed=1,
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    ).fit()

    states = [trial.state.name for trial in searcher._study.trials]
    assert states.count("PRUNED") > 3
    assert states.count("COMPLETE") >= 1
    assert all(t.last_step < 9 for t in searcher._study.trials if t.state.name == "PRUNED")


def test_study_in_a_storage_of_optunas_is_gone_on_with(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    space = {"x": tune.uniform(0, 1)}
    first = run(OptunaSearch(study_name="mine", storage=url), space)
    first.ask()
    first.ask()
    first.tell("00000", loss=1.0)

    searcher = OptunaSearch(study_name="mine", storage=url)
    assert not searcher.replays
    again = run(searcher, space)
    searcher.adopt("00001", first.configs[1])  # pending when the first driver died
    searcher.on_trial_complete("00001", {"loss": 2.0})
    again.configs = list(first.configs)
    again.ask()

    assert [trial.state.name for trial in searcher._study.trials] == ["COMPLETE", "COMPLETE", "RUNNING"]


def fit(folder: Path, name: str, search: OptunaSearch, space: Any, count: int, **options: Any) -> tune.ResultGrid:
    return tune.Tuner(
        lambda config: {"loss": config["x"], "size": 10 * config["x"]},
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", search_alg=search, num_samples=count, seed=1, max_concurrent_trials=1, **options
        ),
        run_config=tune.RunConfig(name=name, storage_path=str(folder), verbose=0, executor="inline"),
    ).fit()


@pytest.mark.skipif(not hasattr(optuna.Trial, "set_constraint"), reason="Optuna 5 knows constraints of any sampler")
def test_constraints_reach_a_sampler_of_the_users_own(tmp_path: Path) -> None:
    search = OptunaSearch(sampler=optuna.samplers.TPESampler(seed=0))
    fit(tmp_path, "run", search, {"x": tune.uniform(0, 1)}, 2, constraints={"size": (">=", 5)})
    excesses = [t.system_attrs["constraints:size >= 5"] for t in search._study.trials]
    assert excesses == [pytest.approx(5 - 10 * t.params["x"]) for t in search._study.trials]


def test_under_constraints_evaluated_rewards_are_refused() -> None:
    search = OptunaSearch(points_to_evaluate=[{"x": 0.5}], evaluated_rewards=[0.5])
    from tune_core.core.constraints import constraints_from

    with pytest.raises(InvalidArgumentError, match="1 metrics and 1 constraints"):
        search.set_search_properties(
            "loss", "min", {"x": tune.uniform(0, 1)}, constraints=constraints_from({"size": ("<=", 5)})
        )


def test_a_restored_run_and_another_run_of_a_stored_study_try_other_points(tmp_path: Path) -> None:
    url, space = f"sqlite:///{tmp_path}/study.db", {"x": tune.uniform(0, 1)}
    fit(tmp_path, "one", OptunaSearch(study_name="s", storage=url, seed=0), space, 3)
    fit(tmp_path, "two", OptunaSearch(study_name="s", storage=url, seed=0), space, 3)
    tune.Tuner.restore(str(tmp_path / "one"), lambda config: {"loss": config["x"]}, num_samples=6).fit()
    tried = [t.params["x"] for t in optuna.load_study(study_name="s", storage=url).trials]
    assert len(tried) == len(set(tried)) == 9


def test_a_restored_run_finds_its_own_trials_among_those_of_another_run(tmp_path: Path) -> None:
    url, space = f"sqlite:///{tmp_path}/study.db", {"x": tune.uniform(0, 1)}
    first, second = (OptunaSearch(study_name="s", storage=url, seed=0) for _ in range(2))
    first.set_search_properties("loss", "min", space)
    cut_off = first.suggest("00000")
    second.set_search_properties("loss", "min", space)
    second.suggest("00000")
    second.on_trial_complete("00000", {"loss": 2.0})

    restored = OptunaSearch(study_name="s", storage=url, seed=0)
    restored.set_search_properties("loss", "min", space)
    restored.adopt("00000", cut_off)
    restored.on_trial_complete("00000", {"loss": 1.0})
    trials = optuna.load_study(study_name="s", storage=url).trials
    assert [(t.state.name, t.value) for t in trials] == [("COMPLETE", 1.0), ("COMPLETE", 2.0)]


def test_a_study_holds_multiples_on_a_log_scale_as_they_are_and_reported_numbers_alone(tmp_path: Path) -> None:
    space = {"x": tune.qloguniform(0.01, 1, 0.01), "n": tune.qlograndint(10, 1000, 10)}
    search = OptunaSearch(storage=optuna.storages.InMemoryStorage(), seed=0)
    results = fit(tmp_path, "run", search, space, 20)
    assert [t.params for t in search._study.trials] == [r.config for r in results]
    assert {round(r.config["x"] * 100) % 1 + r.config["n"] % 10 for r in results} == {0}
    assert {*search._study.trials[0].user_attrs} == {"tune_core_trial", "size"}
