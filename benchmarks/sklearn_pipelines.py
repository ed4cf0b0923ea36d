"""Grids over a pipeline's last step: TuneGridSearchCV beside GridSearchCV, a pipeline's ``memory`` and dask-ml.

Three tasks whose first steps are the same for many candidates: words of 3,000 documents counted and weighted for linear
models, splines and a selection of features for logistic regressions, and a scaler on little data. Each side fits in
this process, with one thread, on the same folds, ``--repeats`` times in turns; the table has the shortest CPU times,
and whether all scores are those of GridSearchCV to the last bit. dask-ml is left out where it is not installed.

    OMP_NUM_THREADS=1 python benchmarks/sklearn_pipelines.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from typing import Any

import numpy as np

TASKS = ("words", "splines", "scaler")
SIDES = ("GridSearchCV", "GridSearchCV, memory=", "dask-ml", "TuneGridSearchCV")


def task(name: str) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Data, pipeline and grid."""
    from sklearn.datasets import load_wine, make_classification
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.feature_selection import SelectKBest
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import SplineTransformer, StandardScaler
    from sklearn.svm import SVC

    if name == "words":
        rng = np.random.RandomState(0)
        words, y = np.array([f"word{i}" for i in range(5000)]), rng.randint(4, size=3000)
        chances = rng.dirichlet(np.full(5000, 0.05), 4)
        docs = [" ".join(rng.choice(words, 80, p=chances[label] * 0.3 + 0.7 / 5000)) for label in y]
        grid = {"sgdclassifier__alpha": [1e-6, 1e-5, 1e-4, 1e-3], "sgdclassifier__penalty": ["l2", "l1"]}
        return docs, y, make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), SGDClassifier(random_state=0)), grid
    if name == "splines":
        X, y = make_classification(4000, 20, n_informative=8, random_state=0)
        pipe = make_pipeline(StandardScaler(), SplineTransformer(), SelectKBest(k=40), LogisticRegression())
        return X, y, pipe, {"selectkbest__k": [20, 40], "logisticregression__C": [0.01, 0.1, 1.0, 10.0]}
    X, y = load_wine(return_X_y=True)
    grid = {"svc__C": np.logspace(-2, 3, 10).tolist(), "svc__gamma": [0.001, 0.01, 0.1]}
    return X, y, make_pipeline(StandardScaler(), SVC()), grid


def search_of(side: str, pipe: Any, grid: Any, folder: str) -> Any:
    """The search of one side; None where it is not installed."""
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV

    from tune_sklearn import TuneGridSearchCV

    if side == "TuneGridSearchCV":
        return TuneGridSearchCV(pipe, grid, cv=5)
    if side == "dask-ml":
        try:
            from dask_ml.model_selection import GridSearchCV as MergedGridSearchCV
        except ImportError:
            return None
        return MergedGridSearchCV(pipe, grid, cv=5, scheduler="single-threaded")
    return GridSearchCV(clone(pipe).set_params(memory=folder) if "memory" in side else pipe, grid, cv=5)


def measure(side: str, data: tuple[Any, Any, Any, dict[str, Any]]) -> tuple[float, Any] | None:
    """CPU seconds of ``fit`` and the scores of each fold."""
    X, y, pipe, grid = data
    with tempfile.TemporaryDirectory() as folder:
        search = search_of(side, pipe, grid, folder)
        if search is None:
            return None
        began = time.process_time()
        search.fit(X, y)
        seconds = time.process_time() - began
    return seconds, np.array([search.cv_results_[f"split{fold}_test_score"] for fold in range(5)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="*", choices=TASKS, default=TASKS)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for side in SIDES:  # what each imports is no part of its first search
        measure(side, task("scaler"))
    print(f"{'task':<10}{'search':<24}{'CPU s':>8}{'times GridSearchCV':>20}  same scores")
    for name in arguments.tasks:
        data, found = task(name), dict[str, list[Any]]()
        for _ in range(arguments.repeats):
            for side in SIDES:
                one = measure(side, data)
                if one is not None:
                    found.setdefault(side, []).append(one)
        first, scores = min(s for s, _ in found[SIDES[0]]), found[SIDES[0]][0][1]
        for side, runs in found.items():
            seconds = min(s for s, _ in runs)
            same = all(np.array_equal(scores, other) for _, other in runs)
            print(f"{name:<10}{side:<24}{seconds:>8.2f}{seconds / first:>20.2f}  {'yes' if same else 'no'}", flush=True)


if __name__ == "__main__":
    main()
