"""Random simulated runs that must end: `python benchmarks/hyperband_fuzz.py [SEEDS]`.

First HyperBand, with random numbers of trials, workers, failures and early ends: none may hang, and none may give a
bracket more than its budget. Then every scheduler on 2, 7 and 100 workers. All invariants are checked after each
event; a seed that fails is printed and replays with `python tests/simulation/fuzz.py SEED`.
"""

from __future__ import annotations

import random
import sys
import time
from collections import defaultdict
from pathlib import Path

import tune_core as tune
from tune_core.schedulers import HyperBandScheduler
from tune_core.simulation import Faults, simulate
from tune_core.testing.invariants import Invariants, check_end

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "simulation"))

import fuzz


def hyperband(seed: int) -> tuple[int, int]:
    """One random run: how many brackets it had, and how many of them went over their budget."""
    draw = random.Random(seed)
    max_t, factor = draw.choice([4, 9, 20, 27, 81]), draw.choice([2, 3, 4])
    early = draw.choice([0.0, 0.02])

    def curve(config: dict, step: int):  # type: ignore[no-untyped-def,type-arg]
        chance = random.Random(f"{seed}:{config['x']}:{step}")
        return None if chance.random() < early else (1.0 + chance.random(), {"loss": config["x"]})

    scheduler = HyperBandScheduler(max_t=max_t, reduction_factor=factor)
    result = simulate(
        curve,
        {"x": tune.uniform(0, 1)},
        metric="loss",
        mode="min",
        workers=draw.choice([1, 2, 7, 30, 100]),
        num_samples=draw.randrange(1, 120),
        scheduler=scheduler,
        max_failures=draw.choice([0, 2]),
        faults=Faults(crash_rate=draw.choice([0.0, 0.01, 0.1]), node_loss_rate=draw.choice([0.0, 0.002]), node_size=3),
        seed=seed,
        check=Invariants(every=5),
    )
    check_end(result.controller)
    kept = result.controller.scheduler
    assert isinstance(kept, HyperBandScheduler)
    spent: dict[str, int] = defaultdict(int)
    for trial in result.trials:
        spent[kept._brackets[trial.index].name] += trial.last.iteration if trial.last is not None else 0
    over = 0
    for number, name in enumerate(spent):
        _, plan = kept.plans(number)
        budget = sum(many * (at - before) for (many, at), (_, before) in zip(plan, [(0, 0), *plan], strict=False))
        over += spent[name] > budget
    return len(spent), over


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    began = time.perf_counter()
    failed = brackets = over = 0
    for seed in range(seeds):
        try:
            found, more = hyperband(seed)
            brackets, over = brackets + found, over + more
        except Exception as error:
            failed += 1
            print(f"seed {seed}: {type(error).__name__}: {str(error)[:200]}")
    print(f"{'scheduler':<16}{'workers':>8}{'runs':>8}{'failed':>8}{'brackets':>10}{'over budget':>13}")
    print(f"{'hyperband':<16}{'1-100':>8}{seeds:>8}{failed:>8}{brackets:>10}{over:>13}")
    each = max(1, seeds // 50)
    for name in sorted(fuzz.SCHEDULERS):
        for workers in (2, 7, 100):
            bad = 0
            for seed in range(each):
                try:
                    fuzz.check(seed, name, workers)
                except Exception as error:
                    bad += 1
                    print(f"{name}, {workers} workers, seed {seed}: {type(error).__name__}: {str(error)[:200]}")
            print(f"{name:<16}{workers:>8}{each:>8}{bad:>8}", flush=True)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
