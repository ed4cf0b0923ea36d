"""The pruners decide as Optuna's of the same name do, value by value; Optuna itself is asked."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import tune_core as tune
from schedulers.helpers import Bench
from tune_core.errors import InvalidArgumentError
from tune_core.schedulers import (
    ASHAScheduler,
    MedianPruner,
    PatientPruner,
    PercentilePruner,
    Scheduler,
    ThresholdPruner,
    WilcoxonPruner,
)
from tune_core.schedulers.base import Stop
from tune_core.simulation import Faults, simulate

Pair = Callable[[Any], tuple[Any, Any]]


def percentile(p: float, *more: int, **named: int) -> Pair:
    return lambda optuna: (PercentilePruner(p, *more, **named), optuna.pruners.PercentilePruner(p, *more, **named))


def wilcoxon(**named: Any) -> Pair:
    return lambda optuna: (WilcoxonPruner(**named), optuna.pruners.WilcoxonPruner(**named))


PAIRS: dict[str, Pair] = {
    "percentile": percentile(25.0),
    "percentile, warm-up and interval": percentile(60.0, 2, 3, 4),
    "percentile, enough at the step": percentile(40.0, 0, n_min_trials=4),
    "percentile 0": percentile(0.0, 1),
    "percentile 100": percentile(100.0, 1),
    "median": lambda optuna: (MedianPruner(3, 2, 2), optuna.pruners.MedianPruner(3, 2, 2)),
    "threshold": lambda optuna: (ThresholdPruner(-0.5, 1.0), optuna.pruners.ThresholdPruner(-0.5, 1.0)),
    "upper, at intervals": lambda optuna: (
        ThresholdPruner(upper=0.8, n_warmup_steps=2, interval_steps=3),
        optuna.pruners.ThresholdPruner(upper=0.8, n_warmup_steps=2, interval_steps=3),
    ),
    "patient": lambda optuna: (PatientPruner(None, 3), optuna.pruners.PatientPruner(None, 3)),
    "patient, tolerant": lambda optuna: (PatientPruner(None, 0, 0.6), optuna.pruners.PatientPruner(None, 0, 0.6)),
    "patient before percentile": lambda optuna: (
        PatientPruner(PercentilePruner(50.0, 2, 1, 2), 2),
        optuna.pruners.PatientPruner(optuna.pruners.PercentilePruner(50.0, 2, 1, 2), 2),
    ),
    "patient before wilcoxon": lambda optuna: (
        PatientPruner(WilcoxonPruner(p_threshold=0.3), 1),
        optuna.pruners.PatientPruner(optuna.pruners.WilcoxonPruner(p_threshold=0.3), 1),
    ),
    "wilcoxon": wilcoxon(),
    "wilcoxon, later": wilcoxon(p_threshold=0.4, n_startup_steps=4),
}


def values_of(rng: Any, trial: int, steps: int, kind: str) -> list[float]:
    """A course with ties, and now and then with NaN and infinities."""
    level = rng.random()
    found = [round(level + rng.normal(0.0, 0.3) + 1.0 / (step + 1), 1) for step in range(steps)]
    if kind == "odd":
        found = [float(rng.choice([math.nan, math.inf, -math.inf])) if rng.random() < 0.08 else v for v in found]
    return found


@pytest.mark.parametrize("kind", ["plain", "odd"])
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("name", PAIRS)
def test_decides_as_optuna_does(name: str, mode: str, kind: str) -> None:
    optuna = pytest.importorskip("optuna")
    np = pytest.importorskip("numpy")
    pytest.importorskip("scipy")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = PAIRS[name](optuna)
        rng = np.random.default_rng(5)
        bench = Bench(ours, mode)
        study = optuna.create_study(direction="minimize" if mode == "min" else "maximize")
        stops = 0
        for index in range(40):
            bench.start(index)
            trial = study.ask()
            reported: list[float] = []
            step, decided = 0, False
            for value in values_of(rng, index, int(rng.integers(4, 12)), kind):
                step += 1 + int(rng.random() < 0.2)  # some steps have no value
                trial.report(value, step)
                reported.append(value)
                frozen = study._storage.get_trial(trial._trial_id)
                wanted = theirs.prune(study, frozen)
                decided = isinstance(bench.report(index, step, value), Stop)
                assert decided == wanted, f"trial {index}, step {step}, values {reported}"
                if decided:
                    break
            stops += decided
            bench.end(index)
            mean = sum(np.array(reported)) / len(reported)
            if decided:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            elif math.isnan(mean):  # to Optuna no result; the percentiles take what there is
                study.add_trial(
                    optuna.trial.create_trial(value=0.0, intermediate_values=frozen.intermediate_values)
                ) if "wilcoxon" not in name else None
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, mean)
    assert 0 < stops < 40 or name in ("percentile 100",) or (kind == "odd" and stops < 40)


def test_wilcoxon_pairs_instances_by_their_name_whatever_their_order() -> None:
    pytest.importorskip("scipy")
    b = Bench(WilcoxonPruner(p_threshold=0.1, time_attr="fold"))
    losses = {"d": 0.9, "a": 0.1, "c": 0.7, "b": 0.3, "e": 0.5}
    b.start(0)
    for number, (fold, loss) in enumerate(losses.items(), 1):
        b.report(0, number, loss, fold=fold)
    b.end(0)
    b.start(1)
    decisions = [b.report(1, n, losses[fold] + 0.01 * n, fold=fold) for n, fold in enumerate("abcde", 1)]
    assert [isinstance(d, Stop) for d in decisions[:4]] == [False, False, False, True]  # p = 1/16 after four
    b = Bench(WilcoxonPruner(p_threshold=0.1, time_attr="fold"))
    for index in (0, 1):
        b.start(index)
        for n, fold in enumerate("abcde"[:: 1 - 2 * index], 1):
            assert not isinstance(b.report(index, n, losses[fold], fold=fold), Stop)
        b.end(index)


def test_step_reported_again_after_a_crash_counts_once() -> None:
    b = Bench(ThresholdPruner(upper=1.0, interval_steps=2))
    b.start(0)
    b.report(0, 1, 0.5)
    b.report(0, 2, 0.5)
    assert not isinstance(b.report(0, 1, 9.0), Stop)
    assert isinstance(b.report(0, 4, 9.0), Stop)


def test_result_without_the_metric_moves_nothing() -> None:
    b = Bench(PatientPruner(None, 0))
    b.start(0)
    b.report(0, 1, 0.5)
    b.scheduler.on_result(b.trials[0], {"training_iteration": 2})
    assert isinstance(b.report(0, 3, 0.6), Stop)


def test_trial_that_failed_or_was_pruned_is_no_standard_to_judge_by() -> None:
    from tune_core.core.trial import ERROR

    b = Bench(PercentilePruner(50.0, 1))
    for index, loss in enumerate([0.1, 0.9]):
        b.start(index)
        b.report(index, 1, loss)
    b.scheduler.on_end(b.trials[0], ERROR)
    b.end(1)
    b.start(2)
    assert not isinstance(b.report(2, 1, 0.8), Stop)
    b.start(3)
    assert isinstance(b.report(3, 1, 0.95), Stop)
    b.end(3)
    b.start(4)
    assert isinstance(b.report(4, 1, 0.92), Stop)  # still the median of 0.9 alone


def curve(config: dict[str, Any], step: int) -> Any:
    return (1.0, {"loss": config["x"] + 1 / step}) if step <= 12 else None


@pytest.mark.parametrize(
    "scheduler",
    [PercentilePruner(25.0), ThresholdPruner(upper=1.2, n_warmup_steps=4), "median_pruner"],
    ids=["percentile", "threshold", "by name"],
)
def test_saves_time_keeps_the_best_and_says_why(scheduler: Any) -> None:
    settings: dict[str, Any] = {"metric": "loss", "mode": "min", "workers": 3, "num_samples": 30, "seed": 2}
    whole = simulate(curve, {"x": tune.uniform(0, 2)}, **settings)
    early = simulate(curve, {"x": tune.uniform(0, 2)}, scheduler=scheduler, **settings)
    assert early.best_value == whole.best_value
    assert early.working_s < 0.8 * whole.working_s
    reasons = [d.why for d in early.decisions() if d.do == "stop" and not d.complete]
    assert reasons and all(why.startswith("at training_iteration") and "loss" in why for why in reasons)


def test_crashes_change_no_decision() -> None:
    settings: dict[str, Any] = {"metric": "loss", "mode": "min", "workers": 1, "num_samples": 20, "seed": 2}
    settings["checkpoint_every"] = 1
    quiet = simulate(curve, {"x": tune.uniform(0, 2)}, scheduler=PercentilePruner(25.0), **settings)
    faults = Faults(driver_deaths=2)
    broken = simulate(curve, {"x": tune.uniform(0, 2)}, scheduler=PercentilePruner(25.0), faults=faults, **settings)
    assert [t.iteration for t in broken.trials] == [t.iteration for t in quiet.trials]


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: PercentilePruner(101), "percentile"),
        (lambda: PercentilePruner(25, -1), "n_startup_trials"),
        (lambda: PercentilePruner(25, interval_steps=0), "interval_steps"),
        (lambda: MedianPruner(n_min_trials=0), r"MedianPruner\(n_min_trials"),
        (ThresholdPruner, "lower, upper"),
        (lambda: ThresholdPruner(2, 1), "lower, upper"),
        (lambda: ThresholdPruner(math.nan), "lower"),
        (lambda: PatientPruner(None, -1), "patience"),
        (lambda: PatientPruner(ASHAScheduler(), 2), "wrapped_pruner"),
        (lambda: PatientPruner(None, 1, -0.1), "min_delta"),
        (lambda: WilcoxonPruner(p_threshold=2), "p_threshold"),
    ],
)
def test_impossible_arguments_are_refused_by_name(make: Callable[[], Scheduler], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        make()
