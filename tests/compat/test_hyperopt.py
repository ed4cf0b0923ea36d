"""Scripts written for HyperOpt, changed in the line that imports it."""

from __future__ import annotations

import math
import pickle
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


def negative_fails(x: float) -> dict[str, Any]:
    if x < 0:
        return {"status": STATUS_FAIL, "why": "negative"}
    return {"loss": x if x < 0.5 else float("nan"), "status": STATUS_OK, "extra": 1}


@pytest.mark.parametrize("algo", [rand.suggest, tpe.suggest])
def test_one_after_the_other_it_is_what_hyperopt_does(algo: Any) -> None:
    import hyperopt as real
    import numpy as np

    def trials_of(search: Any) -> Any:
        trials = Trials()
        best = search(
            negative_fails,
            hp.uniform("x", -1, 1),
            algo=algo,
            max_evals=25,
            trials=trials,
            rstate=np.random.default_rng(1),
            max_queue_len=1,
            verbose=False,
            show_progressbar=False,
        )
        assert best == trials.argmin
        return trials

    ours, theirs = trials_of(fmin), trials_of(real.fmin)
    assert len(ours) == 25
    assert {"ok", "fail"} == set(ours.statuses())
    assert repr(ours.losses()) == repr(theirs.losses())
    assert repr(ours.results) == repr(theirs.results)
    assert [t["misc"]["vals"] for t in ours.trials] == [t["misc"]["vals"] for t in theirs.trials]
    assert [(t["tid"], t["state"]) for t in ours.trials] == [(t["tid"], t["state"]) for t in theirs.trials]


def test_trials_that_are_there_count_and_are_learnt_from(tmp_path: Path) -> None:
    space, trials = hp.uniform("x", -1, 1), Trials()
    fmin(lambda x: x, space, max_evals=3, trials=trials)
    before = trials.vals["x"][:]
    seen = []

    def algo(new_ids: Any, domain: Any, known: Any, seed: int) -> Any:
        seen.append(len(known.trials))
        return rand.suggest(new_ids, domain, known, seed)

    fmin(lambda x: x, space, algo=algo, max_evals=5, trials=trials, max_queue_len=1)
    assert (len(trials), seen, trials.vals["x"][:3]) == (5, [3, 4], before)
    best = fmin(lambda x: x, space, max_evals=4, trials=trials)
    assert len(trials) == 5
    assert best == trials.argmin

    path = str(tmp_path / "trials.pkl")
    fmin(lambda x: x, space, max_evals=2, trials_save_file=path)
    point = fmin(lambda x: x, space, max_evals=4, trials_save_file=path, return_argmin=False)
    with open(path, "rb") as file:
        saved = pickle.load(file)
    assert len(saved) == 4
    assert point == min(saved.losses())


def test_nothing_found_is_said() -> None:
    from hyperopt.exceptions import AllTrialsFailed

    for objective in (lambda x: float("nan"), lambda x: {"status": STATUS_FAIL}):
        trials = Trials()
        with pytest.raises(AllTrialsFailed):
            fmin(objective, hp.uniform("x", 0, 1), max_evals=2, trials=trials)
        assert len(trials) == 2


def test_trials_that_raise_do_not_count() -> None:
    def objective(x: float) -> float:
        if x < 0.5:
            raise ValueError("low")
        return x

    trials = Trials()
    fmin(objective, hp.uniform("x", 0, 1), max_evals=8, trials=trials, rstate=2, catch_eval_exceptions=True)
    states = [document["state"] for document in trials._dynamic_trials]
    assert len(states) == 8
    assert 0 < len(trials) == states.count(2) < 8
    assert min(trials.losses()) >= 0.5


def test_what_is_wrong_is_said() -> None:
    space = hp.uniform("x", 0, 1)
    with pytest.raises(tune.TuneError, match=r"algo=tpe\.suggest"):
        fmin(lambda x: x, space, algo="tpe", max_evals=2)
    with pytest.raises(tune.TuneError, match="STATUS_OK"):
        fmin(lambda x: {"loss": x}, space, max_evals=2)
    with pytest.raises(tune.TuneError, match="InvalidLoss"):
        fmin(lambda x: {"los": x, "status": "ok"}, space, max_evals=2)


def test_early_stop_sees_only_what_has_ended_the_latest_last() -> None:
    from hyperopt.early_stop import no_progress_loss

    trials, seen = Trials(), []

    def early_stop(known: Any, *state: Any) -> Any:
        seen.append((len(known), "new" in known.statuses()))
        return no_progress_loss(4)(known, *state)

    fmin(lambda x: 1.0, hp.uniform("x", 0, 1), max_evals=60, trials=trials, early_stop_fn=early_stop)
    assert seen[:4] == [(number, False) for number in (1, 2, 3, 4)]
    assert 4 <= len(trials) < 30
    assert set(trials.statuses()) == {"ok"}
