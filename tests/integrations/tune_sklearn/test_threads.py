"""Searches side by side in threads of one process find what each finds alone."""

from __future__ import annotations

import math
import os
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from tune_sklearn import TuneGridSearchCV, TuneSearchCV

ROUNDS = int(os.environ.get("TUNE_CORE_THREAD_ROUNDS", "1"))

Found = tuple[dict[str, Any], float, list[float | None]]


def search(number: int, n_jobs: int | None) -> Found:
    """A search of its own kind, data and seed for each number."""
    X, y = (load_iris if number % 2 else load_wine)(return_X_y=True)
    seed = number // 5
    kinds: list[Callable[[], Any]] = [
        lambda: TuneGridSearchCV(
            DecisionTreeClassifier(random_state=seed), {"max_depth": [1, 2, 3 + seed]}, n_jobs=n_jobs
        ),
        lambda: TuneSearchCV(
            KNeighborsClassifier(), {"n_neighbors": (1, 20)}, n_trials=4, random_state=seed, n_jobs=n_jobs
        ),
        lambda: TuneGridSearchCV(
            LogisticRegression(max_iter=50), {"C": [0.01, 1.0 + seed]}, n_jobs=n_jobs, scoring="neg_log_loss"
        ),
        lambda: TuneSearchCV(
            SGDClassifier(random_state=seed), {"alpha": (1e-4, 1e-1, "log-uniform")},
            n_trials=4, max_iters=4, early_stopping=True, random_state=seed, n_jobs=n_jobs,
        ),
        lambda: TuneGridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-2 * (1 + seed)]}, n_jobs=n_jobs),
    ]  # fmt: skip
    made = kinds[number % len(kinds)]()
    made.fit(X, y)
    scores = [None if math.isnan(score) else float(score) for score in made.cv_results_["mean_test_score"]]
    return made.best_params_, made.best_score_, scores


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("count", [2, 8, pytest.param(32, marks=pytest.mark.slow)])
def test_searches_side_by_side_find_what_they_find_alone(count: int, n_jobs: int | None) -> None:
    if n_jobs and count > 2 and ROUNDS == 1:
        pytest.skip("sixteen worker processes: tried with TUNE_CORE_THREAD_ROUNDS")
    alone = [search(number, n_jobs) for number in range(count)]
    for turn in range(ROUNDS):
        found: dict[int, Found] = {}

        def run(number: int, into: dict[int, Found] = found) -> None:
            into[number] = search(number, n_jobs)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        random.Random(turn).shuffle(threads)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [found.get(number) for number in range(count)] == alone
