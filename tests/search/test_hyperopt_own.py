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


def test_another_algorithm_of_hyperopts_can_be_used() -> None:
    drive = SearcherDriver(HyperOptSearch(algo=hyperopt.rand.suggest))
    assert len({str(config) for config in drive.rounds(5)}) == 5


@pytest.mark.parametrize(
    "arguments", [{"gamma": 0}, {"gamma": "x"}, {"n_initial_points": 0}, {"n_initial_points": True}]
)
def test_bad_argument_is_named(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(arguments))):
        HyperOptSearch(**arguments)
