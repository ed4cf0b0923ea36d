"""The first, second and tenth fit of one process, and whole processes, beside scikit-learn's RandomizedSearchCV.

``fits``: each side runs ten searches one after another in a process of its own, both with two workers and one thread a
fit. scikit-learn's workers stay from the first search to the last (joblib's loky), and so do TuneSearchCV's. ``tuner``
does the same with ``Tuner.fit`` and eight trivial trials. ``process`` is a newcomer's: a script with default arguments,
from the start of Python to its end. The sides take turns; figures are medians.

    python benchmarks/sklearn_warm.py                              # everything
    python benchmarks/sklearn_warm.py --only fits --tasks "iris SVM" --rounds 5
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

TASKS = ("iris SVM x 20", "digits SGD x 20", "forest x 8")
SHOWN = (0, 1, 9)

# Seeded, so that both sides get the same candidates.
SCRIPT = """
import numpy
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.svm import SVC
from scipy.stats import loguniform, randint
{imported}

{data}
numpy.random.seed(7)
search = {search}({estimator}, {space}).fit(X, y)
print(search.best_params_, search.best_score_)
"""
NEWCOMER = {
    "iris SVM": {
        "data": "X, y = load_iris(return_X_y=True)",
        "estimator": "SVC()",
        "space": "{'C': loguniform(1e-2, 1e3), 'gamma': loguniform(1e-4, 1e1)}",
    },
    "digits SGD": {
        "data": "X, y = load_digits(return_X_y=True)",
        "estimator": "SGDClassifier()",
        "space": "{'alpha': loguniform(1e-7, 1e-1), 'penalty': ['l2', 'l1', 'elasticnet']}",
    },
    "digits forest": {
        "data": "X, y = load_digits(return_X_y=True)",
        "estimator": "RandomForestClassifier()",
        "space": "{'max_depth': randint(2, 20), 'min_samples_leaf': randint(1, 30)}",
    },
}
IMPORTS = {
    "RandomizedSearchCV": "from sklearn.model_selection import RandomizedSearchCV",
    "TuneSearchCV": "from tune_sklearn import TuneSearchCV",
}


def search_of(name: str, side: str) -> Any:
    """The search, ready to be fitted, and its data."""
    from scipy.stats import loguniform, randint
    from sklearn.datasets import load_digits, load_iris, make_classification
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import RandomizedSearchCV
    from sklearn.svm import SVC

    if side == "TuneSearchCV":
        from tune_sklearn import TuneSearchCV as Search
    else:
        Search = RandomizedSearchCV
    number = int(name.rpartition(" ")[2])
    if name.startswith("iris"):
        data, estimator = load_iris(return_X_y=True), SVC()
        space: dict[str, Any] = {"C": loguniform(1e-2, 1e3), "gamma": loguniform(1e-4, 1e1)}
    elif name.startswith("digits"):
        data, estimator = load_digits(return_X_y=True), SGDClassifier(random_state=0)
        space = {"alpha": loguniform(1e-7, 1e-1), "penalty": ["l2", "l1", "elasticnet"]}
    else:
        data = make_classification(3000, 20, n_informative=10, random_state=0)
        estimator = RandomForestClassifier(random_state=0)
        space = {"max_depth": randint(3, 20), "min_samples_leaf": randint(1, 30)}
    return Search(estimator, space, n_iter=number, random_state=0, n_jobs=2), *data


def nothing(config: dict[str, Any]) -> None:
    import tune_core

    tune_core.report({"loss": config["x"]})


def ten(name: str, side: str, count: int) -> list[float]:
    """Seconds of each of ``count`` fits in this process."""
    seconds = []
    if side == "Tuner":
        import tune_core as tune

        for _ in range(count):
            began = time.perf_counter()
            reporter = tune.RunConfig(verbose=0)
            tune.Tuner(
                nothing,
                param_space={"x": tune.uniform(0, 1)},
                tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=8),
                run_config=reporter,
            ).fit()
            seconds.append(time.perf_counter() - began)
        return seconds
    search, X, y = search_of(name, side)
    for _ in range(count):
        began = time.perf_counter()
        search.fit(X, y)
        seconds.append(time.perf_counter() - began)
    return seconds


def in_process(name: str, side: str, count: int) -> list[float]:
    command = [sys.executable, "-W", "ignore", __file__, "--side", side, "--tasks", name, "--count", str(count)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def whole_process(name: str, side: str) -> float:
    script = SCRIPT.format(search=side, imported=IMPORTS[side], **NEWCOMER[name])
    began = time.perf_counter()
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=("fits", "tuner", "process"), default=("fits", "tuner", "process"))
    parser.add_argument("--tasks", nargs="*", default=TASKS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--side", help="fit in this process and print the seconds as JSON")
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(ten(arguments.tasks[0], arguments.side, arguments.count)))
        return
    sides = tuple(IMPORTS)
    shown = [i for i in SHOWN if i < arguments.count]
    print(f"load {os.getloadavg()[0]:.1f}, median of {arguments.rounds}\n")
    if "fits" in arguments.only:
        print(f"{'fit':<18}" + "".join(f"{f'number {i + 1}: ours, theirs, ratio':>34}" for i in shown))
        for name in arguments.tasks:
            runs: dict[str, list[list[float]]] = {side: [] for side in sides}
            for _ in range(arguments.rounds):
                for side in sides:
                    runs[side].append(in_process(name, side, arguments.count))
            cells = ""
            for i in shown:
                theirs, ours = (statistics.median(run[i] for run in runs[side]) for side in sides)
                cells += f"{f'{ours:.3f} s  {theirs:.3f} s  {ours / theirs:.2f}':>34}"
            print(f"{name:<18}{cells}", flush=True)
    if "tuner" in arguments.only:
        found = [in_process("", "Tuner", arguments.count) for _ in range(arguments.rounds)]
        medians = [statistics.median(run[i] for run in found) for i in shown]
        print("\nTuner.fit, 8 trials: " + ", ".join(f"number {i + 1} {m:.3f} s" for i, m in zip(shown, medians)))
    if "process" in arguments.only:
        print(f"\n{'whole process':<18}{'ours':>9}{'theirs':>9}{'ratio':>7}")
        for name in NEWCOMER:
            times: dict[str, list[float]] = {side: [] for side in sides}
            for _ in range(arguments.rounds):
                for side in sides:
                    times[side].append(whole_process(name, side))
            theirs, ours = (statistics.median(times[side]) for side in sides)
            print(f"{name:<18}{ours:8.2f}s{theirs:8.2f}s{ours / theirs:7.2f}", flush=True)


if __name__ == "__main__":
    main()
