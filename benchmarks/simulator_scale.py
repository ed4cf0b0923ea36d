"""Ten thousand simulated workers, a million results: `python benchmarks/simulator_scale.py [WORKERS] [RESULTS]`.

ASHA's stopping rule with rungs at 1, 4, 16, 64; steps take 30 to 90 virtual seconds. Every event passes the real
loop, controller and journal encoding; the journal is counted and not kept. Utilisation is measured up to the time
when the last configuration has been started, since after that there is nothing to fill the workers with.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from typing import Any

import tune_core as tune
from tune_core.core import events as ev
from tune_core.schedulers import ASHAScheduler
from tune_core.simulation import simulate


def curve(config: dict[str, Any], step: int) -> Any:
    return 30.0 + 60.0 * config["pace"], {"loss": config["x"] + config["pace"] / step}


class Busy:
    """The workers' time in steps when the searcher ran out."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.utilisation = 0.0
        self.launched_at = 0.0

    def __call__(self, controller: Any, executor: Any, event: Any) -> None:
        if type(event) is ev.Exhausted and not self.utilisation:
            now = executor.clock()
            occupied = executor.occupied_s + now * len(executor.attempts)
            self.utilisation = occupied / (self.workers * now)
            self.launched_at = now


def main() -> None:
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    results = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    samples = int(results / 2.87)  # a trial reports 2.87 results on average under these rungs
    random.seed(0)
    busy = Busy(workers)
    began, used = time.perf_counter(), time.process_time()
    result = simulate(
        curve,
        {"x": tune.uniform(0, 1), "pace": tune.uniform(0, 1)},
        metric="loss",
        mode="min",
        workers=workers,
        num_samples=samples,
        scheduler=ASHAScheduler(max_t=64, reduction_factor=4),
        keep_journal=False,
        check=busy,
    )
    wall, processor = time.perf_counter() - began, time.process_time() - used
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'workers':<34}{workers:>12,}")
    print(f"{'trials':<34}{len(result.trials):>12,}")
    print(f"{'results':<34}{result.reports:>12,}")
    print(f"{'events (lines of the journal)':<34}{result.events:>12,}")
    print(f"{'events a second, wall clock':<34}{result.events / wall:>12,.0f}")
    print(f"{'events a second of processor time':<34}{result.events / processor:>12,.0f}")
    print(f"{'peak memory, MB':<34}{memory:>12,.0f}")
    print(f"{'virtual time':<34}{result.time_s / 3600:>10.1f} h")
    print(f"{'utilisation until the last launch':<34}{100 * busy.utilisation:>10.2f} %")


if __name__ == "__main__":
    main()
