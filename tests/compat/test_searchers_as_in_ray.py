"""What Ray Tune's searchers do beside searching: states restored into fresh ones, duplicates, native spaces."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.errors import InvalidArgumentError, SearchSpaceError
from tune_core.schedulers import PopulationBasedTraining
from tune_core.search import ConcurrencyLimiter
from tune_core.space.portable import from_portable, to_portable

SPACE: dict[str, Any] = {
    "x": tune.uniform(0, 10),
    "n": tune.lograndint(1, 100),
    "q": tune.quniform(0, 1, 0.25),
    "r": tune.randn(0, 1),
    "net": {"kind": tune.choice([{"a": tune.randint(0, 3)}, {"b": 2}]), "fixed": (1, None)},
}


def test_space_is_the_same_after_it_was_written() -> None:
    assert from_portable(to_portable(SPACE)) == SPACE
    with pytest.raises(SearchSpaceError, match="sample_from"):
        to_portable({"f": tune.sample_from(lambda: 1)})


def searcher_of(name: str) -> Any:
    if name == "optuna":
        pytest.importorskip("optuna")
        from tune_core.search.optuna import OptunaSearch

        return OptunaSearch
    pytest.importorskip("hyperopt")
    from tune_core.search.hyperopt import HyperOptSearch

    return HyperOptSearch


@pytest.mark.parametrize("name", ["optuna", "hyperopt"])
@pytest.mark.parametrize("limited", [False, True])
def test_state_goes_into_a_searcher_that_was_told_nothing(name: str, limited: bool, tmp_path: Path) -> None:
    cls = searcher_of(name)

    def wrapped(inner: Any) -> Any:
        return ConcurrencyLimiter(inner, max_concurrent=4) if limited else inner

    space = {"x": tune.uniform(0, 10), "k": tune.choice(["a", "b"])}
    first = wrapped(cls(points_to_evaluate=[{"x": 3.0, "k": "b"}]))
    first.set_search_properties("loss", "min", space, seed=7)
    if not limited:
        first.add_evaluated_point({"x": 2.5, "k": "a"}, 0.25)
    for i in range(30):
        config = first.suggest(f"{i}")
        first.on_trial_complete(f"{i}", {"loss": (config["x"] - 3) ** 2, "training_iteration": 1})
    first.save(str(tmp_path / "state"))
    second = wrapped(cls())
    second.restore(str(tmp_path / "state"))
    assert [second.suggest(f"s{i}") for i in range(3)] == [first.suggest(f"s{i}") for i in range(3)]


def test_searcher_that_is_given_nothing_says_so(tmp_path: Path) -> None:
    cls = searcher_of("optuna")
    with pytest.raises(SearchSpaceError, match="no search space"):
        cls().suggest("0")


@pytest.mark.parametrize(("options", "most"), [({}, 6), ({"patience": None, "skip_duplicate": False}, 20)])
def test_bayesopt_ends_when_there_is_nothing_new(options: dict[str, Any], most: int) -> None:
    pytest.importorskip("bayes_opt")
    from tune_core.search.bayesopt import BayesOptSearch

    search = BayesOptSearch(random_state=1, random_search_steps=2, **options)
    search.set_search_properties("loss", "min", {"a": tune.randint(0, 3), "b": tune.choice(["u", "v"])})
    found = []
    for i in range(20):
        config = search.suggest(f"{i}")
        if config == search.FINISHED:
            break
        found.append((config["a"], config["b"]))
        search.on_trial_complete(f"{i}", {"loss": config["a"], "training_iteration": 1})
    assert len(found) <= most and (options or len(set(found)) == len(found))
    assert len(found) == 20 or not options


def test_bayesopt_patience_ends_a_search_that_repeats_itself() -> None:
    pytest.importorskip("bayes_opt")
    from tune_core.search.bayesopt import BayesOptSearch

    search = BayesOptSearch(random_state=1, random_search_steps=2, skip_duplicate=False, patience=2)
    search.set_search_properties("loss", "min", {"a": tune.randint(0, 2)})
    asked = [search.suggest(f"{i}") for i in range(2)]
    for i in range(2):
        search.on_trial_complete(f"{i}", {"loss": asked[i]["a"], "training_iteration": 1})
    later = []
    for i in range(2, 12):
        later.append(search.suggest(f"{i}"))
        if later[-1] == search.FINISHED:
            break
        search.on_trial_complete(f"{i}", {"loss": later[-1]["a"], "training_iteration": 1})
    assert later[-1] == search.FINISHED and len(later) <= 2 * 2 + 1


# --- native spaces ----------------------------------------------------------------------------------------------------

PLAIN: dict[str, Any] = {"a": {"x": tune.uniform(0, 2)}, "n": tune.randint(1, 9), "k": tune.choice(["u", "v"]), "c": 5}


def test_spaces_of_optuna_and_hyperopt_are_converted_and_taken_back() -> None:
    pytest.importorskip("optuna")
    pytest.importorskip("hyperopt")
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    optuna = searcher_of("optuna")
    made = optuna.convert_search_space(PLAIN)
    assert made == {
        "a/x": FloatDistribution(0, 2),
        "n": IntDistribution(1, 8),
        "k": CategoricalDistribution(["u", "v"]),
    }
    assert set(optuna(space=made, metric="m", mode="min").suggest("0")) == {"a/x", "n", "k"}
    hyperopt = searcher_of("hyperopt")
    search = hyperopt(space=hyperopt.convert_search_space(PLAIN), metric="m", mode="min")
    config = search.suggest("0")
    assert config["c"] == 5 and 0 <= config["a"]["x"] <= 2 and 1 <= config["n"] <= 8 and config["k"] in ("u", "v")
    with pytest.raises(SearchSpaceError, match="has no equivalent of it"):
        optuna.convert_search_space({"x": tune.grid_search([1])})


def test_configuration_space_is_read() -> None:
    pytest.importorskip("hpbandster")
    cs = pytest.importorskip("ConfigSpace")
    from tune_core.search.bohb import TuneBOHB

    space = cs.ConfigurationSpace()
    space.add(cs.Float("x", (1, 4), log=True), cs.Integer("n", (2, 3)), cs.Categorical("k", ["a"]), cs.Constant("c", 7))
    search = TuneBOHB(space=space, metric="m", mode="min")
    config = search.suggest("0")
    assert 1 <= config["x"] <= 4 and config["n"] in (2, 3) and config["k"] == "a" and config["c"] == 7
    assert set(TuneBOHB.convert_search_space(PLAIN)) == {"a/x", "n", "k"}


def test_parameter_dicts_of_ax_are_read() -> None:
    from tune_core.search.encoding.native_spaces import from_ax, to_ax

    given = [
        {"name": "x", "type": "range", "bounds": [1.0, 2.0], "log_scale": True},
        {"name": "n", "type": "range", "bounds": [1, 8]},
        {"name": "k", "type": "choice", "values": ["u", "v"]},
        {"name": "c", "type": "fixed", "value": 5},
    ]
    read = from_ax(given)
    assert read == {"x": tune.loguniform(1.0, 2.0), "n": tune.randint(1, 9), "k": tune.choice(["u", "v"]), "c": 5}
    assert from_ax(to_ax(read)) == read
    with pytest.raises(SearchSpaceError, match="type range, choice or fixed"):
        from_ax([{"name": "x", "bounds": [0, 1]}])


def test_dimensions_of_zoopt_are_read() -> None:
    pytest.importorskip("zoopt")
    from zoopt import ValueType

    from tune_core.search.zoopt import ZOOptSearch

    given = {
        "height": (ValueType.CONTINUOUS, [-10, 10], 1e-2),
        "width": (ValueType.DISCRETE, [0, 10], True),
        "layers": (ValueType.GRID, [4, 8, 16]),
        "constant": (1, 2),
    }
    search = ZOOptSearch(algo="Asracos", budget=20, dim_dict=given, metric="m", mode="min", parallel_num=8)
    found = []
    for i in range(8):
        found.append(search.suggest(str(i)))
        search.on_trial_complete(str(i), {"m": found[-1]["height"] ** 2})
    assert len({config["height"] for config in found}) > 4
    for config in found:
        assert -10 <= config["height"] <= 10 and config["width"] in range(11)
        assert config["layers"] in (4, 8, 16) and config["constant"] == (1, 2)
    made = ZOOptSearch.convert_search_space(PLAIN)
    assert made["n"] == (ValueType.DISCRETE, [1, 8], True) and made["k"] == (ValueType.GRID, ["u", "v"])
    assert set(made) == {"a/x", "n", "k"}
    with pytest.raises(SearchSpaceError, match="has no equivalent of it"):
        ZOOptSearch.convert_search_space({"x": tune.loguniform(1, 2)})
    with pytest.raises(SearchSpaceError, match="lowest and its highest"):
        ZOOptSearch(dim_dict={"x": (ValueType.CONTINUOUS, [1])}, metric="m", mode="min")


def test_parameters_of_nevergrad_are_read() -> None:
    ng = pytest.importorskip("nevergrad", exc_type=ImportError)
    from tune_core.search.encoding.native_spaces import from_nevergrad, to_nevergrad

    given = ng.p.Dict(
        a=ng.p.Log(lower=1e-4, upper=1.0),
        b=ng.p.Scalar(lower=0, upper=5).set_integer_casting(),
        c=ng.p.Choice(["u", "v"]),
        d=ng.p.Dict(e=5, f=ng.p.Scalar(lower=-1, upper=1)),
    )
    read = {
        "a": tune.loguniform(1e-4, 1.0),
        "b": tune.randint(0, 6),
        "c": tune.choice(["u", "v"]),
        "d": {"e": 5, "f": tune.uniform(-1, 1)},
    }
    assert from_nevergrad(given) == from_nevergrad(ng.p.Instrumentation(**given._content)) == read
    flat = {**read, "d": tune.uniform(-1, 1)}
    assert from_nevergrad(to_nevergrad(flat)) == flat
    for wrong in (ng.p.Scalar(), ng.p.Dict(x=ng.p.Scalar()), ng.p.Dict(x=ng.p.Array(shape=(2,)))):
        with pytest.raises(SearchSpaceError, match="what can be read"):
            from_nevergrad(wrong)


def test_design_space_of_hebo_is_read() -> None:
    pytest.importorskip("hebo.design_space.design_space", exc_type=ImportError)
    from hebo.design_space.design_space import DesignSpace

    from tune_core.search.encoding.native_spaces import from_hebo, to_hebo

    given = [
        {"name": "x", "type": "pow", "lb": 1e-4, "ub": 1.0},
        {"name": "n", "type": "int", "lb": 1, "ub": 8},
        {"name": "k", "type": "cat", "categories": ["u", "v"]},
    ]
    read = {"x": tune.loguniform(1e-4, 1.0), "n": tune.randint(1, 9), "k": tune.choice(["u", "v"])}
    assert from_hebo(DesignSpace().parse(given)) == read
    assert from_hebo(to_hebo(read)) == read
    with pytest.raises(SearchSpaceError, match="step_int"):
        from_hebo(DesignSpace().parse([{"name": "s", "type": "step_int", "lb": 1, "ub": 9, "step": 2}]))


# --- schedulers without checkpoints -----------------------------------------------------------------------------------


def climb(config: dict[str, Any]) -> None:
    for i in range(1, 10):
        tune.report({"score": config["x"] * i})


def of(scheduler: Any, tmp_path: Path) -> Any:
    return tune.Tuner(
        climb,
        param_space={"x": tune.grid_search([1, 2, 3, 4, 5])},
        tune_config=tune.TuneConfig(metric="score", mode="max", scheduler=scheduler),
        run_config=tune.RunConfig(storage_path=str(tmp_path), executor="inline", verbose=0),
    ).fit()


def test_sample_from_is_no_mutation() -> None:
    with pytest.raises(InvalidArgumentError, match="sample_from"):
        PopulationBasedTraining(hyperparam_mutations={"x": tune.sample_from(lambda: 1)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PopulationBasedTraining(hyperparam_mutations={"x": lambda: 1})


def test_named_trial_folders_hold_checkpoints(tmp_path: Path) -> None:
    def saves(config: dict[str, Any]) -> None:
        folder = tmp_path / f"made_{config['x']}"
        folder.mkdir()
        (folder / "n").write_text(str(config["x"]))
        tune.report({"x": config["x"]}, checkpoint=tune.Checkpoint.from_directory(str(folder)))

    results = tune.Tuner(
        saves,
        param_space={"x": tune.grid_search([1, 2])},
        tune_config=tune.TuneConfig(trial_dirname_creator=lambda trial: f"mine_{trial.config['x']}"),
        run_config=tune.RunConfig(storage_path=str(tmp_path), name="named", executor="inline", verbose=0),
    ).fit()
    assert [Path(r.checkpoint.path, "n").read_text() for r in results] == ["1", "2"]
    assert (tmp_path / "named" / "mine_2").is_dir()
