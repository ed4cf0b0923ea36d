"""PBT on its paper's toy problem, against grid search: `python benchmarks/pbt_toy.py [FIGURE]`.

Jaderberg et al. 2017, figure 2: Q(θ) = 1.2 - (θ0² + θ1²) is to be maximised, and only the gradient of a surrogate
Q̂(θ|h) = 1.2 - (h0·θ0² + h1·θ1²) is known. Grid search trains with h = (1, 0) and (0, 1), each of which leaves one
coordinate where it was. Prints one table; with the name of a file, draws the figure.
"""

from __future__ import annotations

import random
import sys
from typing import Any

import tune_core as tune
from tune_core.core import events as ev
from tune_core.journal.reader import parse
from tune_core.schedulers import FIFOScheduler, PopulationBasedTraining
from tune_core.simulation import Simulation, simulate

STEPS, RATE, INTERVAL, SEEDS = 200, 0.01, 4, 25
START = (0.9, 0.9)
PAPER = {"grid search": 0.390, "PBT": 1.182}


def train(config: dict[str, Any], step: int, state: Any) -> Any:
    """One step of gradient ascent on the surrogate; what is reported is the true objective."""
    if step > STEPS:
        return None
    theta = tuple(t - RATE * 2 * h * t for t, h in zip(state or START, (config["h0"], config["h1"]), strict=True))
    return 1.0, {"Q": 1.2 - theta[0] ** 2 - theta[1] ** 2, "theta": list(theta)}, theta


def grid() -> Simulation:
    """Both trials to the end."""
    space = {"h": tune.grid_search([(1.0, 0.0), (0.0, 1.0)])}

    def objective(config: dict[str, Any], step: int, state: Any) -> Any:
        return train({"h0": config["h"][0], "h1": config["h"][1]}, step, state)

    return simulate(objective, space, metric="Q", mode="max", workers=2, num_samples=1, scheduler=FIFOScheduler())


def population(seed: int) -> Simulation:
    """A population of the same two; exploring moves each hyperparameter by a normal deviate, as in the paper."""

    def explore(config: dict[str, Any]) -> dict[str, Any]:
        return {name: min(max(value + random.gauss(0.0, 0.1), 0.0), 1.0) for name, value in config.items()}

    def objective(config: dict[str, Any], step: int, state: Any) -> Any:
        return train(config, step, state)

    scheduler = PopulationBasedTraining(
        "training_iteration",
        perturbation_interval=INTERVAL,
        quantile_fraction=0.5,
        custom_explore_fn=explore,
        synch=True,
    )
    from tune_core.search import BasicVariantGenerator

    points = BasicVariantGenerator(points_to_evaluate=[{"h0": 1.0, "h1": 0.0}, {"h0": 0.0, "h1": 1.0}])
    space = {"h0": tune.uniform(0, 1), "h1": tune.uniform(0, 1)}
    return simulate(
        objective,
        space,
        metric="Q",
        mode="max",
        workers=2,
        num_samples=2,
        scheduler=scheduler,
        search_alg=points,
        seed=seed,
    )


def paths(result: Simulation) -> dict[int, list[tuple[float, float, int]]]:
    """θ over time, with the attempt, so that a copy's jump can be left out of the line."""
    found: dict[int, list[tuple[float, float, int]]] = {}
    for event in parse(result.journal).events:
        if type(event) is ev.Reported:
            found.setdefault(event.trial, []).append((*event.metrics["theta"], event.attempt))
    return found


def draw(results: dict[str, Simulation], path: str) -> None:
    """The paper's figure: θ of all workers over time."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), sharex=True, sharey=True)
    for axis, (name, result) in zip(axes, results.items(), strict=True):
        for trial, points in paths(result).items():
            axis.plot([p[0] for p in points], [p[1] for p in points], ".", ms=3, label=f"trial {trial}")
        axis.plot([0], [0], "k+", ms=10)
        axis.set_title(f"{name}: Q = {result.best_value:.3f}")
        axis.set_xlabel("θ0")
    axes[0].set_ylabel("θ1")
    axes[0].legend(loc="lower left", frameon=False)
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    by_grid = grid()
    runs = [population(seed) for seed in range(SEEDS)]
    values = sorted(run.best_value or 0.0 for run in runs)
    print(f"{'method':<14}{'Q reached':>11}{'worst':>8}{'best':>8}{'paper':>8}   of 1.2; {STEPS} steps, 2 workers")
    print(f"{'grid search':<14}{by_grid.best_value:>11.3f}{'':>8}{'':>8}{PAPER['grid search']:>8.3f}")
    median = values[len(values) // 2]
    print(
        f"{'PBT':<14}{median:>11.3f}{values[0]:>8.3f}{values[-1]:>8.3f}{PAPER['PBT']:>8.3f}   median of {SEEDS} seeds"
    )
    if len(sys.argv) > 1:
        typical = min(runs, key=lambda run: abs((run.best_value or 0.0) - median))
        draw({"grid search": by_grid, "PBT": typical}, sys.argv[1])


if __name__ == "__main__":
    main()
