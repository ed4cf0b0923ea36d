"""Hypervolume after 50 and 100 trials: `python benchmarks/several_objectives.py [--seeds 3] [--searchers ...]`.

Trials run one at a time; ± is the standard error after 100, and "s" the processor time of one run.

ZDT1 to ZDT3 in six variables (reference (1.1, 11)), DTLZ2 in five (reference 2.5 thrice), and a real one: a forest for
scikit-learn's digits by its cross-validated error, the logarithm of its number of nodes and that of the comparisons
that a prediction takes (reference: an error of 0.5, a million of each). More is better.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import tune_core as tune
from tune_core.results.pareto import hypervolume

TRIALS = 100
Values = Callable[[Mapping[str, Any]], list[float]]


def _zdt(number: int) -> Values:
    def values(c: Mapping[str, Any]) -> list[float]:
        x = [float(c[f"x{i}"]) for i in range(6)]
        g = 1 + 9 * sum(x[1:]) / 5
        ratio = x[0] / g
        h = 1 - (math.sqrt(ratio) if number != 2 else ratio**2)
        return [x[0], g * (h - (ratio * math.sin(10 * math.pi * x[0]) if number == 3 else 0.0))]

    return values


def _dtlz2(c: Mapping[str, Any]) -> list[float]:
    x = [float(c[f"x{i}"]) for i in range(5)]
    g = 1 + sum((v - 0.5) ** 2 for v in x[2:])
    a, b = x[0] * math.pi / 2, x[1] * math.pi / 2
    return [g * math.cos(a) * math.cos(b), g * math.cos(a) * math.sin(b), g * math.sin(a)]


@cache
def _forest_of(trees: int, depth: int, leaf: int, share: float, bootstrap: bool) -> tuple[float, ...]:
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier

    x, y = load_digits(return_X_y=True)
    x, y = x[:900], y[:900]
    folds = np.arange(len(y)) % 3
    wrong, nodes, comparisons = 0, 0, 0.0
    for fold in range(3):
        model = RandomForestClassifier(
            trees, max_depth=depth, min_samples_leaf=leaf, max_features=share, bootstrap=bootstrap, random_state=0
        ).fit(x[folds != fold], y[folds != fold])
        wrong += int((model.predict(x[folds == fold]) != y[folds == fold]).sum())
        nodes += sum(tree.tree_.node_count for tree in model.estimators_)
        comparisons += model.decision_path(x[folds == fold])[0].sum() / (folds == fold).sum()
    return wrong / len(y), math.log10(nodes / 3), math.log10(comparisons / 3)


def _forest(c: Mapping[str, Any]) -> list[float]:
    return list(_forest_of(c["trees"], c["depth"], c["leaf"], round(c["share"], 2), c["bootstrap"]))


def _cube(n: int) -> dict[str, Any]:
    return {f"x{i}": tune.uniform(0, 1) for i in range(n)}


PROBLEMS: dict[str, tuple[dict[str, Any], Values, list[float]]] = {
    "zdt1": (_cube(6), _zdt(1), [1.1, 11.0]),
    "zdt2": (_cube(6), _zdt(2), [1.1, 11.0]),
    "zdt3": (_cube(6), _zdt(3), [1.1, 11.0]),
    "dtlz2": (_cube(5), _dtlz2, [2.5, 2.5, 2.5]),
    "forest": (
        {
            "trees": tune.lograndint(1, 65),
            "depth": tune.randint(2, 16),
            "leaf": tune.lograndint(1, 33),
            "share": tune.uniform(0.05, 1.0),
            "bootstrap": tune.choice([False, True]),
        },
        _forest,
        [0.5, 6.0, 6.0],
    ),
}


def _sampler(name: str, seed: int) -> Any:
    import optuna

    from tune_core.search.optuna import OptunaSearch

    return OptunaSearch(sampler=getattr(optuna.samplers, name)(seed=seed))


def _named(name: str) -> Any:
    from tune_core.search import create_searcher

    return create_searcher(name)


SEARCHERS: dict[str, Callable[[int], Any]] = {
    "random": lambda seed: _named("random"),
    "Optuna's TPE": lambda seed: _named("optuna"),
    "Optuna's NSGA-II": lambda seed: _sampler("NSGAIISampler", seed),
    "Optuna's GP": lambda seed: _sampler("GPSampler", seed),
    "auto": lambda seed: _named("auto"),
    "Ax": lambda seed: _named("ax"),
}


def run(problem: str, searcher: str, seed: int, trials: int) -> tuple[float, float]:
    """The hypervolume that one run comes to after half of its trials, and in the end."""
    space, values, reference = PROBLEMS[problem]
    search, names = SEARCHERS[searcher](seed), [f"m{i}" for i in range(len(reference))]
    search.set_search_properties(names, ["min"] * len(names), space, seed=seed, num_samples=trials)
    found = []
    for number in range(trials):
        config = search.suggest(f"{number:05d}")
        found.append(values(config))
        result = {**dict(zip(names, found[-1], strict=True)), "training_iteration": 1}
        search.on_trial_complete(f"{number:05d}", result)
    half, end = (hypervolume([tuple(one) for one in found[:many]], reference) for many in (trials // 2, trials))
    return half, end


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--searchers", nargs="+", default=list(SEARCHERS)[:5], choices=list(SEARCHERS))
    parser.add_argument("--problems", nargs="+", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--trials", type=int, default=TRIALS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| | " + " | ".join(arguments.searchers) + " |")
    print("|---|" + "---|" * len(arguments.searchers), flush=True)
    for problem in arguments.problems:
        cells = []
        for searcher in arguments.searchers:
            began = time.process_time()
            runs = [run(problem, searcher, seed, arguments.trials) for seed in range(arguments.seeds)]
            took = (time.process_time() - began) / len(runs)
            half, end = zip(*runs, strict=True)
            error = statistics.stdev(end) / math.sqrt(len(end)) if len(end) > 1 else 0.0
            cells.append(f"{statistics.fmean(half):.3f} / {statistics.fmean(end):.3f} ±{error:.3f}, {took:.0f} s")
        print(f"| {problem} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
