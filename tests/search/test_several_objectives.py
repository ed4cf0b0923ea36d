"""Several metrics and constraints, from ``TuneConfig`` to the front of best compromises."""

from __future__ import annotations

import math
from typing import Any

import pytest

np = pytest.importorskip("numpy")

import tune_core as tune
from tune_core.core.constraints import Constraint, constraints_from, violation
from tune_core.errors import InvalidArgumentError
from tune_core.models.normal import log_cdf
from tune_core.results import ResultGrid
from tune_core.schedulers import ASHAScheduler
from tune_core.search import create_searcher
from tune_core.search.compromises import ConstraintModel, drawn_in, weighted

SPACE = {f"x{i}": tune.uniform(0, 1) for i in range(3)}


def zdt1(config: Any) -> dict[str, float]:
    """Zitzler, Deb and Thiele, 2000: the front is b = 1 - sqrt(a), where x1 = x2 = 0."""
    g = 1 + 4.5 * (config["x1"] + config["x2"])
    return {"a": config["x0"], "b": g * (1 - math.sqrt(config["x0"] / g)), "work": 1 + config["x0"]}


def fit(tmp_path: Any, objective: Any = zdt1, samples: int = 40, **settings: Any) -> ResultGrid:
    return tune.Tuner(
        objective,
        param_space=SPACE,
        tune_config=tune.TuneConfig(num_samples=samples, max_concurrent_trials=1, seed=0, **settings),
        run_config=tune.RunConfig(name="run", storage_path=str(tmp_path), executor="inline", verbose=0),
    ).fit()


BOTH: dict[str, Any] = {"metric": ["a", "b"], "mode": ["min", "min"]}


def test_auto_finds_a_better_front_than_random_search(tmp_path: Any) -> None:
    found = {
        name: fit(tmp_path / name, search_alg=None if name == "random" else name, **BOTH).hypervolume(
            reference=(1.1, 6)
        )
        for name in ("random", "auto")
    }
    assert found["auto"] > found["random"]
    assert found["auto"] > 0.95 * (1.1 * 6 - 1 / 3 - 0.0)  # all that the front dominates


def test_optuna_is_handed_the_metrics(tmp_path: Any) -> None:
    pytest.importorskip("optuna")
    grid = fit(tmp_path, samples=12, search_alg="optuna", **BOTH)
    assert grid.num_terminated == 12
    assert grid.pareto_front()


def test_the_front_is_the_run_s_own_and_survives_the_folder(tmp_path: Any) -> None:
    grid = fit(tmp_path, samples=15, **BOTH)
    again = ResultGrid.from_path(grid.experiment_path)
    ids = [result.trial_id for result in grid.pareto_front()]
    assert ids
    assert ids == [result.trial_id for result in again.pareto_front()]
    assert ids == [result.trial_id for result in grid.pareto_front(["a", "b"], "min")]
    assert again.hypervolume(reference=(2, 9)) == grid.hypervolume(["a", "b"], ["min", "min"], (2, 9))


def test_no_trial_is_the_best_of_several_metrics_until_one_is_named(tmp_path: Any) -> None:
    grid = fit(tmp_path, samples=5, **BOTH)
    with pytest.raises(InvalidArgumentError, match="pareto_front"):
        grid.get_best_result()
    assert grid.get_best_result("a", "min").metrics["a"] == min(result.metrics["a"] for result in grid)


def test_a_scheduler_of_one_metric_says_so_and_takes_one_that_it_is_given(tmp_path: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"(?s)2 metrics.*Scheduler\(metric='a'"):
        fit(tmp_path, scheduler=ASHAScheduler(), **BOTH)
    grid = fit(tmp_path, samples=4, scheduler=ASHAScheduler(metric="a", mode="min"), **BOTH)
    assert len(grid) == 4


def test_a_searcher_of_one_metric_says_so(tmp_path: Any) -> None:
    pytest.importorskip("hyperopt")
    with pytest.raises(InvalidArgumentError, match="it optimises one metric"):
        fit(tmp_path, search_alg="hyperopt", **BOTH)


