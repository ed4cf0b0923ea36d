"""Many short trials against the ideal: `python benchmarks/scalability.py`.

The setting in which Ray Tune publishes its overhead: 10,000 trials of one second on 16 slots took it 715 s, where 625
s is ideal. A real run of 0.05 s trials on two local workers measures what a trial costs beside its own time; the
simulator then runs the published setting with that cost. Times are from the first launch to the last end, by the
journal.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import tune_core as tune
from tune_core.core import events as ev
from tune_core.journal.reader import read
from tune_core.simulation import simulate

TRIAL_S, SLOTS = 0.05, 2
PUBLISHED = 715 / 625


def short(config: dict[str, Any]) -> dict[str, float]:
    began = time.perf_counter()
    time.sleep(TRIAL_S)
    return {"loss": config["x"], "took": time.perf_counter() - began}


def real(trials: int) -> tuple[float, float]:
    """Seconds that the run took, and seconds that the trials slept on average (a busy machine oversleeps)."""
    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            short,
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=trials),
            run_config=tune.RunConfig(
                storage_path=folder, name="short", verbose=0, executor=tune.LocalExecutor(num_cpus=SLOTS)
            ),
        ).fit()
        events = read(os.path.join(folder, "short")).events
    launches = [e.at for e in events if type(e) is ev.Launched]
    ends = [e.at for e in events if type(e) is ev.Ended]
    slept = [e.metrics["took"] for e in events if type(e) is ev.Reported]
    return max(ends) - min(launches), sum(slept) / len(slept)


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    took, slept = real(trials)
    ideal = trials * slept / SLOTS
    cost = max(0.0, (took - ideal) * SLOTS / trials)
    published = simulate(
        lambda config, step: (1.0, {"loss": config["x"]}) if step == 1 else None,
        {"x": tune.uniform(0, 1)},
        metric="loss",
        mode="min",
        workers=16,
        num_samples=10_000,
        launch_s=cost,
        keep_journal=False,
    )
    print(f"{'run':<38}{'ideal, s':>10}{'took, s':>10}{'ratio':>8}{'goal':>7}")
    print(
        f"{f'real: {trials} x {TRIAL_S} s on {SLOTS} workers':<38}{ideal:>10.2f}{took:>10.2f}"
        f"{took / ideal:>8.3f}{1.05:>7}"
    )
    simulated = published.time_s / 625
    print(f"{'simulated: 10,000 x 1 s on 16 slots':<38}{625:>10}{published.time_s:>10.1f}{simulated:>8.3f}{1.01:>7}")
    print(f"{'Ray Tune, as published':<38}{625:>10}{715:>10}{PUBLISHED:>8.3f}")
    print(f"{1000 * cost:.2f} ms a trial beside its own time, {1000 * slept:.1f} ms; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
