"""Spaces at the ends of what numbers can say: they are searched, or an error names the parameter before any trial."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.errors import SearchSpaceError

LIBRARIES = {
    "random": "tune_core",
    "auto": "sklearn",
    "ax": "ax",
    "bayesopt": "bayes_opt",
    "bohb": "ConfigSpace",
    "flaml": "flaml",
    "hyperopt": "hyperopt",
    "optuna": "optuna",
    "smac": "smac",
    "zoopt": "zoopt",
}

SPACES: dict[str, Callable[[], Any]] = {
    "log, all numbers": lambda: tune.loguniform(1e-300, 1e300),
    "log, from the least": lambda: tune.loguniform(5e-324, 1.0),
    "log, narrow": lambda: tune.loguniform(1.0, 1.0 + 1e-12),
    "wider than any number": lambda: tune.uniform(-1e308, 1e308),
    "narrow": lambda: tune.uniform(0, 5e-324),
    "one whole number": lambda: tune.randint(3, 4),
    "all whole numbers": lambda: tune.randint(0, 2**62),
    "one option": lambda: tune.choice(["a"]),
    "options without a hash": lambda: tune.choice([[1, 2], {"a": 1}]),
}


def attempt(search_alg: str, domain: Any, folder: Path) -> list[Any]:
    """The values of three trials; raises what fit raised, which must not be after a trial."""
    ran: list[Any] = []

    def objective(config: dict[str, Any]) -> dict[str, float]:
        ran.append(config["rate"])
        return {"loss": float(len(ran))}

    tune_config = tune.TuneConfig(metric="loss", mode="min", search_alg=search_alg, num_samples=3, seed=1)
    run_config = tune.RunConfig(storage_path=str(folder), verbose=0, executor="inline")
    space = {"rate": domain, "other": tune.uniform(0, 1)}
    try:
        tune.Tuner(objective, param_space=space, tune_config=tune_config, run_config=run_config).fit()
    except SearchSpaceError as error:
        assert not ran
        assert "rate" in error.asked and all((error.found, error.cause, error.fix))
        raise
    return ran


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("search_alg", LIBRARIES)
def test_space_is_searched_or_the_parameter_is_named(tmp_path: Path, search_alg: str, space: str) -> None:
    pytest.importorskip(LIBRARIES[search_alg])
    try:
        assert len(attempt(search_alg, SPACES[space](), tmp_path)) == 3
    except SearchSpaceError as error:
        assert "cannot search it" in error.cause


@pytest.mark.parametrize(
    ("search_alg", "space"),
    [
        ("bohb", "log, all numbers"),
        ("bohb", "log, from the least"),
        ("optuna", "wider than any number"),
        ("hyperopt", "wider than any number"),
        ("flaml", "wider than any number"),
        ("zoopt", "wider than any number"),
    ],
)
def test_what_a_library_cannot_search_is_refused(tmp_path: Path, search_alg: str, space: str) -> None:
    pytest.importorskip(LIBRARIES[search_alg])
    with pytest.raises(SearchSpaceError, match=r"param_space\['rate'\] is [\s\S]*cannot search it"):
        attempt(search_alg, SPACES[space](), tmp_path)


def test_step_wider_than_the_range_is_refused_where_it_is_written() -> None:
    with pytest.raises(SearchSpaceError, match="larger than the range"):
        tune.quniform(0, 1, 5)


@pytest.mark.parametrize("search_alg", [name for name in LIBRARIES if name not in ("random", "auto")])
def test_nothing_to_search_is_said(tmp_path: Path, search_alg: str) -> None:
    pytest.importorskip(LIBRARIES[search_alg])
    tune_config = tune.TuneConfig(metric="loss", mode="min", search_alg=search_alg)
    run_config = tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="inline")
    with pytest.raises(SearchSpaceError, match="holds nothing to search"):
        tune.Tuner(lambda config: pytest.fail("ran"), tune_config=tune_config, run_config=run_config).fit()