@pytest.mark.parametrize("searcher", [None, "auto"])
def test_results_that_meet_the_constraints_come_first(tmp_path: Any, searcher: Any) -> None:
    settings = {"metric": "b", "mode": "min", "constraints": {"a": ("<=", 0.5), "work": (">=", 1.2)}}
    grid = fit(tmp_path, samples=25, search_alg=searcher, **settings)
    best = grid.get_best_result()
    meets = [r for r in grid if 0.2 <= r.metrics["a"] <= 0.5]
    assert best.metrics["b"] == min(r.metrics["b"] for r in meets)
    assert best.metrics["b"] > min(r.metrics["b"] for r in grid) or len(meets) == 25
    if searcher == "auto":
        assert best.metrics["b"] < 1 - math.sqrt(0.5) + 0.05
        assert len(meets) > 12


def test_front_under_constraints_holds_only_trials_that_meet_them(tmp_path: Any) -> None:
    grid = fit(tmp_path, samples=25, search_alg="auto", constraints={"work": ("<=", 1.5)}, **BOTH)
    assert all(result.metrics["work"] <= 1.5 for result in grid.pareto_front())


def test_constraints_that_nobody_meets_are_told(tmp_path: Any) -> None:
    grid = fit(tmp_path, samples=10, search_alg="auto", metric="b", mode="min", constraints={"a": ("<=", -1)})
    with pytest.warns(UserWarning, match="none of the 10 trials meets"):
        best = grid.get_best_result()
    assert best.metrics["a"] == min(result.metrics["a"] for result in grid)


def test_a_searcher_without_constraints_is_told_of(tmp_path: Any) -> None:
    pytest.importorskip("hyperopt")
    settings = {"metric": "b", "mode": "min", "constraints": {"a": ("<=", 0.5)}}
    with pytest.warns(UserWarning, match="knows no constraints"):
        fit(tmp_path, samples=2, search_alg="hyperopt", **settings)


def test_failed_trials_do_not_end_a_search_for_compromises(tmp_path: Any) -> None:
    def objective(config: Any) -> Any:
        if config["x0"] > 0.7:
            raise ValueError("too large")
        return {**zdt1(config), "b": float("nan") if config["x1"] > 0.9 else zdt1(config)["b"]}

    grid = fit(tmp_path, objective, samples=25, search_alg="auto", constraints={"work": ("<=", 1.4)}, **BOTH)
    assert len(grid) == 25
    assert grid.pareto_front()


def test_the_journal_says_why_a_point_was_suggested(tmp_path: Any) -> None:
    grid = fit(tmp_path, samples=14, search_alg="auto", metric="b", mode="min")
    assert "initial design" in grid[0].explain()
    assert "expected improvement" in grid[13].explain()


@pytest.mark.parametrize(
    "given",
    [
        {"metric": []},
        {"metric": ["a"]},
        {"metric": ["a", "a"], "mode": "min"},
        {"metric": ["a", 3], "mode": "min"},
        {"metric": ["a", "b"]},
        {"metric": ["a", "b"], "mode": ["min"]},
        {"metric": ["a", "b"], "mode": ["min", "least"]},
        {"metric": "a", "mode": ["min"]},
        {"constraints": {"a": 3}},
        {"constraints": {"a": ("<", 3)}},
        {"constraints": {"a": ("<=", "3")}},
        {"constraints": {"a": ("<=", float("nan"))}},
        {"constraints": ["a <= 3"]},
        {"constraints": {"": ("<=", 3)}},
    ],
    ids=str,
)
def test_wrong_objectives_and_constraints_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        tune.TuneConfig(**given)


def test_constraints_measure_by_how_much_they_are_broken() -> None:
    both = constraints_from({"size": [(">=", 10), ("<=", 20)], "deep/er": ("<=", 0)})
    assert both == (Constraint("size", ">=", 10.0), Constraint("size", "<=", 20.0), Constraint("deep/er", "<=", 0.0))
    assert violation(both, {"size": 15, "deep": {"er": -1}}) == 0.0
    assert violation(both, {"size": 30, "deep": {"er": 0.25}}) == pytest.approx(0.5 + 0.25)
    assert violation(both, {"size": 15}) == math.inf
    assert violation(both, {"size": float("nan"), "deep": {"er": -1}}) == math.inf


