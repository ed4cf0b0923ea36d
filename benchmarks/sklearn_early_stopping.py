"""What early stopping saves and what it costs: TuneSearchCV beside RandomizedSearchCV and HalvingRandomSearchCV.

Twelve data sets, bundled and generated, times five kinds of estimator, times seeds. Each search runs in this process
with one thread, on the same candidates; its CPU time is compared with that of the full search, and so is the score of
its refitted winner on rows that no search has seen. How far two full searches agree that differ in their folds alone
shows what any search can reach in this comparison. ``--sides BayesSearchCV`` is scikit-optimize's search, which
learns from the candidates before and stops none, in the same spaces. Half of the data sets ("tuning") is there to
choose the rules by, the other half ("held-out") to look at the outcome once. A line is printed for each triple, and a
table at the end; the lines of several runs, of some kinds or sides each, make one table with ``--known FILE FILE
--sides``.

    OMP_NUM_THREADS=1 python benchmarks/sklearn_early_stopping.py --half tuning --seeds 1 --time-box-s 600
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

KINDS = ("forest", "boosting", "linear", "svm", "neighbours")
SIDES = ("full", "early stopping", "halving", "full, other folds")
LEARNING = "BayesSearchCV"  # of scikit-optimize, if asked for


def dense(rows: int, columns: int, **how: Any) -> tuple[Any, Any]:
    from sklearn.datasets import make_classification

    return make_classification(rows, columns, random_state=7, **how)


def text() -> tuple[Any, Any]:
    """Documents of four topics, each with words of its own and many that all share, as a sparse matrix of TF-IDF."""
    from sklearn.feature_extraction.text import TfidfTransformer

    rng = np.random.RandomState(7)
    words = rng.dirichlet(np.full(1500, 0.05), 4) * 0.25 + rng.dirichlet(np.full(1500, 0.1)) * 0.75
    y = rng.randint(4, size=1500)
    counts = np.array([rng.multinomial(rng.randint(20, 120), words[label]) for label in y])
    return TfidfTransformer().fit_transform(counts), y


def sparse() -> tuple[Any, Any]:
    from scipy.sparse import random

    rng = np.random.RandomState(7)
    X = random(2000, 300, 0.03, "csr", random_state=rng)
    return X, (X @ rng.normal(size=300) + rng.normal(size=2000) * 0.3 > 0).astype(int)


def bundled(name: str) -> Callable[[], tuple[Any, Any]]:
    def load() -> tuple[Any, Any]:
        from sklearn import datasets

        return getattr(datasets, f"load_{name}")(return_X_y=True)  # type: ignore[no-any-return]

    return load


def friedman() -> tuple[Any, Any]:
    from sklearn.datasets import make_friedman1

    return make_friedman1(2000, 10, noise=1.0, random_state=7)


DATA: dict[str, dict[str, Callable[[], tuple[Any, Any]]]] = {
    "tuning": {
        "digits": bundled("digits"),
        "small (wine)": bundled("wine"),
        "noisy labels": lambda: dense(2000, 20, n_informative=8, flip_y=0.3),
        "imbalanced 1:100": lambda: dense(4000, 10, n_informative=6, weights=[0.99], flip_y=0.002, class_sep=1.5),
        "friedman (regression)": friedman,
        "text": text,
    },
    "held-out": {
        "breast cancer": bundled("breast_cancer"),
        "wide 300x600": lambda: dense(300, 600, n_informative=20),
        "multi-class": lambda: dense(2000, 20, n_informative=10, n_classes=6),
        "imbalanced 1:500": lambda: dense(8000, 10, n_informative=6, weights=[0.998], flip_y=0, class_sep=2.0),
        "diabetes (regression)": bundled("diabetes"),
        "sparse": sparse,
    },
}


def model(kind: str, regression: bool, is_sparse: bool) -> tuple[Any, dict[str, Any]]:
    """An estimator of a kind for a task, and what to search."""
    from scipy.stats import loguniform, randint
    from sklearn import ensemble, linear_model, neighbors, svm
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler, StandardScaler

    scaler = MaxAbsScaler() if is_sparse else StandardScaler()
    if kind == "forest":
        cls = ensemble.RandomForestRegressor if regression else ensemble.RandomForestClassifier
        space = {"max_depth": randint(2, 20), "max_features": loguniform(0.05, 1), "min_samples_leaf": randint(1, 30)}
        return cls(n_estimators=50, random_state=0), space
    if kind == "boosting":
        space = {"learning_rate": loguniform(0.01, 0.5), "max_leaf_nodes": randint(4, 48)}
        if is_sparse:
            return ensemble.GradientBoostingClassifier(n_estimators=40, max_features=0.1, random_state=0), space
        names = (ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor)
        return names[regression](max_iter=50, random_state=0), {**space, "l2_regularization": loguniform(1e-4, 10)}
    if kind == "linear":
        last = linear_model.SGDRegressor(random_state=0) if regression else linear_model.SGDClassifier(random_state=0)
        space = {"alpha": loguniform(1e-7, 1e-1), "penalty": ["l2", "l1", "elasticnet"]}
    elif kind == "svm":
        last = svm.SVR() if regression else svm.SVC()
        space = {"C": loguniform(1e-2, 1e3), "gamma": loguniform(1e-4, 1e1)}
    else:
        last = neighbors.KNeighborsRegressor() if regression else neighbors.KNeighborsClassifier()
        space = {
            "n_neighbors": randint(1, 60),
            "weights": ["uniform", "distance"],
            "p": [1, 2] if not is_sparse else [2],
        }
    pipe = make_pipeline(scaler, last)
    return pipe, {f"{pipe.steps[-1][0]}__{name}": values for name, values in space.items()}


def dimensions(space: dict[str, Any]) -> dict[str, Any]:
    """The same space in scikit-optimize's terms."""
    from skopt.space import Categorical, Integer, Real

    found: dict[str, Any] = {}
    for name, values in space.items():
        if isinstance(values, list):
            found[name] = Categorical(values)
        else:
            low, high = values.support()
            found[name] = Integer(low, high) if values.dist.name == "randint" else Real(low, high, "log-uniform")
    return found


