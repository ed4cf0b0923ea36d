"""One random run from one number: scheduler, workers, objective and faults all follow from the seed.

``python tests/simulation/fuzz.py SEED`` replays a seed and prints what happened;
``python tests/simulation/fuzz.py FIRST LAST`` runs many and prints those that fail.
"""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import tune_core as tune
from tune_core.schedulers import (
    PB2,
    ASHAScheduler,
    AutoScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PASHAScheduler,
    PopulationBasedTraining,
    ResourceChangingScheduler,
    SuccessiveHalvingScheduler,
    TrialScheduler,
    scheduler_from,
)
from tune_core.simulation import Faults, Simulation, simulate
from tune_core.testing.invariants import Invariants, check_end, check_journal

SPACE = {"x": tune.uniform(0, 1), "rate": tune.loguniform(0.1, 1.0), "kind": tune.choice(["a", "b"])}

Draw = random.Random
SCHEDULERS: dict[str, Callable[[Draw, int], Any]] = {
    "fifo": lambda draw, max_t: FIFOScheduler(),
    "asha": lambda draw, max_t: ASHAScheduler(
        max_t=max_t, reduction_factor=draw.choice([2, 3, 4, 2.5]), brackets=draw.choice([1, 1, 3])
    ),
    "asha-promotion": lambda draw, max_t: ASHAScheduler(
        max_t=max_t,
        grace_period=min(max_t, draw.choice([1, 2])),
        reduction_factor=draw.choice([2, 3, 4, 1.5]),
        brackets=draw.choice([1, 1, 2]),
        rule="promotion",
        stop_last_trials=draw.random() < 0.8,
    ),
    "hyperband": lambda draw, max_t: HyperBandScheduler(
        max_t=max_t, reduction_factor=draw.choice([2, 3, 2.5]), stop_last_trials=draw.random() < 0.8
    ),
    "sha": lambda draw, max_t: SuccessiveHalvingScheduler(
        max_t=max_t, reduction_factor=draw.choice([2, 3]), num_trials=draw.choice([None, 4, 7])
    ),
    "pbt": lambda draw, max_t: PopulationBasedTraining(
        time_attr=draw.choice(["training_iteration", "epoch", "time_total_s"]),
        perturbation_interval=draw.choice([1, 3, 4]),
        burn_in_period=draw.choice([0, 0, 5]),
        hyperparam_mutations={"rate": tune.loguniform(0.1, 1.0), "kind": ["a", "b"]},
        quantile_fraction=draw.choice([0.25, 0.5]),
        synch=draw.random() < 0.5,
    ),
    "pb2": lambda draw, max_t: PB2(
        time_attr="training_iteration",
        perturbation_interval=draw.choice([3, 6]),
        hyperparam_bounds={"rate": [0.1, 1.0]},
        synch=draw.random() < 0.5,
    ),
    "median": lambda draw, max_t: MedianStoppingRule(
        time_attr=draw.choice(["training_iteration", "time_total_s"]),
        grace_period=draw.choice([0, 2, 5]),
        min_samples_required=draw.choice([1, 3]),
        min_time_slice=draw.choice([0, 0, 2]),
        hard_stop=draw.random() < 0.6,
    ),
    "pasha": lambda draw, max_t: PASHAScheduler(max_t=max_t, reduction_factor=draw.choice([2, 3])),
    "auto": lambda draw, max_t: AutoScheduler(),
    "resources": lambda draw, max_t: ResourceChangingScheduler(
        ASHAScheduler(max_t=max_t, reduction_factor=2, rule=draw.choice(["stopping", "promotion"]))
    ),
    "legacy": lambda draw, max_t: scheduler_from(Moody(draw.choice([0.0, 0.2]))),
}


class Moody(TrialScheduler):
    """Written for Ray Tune: stops and pauses as the results' digits say."""

    def __init__(self, pausing: float) -> None:
        self.pausing = pausing

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        chance = random.Random(f"{result['loss']}:{result['training_iteration']}").random()
        return self.STOP if chance < 0.1 else self.PAUSE if chance < 0.1 + self.pausing else self.CONTINUE


