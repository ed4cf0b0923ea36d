"""Regret among feasible points, one trial at a time: `python benchmarks/constrained.py [--seeds 5] [--searchers ...]`.

Six functions with one to four constraints: two of Gardner et al., "Bayesian Optimization with Inequality Constraints"
(2014), Branin inside a disk (Parr et al., 2012), the tension spring and the pressure vessel (Coello, 2000), and one
with a choice. A regret is the best feasible loss so far less
the least one, over the median feasible loss of 20,000 random points less the least one; 1 while nothing was feasible.
"""

from __future__ import annotations

import argparse
import math
import statistics
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from several_objectives import SEARCHERS

import tune_core as tune
from tune_core import space as sp
from tune_core.core.constraints import constraints_from

AFTER = (25, 50, 100)
Config = Mapping[str, Any]
Outcome = tuple[float, list[float]]  # the loss, and what must not be above 0


def _gardner(number: int) -> Callable[[Config], Outcome]:
    def outcome(c: Config) -> Outcome:
        x, y = c["x"], c["y"]
        if number == 1:
            return math.cos(2 * x) * math.cos(y) + math.sin(x), [
                math.cos(x) * math.cos(y) - math.sin(x) * math.sin(y) - 0.5
            ]
        return math.sin(x) + y, [math.sin(x) * math.sin(y) + 0.95]

    return outcome


def _branin_in_a_disk(c: Config) -> Outcome:
    x, y = c["x"], c["y"]
    loss = (y - 5.1 * x * x / (4 * math.pi**2) + 5 * x / math.pi - 6) ** 2
    loss += 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10
    return loss, [(x - 2.5) ** 2 + (y - 7.5) ** 2 - 50]


def _spring(c: Config) -> Outcome:
    d, w, n = c["coil"], c["wire"], c["turns"]
    return (n + 2) * d * w * w, [
        1 - d**3 * n / (71785 * w**4),
        (4 * d * d - w * d) / (12566 * (d * w**3 - w**4)) + 1 / (5108 * w * w) - 1,
        1 - 140.45 * w / (d * d * n),
        (d + w) / 1.5 - 1,
    ]


def _vessel(c: Config) -> Outcome:
    s, h, r, length = 0.0625 * c["shell"], 0.0625 * c["head"], c["radius"], c["length"]
    cost = 0.6224 * s * r * length + 1.7781 * h * r * r + 3.1661 * s * s * length + 19.84 * s * s * r
    return cost, [
        0.0193 * r - s,
        0.00954 * r - h,
        (1296000 - math.pi * r * r * length - 4 / 3 * math.pi * r**3) / 1296000,
    ]


def _sizes(c: Config) -> Outcome:
    power = {"small": 1.0, "medium": 2.0, "large": 3.5}[c["kind"]]
    error = 1 / (1 + power * math.log1p(c["width"]) / 3) + 0.3 * (math.log10(c["lr"]) + 2.5) ** 2
    return error, [power * c["width"] / 100 - 1, power * power * math.sqrt(c["width"]) / 40 - 1]


PROBLEMS: dict[str, tuple[dict[str, Any], Callable[[Config], Outcome], int, float]] = {
    "gardner 1": ({"x": tune.uniform(0, 6), "y": tune.uniform(0, 6)}, _gardner(1), 1, -2.0),
    "gardner 2": ({"x": tune.uniform(0, 6), "y": tune.uniform(0, 6)}, _gardner(2), 1, 0.253236),
    "branin in a disk": ({"x": tune.uniform(-5, 10), "y": tune.uniform(0, 15)}, _branin_in_a_disk, 1, 0.397887),
    "spring": (
        {"coil": tune.uniform(0.25, 1.3), "wire": tune.uniform(0.05, 0.2), "turns": tune.uniform(2, 15)},
        _spring,
        4,
        0.012665,
    ),
    "vessel": (
        {
            "shell": tune.randint(1, 100),
            "head": tune.randint(1, 100),
            "radius": tune.uniform(10, 200),
            "length": tune.uniform(10, 200),
        },
        _vessel,
        3,
        6059.714,
    ),
    "sizes": (
        {
            "kind": tune.choice(["small", "medium", "large"]),
            "width": tune.lograndint(4, 1025),
            "lr": tune.loguniform(1e-5, 1.0),
        },
        _sizes,
        2,
        0.263328,
    ),
}


def scale(name: str) -> tuple[float, float]:
    """The least feasible loss, and the median one of random points less it."""
    space, outcome, _, best = PROBLEMS[name]
    drawn = [outcome(sp.generate(space, seed, 0)) for seed in range(20_000)]
    feasible = [loss for loss, broken in drawn if all(one <= 0 for one in broken)]
    return best, statistics.median(feasible) - best


def run(name: str, searcher: str, seed: int) -> list[float]:
    """The best feasible loss after each trial; infinite before the first."""
    space, outcome, count, _ = PROBLEMS[name]
    search = SEARCHERS[searcher](seed)
    bounds = constraints_from({f"c{i}": ("<=", 0.0) for i in range(count)})
    search.set_search_properties("loss", "min", space, seed=seed, num_samples=AFTER[-1], constraints=bounds)
    course, best = [], math.inf
    for number in range(AFTER[-1]):
        config = search.suggest(f"{number:05d}")
        loss, broken = outcome(config)
        result = {"loss": loss, **{f"c{i}": one for i, one in enumerate(broken)}, "training_iteration": 1}
        search.on_trial_complete(f"{number:05d}", result)
        if all(one <= 0 for one in broken):
            best = min(best, loss)
        course.append(best)
    return course


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    usual = ["random", "Optuna's TPE", "Optuna's GP", "auto"]
    parser.add_argument("--searchers", nargs="+", default=usual, choices=[*usual, "Ax"])
    parser.add_argument("--problems", nargs="+", default=list(PROBLEMS), choices=list(PROBLEMS))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| after " + "/".join(map(str, AFTER)) + " | " + " | ".join(arguments.searchers) + " |")
    print("|---|" + "---|" * len(arguments.searchers), flush=True)
    for name in arguments.problems:
        best, span = scale(name)
        cells = []
        for searcher in arguments.searchers:
            courses = [run(name, searcher, seed) for seed in range(arguments.seeds)]
            regrets = [statistics.fmean(min(1.0, (c[n - 1] - best) / span) for c in courses) for n in AFTER]
            cells.append(" / ".join(f"{value:.3f}" for value in regrets))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
