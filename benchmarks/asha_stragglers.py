"""ASHA against synchronous halving with stragglers and dropped jobs: `python benchmarks/asha_stragglers.py [SEEDS]`.

The setting of Li et al. 2020, appendix A.1: η = 4, r = 1, R = 256, n = 256, 25 workers, 2,000 units of time; a job
takes as long as the resource that it adds, times 1 + |z|, z normal with deviation σ, and is dropped with probability
p in each unit of time. Counted is how many configurations were trained to R. For each of three pairs of means that the
paper reports (ASHA, synchronous halving) these σ and p meet both at once; they were found by trying and not taken from
the paper. "by the letter" promotes the best ¼ of a rung's survivors, so that one lost of four ends a bracket;
tune-core's own halving fills a lost trial's place.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from typing import Any

import tune_core as tune
from tune_core.schedulers import ASHAScheduler, Scheduler, SuccessiveHalvingScheduler
from tune_core.simulation import Faults, simulate

TIME, WORKERS, MOST = 2000.0, 25, 256
SETTINGS = [  # name, σ, p, what the paper reports for ASHA and for synchronous halving
    ("mild", 0.05, 0.0, 50.6, 39.8),
    ("medium", 0.35, 0.0017, 25.0, 4.8),
    ("severe", 3.0, 0.001, 5.6, 0.4),
]


def train(config: dict[str, Any], step: int) -> Any:
    """Step k goes from 4^(k-2) units of resource to 4^(k-1)."""
    resource = 4 ** (step - 1)
    if resource > MOST:
        return None
    return resource - (resource // 4 if step > 1 else 0), {"loss": config["x"], "resource": resource}


def trained(scheduler: Scheduler, sigma: float, p: float, seed: int) -> int:
    """How many configurations came to R in time."""
    result = simulate(
        train,
        {"x": tune.uniform(0, 1)},
        metric="loss",
        mode="min",
        workers=WORKERS,
        num_samples=-1,
        scheduler=scheduler,
        time_budget_s=TIME,
        seed=seed,
        faults=Faults(straggling=sigma, crash_rate=-math.log1p(-p)),
        keep_journal=False,
    )
    last = [t.last for t in result.trials if t.last is not None]
    return sum(event.metrics["resource"] == MOST and event.at <= TIME for event in last)


def schedulers() -> dict[str, Scheduler]:
    shared: dict[str, Any] = {"time_attr": "resource", "max_t": MOST, "reduction_factor": 4}
    return {
        "ASHA": ASHAScheduler(**shared, rule="promotion"),
        "by the letter": SuccessiveHalvingScheduler(**shared, num_trials=256, refill=False),
        "halving, ours": SuccessiveHalvingScheduler(**shared, num_trials=256),
    }


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    began = time.perf_counter()
    names = list(schedulers())
    print(
        f"{'setting':<9}{'σ':>6}{'p':>8}   " + "".join(f"{n:>18}" for n in names) + f"{'paper: ASHA':>14}{'sync.':>7}"
    )
    for name, sigma, p, asha, synchronous in SETTINGS:
        cells = []
        for kind in names:
            found = [trained(schedulers()[kind], sigma, p, seed) for seed in range(seeds)]
            spread = statistics.stdev(found) if seeds > 1 else 0.0
            cells.append(f"{statistics.mean(found):>11.1f} ± {spread:<4.1f}")
        print(f"{name:<9}{sigma:>6}{p:>8}   " + "".join(cells) + f"{asha:>14}{synchronous:>7}", flush=True)
    print(f"means over {seeds} seeds ± standard deviation; {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
