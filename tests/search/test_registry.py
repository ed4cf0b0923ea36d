"""Searchers by name, and what a run does with what it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core import space as sp
from tune_core.errors import InvalidArgumentError, MissingDependencyError, SearchSpaceError
from tune_core.search import BasicVariantGenerator, create_searcher
from tune_core.search.registry import NAMES, searcher_class, searcher_from


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_name_is_a_searcher_or_says_what_to_install(name: str) -> None:
    assert issubclass(searcher_class(name), tune.search.Searcher)
    try:
        made = create_searcher(name, metric="loss", mode="min")
    except MissingDependencyError as error:
        assert "pip install" in str(error)
    else:
        assert type(made).__name__ == NAMES[name]


def test_arguments_of_other_searchers_are_left_out_and_unknown_ones_with_a_warning() -> None:
    assert create_searcher("random", random_state=3, sampler=None, gamma=0.5).random_state == 3
    with pytest.warns(UserWarning, match="Did you mean points_to_evaluate"):
        assert create_searcher("random", points_to_evalute=[], random_state=3).random_state == 3


@pytest.mark.parametrize("name", ["optunaa", "", 3, None])
def test_unknown_name_is_an_error_that_lists_the_known_ones(name: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="'optuna'"):
        create_searcher(name)


def test_class_in_place_of_a_searcher_is_an_error() -> None:
    with pytest.raises(InvalidArgumentError, match=r"BasicVariantGenerator\(\)"):
        searcher_from(BasicVariantGenerator, {}, 1)
    with pytest.raises(InvalidArgumentError, match="neither"):
        searcher_from(7, {}, 1)


def test_auto_leaves_grids_and_tiny_runs_to_random_search(caplog: pytest.LogCaptureFixture) -> None:
    space = {"x": tune.uniform(0, 1)}
    with caplog.at_level("INFO", logger="tune_core"):
        assert isinstance(searcher_from("auto", {"x": tune.grid_search([1, 2])}, 10), BasicVariantGenerator)
        assert isinstance(searcher_from("auto", {"x": 1}, 10), BasicVariantGenerator)
        assert isinstance(searcher_from("auto", space, 3), BasicVariantGenerator)
        assert type(searcher_from("auto", space, 50)).__name__ == "AutoSearch"
    assert "holds a grid" in caplog.text
    assert "3 trials" in caplog.text
    assert "Gaussian process" in caplog.text


def test_searcher_needs_a_mode_and_something_to_search() -> None:
    pytest.importorskip("numpy")
    with pytest.raises(InvalidArgumentError, match="mode"):
        create_searcher("auto").set_search_properties(None, None, {"x": tune.uniform(0, 1)})
    with pytest.raises(SearchSpaceError, match="nothing to search"):
        create_searcher("auto").set_search_properties("loss", "min", {"x": 1})


def test_space_given_twice_is_refused_and_constants_are_added() -> None:
    pytest.importorskip("numpy")
    space = {"x": tune.uniform(0, 1)}
    assert create_searcher("auto", space=space).set_search_properties("loss", "min", space) is False

    searcher = create_searcher("auto", space=space)
    assert searcher.set_search_properties("loss", "min", {"batch": 8}) is True
    assert searcher.suggest("0")["batch"] == 8


def test_finite_space_ends_when_all_of_it_was_tried() -> None:
    pytest.importorskip("numpy")
    searcher = create_searcher("auto")
    searcher.set_search_properties("loss", "min", {"a": tune.choice([1, 2, 3]), "b": tune.choice(["y", "z"])})
    seen = set()
    for i in range(6):
        config = searcher.suggest(f"{i}")
        seen.add((config["a"], config["b"]))
        searcher.on_trial_complete(f"{i}", {"loss": config["a"]})
    assert len(seen) == 6
    assert searcher.suggest("6") == "FINISHED"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"search_alg": "auto", "num_samples": 6},
            "AutoSearch(Gaussian process over 1 parameters): ",
        ),
        ({"search_alg": "auto", "num_samples": 2}, "a model learns nothing from 2 trials"),
        ({"num_samples": 6}, ""),
    ],
)
def test_screen_says_in_one_line_which_form_of_auto_runs_and_why(
    more: dict[str, Any], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numpy")
    monkeypatch.setenv("TUNE_CORE_PROGRESS", "plain")
    tune.Tuner(
        lambda config: {"loss": config["x"]},
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", seed=0, **more),
        run_config=tune.RunConfig(verbose=1, storage_path=str(tmp_path), executor="inline"),
    ).fit()
    lines = [line for line in capsys.readouterr().out.splitlines() if "search_alg='auto' is" in line]
    assert len(lines) == bool(says)
    assert all(says in line for line in lines)


def test_value_of_a_point_that_leaves_something_out_is_refused() -> None:
    pytest.importorskip("numpy")
    space = {"x": sp.uniform(0, 1), "net": sp.choice([{"act": sp.choice(["a", "b"])}, "none"]), "batch": 32}
    for point in ({"x": 0.5}, {"x": 0.5, "net": {}}):
        search = create_searcher("auto", points_to_evaluate=[point], evaluated_rewards=[1.0])
        with pytest.raises(SearchSpaceError, match="belongs to a whole configuration"):
            search.set_search_properties("loss", "min", space, seed=0)
    whole = [{"x": 0.5, "net": "none"}, {"x": 0.25, "net": {"act": "b"}}, {"x": 0.75}]
    search = create_searcher("auto", points_to_evaluate=whole, evaluated_rewards=[1.0, 2.0, None])
    search.set_search_properties("loss", "min", space, seed=0)

    assert search.suggest("00000")["x"] == 0.75