def measure(side: str, make: Callable[[], tuple[Any, Any]], kind: str, seed: int, n_iter: int) -> dict[str, Any]:
    """One search: its CPU seconds, and its winner's score on the rows that were put aside."""
    from scipy.sparse import issparse
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import (
        HalvingRandomSearchCV,
        KFold,
        RandomizedSearchCV,
        StratifiedKFold,
        train_test_split,
    )
    from sklearn.utils.multiclass import type_of_target

    from tune_sklearn import TuneSearchCV

    X, y = make()
    regression = type_of_target(y) == "continuous" or len(np.unique(y)) > 50
    rare = not regression and np.bincount(y).min() < len(y) / 50
    estimator, space = model(kind, regression, issparse(X))
    parts = train_test_split(X, y, test_size=0.4, random_state=seed, stratify=None if regression else y)
    X, X_test, y, y_test = parts
    common: dict[str, Any] = {"cv": 4, "random_state": seed, "scoring": "average_precision" if rare else None}
    if side.startswith("full"):
        if side != "full":
            common["cv"] = (KFold if regression else StratifiedKFold)(4, shuffle=True, random_state=seed)
        search: Any = RandomizedSearchCV(estimator, space, n_iter=n_iter, **common)
    elif side == LEARNING:
        from skopt import BayesSearchCV

        search = BayesSearchCV(estimator, dimensions(space), n_iter=n_iter, **common)
    elif side == "halving":
        search = HalvingRandomSearchCV(estimator, space, n_candidates=n_iter, **common)
    else:
        search = TuneSearchCV(estimator, space, n_iter=n_iter, early_stopping=True, **common)
    began = time.process_time()
    try:
        search.fit(X, y)
    except ValueError as error:  # HalvingRandomSearchCV, with rows of one class
        return {"s": time.process_time() - began, "test": None, "how": str(error)}
    seconds = time.process_time() - began
    told = getattr(search, "early_stopping_", {})
    how = f"{told['resource']} {told['steps']}" if told else ""
    return {"s": seconds, "test": float(search.score(X_test, y_test)), "how": how}


def table(found: list[dict[str, Any]]) -> str:
    """Each side beside the full search: scores that are as good, and shares of its time."""
    lines = [
        f"{'search':<20}{'triples':>8}{'within 0.5 %':>14}{'median loss':>13}{'mean':>9}{'time, median':>14}{'max':>7}"
    ]
    for side in (*SIDES[1:], LEARNING):
        measured = [t for t in found if side in t and "full" in t]
        scored = [t for t in measured if t[side]["test"] is not None]
        if not scored:
            continue
        shares = [t[side]["s"] / t["full"]["s"] for t in measured]
        losses = [(t["full"]["test"] - t[side]["test"]) / max(abs(t["full"]["test"]), 1e-9) for t in scored]
        good = sum(loss <= 0.005 for loss in losses) / len(measured)
        lines.append(
            f"{side:<20}{len(measured):>8}{good:>14.0%}{statistics.median(losses):>13.4f}{statistics.fmean(losses):>9.4f}"
            f"{statistics.median(shares):>14.2f}{max(shares):>7.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=tuple(DATA), default="tuning")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    parser.add_argument("--data", nargs="*", help="only these data sets")
    parser.add_argument("--sides", nargs="*", default=SIDES, help="leave out sides whose figures are in --known")
    parser.add_argument("--known", nargs="*", help="earlier runs' lines, whose figures for other sides are taken over")
    parser.add_argument("--time-box-s", type=float, default=float("inf"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    known: dict[Any, dict[str, Any]] = {}
    for path in arguments.known or ():
        with open(path) as file:
            for line in (json.loads(line) for line in file if line.startswith("{")):
                known.setdefault((line["data"], line["kind"], line["seed"]), {}).update(line)
    for side in arguments.sides:  # what each imports is no part of its first search
        measure(side, DATA["tuning"]["small (wine)"], "linear", 0, 4)
    began, found = time.monotonic(), []
    for seed in range(arguments.first_seed, arguments.seeds):
        for name, make in DATA[arguments.half].items():
            for kind in arguments.kinds if not arguments.data or name in arguments.data else ():
                if time.monotonic() - began > arguments.time_box_s:
                    break
                one = dict(known.get((name, kind, seed), {}), data=name, kind=kind, seed=seed)
                if not arguments.sides and "full" not in one:
                    continue
                for side in arguments.sides:
                    one[side] = measure(side, make, kind, seed, arguments.candidates)
                print(json.dumps(one), flush=True)
                found.append(one)
    print(table(found))


if __name__ == "__main__":
    main()
