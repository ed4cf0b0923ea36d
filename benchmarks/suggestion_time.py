"""What a suggestion costs: processor time of ``auto``, Optuna's TPE and its GP, by results and parameters.

    pip install optuna torch
    python benchmarks/suggestion_time.py                          # a minute without, ten with Optuna's GP
    python benchmarks/suggestion_time.py --searchers auto "Optuna's TPE"

Each searcher is told that many random points of a space of half floats, a quarter integers and a quarter choices, with
a noisy quadratic as their loss. Then it makes suggestions, one after another, and is told what became of each. Printed
is the median in milliseconds of processor time of all threads, with one thread for each library.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
import warnings
from typing import Any

import tune_core as tune
from tune_core import space as sp
from tune_core.search import create_searcher

RESULTS, PARAMETERS, ASKED = (10, 100, 1000, 2000), (2, 10, 50), 5
SEARCHERS = ("auto", "Optuna's TPE", "Optuna's GP")
GP_UP_TO = 1000  #: results; more take it minutes


def space_of(count: int) -> dict[str, Any]:
    kinds = (lambda: tune.uniform(-1, 1), lambda: tune.loguniform(1e-4, 1), lambda: tune.randint(0, 30))
    made = [*kinds, lambda: tune.choice(["a", "b", "c", "d"])]
    return {f"p{i:02d}": made[i % 4]() if count > 2 else kinds[i]() for i in range(count)}


def loss(config: dict[str, Any], noise: random.Random) -> float:
    numbers = (ord(value) - 97.0 if isinstance(value, str) else float(value) for value in config.values())
    return sum((x - 0.3) ** 2 for x in numbers) / len(config) + noise.gauss(0, 0.01)


def milliseconds(name: str, results: int, parameters: int) -> float:
    space, noise = space_of(parameters), random.Random(0)
    told = [sp.generate(space, 0, number) for number in range(results)]
    known = {"points_to_evaluate": told, "evaluated_rewards": [loss(config, noise) for config in told]}
    if name == "Optuna's GP":
        import optuna

        known["sampler"] = optuna.samplers.GPSampler(seed=0)
    searcher = create_searcher("auto" if name == "auto" else "optuna", **known)
    searcher.set_search_properties("loss", "min", space, seed=0, num_samples=results + ASKED)
    spent = []
    for number in range(ASKED + 1):
        began = time.process_time()
        config = searcher.suggest(f"{number:05d}")
        searcher.on_trial_complete(f"{number:05d}", {"loss": loss(config, noise), "training_iteration": 1})
        spent.append(1000 * (time.process_time() - began))
    return statistics.median(spent[1:])  # the first is told all that is known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searchers", nargs="+", choices=SEARCHERS, default=SEARCHERS)
    searchers = parser.parse_args().searchers
    warnings.simplefilter("ignore")
    print("| parameters | results | " + " | ".join(searchers) + " |\n| --- | --- |" + " --- |" * len(searchers))
    for parameters in PARAMETERS:
        for results in RESULTS:
            cells = [
                f"{milliseconds(name, results, parameters):.1f} ms" if results <= GP_UP_TO or "GP" not in name else ""
                for name in searchers
            ]
            print(f"| {parameters} | {results:,} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
