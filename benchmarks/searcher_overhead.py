"""What a searcher costs a run: OptunaSearch against Optuna's own optimize, and how busy workers are with a slow one.

pip install "tune-core[optuna]"
python benchmarks/searcher_overhead.py
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from typing import Any

import tune_core as tune
from tune_core.search import Searcher


def trivial(config: dict[str, Any]) -> dict[str, float]:
    return {"loss": (config["x"] - 2) ** 2}


def with_tune(trials: int, folder: str, **run: Any) -> float:
    began = time.perf_counter()
    tune.Tuner(
        trivial,
        param_space={"x": tune.uniform(-10, 10)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", search_alg="optuna", num_samples=trials, seed=0),
        run_config=tune.RunConfig(storage_path=folder, verbose=0, **run),
    ).fit()
    return trials / (time.perf_counter() - began)


def with_optuna(trials: int, folder: str | None) -> float:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = None
    if folder is not None:
        storage = optuna.storages.JournalStorage(JournalFileBackend(os.path.join(folder, "optuna.log")))
    began = time.perf_counter()
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(lambda trial: (trial.suggest_float("x", -10, 10) - 2) ** 2, n_trials=trials)
    return trials / (time.perf_counter() - began)


class Slow(Searcher):
    """Needs a while for each suggestion."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.count = 0

    def suggest(self, trial_id: str) -> dict[str, Any]:
        time.sleep(self.seconds)
        self.count += 1
        return {"x": self.count}


def takes(seconds: float) -> Any:
    def objective(config: dict[str, Any]) -> dict[str, float]:
        time.sleep(seconds)
        return {"loss": 1.0}

    return objective


def utilisation(suggest_s: float, trial_s: float, trials: int, workers: int, folder: str) -> tuple[float, float]:
    """Share of the workers' time spent in trials: from the first launch to the last end, and over the whole run."""
    began = time.perf_counter()
    grid = tune.Tuner(
        takes(trial_s),
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", search_alg=Slow(suggest_s), num_samples=trials, max_concurrent_trials=workers
        ),
        run_config=tune.RunConfig(storage_path=folder, verbose=0),
    ).fit()
    whole = time.perf_counter() - began
    ends = [result.metrics["timestamp"] for result in grid]
    first = min(ends) - trial_s
    return trials * trial_s / (workers * (max(ends) - first)), trials * trial_s / (workers * whole)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow-trials", type=int, default=60)
    arguments = parser.parse_args()
    print(f"Trials a second, {arguments.trials} trials of a trivial objective, best of {arguments.rounds} rounds\n")
    best: dict[str, float] = {}
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, rate in (
                ("OptunaSearch, worker processes, with journal", with_tune(arguments.trials, folder)),
                ("OptunaSearch, inline, with journal", with_tune(arguments.trials, folder, executor="inline")),
                ("Optuna's optimize with its journal storage", with_optuna(arguments.trials, folder)),
                ("Optuna's optimize in memory", with_optuna(arguments.trials, None)),
            ):
                best[name] = max(best.get(name, 0.0), rate)
    base = best["Optuna's optimize with its journal storage"]
    print("| | trials/s | against Optuna with journal |\n|---|---|---|")
    for name, rate in best.items():
        print(f"| {name} | {rate:.0f} | {rate / base:.2f} |")
    with tempfile.TemporaryDirectory() as folder:
        inside, whole = utilisation(0.2, 1.0, arguments.slow_trials, 2, folder)
    print(
        f"\nA searcher that takes 0.2 s, 2 workers, {arguments.slow_trials} trials of 1 s: workers are busy "
        f"{inside:.1%} of the time from the first launch to the last end, and {whole:.1%} of the whole run."
    )


if __name__ == "__main__":
    main()