@pytest.mark.parametrize("together", [1, 6])
def test_a_small_feasible_region_is_found(together: int) -> None:
    """Two spots, one point in 100 together, are feasible, and losses are lowest elsewhere (Gardner et al., 2014)."""
    search, space = create_searcher("auto"), {"x": tune.uniform(0, 6), "y": tune.uniform(0, 6)}
    bound = constraints_from({"c": ("<=", 0.0)})
    search.set_search_properties("loss", "min", space, seed=1, num_samples=50, constraints=bound)
    feasible = []
    for first in range(0, 48, together):
        drawn = {f"{i:05d}": search.suggest(f"{i:05d}") for i in range(first, first + together)}
        for trial_id, config in drawn.items():
            c = 1000 * (math.sin(config["x"]) * math.sin(config["y"]) + 0.95) ** 3
            loss = math.sin(config["x"]) + config["y"]
            search.on_trial_complete(trial_id, {"loss": loss, "c": c, "training_iteration": 1})
            if c <= 0:
                feasible.append(loss)
    assert len(feasible) > 2
    if together == 1:
        assert min(feasible) < 0.35  # at best 0.2532


def test_excesses_keep_sign_and_order_and_large_ones_do_not_hide_small_ones() -> None:
    excess = np.array([-1000.0, -1.0, 0.0, 0.5, 2.0, 1e6, np.nan])
    tamed = drawn_in(excess)
    assert np.array_equal(np.sign(tamed[:-1]), np.sign(excess[:-1]))
    assert (np.diff(tamed[:-1]) > 0).all()
    assert tamed[5] < 60 * tamed[3]
    assert np.isnan(tamed[6])
    assert drawn_in(np.zeros(2)).tolist() == [0.0, 0.0]
    assert drawn_in(np.array([np.nan])).shape == (1,)


def test_weighted_losses_keep_the_better_of_two_points_better() -> None:
    rng = np.random.default_rng(0)
    losses = rng.random((30, 3))
    losses[5], losses[6] = losses[7] - 0.1, np.nan
    for _ in range(20):
        combined = weighted(losses, np.ones(30, dtype=bool), rng)
        assert combined[5] < combined[7]
        assert math.isnan(combined[6])


def test_chance_of_meeting_a_constraint_and_its_slope() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((30, 2))
    model = ConstraintModel([0, 1])
    model.fit(points, points[:, 0] - 0.5)
    low, high = model.log_chance(np.array([[0.2, 0.5], [0.8, 0.5]]))
    assert low > math.log(0.9)
    assert high < math.log(0.1)
    at = rng.random((5, 2))
    _, slope = model.log_chance_with_gradient(at)
    for k in range(2):
        step = np.eye(2)[k] * 1e-6
        numeric = (model.log_chance(at + step) - model.log_chance(at - step)) / 2e-6
        assert slope[:, k] == pytest.approx(numeric, rel=1e-3, abs=1e-3)


def test_log_of_the_normal_distribution_far_out() -> None:
    value, slope = log_cdf(np.array([-40.0, -6.01, -5.99, 0.0, 9.0]))
    assert value == pytest.approx([-804.6084420137538, -20.79, -20.67, math.log(0.5), 0.0], rel=2e-3, abs=1e-9)
    assert slope[0] == pytest.approx(40.0, rel=0.01)


def test_optuna_s_sampler_is_told_by_how_much_constraints_are_broken(tmp_path: Any) -> None:
    optuna = pytest.importorskip("optuna")
    storage = f"sqlite:///{tmp_path}/study.db"
    from tune_core.search.optuna import OptunaSearch

    settings = {"metric": "b", "mode": "min", "constraints": {"a": ("<=", 0.5)}}
    with_storage = OptunaSearch(study_name="s", storage=storage, seed=0)
    grid = fit(tmp_path, samples=20, search_alg=with_storage, **settings)
    trials = optuna.load_study(study_name="s", storage=storage).trials
    assert [trial.user_attrs["tune_core_constraints"] for trial in trials] == [[r.metrics["a"] - 0.5] for r in grid]
    if hasattr(trials[0], "constraints"):
        assert [list(trial.constraints.values()) for trial in trials] == [[r.metrics["a"] - 0.5] for r in grid]
    assert sum(result.metrics["a"] <= 0.5 for result in grid) > 10
