"""Which part of a run saturates first on 100 nodes with 10,000 workers: calculated from what is measured here.

    python benchmarks/saturation.py [--workers 10000] [--nodes 100] [--calls 2000] [--trial 600]

Measured here: the driver's processor time and the journal's bytes for each trial and each result (real loop,
controller and encoding, under the simulator), and the disk. Given: how many calls of actors a driver of Ray takes a
second (measure it with benchmarks/ray_overhead.py), and how many requests a prefix of S3 takes (3,500, as its
documentation says). Then runs with that many workers are simulated with late and double messages and lost nodes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from typing import Any

import tune_core as tune
from tune_core.schedulers import ASHAScheduler
from tune_core.simulation import Faults, simulate

FLUSH_S = 0.1
"""A worker sends what it has reported at least so often."""
STORE_REQUESTS = 3500
SPACE = {"x": tune.uniform(0, 1), "pace": tune.uniform(0.5, 1.5), "layers": tune.randint(1, 9)}


def run(trials: int, steps: int, **more: Any) -> Any:
    """A simulated run whose trials report five metrics."""

    def curve(config: dict[str, Any], step: int) -> Any:
        if step > steps:
            return None
        loss = config["x"] + config["pace"] / step
        return 30.0 * config["pace"], {"loss": loss, "accuracy": 1 - loss, "lr": 0.1, "norm": loss * 3, "epoch": step}

    return simulate(curve, SPACE, metric="loss", mode="min", num_samples=trials, **more)


def of_each(measure: Any, few: int = 1, many: int = 41, trials: int = 1000) -> tuple[float, float]:
    """What a trial and what a result costs: from runs with few and with many results."""
    low, high = measure(trials, few) / trials, measure(trials, many) / trials
    result = (high - low) / (many - few)
    return low - few * result, result


def journal_bytes(trials: int, steps: int) -> float:
    """Size of the journal of a run."""
    return len(run(trials, steps, workers=100).journal)


def processor_s(trials: int, steps: int) -> float:
    """What the driver computes in a run: the least of three."""

    def once() -> float:
        began = time.process_time()
        run(trials, steps, workers=100, keep_journal=False)
        return time.process_time() - began

    return min(once() for _ in range(3))


def disk_bytes_s() -> float:
    """Bytes a second of a file that is synced four times a second, as the journal is."""
    piece = os.urandom(1 << 20)
    with tempfile.TemporaryFile(dir=os.getcwd()) as file:
        began = synced = time.perf_counter()
        written = 0
        while time.perf_counter() - began < 2.0:
            file.write(piece)
            written += len(piece)
            if time.perf_counter() - synced > 0.25:
                file.flush()
                os.fsync(file.fileno())
                synced = time.perf_counter()
        file.flush()
        os.fsync(file.fileno())
        return written / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=10_000)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--calls", type=float, default=2000.0, help="calls of actors a second in one driver of Ray")
    parser.add_argument("--trial", type=float, default=600.0, help="seconds that a trial takes")
    parser.add_argument("--checkpoint", type=float, default=100.0, help="MB of a checkpoint; one for each trial")
    parser.add_argument("--simulated", type=int, default=20_000, help="trials of the simulated runs; 0: none")
    given = parser.parse_args()

    bytes_trial, bytes_result = of_each(journal_bytes, trials=200)
    cpu_trial, cpu_result = of_each(processor_s)
    disk = disk_bytes_s()
    print("measured here")
    print(f"  journal, bytes of a trial / of a result     {bytes_trial:8.0f} {bytes_result:8.0f}")
    print(f"  driver, µs of a trial / of a result         {1e6 * cpu_trial:8.0f} {1e6 * cpu_result:8.1f}")
    print(f"  disk, MB a second with four syncs           {disk / 1e6:8.0f}")

    trials_s = given.workers / given.trial
    print(f"\nshare of what one driver can do: {given.workers:,} workers, trials of {given.trial:g} s")
    print(f"  {'a result every':<28}" + "".join(f"{every:>9g} s" for every in (0.1, 1, 10, 60)))
    rows: dict[str, list[float]] = {}
    for every in (0.1, 1.0, 10.0, 60.0):
        results_s = given.workers / every
        messages_s = given.workers / max(every, FLUSH_S) + 2 * trials_s
        shares = {
            "calls of Ray's actors": messages_s / given.calls,
            "driver's processor": trials_s * cpu_trial + results_s * cpu_result,
            "journal on the disk": (trials_s * bytes_trial + results_s * bytes_result) / disk,
            "requests to S3": (1 + 3 * trials_s) / STORE_REQUESTS,
        }
        for name, share in shares.items():
            rows.setdefault(name, []).append(share)
    for name, shares_of in rows.items():
        print(f"  {name:<28}" + "".join(f"{100 * share:9,.1f} %" for share in shares_of))
    print(f"  checkpoints through the driver, MB a second: {trials_s * given.checkpoint:,.0f}")
    few = given.calls * (1 - 2 * trials_s / given.calls)
    print(f"  Ray's calls are the limit at a result of each worker every {given.workers / max(few, 1e-9):.1f} s")
    if given.simulated:
        simulated(given.workers, given.nodes, given.simulated)


def simulated(workers: int, nodes: int, trials: int) -> None:
    """The same number of workers with what a network and a cluster do to them."""
    cases = {
        "no faults": Faults(),
        "messages take 50 ms": Faults(latency_s=0.05),
        "messages take 1 s, 5 % come twice": Faults(latency_s=1.0, duplicates=0.05),
        "a node is lost every minute": Faults(node_loss_rate=1 / (60 * nodes), node_size=workers // nodes),
        "the driver is killed twice": Faults(driver_deaths=2),
    }
    print(f"\nsimulated: {workers:,} workers, {trials:,} trials, ASHA with rungs at 1, 4, 16")
    print(f"  {'':<36}{'hours':>8}{'results':>10}{'best loss':>11}{'CPU s':>8}")
    for name, faults in cases.items():
        began = time.process_time()
        found = run(
            trials,
            16,
            workers=workers,
            faults=faults,
            scheduler=ASHAScheduler(max_t=16, reduction_factor=4),
            keep_journal=bool(faults.driver_deaths),
            seed=1,
        )
        best = min(trial.best_loss for trial in found.trials)
        used = time.process_time() - began
        print(f"  {name:<36}{found.time_s / 3600:8.2f}{found.reports:10,}{best:11.4f}{used:8.1f}", flush=True)


if __name__ == "__main__":
    main()
