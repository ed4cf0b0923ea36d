"""Runs that are cut off: nothing is suggested twice, nothing told is forgotten."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.engine.suggestions import Suggestions
from tune_core.journal import reader as journal
from tune_core.search import create_searcher
from tune_core.testing.searchers import SMALL, loss_of

LIBRARIES = {
    "auto": "numpy",
    "optuna": "optuna",
    "hyperopt": "hyperopt",
    "zoopt": "zoopt",
    "cfo": "flaml",
    "bohb": "hpbandster",
}
SEEDED = sorted(LIBRARIES)


def history(name: str, seed: int, count: int) -> list[tuple[Any, ...]]:
    """What a journal would hold of a run with three workers: suggestions with the tells before them, and ends."""
    searcher = create_searcher(name)
    searcher.set_search_properties("loss", "min", SMALL, seed=seed, num_samples=count)
    rng = random.Random(seed)
    events: list[tuple[Any, ...]] = []
    pending: list[tuple[str, dict[str, Any]]] = []
    asked = told = 0
    while asked < count or pending:
        config = searcher.suggest(f"{asked:05d}") if asked < count and len(pending) < 3 else None
        if config is not None:
            pending.append((f"{asked:05d}", config))
            events.append(("ask", asked, config, told))
            asked += 1
            continue
        trial_id, config = pending.pop(rng.randrange(len(pending)))
        error = rng.random() < 0.2
        result = None if error else {"loss": loss_of(config), "training_iteration": 1}
        searcher.on_trial_complete(trial_id, result, error)
        told += 1
        events.append(("tell", trial_id, result, error))
    return events


def repeat(name: str, seed: int, events: list[tuple[Any, ...]]) -> Suggestions:
    searcher = create_searcher(name)
    searcher.set_search_properties("loss", "min", SMALL, seed=seed, num_samples=14)
    suggestions = Suggestions(searcher, None, lambda: None)
    for event in events:
        if event[0] == "ask":
            suggestions.repeat_ask(*event[1:])
        else:
            _, trial_id, result, error = event
            suggestions.repeat_tell(lambda s, a=(trial_id, result, error): s.on_trial_complete(*a))  # type: ignore[misc]
    suggestions.end_repeating()
    return suggestions


def ask(suggestions: Suggestions) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        config = suggestions.next()
        if config is not None or suggestions.finished:
            return config
        suggestions.retry()
        time.sleep(0.001)
    raise AssertionError("no suggestion came")


@pytest.mark.parametrize("name", sorted(LIBRARIES))
def test_cut_off_at_twenty_moments_the_searcher_goes_on_as_if_nothing_had_happened(name: str) -> None:
    pytest.importorskip(LIBRARIES[name])
    count = 14
    events = history(name, seed=3, count=count)
    configs = [event[2] for event in events if event[0] == "ask"]
    for cut in sorted(random.Random(1).sample(range(1, len(events) - 1), 20)):
        done = sum(event[0] == "ask" for event in events[:cut])
        suggestions = repeat(name, 3, events[:cut])
        try:
            if done < count and events[cut][0] == "ask":
                assert ask(suggestions) == configs[done], f"cut off after {cut} events"
                assert suggestions.asked == done + 1
            elif name != "zoopt":  # which may want the pending results first
                assert ask(suggestions) not in configs[:done]
            assert suggestions.repeat_mismatches == 0
        finally:
            suggestions.close()


class Forgetful(tune.search.Searcher):  # type: ignore[name-defined]
    """Suggests something else each time, and keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.adopted: dict[str, Any] = {}
        self.told: list[str] = []

    def suggest(self, trial_id: str) -> dict[str, Any]:
        return {"x": random.random()}

    def adopt(self, trial_id: str, config: Any) -> None:
        self.adopted[trial_id] = config

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        self.told.append(trial_id)


@pytest.mark.parametrize("replays", [True, False])
def test_searcher_that_cannot_repeat_itself_adopts_what_ran(replays: bool) -> None:
    searcher = Forgetful()
    searcher.replays = replays
    suggestions = Suggestions(searcher, None, lambda: None)
    suggestions.repeat_ask(0, {"x": 1}, 0)
    suggestions.repeat_tell(lambda s: s.on_trial_complete("00000", {"loss": 1}, False))
    suggestions.repeat_ask(1, {"x": 2}, 1)
    suggestions.end_repeating()
    ask(suggestions)
    suggestions.close()

    assert searcher.adopted == {"00000": {"x": 1}, "00001": {"x": 2}}
    assert searcher.told == ["00000"]
    assert suggestions.asked == 3


SCRIPT = """
import sys, time
import tune_core as tune
from tune_core.testing.searchers import SMALL, loss_of

def objective(config):
    time.sleep(0.03)
    return {"loss": loss_of(config)}

tune.Tuner(
    objective,
    param_space=SMALL,
    tune_config=tune.TuneConfig(metric="loss", mode="min", search_alg=sys.argv[2], num_samples=60, seed=1),
    run_config=tune.RunConfig(name="run", storage_path=sys.argv[1], verbose=0),
).fit()
"""


def objective(config: dict[str, Any]) -> dict[str, Any]:
    return {"loss": loss_of(config)}


@pytest.mark.real
@pytest.mark.parametrize("name", ["auto", "optuna", "hyperopt"])
def test_killed_driver_is_followed_by_one_that_forgets_nothing(name: str, tmp_path: Path) -> None:
    pytest.importorskip(LIBRARIES[name])
    folder = str(tmp_path / "run")
    driver = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path), name], env=os.environ, start_new_session=True
    )
    deadline = time.monotonic() + 60
    before = 0
    while before < 12 and time.monotonic() < deadline and driver.poll() is None:
        time.sleep(0.01)
        if tune.Tuner.can_restore(folder):
            before = len(tune.ResultGrid.from_path(folder))
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    configs = [result.config for result in tune.ResultGrid.from_path(folder)]
    assert len(configs) >= 12

    grid = tune.Tuner.restore(folder, objective).fit()

    assert len(grid) == 60
    assert [result.config for result in grid][: len(configs)] == configs
    told = [e for e in journal.read(folder).events if type(e).__name__ == "Suggested"]
    assert [event.trial for event in told] == list(range(60))
    assert len({str(result.config) for result in grid}) == 60