def objective(seed: int, length: int) -> Callable[[dict[str, Any], int], tuple[float, dict[str, Any]] | None]:
    """Learning curves with NaN, early ends and steps of very different length."""
    draw = random.Random(f"{seed}:objective")
    pace = draw.choice([0.0, 0.5])
    spoilt = draw.choice([0.0, 0.0, 0.05])
    early = draw.choice([0.0, 0.0, 0.02])

    def run(config: dict[str, Any], step: int) -> tuple[float, dict[str, Any]] | None:
        if step > length:
            return None
        chance = random.Random(f"{seed}:{config['x']}:{step}")
        if chance.random() < early:
            return None
        loss = config["x"] + config["rate"] / step + 0.02 * chance.random()
        if chance.random() < spoilt:
            loss = chance.choice([math.nan, math.inf, -math.inf])
        return 1.0 + pace * chance.random(), {"loss": loss, "epoch": step}

    return run


def faults(draw: Draw) -> Faults:
    """Some faults, often none of a kind."""
    sometimes = lambda value: value if draw.random() < 0.4 else 0.0  # noqa: E731
    return Faults(
        slow_workers=sometimes(0.3),
        straggling=sometimes(draw.random() * 2),
        crash_rate=sometimes(0.02),
        error_rate=sometimes(0.01),
        node_loss_rate=sometimes(0.002),
        node_size=draw.choice([1, 4]),
        repair_s=draw.choice([1.0, 30.0]),
        latency_s=sometimes(draw.choice([0.05, 2.0])),
        duplicates=sometimes(0.2),
        driver_deaths=draw.choice([0, 0, 0, 1, 2, 3]),
    )


def run(seed: int, name: str | None = None, workers: int | None = None) -> tuple[Simulation, Any]:
    """The run that belongs to a seed; and its scheduler, unused."""
    draw = random.Random(f"fuzz:{seed}")
    drawn = draw.choice(sorted(SCHEDULERS))
    max_t = draw.choice([1, 4, 9, 27])
    scheduler = SCHEDULERS[name or drawn](draw, max_t)
    drawn_workers = draw.choice([1, 2, 7, 20, 100])
    settings: dict[str, Any] = {
        "num_samples": draw.choice([1, 3, 10, 40]),
        "max_failures": draw.choice([0, 1, -1]),
        "checkpoint_every": draw.choice([0, 0, 1, 5]),
        "checkpoint_config": tune.CheckpointConfig(num_to_keep=draw.choice([None, 1, 2])),
        "time_budget_s": draw.choice([None, None, None, 50.0]),
        "max_concurrent_trials": draw.choice([None, None, 5]),
        "faults": faults(draw),
    }
    check = Invariants()
    result = simulate(
        objective(seed, draw.choice([max_t, max_t + 5])),
        SPACE,
        metric="loss",
        mode="min",
        workers=workers or drawn_workers,
        scheduler=scheduler,
        seed=seed,
        check=check,
        **settings,
    )
    return result, scheduler


def check(seed: int, name: str | None = None, workers: int | None = None) -> Simulation:
    """Run a seed with every invariant on, twice; raises if something does not hold."""
    result, scheduler = run(seed, name, workers)
    check_end(result.controller)
    check_journal(result.journal, result.controller, scheduler, SPACE)
    again, _ = run(seed, name, workers)
    if again.journal != result.journal:
        raise AssertionError("the same seed gave another journal")
    return result


def main(first: int, last: int) -> int:
    """Check seeds; the number that failed."""
    began = time.perf_counter()
    failed = events = 0
    for seed in range(first, last):
        try:
            events += check(seed).events
        except Exception as error:
            failed += 1
            print(f"seed {seed}: {type(error).__name__}: {str(error)[:400]}")
    took = time.perf_counter() - began
    print(f"{last - first} runs, {events} events, {failed} failed, {took:.1f} s")
    return failed


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    if len(numbers) == 1:
        shown, _ = run(numbers[0])
        print(shown)
        check(numbers[0])
        print("every invariant holds")
    else:
        sys.exit(min(1, main(numbers[0], numbers[1])))
