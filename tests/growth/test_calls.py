"""What one report and one trial cost in calls of tune-core's own functions: with more, somebody should look.

Counted are calls, not seconds, in runs of which one does a known amount more than the other.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tune_core as tune

_CODE = os.path.dirname(tune.__file__)
MOST_A_REPORT = 9
"""5 where the trial runs, from ``tune.report`` to the line, and 4 in the driver."""
MOST_A_TRIAL = 132


def calls_in(action: Callable[[], object]) -> int:
    """How many of tune-core's functions are called meanwhile, in this thread."""
    calls = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_filename.startswith(_CODE)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(before)
    return calls


def objective(config: dict[str, Any]) -> Any:
    for step in range(config["steps"]):
        tune.report({"loss": config["x"] + step})
    return {"loss": config["x"]}


def run(folder: Path, trials: int, steps: int) -> int:
    tuner = tune.Tuner(
        objective,
        param_space={"x": tune.uniform(0, 1), "steps": steps},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=trials),
        run_config=tune.RunConfig(storage_path=str(folder), name=f"{trials}_{steps}", verbose=0, executor="inline"),
    )
    return calls_in(tuner.fit)


def test_calls_of_a_report(tmp_path: Path) -> None:
    run(tmp_path, 1, 10)
    extra = run(tmp_path, 1, 4100) - run(tmp_path, 1, 100)
    print(f"{extra / 4000:.2f} calls a report")
    assert extra / 4000 < MOST_A_REPORT + 0.5  # batches that go after a time, on a slow machine


def test_calls_of_a_trial(tmp_path: Path) -> None:
    run(tmp_path, 10, 0)
    extra = run(tmp_path, 220, 0) - run(tmp_path, 20, 0)
    print(f"{extra / 200:.2f} calls a trial")
    assert extra / 200 < MOST_A_TRIAL
