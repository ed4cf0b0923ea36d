"""What schedulers do for n trials and for 2n: the work for each trial must not grow with their number."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import pytest

import tune_core as tune
from schedulers.helpers import Bench
from tune_core.core.trial import PENDING
from tune_core.schedulers import (
    ASHAScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PASHAScheduler,
    PatientPruner,
    PercentilePruner,
    PopulationBasedTraining,
    Scheduler,
    SuccessiveHalvingScheduler,
)
from tune_core.schedulers.base import Continue, Exploit, Pause, Stop


def operations(action: Callable[[], object]) -> int:
    """How many bytecode instructions the schedulers' code executes meanwhile."""
    counted = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal counted
        if "schedulers" not in frame.f_code.co_filename or "tests" in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        counted += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return counted


def train(scheduler: Scheduler, trials: int, results: int, noise: float = 1.0) -> None:
    """All trials start, report turn by turn and pause, stop or go on as they are told."""
    bench, draw = Bench(scheduler), random.Random(0)
    level = {index: draw.random() for index in range(trials)}
    for index in range(trials):
        bench.start(index, {"x": level[index]})
    scheduler.on_stall(True)
    step, until = dict.fromkeys(range(trials), 0), {}
    live = list(range(trials))
    while live:
        index = live.pop(0)
        if index in until and step[index] < results:
            step[index] = max(step[index] + 1, int(min(until[index] or 0, results)))
        else:
            step[index] += 1
        if step[index] > results:
            bench.end(index)
            continue
        decision = bench.report(index, step[index], level[index] + noise * draw.random() / step[index])
        if isinstance(decision, (Continue, Exploit)):
            if isinstance(decision, Exploit):
                bench.start(index)
            until[index] = getattr(decision, "until", None)
            live.append(index)
        elif isinstance(decision, Stop):
            bench.end(index)
        for dropped, _ in scheduler.discard():
            bench.end(dropped)
        for copied, _ in scheduler.pending_exploits():
            bench.trials[copied].status = PENDING
        while isinstance(decision, Pause) and not live and (chosen := bench.choose()) is not None:
            bench.start(chosen)
            live.append(chosen)
            break


def pbt(**more: Any) -> PopulationBasedTraining:
    mutations = {"x": tune.uniform(0, 1)}
    return PopulationBasedTraining(
        "training_iteration", perturbation_interval=3, hyperparam_mutations=mutations, **more
    )


MAKERS: dict[str, Callable[[int], Scheduler]] = {
    "asha": lambda n: ASHAScheduler(max_t=27, reduction_factor=3),
    "asha by promotion": lambda n: ASHAScheduler(max_t=27, reduction_factor=3, rule="promotion"),
    "pasha": lambda n: PASHAScheduler(max_t=27),
    "median": lambda n: MedianStoppingRule("training_iteration", grace_period=1, hard_stop=False),
    "percentile": lambda n: PercentilePruner(60.0),
    "patient": lambda n: PatientPruner(PercentilePruner(60.0), 2),
    "hyperband": lambda n: HyperBandScheduler(max_t=27),
    "one synchronous bracket of all": lambda n: SuccessiveHalvingScheduler(max_t=27, num_trials=n),
    "pbt": lambda n: pbt(),
    "synchronous pbt": lambda n: pbt(synch=True),
}


@pytest.mark.parametrize("name", MAKERS)
def test_twice_the_trials_are_about_twice_the_work(name: str) -> None:
    few, many = (operations(lambda n=n: train(MAKERS[name](n), n, 12)) for n in (300, 600))
    assert many < 2.35 * few, f"{few} operations for 300 trials, {many} for 600: grows {many / few:.2f} times"


def test_pasha_with_a_full_top_rung_does_twice_the_work_for_twice_the_trials() -> None:
    """Where the ranking is stable, a third of all trials stand on the top rung."""
    few, many = (operations(lambda n=n: train(PASHAScheduler(max_t=27), n, 12, noise=0.0)) for n in (900, 1800))
    assert many < 2.35 * few, f"{few} operations for 900 trials, {many} for 1800: grows {many / few:.2f} times"
