"""What HyperOptSearch can do beyond the contract of searchers."""

from __future__ import annotations

from typing import Any

import pytest

hyperopt = pytest.importorskip("hyperopt")

from tune_core.errors import InvalidArgumentError, SearchSpaceError
from tune_core.search.hyperopt import HyperOptSearch
from tune_core.testing.searchers import SearcherDriver

hp = hyperopt.hp


def space() -> dict[str, Any]:
    svm = {"name": "svm", "C": hp.uniform("C", 0, 1)}
    tree = {"name": "tree", "depth": hp.randint("depth", 1, 9)}
    return {"lr": hp.loguniform("rate", -5, 0), "model": hp.choice("model", [svm, tree]), "fixed": 7}


def test_space_of_hyperopts_own_with_branches() -> None:
    drive = SearcherDriver(HyperOptSearch(space(), n_initial_points=5), {})
    for i in range(15):
        config = drive.ask()
        assert config["fixed"] == 7
        assert set(config["model"]) == ({"name", "C"} if config["model"]["name"] == "svm" else {"name", "depth"})
        assert {type(v).__module__ for v in config["model"].values()} == {"builtins"}
        drive.tell(f"{i:05d}", loss=config["lr"])


def test_points_of_such_a_space_give_values_to_labels() -> None:
    points = [{"rate": 0.5, "model": 1, "depth": 3}, {"rate": 0.25, "model": 0, "C": 0.5}]
    drive = SearcherDriver(HyperOptSearch(space(), points_to_evaluate=points, evaluated_rewards=[None, 0.1]), {})

    assert drive.ask() == {"lr": 0.5, "model": {"name": "tree", "depth": 3}, "fixed": 7}
    drive.tell("00000", loss=0.3)
    assert sorted(drive.searcher._trials.losses()) == [0.1, 0.3]
    with pytest.raises(SearchSpaceError, match="label"):
        SearcherDriver(HyperOptSearch(space(), points_to_evaluate=[{"lr": 1}]), {})


@pytest.mark.parametrize("named", ["b", 1])
def test_a_choice_in_a_point_is_named_by_its_option_or_its_number(named: object) -> None:
    choices = {"kind": hp.choice("kind", ["a", "b"]), "rate": hp.uniform("rate", 0, 1)}
    drive = SearcherDriver(HyperOptSearch(choices, points_to_evaluate=[{"kind": named, "rate": 0.5}]), {})
    assert drive.ask() == {"kind": "b", "rate": 0.5}


def test_an_option_is_meant_where_it_could_be_a_number_too_as_in_ray_tune() -> None:
    choices = {"layers": hp.choice("layers", [2, 1, 0])}
    drive = SearcherDriver(HyperOptSearch(choices, points_to_evaluate=[{"layers": 2}]), {})
    assert drive.ask() == {"layers": 2}


def test_what_is_no_option_is_refused_with_the_options() -> None:
    choices = {"kind": hp.choice("kind", ["a", {"b": hp.uniform("inner", 0, 1)}])}
    with pytest.raises(SearchSpaceError, match=r"'a', one with parameters of its own"):
        SearcherDriver(HyperOptSearch(choices, points_to_evaluate=[{"kind": "c"}]), {})


def test_another_algorithm_of_hyperopts_can_be_used() -> None:
    drive = SearcherDriver(HyperOptSearch(algo=hyperopt.rand.suggest))
    assert len({str(config) for config in drive.rounds(5)}) == 5


@pytest.mark.parametrize(
    "arguments", [{"gamma": 0}, {"gamma": "x"}, {"n_initial_points": 0}, {"n_initial_points": True}]
)
def test_bad_argument_is_named(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(arguments))):
        HyperOptSearch(**arguments)
