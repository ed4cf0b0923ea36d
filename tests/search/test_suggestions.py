"""Asking ahead: a slow searcher does not keep workers waiting, a fast one knows all results."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.engine.suggestions import Suggestions
from tune_core.search import Searcher


class Counting(Searcher):
    """Suggests numbers; counts, and can be held back."""

    def __init__(self, length: int = 1000) -> None:
        super().__init__()
        self.length = length
        self.asked = 0
        self.told: list[str] = []
        self.known: list[int] = []  # results known at each ask
        self.gate = threading.Event()
        self.gate.set()
        self.refuses = False

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        self.gate.wait(30)
        if self.refuses:
            return None
        if self.asked == self.length:
            return self.FINISHED
        self.asked += 1
        self.known.append(len(self.told))
        return {"x": self.asked}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        self.told.append(trial_id)


class Driver:
    """A loop's part in it."""

    def __init__(self, searcher: Searcher, limit: int | None = None) -> None:
        self.came = threading.Semaphore(0)
        self.suggestions = Suggestions(searcher, limit, self.came.release)

    def wait(self, jobs: int = 1) -> None:
        for _ in range(jobs):
            assert self.came.acquire(timeout=30)

    def take(self) -> Any:
        found = self.suggestions.next()
        while found is None and self.suggestions.is_busy():
            self.wait()
            found = self.suggestions.next()
        return found


def test_fast_searcher_is_asked_only_for_the_worker_that_waits() -> None:
    searcher = Counting()
    driver = Driver(searcher)
    for i in range(4):
        assert driver.take() == {"x": i + 1}
        driver.suggestions.tell(f"{i:05d}", {"loss": 1}, False, took_s=100.0)
        driver.suggestions.prepare(running=2)
    driver.suggestions.close()

    assert searcher.known == [0, 1, 2, 3]


def prepared(ask_s: float, trial_s: float | None = None) -> tuple[Counting, Driver]:
    """A searcher that has answered once, and was asked ahead if that is worth it by what asks and trials take."""
    searcher = Counting()
    driver = Driver(searcher)
    driver.take()
    driver.suggestions._ask_s = ask_s
    if trial_s is not None:
        driver.suggestions._trial_s = trial_s
    driver.suggestions.prepare(running=2)
    driver.suggestions.close()
    return searcher, driver


def test_fast_searcher_is_not_asked_ahead_however_short_the_trials_are() -> None:
    searcher, _ = prepared(ask_s=0.0001, trial_s=0.0001)
    assert searcher.asked == 1


def test_slow_searcher_is_asked_ahead_for_as_many_as_may_end_at_once() -> None:
    searcher, driver = prepared(ask_s=0.2, trial_s=1.0)
    assert searcher.asked == 1 + 2
    assert driver.take() == {"x": 2}
    assert driver.take() == {"x": 3}


def test_before_the_first_result_one_is_asked_ahead_if_it_takes_noticeable_time() -> None:
    searcher, _ = prepared(ask_s=0.2)
    assert searcher.asked == 2


def test_trials_that_run_one_after_another_each_start_with_all_results_known() -> None:
    searcher = Counting()
    driver = Driver(searcher)
    for i in range(4):
        assert driver.take() == {"x": i + 1}
        driver.suggestions._ask_s = 5.0  # as slow as can be
        driver.suggestions.prepare(running=1)
        driver.suggestions.tell(f"{i:05d}", {"loss": 1}, False, took_s=1.0)
    driver.suggestions.close()

    assert searcher.known == [0, 1, 2, 3]


def test_asking_ahead_never_exceeds_the_number_of_samples() -> None:
    searcher = Counting()
    driver = Driver(searcher, limit=3)
    driver.take()
    driver.suggestions._ask_s, driver.suggestions._trial_s = 5.0, 1.0
    for _ in range(5):
        driver.suggestions.prepare(running=8)
    driver.suggestions.close()

    assert searcher.asked == 3
    assert [driver.take(), driver.take(), driver.take()] == [{"x": 2}, {"x": 3}, None]
    assert driver.suggestions.finished


def test_not_now_from_before_a_result_does_not_hold_up_what_follows_it() -> None:
    searcher = Counting()
    driver = Driver(searcher)
    driver.take()
    searcher.refuses = True
    driver.suggestions._ask_s, driver.suggestions._trial_s = 0.2, 1.0
    driver.suggestions.prepare(running=2)
    driver.wait()
    searcher.refuses = False
    driver.suggestions.tell("00000", {"loss": 1}, False, took_s=1.0)

    assert driver.take() == {"x": 2}
    driver.suggestions.close()


def test_not_now_is_not_asked_again_before_something_has_changed() -> None:
    searcher = Counting()
    searcher.refuses = True
    driver = Driver(searcher)
    assert driver.take() is None
    for _ in range(3):
        assert driver.suggestions.next() is None
        driver.suggestions.prepare(running=2)
    assert not driver.suggestions.is_busy()
    searcher.refuses = False
    driver.suggestions.retry()

    assert driver.take() == {"x": 1}
    driver.suggestions.close()


def test_results_told_while_it_thinks_reach_it_in_order() -> None:
    searcher = Counting()
    driver = Driver(searcher)
    driver.take()
    searcher.gate.clear()
    driver.suggestions.next()
    for i in range(3):
        driver.suggestions.tell(f"{i}", {"loss": 1}, False, took_s=1.0)
    searcher.gate.set()
    assert driver.take() == {"x": 2}
    assert driver.suggestions.last_told == 0
    driver.suggestions.close()

    assert searcher.told == ["0", "1", "2"]


class Noting(Searcher):
    """Takes a while for each suggestion, and leaves a file for each."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.asked = 0

    def suggest(self, trial_id: str) -> dict[str, Any]:
        time.sleep(0.1)
        (self.folder / f"asked{self.asked}").touch()
        self.asked += 1
        return {"number": self.asked - 1, "folder": str(self.folder)}


def waits_for_the_next_suggestion(config: dict[str, Any]) -> dict[str, Any]:
    """A trial of two at once that ends only when the one after them has been suggested while both ran."""
    wanted = Path(config["folder"]) / f"asked{config['number'] + 2}"
    deadline = time.monotonic() + 60
    while config["number"] < 4 and not wanted.exists():
        assert time.monotonic() < deadline, "nothing was asked ahead"
        time.sleep(0.005)
    return {"loss": 1.0}


@pytest.mark.real
def test_slow_searcher_works_while_all_workers_are_busy(tmp_path: Path) -> None:
    grid = tune.Tuner(
        waits_for_the_next_suggestion,
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", search_alg=Noting(tmp_path), num_samples=6, max_concurrent_trials=2
        ),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path / "runs"), verbose=0, executor=tune.LocalExecutor(num_cpus=2)
        ),
    ).fit()

    assert [result.status for result in grid] == ["TERMINATED"] * 6


class Learning(Searcher):
    """Suggests what it knows, and takes a while to do so."""

    def __init__(self) -> None:
        super().__init__()
        self.known = 0

    def suggest(self, trial_id: str) -> dict[str, Any]:
        time.sleep(0.05)
        return {"known": self.known}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        self.known += 1


@pytest.mark.real
def test_slow_searcher_knows_all_results_where_trials_run_one_after_another(tmp_path: Path) -> None:
    grid = tune.Tuner(
        lambda config: {"loss": 1.0},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", search_alg=Learning(), num_samples=5, max_concurrent_trials=1
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path / "runs"), verbose=0),
    ).fit()

    assert [result.config["known"] for result in grid] == [0, 1, 2, 3, 4]
