"""Forms of search space: scikit-learn's, tune-sklearn's, tune-core's domains and those of other libraries."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.svm import SVC

import tune_core as tune
from tune_core.errors import SearchSpaceError
from tune_sklearn import TuneGridSearchCV, TuneSearchCV
from tune_sklearn._spaces import domains_of, gridded, sampled


def values(domain, count=300):
    return [domain.sample(random_state=seed) for seed in range(count)]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ([1, 2, "a", None], tune.choice([1, 2, "a", None])),
        (np.array([0.5, 1.5]), tune.choice([0.5, 1.5])),
        ((0.0, 2.0), tune.uniform(0.0, 2.0)),
        ((1, 3), tune.randint(1, 4)),
        ((1e-3, 1.0, "log-uniform"), tune.loguniform(1e-3, 1.0)),
        ((1, 100, "log-uniform"), tune.lograndint(1, 101)),
        ((0.0, 2.0, "uniform"), tune.uniform(0.0, 2.0)),
        (("rbf", "linear"), tune.choice(["rbf", "linear"])),
        (tune.grid_search([1, 2]), tune.choice([1, 2])),
        (tune.quniform(0, 1, 0.5), tune.quniform(0, 1, 0.5)),
        (stats.uniform(1, 4), tune.uniform(1.0, 5.0)),
        (stats.loguniform(1e-2, 10), tune.loguniform(1e-2, 10.0)),
        (stats.randint(2, 9), tune.randint(2, 9)),
        (stats.norm(1, 2), tune.randn(1.0, 2.0)),
    ],
    ids=str,
)
def test_each_form_becomes_the_domain_it_means(form, expected):
    assert domains_of({"p": form})["p"] == expected


def test_unknown_forms_are_refused_with_what_to_write():
    for form, message in ((3, "no known way"), (stats.beta(1, 2), "beta"), ("rbf", "no known way")):
        with pytest.raises(SearchSpaceError, match=message):
            domains_of({"p": form})
    with pytest.raises(SearchSpaceError, match="one dict"):
        domains_of([{"p": [1]}])
    with pytest.raises(SearchSpaceError, match="distribution"):
        gridded({"p": tune.uniform(0, 1)})


def test_grids_take_ranges_arrays_and_grid_search():
    grid = gridded({"a": range(2), "b": np.array([0.5]), "c": tune.grid_search(["x", "y"])})
    assert len(grid) == 4 and grid[0] == {"a": 0, "b": 0.5, "c": "x"}
    assert len(gridded([{"a": [1, 2]}, {"b": [3]}])) == 3


def test_sampler_takes_domains_lists_and_lists_of_dicts():
    space = [{"a": tune.loguniform(1, 10), "b": [1, 2]}, {"c": tune.grid_search([5, 6])}]
    drawn = sampled(space, 40, 0)
    assert {frozenset(d) for d in drawn} == {frozenset("ab"), frozenset("c")}
    assert drawn == sampled(space, 40, 0) != sampled(space, 40, 1)
    assert all(1 <= d["a"] <= 10 for d in drawn if "a" in d)


def test_optuna_distributions():
    optuna = pytest.importorskip("optuna")
    make = optuna.distributions
    space = domains_of(
        {
            "f": make.FloatDistribution(1e-3, 1, log=True),
            "s": make.FloatDistribution(0, 1, step=0.25),
            "i": make.IntDistribution(1, 5),
            "c": make.CategoricalDistribution(["x", 1]),
        }
    )
    assert space["f"] == tune.loguniform(1e-3, 1.0)
    assert set(values(space["s"])) == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert set(values(space["i"])) == {1, 2, 3, 4, 5}
    assert set(values(space["c"])) == {"x", 1}
    assert len(sampled({"f": make.FloatDistribution(0, 1)}, 3, 0)) == 3


def test_hyperopt_expressions():
    hp = pytest.importorskip("hyperopt").hp
    space = domains_of(
        {
            "u": hp.uniform("u", -1, 1),
            "l": hp.loguniform("l", np.log(1e-3), np.log(10)),
            "n": hp.normal("n", 0, 2),
            "i": hp.randint("i", 5),
            "w": hp.uniformint("w", 1, 4),
            "c": hp.choice("c", ["x", "y"]),
        }
    )
    assert space["u"] == tune.uniform(-1, 1) and space["n"] == tune.randn(0, 2)
    assert space["l"].lower == pytest.approx(1e-3) and space["l"].upper == pytest.approx(10)
    assert set(values(space["i"])) == {0, 1, 2, 3, 4} and set(values(space["w"])) == {1, 2, 3, 4}
    assert set(values(space["c"])) == {"x", "y"}


def test_config_space_hyperparameters_and_a_whole_space():
    library = pytest.importorskip("ConfigSpace")
    space = library.ConfigurationSpace(
        {"x": library.Float("x", (0.1, 10.0), log=True), "n": (1, 3), "kind": ["a", "b"], "fixed": 7}
    )
    found = domains_of(space)
    assert found["x"] == tune.loguniform(0.1, 10.0) and found["n"] == tune.randint(1, 4)
    assert set(values(found["kind"])) == {"a", "b"} and values(found["fixed"], 1) == [7]


def test_scikit_optimize_dimensions():
    space = pytest.importorskip("skopt.space")
    found = domains_of(
        {"r": space.Real(1e-3, 1, prior="log-uniform"), "i": space.Integer(1, 3), "c": space.Categorical("xy")}
    )
    assert found["r"] == tune.loguniform(1e-3, 1.0)
    assert set(values(found["i"])) == {1, 2, 3} and set(values(found["c"])) == {"x", "y"}


def test_search_kwargs_are_for_searchers_only(iris):
    with pytest.raises(ValueError, match="search_kwargs"):
        TuneSearchCV(SVC(), {"C": [1]}, search_kwargs={"n": 1}).fit(*iris)


def test_unknown_search_algorithm_is_refused(iris):
    with pytest.raises(ValueError, match="magic"):
        TuneSearchCV(SVC(), {"C": [1]}, search_optimization="magic").fit(*iris)


def test_objects_as_values_survive_the_journal(iris, tmp_path):
    grid = {"gamma": ["scale", 0.5], "class_weight": [None, {0: 1.0, 1: 2.0, 2: 1.0}]}
    search = TuneGridSearchCV(SVC(), grid, cv=2, local_dir=tmp_path, name="mine").fit(*iris)
    assert search.cv_results_["params"][2]["class_weight"] == {0: 1.0, 1: 2.0, 2: 1.0}
    again = search.fit(*iris, resume=True)
    assert again.cv_results_["params"][2]["class_weight"] == {0: 1.0, 1: 2.0, 2: 1.0}
