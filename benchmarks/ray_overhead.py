"""What tune-core costs on Ray: trials and reports a second, and the time before the first trial.

    python benchmarks/ray_overhead.py [--trials 3000] [--rounds 3]

Beside it, in the same run: a bare loop over two reused actors with two calls in flight, which is about what Ray itself
can do, and Ray Tune if it can be imported. Each row is the median of the rounds.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
ACTORS = 2
REPORTS = 50_000


class Bare:
    def run(self, config: dict[str, Any]) -> dict[str, Any]:
        return {"loss": config["x"]}


def trivial(config: dict[str, Any]) -> dict[str, Any]:
    return {"loss": config["x"]}


def chatty(config: dict[str, Any]) -> None:
    import tune_core as tune

    for _ in range(REPORTS):
        tune.report({"loss": config["x"]})


def start_ray() -> Any:
    import ray

    ray.init(num_cpus=ACTORS, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    return ray


def bare_loop(ray: Any, trials: int) -> float:
    """Calls a second of a loop over two actors with two calls in flight each."""
    actor = ray.remote(Bare)
    actors = [actor.options(num_cpus=1).remote() for _ in range(ACTORS)]
    ray.get([a.run.remote({"x": 0.5}) for a in actors])
    began = time.perf_counter()
    flying = {a.run.remote({"x": 0.5}): a for a in actors for _ in range(2)}
    left = trials - len(flying)
    while flying:
        ready, _ = ray.wait(list(flying), num_returns=1)
        for reference in ready:
            ray.get(reference)
            actor = flying.pop(reference)
            if left > 0:
                left -= 1
                flying[actor.run.remote({"x": 0.5})] = actor
    took = time.perf_counter() - began
    for a in actors:
        ray.kill(a)
    return trials / took


def tuned(objective: Any, trials: int) -> tuple[list[Any], float]:
    """Run an experiment on Ray; its events, and the seconds from the first launch to the last end."""
    import tune_core as tune
    from tune_core.journal import reader as journal

    with tempfile.TemporaryDirectory() as folder:
        grid = tune.Tuner(
            objective,
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=trials),
            run_config=tune.RunConfig(executor="ray", storage_path=folder, verbose=0),
        ).fit()
        events = journal.read(grid.experiment_path).events
    launched = [e.at for e in events if type(e).__name__ == "Launched"]
    ended = [e.at for e in events if type(e).__name__ == "Ended"]
    return events, max(ended) - min(launched)


def ray_tune(trials: int) -> float:
    """Trials a second of Ray Tune, with actors reused, from the first trial's start to the last one's end."""
    tune = importlib.import_module("ray.tune")
    times: list[float] = []

    class Times(tune.Callback):  # type: ignore[name-defined, misc]
        def on_trial_start(self, **_: Any) -> None:
            times.append(time.perf_counter())

        on_trial_complete = on_trial_start

    def objective(config: dict[str, Any]) -> None:
        tune.report({"loss": config["x"]})

    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            objective,
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=trials, reuse_actors=True),
            run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[Times()]),
        ).fit()
    return trials / (times[-1] - times[0])


def first_trial() -> None:
    """In a process of its own: print the seconds that ray.init takes here, and those from fit to the first trial."""
    began = time.perf_counter()
    ray = start_ray()
    started = time.perf_counter()
    at = time.time()
    events, _ = tuned(trivial, 1)
    first = next(e.at for e in events if type(e).__name__ == "Reported")
    ray.shutdown()
    print(started - began, first - at)


def fresh(part: str, *arguments: str) -> list[float]:
    """Run one part of this file in a process of its own."""
    command = [sys.executable, __file__, "--part", part, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return [float(word) for word in done.stdout.strip().splitlines()[-1].split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ray-tune-trials", type=int, default=100)
    parser.add_argument("--part", choices=["first", "ray-tune"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part == "first":
        first_trial()
        return
    if given.part == "ray-tune":
        start_ray()
        print(ray_tune(given.ray_tune_trials))
        return
    ray = start_ray()
    rows: dict[str, list[float]] = {"bare": [], "trials": [], "reports": []}
    bare_loop(ray, 500)
    for _ in range(given.rounds):
        rows["bare"].append(bare_loop(ray, given.trials))
        rows["trials"].append(given.trials / tuned(trivial, given.trials)[1])
        rows["reports"].append(ACTORS * REPORTS / tuned(chatty, ACTORS)[1])
    ray.shutdown()
    starts = [fresh("first") for _ in range(given.rounds)]
    peer: float | None = None
    try:
        peer = fresh("ray-tune", "--ray-tune-trials", str(given.ray_tune_trials))[0]
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        print(f"Ray Tune could not run: {str(error).strip().splitlines()[-1]}", file=sys.stderr)
    bare, trials, reports = (statistics.median(rows[name]) for name in ("bare", "trials", "reports"))
    print(f"Ray {ray.__version__}, {ACTORS} actors, median of {given.rounds} rounds")
    print(f"{'':42}{'measured':>12}  beside it")
    print(f"{'bare loop, two calls in flight (calls/s)':42}{bare:12,.0f}")
    print(f"{'tune-core, trivial trials (trials/s)':42}{trials:12,.0f}  {trials / bare:.0%} of the bare loop")
    if peer is not None:
        print(f"{'Ray Tune, trivial trials (trials/s)':42}{peer:12,.0f}  tune-core: {trials / peer:.0f} times as many")
    print(f"{'tune-core, reports (reports/s)':42}{reports:12,.0f}")
    init, until = (statistics.median(column) for column in zip(*starts, strict=True))
    print(f"{'ray.init (s)':42}{init:12.2f}")
    print(f"{'tune-core, fit to the first result (s)':42}{until:12.2f}")


if __name__ == "__main__":
    main()
