"""The limit on unfinished suggestions."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core import space
from tune_core.errors import InvalidArgumentError
from tune_core.search import BasicVariantGenerator, ConcurrencyLimiter, Repeater, Searcher, create_searcher


class Recording(Searcher):
    """Suggests numbers up to ``length`` and keeps what it is told; may wait for its results."""

    def __init__(self, length: int = 100, needs_results: bool = False, takes_limit: bool = False) -> None:
        super().__init__()
        self.length, self.needs_results, self.takes_limit = length, needs_results, takes_limit
        self.asked: list[str] = []
        self.told: list[str] = []
        self.points: list[Any] = []
        self.results: list[str] = []

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        return self.takes_limit

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if len(self.asked) == self.length:
            return self.FINISHED
        if self.needs_results and len(self.asked) > len(self.told):
            return None
        self.asked.append(trial_id)
        return {"x": len(self.asked)}

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        self.results.append(trial_id)

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        self.told.append(trial_id)

    def add_evaluated_point(self, *arguments: Any, **named: Any) -> None:
        self.points.append(arguments)


def test_suggests_no_more_than_the_limit_until_a_trial_ends() -> None:
    limiter = ConcurrencyLimiter(Recording(), max_concurrent=2)

    assert [limiter.suggest(i) for i in "abc"] == [{"x": 1}, {"x": 2}, None]
    limiter.on_trial_complete("a", {"loss": 1})
    assert limiter.suggest("c") == {"x": 3}


def test_failed_trial_makes_room_too() -> None:
    limiter = ConcurrencyLimiter(Recording(), max_concurrent=1)
    limiter.suggest("a")
    limiter.on_trial_complete("a", error=True)

    assert limiter.suggest("b") == {"x": 2}


def test_batch_is_told_when_all_of_it_has_ended() -> None:
    inner = Recording()
    limiter = ConcurrencyLimiter(inner, max_concurrent=3, batch=True)
    for i in "abc":
        limiter.suggest(i)
    limiter.on_trial_complete("b")
    limiter.on_trial_complete("a")

    assert inner.told == []
    assert limiter.suggest("d") is None
    limiter.on_trial_complete("c")
    assert inner.told == ["b", "a", "c"]
    assert limiter.suggest("d") == {"x": 4}


def test_incomplete_last_batch_is_told_after_the_searcher_has_finished() -> None:
    inner = Recording(length=2)
    limiter = ConcurrencyLimiter(inner, max_concurrent=3, batch=True)
    assert [limiter.suggest(i) for i in "abc"] == [{"x": 1}, {"x": 2}, Searcher.FINISHED]
    limiter.on_trial_complete("a")
    assert inner.told == []
    limiter.on_trial_complete("b")

    assert inner.told == ["a", "b"]


@pytest.mark.parametrize("restored", [False, True])
def test_incomplete_last_batch_is_told_when_the_last_of_num_samples_has_ended(restored: bool) -> None:
    inner = Recording()
    limiter = ConcurrencyLimiter(inner, max_concurrent=3, batch=True)
    limiter.set_search_properties("loss", "min", {}, num_samples=5)
    for i in "abc":
        limiter.adopt(i, {"x": 1}) if restored else limiter.suggest(i)
    for i in "abc":
        limiter.on_trial_complete(i)
    for i in "de":
        limiter.suggest(i)
    limiter.on_trial_complete("e")
    assert inner.told == ["a", "b", "c"]
    limiter.on_trial_complete("d")

    assert inner.told == ["a", "b", "c", "e", "d"]


def test_batch_of_a_run_without_end_waits_until_it_is_full() -> None:
    inner = Recording()
    limiter = ConcurrencyLimiter(inner, max_concurrent=2, batch=True)
    limiter.set_search_properties("loss", "min", {}, num_samples=-1)
    limiter.suggest("a")
    limiter.on_trial_complete("a")

    assert inner.told == []


def test_batch_never_waits_for_a_searcher_that_waits_for_the_batch() -> None:
    inner = Recording(needs_results=True)
    limiter = ConcurrencyLimiter(inner, max_concurrent=3, batch=True)
    limiter.suggest("a")
    limiter.on_trial_complete("a")

    assert limiter.suggest("b") == {"x": 2}
    assert inner.told == ["a"]


def test_searcher_that_limits_itself_is_left_to_it() -> None:
    limiter = ConcurrencyLimiter(Recording(takes_limit=True), max_concurrent=1)

    assert [limiter.suggest(i) for i in "ab"] == [{"x": 1}, {"x": 2}]


def test_everything_else_reaches_the_searcher() -> None:
    inner = Recording()
    limiter = ConcurrencyLimiter(inner, max_concurrent=1)
    limiter.set_search_properties("loss", "min", {})
    limiter.add_evaluated_point({"x": 1}, 2.0)
    limiter.on_trial_result("a", {"loss": 1})
    limiter.on_trial_complete("unknown", {"loss": 1})

    assert (limiter.metric, limiter.mode, inner.metric) == ("loss", "min", "loss")
    assert inner.points[0][:2] == ({"x": 1}, 2.0)
    assert (inner.results, inner.told, limiter.length) == (["a"], ["unknown"], 100)
    assert limiter.describe() == "ConcurrencyLimiter(Recording, max_concurrent=1)"


def test_random_search_can_be_limited() -> None:
    limiter = ConcurrencyLimiter(BasicVariantGenerator(), max_concurrent=1)
    limiter.set_search_properties("loss", "min", {"x": space.uniform(0, 1)}, seed=3, num_samples=2)

    assert limiter.suggest("00000") == space.generate({"x": space.uniform(0, 1)}, 3, 0)
    assert limiter.suggest("00001") is None
    assert not limiter.stateless


def test_limiter_can_be_pickled() -> None:
    limiter = pickle.loads(pickle.dumps(ConcurrencyLimiter(BasicVariantGenerator(), max_concurrent=2)))

    assert limiter.max_concurrent == 2


SPACE = {"x": space.uniform(0, 1), "act": space.choice(["a", "b"])}


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("repeat", [1, 2])
def test_restored_limit_counts_trials_that_had_not_ended(batch: bool, repeat: int, tmp_path: Any) -> None:
    pytest.importorskip("numpy")

    def limited() -> Any:
        inner: Any = create_searcher("auto")
        limiter = ConcurrencyLimiter(Repeater(inner, repeat) if repeat > 1 else inner, 3, batch=batch)
        limiter.set_search_properties("m", "max", SPACE, seed=1, num_samples=20)
        return limiter

    first = limited()
    for trial_id in "012345":
        config = first.suggest(trial_id)
        first.on_trial_complete(trial_id, {"m": config["x"]})
        if batch and trial_id in "14":
            assert first.suggest(f"other{trial_id}") is not None
            first.on_trial_complete(f"other{trial_id}", {"m": 0.5})
    first.suggest("6"), first.suggest("7")
    first.on_trial_complete("7", {"m": 0.1})
    path = str(tmp_path / "state")
    first.save(path)
    again = limited()
    again.restore(path)

    assert set(again.unfinished_trials()) == {"6"}
    assert [again.suggest(i) for i in "89"] == [first.suggest(i) for i in "89"]
    assert again.suggest("a") is None
    for trial_id in "869":
        again.on_trial_complete(trial_id, {"m": 0.3})
    assert again.unfinished_trials() == set()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((Recording(), 0), "max_concurrent"),
        ((Recording(), True), "max_concurrent"),
        ((Recording(), "2"), "max_concurrent"),
        ((Recording, 1), "searcher"),
        (("random", 1), "searcher"),
    ],
)
def test_bad_argument_is_an_error_that_names_it(arguments: Any, named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        ConcurrencyLimiter(*arguments)


@pytest.mark.parametrize("batch", [False, True])
def test_a_grid_is_tried_in_full_under_a_limit(tmp_path: Path, batch: bool) -> None:
    space = {"a": tune.grid_search([1, 2, 3]), "b": tune.grid_search([1, 2]), "c": tune.uniform(0, 1)}
    results = tune.Tuner(
        lambda config: {"loss": config["a"] + config["b"]},
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", num_samples=2, search_alg=ConcurrencyLimiter(BasicVariantGenerator(), 4, batch)
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="inline"),
    ).fit()
    points = [(a, b) for a in (1, 2, 3) for b in (1, 2)]
    assert sorted((r.config["a"], r.config["b"]) for r in results) == sorted(points * 2)
    assert len({r.config["c"] for r in results}) == 12
