"""TuneSearchCV beside scikit-learn's searches: wall time on the same candidates, and what early stopping saves.

Three tasks, each a whole ``fit`` with the refit, with two workers: digits with SGD, and 20,000 x 20
``make_classification`` with histogram boosting and with a random forest. ``--threads one`` gives both sides one thread
a fit (OMP_NUM_THREADS=1), ``--threads default`` leaves both as they are. Each side runs ``--repeats`` times in turn, in
processes of their own; the table shows the medians.

    python benchmarks/sklearn_search.py --threads one --repeats 3
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

SIDES = ("RandomizedSearchCV", "TuneSearchCV", "TuneSearchCV early stopping", "HalvingRandomSearchCV")
TASKS = ("digits SGD", "20000x20 HGB", "20000x20 forest")


def task(name: str) -> tuple[Any, Any, Any, dict[str, Any], int]:
    """Data, estimator, space and number of candidates."""
    from scipy.stats import loguniform, randint
    from sklearn.datasets import load_digits, make_classification
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import SGDClassifier

    if name == "digits SGD":
        X, y = load_digits(return_X_y=True)
        space = {"alpha": loguniform(1e-7, 1e-1), "penalty": ["l2", "l1", "elasticnet"], "loss": ["hinge", "log_loss"]}
        return X, y, SGDClassifier(random_state=0), space, 60
    X, y = make_classification(20_000, 20, n_informative=12, n_redundant=4, flip_y=0.05, random_state=0)
    if name.endswith("HGB"):
        space = {
            "learning_rate": loguniform(0.01, 0.5),
            "max_leaf_nodes": randint(4, 48),
            "l2_regularization": loguniform(1e-4, 10),
        }
        return X, y, HistGradientBoostingClassifier(random_state=0), space, 20
    space = {"max_depth": randint(3, 20), "max_features": randint(2, 12), "min_samples_leaf": randint(1, 30)}
    return X, y, RandomForestClassifier(random_state=0), space, 12


def measure(side: str, name: str) -> dict[str, Any]:
    """One search in this process, from the call of ``fit`` to its end."""
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV, RandomizedSearchCV, train_test_split

    from tune_sklearn import TuneSearchCV

    X, y, estimator, space, n_iter = task(name)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
    common: dict[str, Any] = {"cv": 5, "random_state": 0, "n_jobs": 2}
    if side == "RandomizedSearchCV":
        search: Any = RandomizedSearchCV(estimator, space, n_iter=n_iter, **common)
    elif side == "HalvingRandomSearchCV":
        search = HalvingRandomSearchCV(estimator, space, n_candidates=n_iter, factor=3, **common)
    else:
        stops = True if side.endswith("stopping") else None
        search = TuneSearchCV(estimator, space, n_iter=n_iter, early_stopping=stops, **common)
    began = time.perf_counter()
    search.fit(X, y)
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "best": float(search.best_score_),
        "test": float(search.score(X_test, y_test)),
        "candidates": repr(search.cv_results_["params"]) if side != "HalvingRandomSearchCV" else "",
        "how": str(getattr(search, "early_stopping_", "")),
    }


def run_side(side: str, name: str, threads: str) -> dict[str, Any]:
    """The same in a fresh process, so that no side finds the other's workers warm."""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    if threads == "one":
        environment["OMP_NUM_THREADS"] = "1"
    command = [sys.executable, "-W", "ignore", __file__, "--side", side, "--task", name]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", choices=("one", "default"), default="one")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--task", choices=TASKS)
    parser.add_argument("--side", choices=SIDES, help="measure one side in this process and print it as JSON")
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(measure(arguments.side, arguments.task)))
        return
    print(f"threads: {arguments.threads}, median of {arguments.repeats}, {os.cpu_count()} CPUs\n")
    print(f"{'task':<17} {'search':<29} {'fit s':>8} {'x':>6} {'best cv':>9} {'test':>8}")
    for name in [arguments.task] if arguments.task else TASKS:
        runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
        for _ in range(arguments.repeats):
            for side in SIDES:
                runs[side].append(run_side(side, name, arguments.threads))
        base = statistics.median(r["seconds"] for r in runs[SIDES[0]])
        assert runs[SIDES[0]][0]["candidates"] == runs[SIDES[1]][0]["candidates"]
        assert runs[SIDES[0]][0]["best"] == runs[SIDES[1]][0]["best"]
        for side in SIDES:
            seconds = statistics.median(r["seconds"] for r in runs[side])
            first = runs[side][0]
            print(
                f"{name:<17} {side:<29} {seconds:8.2f} {seconds / base:6.2f} {first['best']:9.4f} {first['test']:8.4f}"
            )
        print(f"{'':<17} early stopping: {runs[SIDES[2]][0]['how']}\n", flush=True)


if __name__ == "__main__":
    main()
