"""Functions that have to be awaited where nobody awaits them: an error that names them, before the first trial."""

from __future__ import annotations

import functools
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.errors import InvalidArgumentError, TrialError


async def coroutine(config: dict[str, Any]) -> dict[str, float]:
    return {"loss": 1.0}


async def agenerator(config: dict[str, Any]) -> AsyncIterator[dict[str, float]]:
    yield {"loss": 1.0}


class Called:
    async def __call__(self, config: dict[str, Any]) -> dict[str, float]:
        return {"loss": 1.0}


class Stepped(tune.Trainable):
    async def step(self) -> dict[str, float]:  # type: ignore[override]
        return {"loss": 1.0}


def fit(objective: Any, folder: Path, **options: Any) -> Any:
    run_config = tune.RunConfig(storage_path=str(folder), verbose=0, **options)
    tune_config = tune.TuneConfig(metric="loss", mode="min", num_samples=5)
    return tune.Tuner(objective, tune_config=tune_config, run_config=run_config).fit()


@pytest.mark.parametrize(
    ("objective", "name"),
    [
        (coroutine, "coroutine"),
        (agenerator, "agenerator"),
        (functools.partial(coroutine), "coroutine"),
        (Called(), "Called"),
        (Stepped, r"Stepped\.step"),
    ],
)
@pytest.mark.parametrize("bind", [lambda f: f, lambda f: tune.with_resources(f, {"cpu": 1})], ids=["plain", "bound"])
def test_asynchronous_objective_is_refused_by_name(
    tmp_path: Path, objective: Any, name: str, bind: Callable[[Any], Any]
) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"The objective {name} is asynchronous[\s\S]*asyncio\.run"):
        fit(bind(objective), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("executor", ["inline", "local"])
@pytest.mark.parametrize("inner", [coroutine, agenerator])
def test_function_that_returns_one_ends_the_run_with_its_first_trial(
    tmp_path: Path, inner: Callable[..., Any], executor: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a coroutine that was never awaited
        with pytest.raises(TrialError, match=r"The objective <lambda> is asynchronous[\s\S]*asyncio\.run"):
            fit(lambda config: inner(config), tmp_path, executor=executor)
    (folder,) = tmp_path.iterdir()
    assert len(tune.ResultGrid.from_path(str(folder))) < 5


def test_generator_function_is_an_objective(tmp_path: Path) -> None:
    def generator(config: dict[str, Any]) -> Iterator[dict[str, float]]:
        yield {"loss": 1.0}
        yield {"loss": 0.5}

    assert fit(generator, tmp_path)[0].metrics["loss"] == 0.5


class Stops(tune.Stopper):
    async def __call__(self, trial_id: str, result: Any) -> bool:  # type: ignore[override]
        return False

    def stop_all(self) -> bool:
        return False


async def stops(trial_id: str, result: Any) -> bool:
    return False


class Hears(tune.Callback):
    async def on_trial_result(self, *args: Any, **info: Any) -> None:  # type: ignore[override]
        pass


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"stop": stops}, "stop is the asynchronous function stops"),
        ({"stop": Stops()}, "the Stops's __call__, is the asynchronous"),
        ({"callbacks": [Hears()]}, r"RunConfig\(callbacks\), Hears\.on_trial_result, is the asynchronous"),
    ],
)
def test_stoppers_and_callbacks_that_nobody_would_await_are_refused(options: Any, named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        tune.RunConfig(**options)


def test_minimised_function_that_nobody_would_await_is_refused() -> None:
    hyperopt = pytest.importorskip("hyperopt")
    from tune_core.compat.hyperopt import fmin

    with pytest.raises(InvalidArgumentError, match=r"fmin\(fn\) is the asynchronous function coroutine"):
        fmin(coroutine, hyperopt.hp.uniform("x", 0, 1), hyperopt.tpe.suggest, 3)
