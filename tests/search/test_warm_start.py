"""Starting from what an earlier experiment found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy")

import tune_core as tune
from tune_core.search.auto import AutoSearch


def objective(config: dict[str, Any]) -> dict[str, Any]:
    if config["x"] > 0.9:
        raise ValueError("too large")
    return {"loss": (config["x"] - 0.5) ** 2}


def run(folder: Path, name: str, search: Any, space: Any, count: int) -> tune.ResultGrid:
    return tune.Tuner(
        objective,
        param_space=space,
        tune_config=tune.TuneConfig(metric="loss", mode="min", search_alg=search, num_samples=count, seed=1),
        run_config=tune.RunConfig(name=name, storage_path=str(folder), verbose=0, executor="inline"),
    ).fit()


def test_results_of_an_earlier_experiment_are_learnt_and_not_tried_again(tmp_path: Path) -> None:
    space = {"x": tune.uniform(0, 1)}
    earlier = run(tmp_path, "earlier", None, space, 20)
    usable = [r.config["x"] for r in earlier if r.error is None]

    search = AutoSearch(n_initial_points=1).warm_start(str(tmp_path / "earlier"))
    later = run(tmp_path, "later", search, space, 5)

    assert [values["x"] for values in search.learnt] == usable
    assert not {r.config["x"] for r in later} & {r.config["x"] for r in earlier}
    assert min(r.metrics["loss"] for r in later) < 1e-3


def test_configurations_outside_of_the_space_are_left_out(tmp_path: Path) -> None:
    earlier = run(tmp_path, "earlier", None, {"x": tune.uniform(0, 1)}, 20)
    search = AutoSearch().warm_start(earlier)
    run(tmp_path, "later", search, {"x": tune.uniform(0.25, 0.75)}, 6)

    assert len(search.learnt) == sum(0.25 <= r.config["x"] <= 0.75 for r in earlier)
    assert search.learnt


def test_a_warm_start_that_finds_nothing_usable_says_so(tmp_path: Path) -> None:
    earlier = run(tmp_path, "earlier", None, {"x": tune.uniform(0, 0.8)}, 4)
    search = AutoSearch().warm_start(earlier)
    with pytest.warns(UserWarning, match=r"none of 4 earlier trials could be used"):
        run(tmp_path, "later", search, {"x": tune.uniform(5, 6)}, 2)
    assert not search.learnt


@pytest.mark.parametrize("known", [0, 3, 40])
def test_what_is_known_takes_the_place_of_initial_points(known: int) -> None:
    space = {"x": tune.uniform(0, 1), "y": tune.uniform(0, 1)}
    points = [{"x": n / 40, "y": (7 * n % 40) / 40} for n in range(known)]
    values = [(point["x"] - 0.3) ** 2 + point["y"] for point in points]

    def initial(**options: Any) -> int:
        search = AutoSearch(seed=0, points_to_evaluate=points, evaluated_rewards=values, **options)
        search.set_search_properties("loss", "min", space, seed=0, num_samples=100)
        reasons = []
        for number in range(8):
            config = search.suggest(str(number))
            reasons.append(search.last_reason)
            search.on_trial_complete(str(number), {"loss": (config["x"] - 0.3) ** 2 + config["y"]})
        return sum(reason.startswith("initial") for reason in reasons)

    assert initial() == max(0, 5 - known)
    assert initial(n_initial_points=7) == 7  # the user's own number is kept


@pytest.mark.parametrize("search", ["auto", "optuna"])
def test_trials_that_share_no_parameter_are_not_learnt_from(tmp_path: Path, search: str) -> None:
    if search == "optuna":
        pytest.importorskip("optuna")
    from tune_core.search import create_searcher

    space = {"x": tune.uniform(0, 0.9), "layer": {"width": tune.randint(1, 9)}}
    earlier = run(tmp_path, "earlier", None, space, 6)
    for later, learnt in [({"y": tune.uniform(0, 1)}, 0), ({"layer": {"width": tune.randint(1, 9)}}, 6)]:
        searcher = create_searcher(search).warm_start(earlier)
        if learnt:
            searcher.set_search_properties("loss", "min", later, seed=0)
        else:
            with pytest.warns(UserWarning, match="none of 6 earlier trials could be used.*none of this search's para"):
                searcher.set_search_properties("loss", "min", later, seed=0)
        assert len(searcher.learnt) == learnt


def test_warm_start_survives_a_restore(tmp_path: Path) -> None:
    space = {"x": tune.uniform(0, 1)}
    run(tmp_path, "earlier", None, space, 12)
    before = run(tmp_path, "later", AutoSearch(n_initial_points=1).warm_start(str(tmp_path / "earlier")), space, 4)
    after = tune.Tuner.restore(str(tmp_path / "later"), objective, num_samples=6).fit()

    assert [r.config for r in after][:4] == [r.config for r in before]
    assert min(r.metrics["loss"] for r in after if r.error is None) < 1e-3


def test_parameters_may_have_been_added_and_removed_since(tmp_path: Path) -> None:
    earlier = run(tmp_path, "earlier", None, {"x": tune.uniform(0, 0.9), "gone": tune.uniform(0, 1), "fixed": 3}, 15)
    search = AutoSearch(n_initial_points=1).warm_start(earlier)
    space = {"x": tune.uniform(0, 1), "new": tune.choice(["a", "b"]), "fixed": 3}
    later = run(tmp_path, "later", search, space, 6)

    assert [values["x"] for values in search.learnt] == [r.config["x"] for r in earlier]
    assert {values["new"] for values in search.learnt} == {0, 1}
    assert min(r.metrics["loss"] for r in later if r.error is None) < 0.01


def cut_short(folder: Path) -> tune.ResultGrid:
    """An earlier run: x = 0.1 has all nine steps, the others are stopped after one."""

    def train(config: dict[str, Any]) -> None:
        for step in range(1, 10):
            tune.report({"loss": config["x"] + 1 / step, "size": 10 * config["x"]})

    return tune.Tuner(
        train,
        param_space={"x": tune.grid_search([0.1, 0.5, 0.6, 0.7])},
        tune_config=tune.TuneConfig(metric="loss", mode="min", scheduler=tune.ASHAScheduler(max_t=9)),
        run_config=tune.RunConfig(name="earlier", storage_path=str(folder), verbose=0, executor="inline"),
    ).fit()


@pytest.mark.parametrize("from_folder", [False, True])
def test_trials_that_were_stopped_early_are_learnt_as_pruned(tmp_path: Path, from_folder: bool) -> None:
    optuna = pytest.importorskip("optuna")
    earlier = cut_short(tmp_path)
    assert [r.is_complete for r in earlier] == [True, False, False, False]

    from tune_core.search.optuna import OptunaSearch

    sampler = optuna.samplers.RandomSampler(seed=0)
    search = OptunaSearch(sampler=sampler).warm_start(str(tmp_path / "earlier") if from_folder else earlier)
    run(tmp_path, "later", search, {"x": tune.uniform(0, 0.8)}, 1)

    trials = search._study.trials[:-1]
    assert [t.state.name for t in trials] == ["COMPLETE", "PRUNED", "PRUNED", "PRUNED"]
    assert [list(t.intermediate_values) for t in trials] == [[], [1], [1], [1]]


def test_trials_that_the_end_of_a_run_cut_off_are_not_complete(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        for step in range(1, 10):
            tune.report({"loss": config["x"] / step})

    class AfterFive(tune.Stopper):
        seen = 0

        def __call__(self, trial_id: str, result: Any) -> bool:
            self.seen += 1
            return False

        def stop_all(self) -> bool:
            return self.seen >= 14

    earlier = tune.Tuner(
        train,
        param_space={"x": tune.grid_search([0.1, 0.5])},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="inline", stop=AfterFive()),
    ).fit()
    assert [r.metrics["training_iteration"] for r in earlier] == [9, 5]
    assert [r.is_complete for r in earlier] == [True, False]


def test_each_earlier_trial_is_learnt_for_the_budget_that_it_reached(tmp_path: Path) -> None:
    pytest.importorskip("hpbandster")
    from tune_core.search.bohb import TuneBOHB

    search = TuneBOHB(seed=0).warm_start(cut_short(tmp_path))
    run(tmp_path, "later", search, {"x": tune.uniform(0, 0.8)}, 1)

    assert {budget: len(losses) for budget, losses in search._bohb.losses.items()} == {9.0: 1, 1.0: 4}


def test_ax_learns_the_constrained_metrics_of_earlier_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ax")
    from ax.api.client import Client

    from tune_core.search.ax import AxSearch

    told: list[Any] = []
    complete = Client.complete_trial

    def record(self: Any, trial_index: int, raw_data: Any = None, **options: Any) -> Any:
        told.append(raw_data["size"])
        return complete(self, trial_index, raw_data, **options)

    monkeypatch.setattr(Client, "complete_trial", record)
    search = AxSearch(outcome_constraints=["size <= 5"], seed=0).warm_start(cut_short(tmp_path))
    search.set_search_properties("loss", "min", {"x": tune.uniform(0, 0.8)})
    assert told == [1.0, 5.0, 6.0, 7.0]


def test_a_point_that_is_added_later_has_nothing_of_the_trial_before_it() -> None:
    optuna = pytest.importorskip("optuna")
    from tune_core.search.optuna import OptunaSearch

    search = OptunaSearch(storage=optuna.storages.InMemoryStorage(), seed=0)
    search.set_search_properties("loss", "min", {"x": tune.uniform(0, 1)})
    search.suggest("00000")
    search.on_trial_complete("00000", {"loss": 0.1, "size": 3.0})
    search.add_evaluated_point({"x": 0.5}, 0.5)
    assert [t.user_attrs.get("size") for t in search._study.trials] == [3.0, None]
