"""Scripts written for HyperOpt, changed in the line that imports it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hyperopt")

import tune_core as tune
from tune_core.compat.hyperopt import STATUS_FAIL, STATUS_OK, Trials, fmin, hp, rand, space_eval, tpe


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_CORE_STORAGE", str(tmp_path))


def test_first_example_of_hyperopts_documentation() -> None:
    best = fmin(fn=lambda x: x**2, space=hp.uniform("x", -10, 10), algo=tpe.suggest, max_evals=40)

    assert abs(best["x"]) < 3


def test_conditional_space_of_the_documentation() -> None:
    def objective(args: Any) -> float:
        case, val = args
        return float(val if case == "case 1" else val**2)

    space = hp.choice("a", [("case 1", 1 + hp.lognormal("c1", 0, 1)), ("case 2", hp.uniform("c2", -10, 10))])
    best = fmin(objective, space, algo=tpe.suggest, max_evals=30, rstate=3)

    assert set(best) in ({"a", "c1"}, {"a", "c2"})
    assert space_eval(space, best)[0] in ("case 1", "case 2")


def test_trials_hold_what_the_objective_returned() -> None:
    def objective(x: float) -> dict[str, Any]:
        return {"loss": x**2, "status": STATUS_OK, "eval_time": 0.5, "other_stuff": {"type": None, "value": [0, 1, 2]}}

    trials = Trials()
    best = fmin(objective, space=hp.uniform("x", -10, 10), algo=rand.suggest, max_evals=12, trials=trials)

    assert len(trials) == 12
    assert trials.argmin == best
    assert trials.results[0]["other_stuff"] == {"type": None, "value": [0, 1, 2]}
    assert min(trials.losses()) == best["x"] ** 2


def test_failed_status_and_exceptions() -> None:
    def objective(config: Any) -> dict[str, Any]:
        if config["x"] > 0.5:
            return {"status": STATUS_FAIL}
        return {"loss": config["x"], "status": STATUS_OK}

    best = fmin(objective, {"x": hp.uniform("x", 0, 1)}, max_evals=15, rstate=1)
    assert best["x"] <= 0.5

    def raises(config: Any) -> float:
        raise ValueError("mine")

    with pytest.raises(tune.TuneError, match="mine"):
        fmin(raises, {"x": hp.uniform("x", 0, 1)}, max_evals=3)


def test_points_threshold_and_early_stop() -> None:
    def objective(config: Any) -> float:
        return float(abs(config["x"] - 0.25))

    best = fmin(
        objective, {"x": hp.uniform("x", 0, 1)}, max_evals=500, points_to_evaluate=[{"x": 0.25}], loss_threshold=0
    )
    assert best == {"x": 0.25}

    trials = Trials()
    fmin(
        objective,
        {"x": hp.uniform("x", 0, 1)},
        max_evals=500,
        trials=trials,
        early_stop_fn=lambda trials, count=0: (count >= 4, [count + 1]),
    )
    assert 5 <= len(trials) < 40
    assert math.isfinite(min(trials.losses()))
