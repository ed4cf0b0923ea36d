"""How the work of what once grew too fast grows with its size: n, 2n and 8n, and the largest exponent between two.

    python benchmarks/growth_exponents.py [--only NAME ...]

Counted as in ``tests/growth``: the lines of tune-core that run, and what is read and written. Since it keeps to what
the first versions had, it also measures an older commit: with its tree in ``PYTHONPATH``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from growth.counting import exponent, work

import tune_core as tune
from tune_core import schedulers

try:
    from tune_core.cli.main import main as command
    from tune_core.search.basic_variant import BasicVariantGenerator
except ImportError:  # where they stood at first
    from tune_core.cli import main as command
    from tune_core.search import BasicVariantGenerator


def objective(config: dict[str, Any]) -> None:
    for step in range(1, 5):
        tune.report({"loss": config["x"] + 1 / step})


class Saving(tune.Trainable):
    """A trainable that can be paused and copied."""

    def setup(self, config: dict[str, Any]) -> None:
        self.step_number = 0

    def step(self) -> dict[str, Any]:
        self.step_number += 1
        return {"loss": self.config["x"] + 1 / self.step_number, "done": self.step_number == 9}

    def save_checkpoint(self, folder: str) -> None:
        Path(folder, "state.json").write_text(json.dumps(self.step_number))

    def load_checkpoint(self, folder: str) -> None:
        self.step_number = json.loads(Path(folder, "state.json").read_text())


def tuner(folder: str, n: int, trainable: Any = objective, **more: Any) -> Any:
    run = {key: more.pop(key) for key in ("callbacks", "stop") if key in more}
    return tune.Tuner(
        trainable,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=n, seed=1, **more),
        run_config=tune.RunConfig(executor="inline", storage_path=folder, name=f"run{n}", verbose=0, **run),
    )


def fitted(folder: str, n: int) -> str:
    tuner(folder, n).fit()
    return os.path.join(folder, f"run{n}")


def population(folder: str, n: int, **more: Any) -> Any:
    scheduler = schedulers.PopulationBasedTraining(
        "training_iteration", perturbation_interval=3, hyperparam_mutations={"x": tune.uniform(0, 1)}, **more
    )
    return tuner(folder, n, Saving, scheduler=scheduler)


def growing_columns(config: dict[str, Any]) -> None:
    for step in range(config["steps"]):
        tune.report({"loss": 1.0, **{f"column{i}": i for i in range(step)}})


def wide_table(folder: str, n: int) -> Any:
    from tune_core.logger import CSVLoggerCallback

    built = tuner(folder, 1, growing_columns, callbacks=[CSVLoggerCallback()])
    built._space = {"steps": n}
    return built


def words(*arguments: str) -> Callable[[], object]:
    return lambda: command(list(arguments))


CASES: dict[str, tuple[int, Callable[[str, int], Callable[[], object]]]] = {
    "G1 each trial's data frame": (
        60,
        lambda folder, n: (
            lambda path: lambda: [result.metrics_dataframe for result in tune.ResultGrid.from_path(path)]
        )(fitted(folder, n)),
    ),
    "G2 median stopping": (
        150,
        lambda folder, n: (
            tuner(folder, n, scheduler=schedulers.MedianStoppingRule("training_iteration", grace_period=1)).fit
        ),
    ),
    "G3 PBT": (80, lambda folder, n: population(folder, n).fit),
    "G3 PBT, synchronous": (80, lambda folder, n: population(folder, n, synch=True).fit),
    "G4 one synchronous bracket": (
        150,
        lambda folder, n: (
            tuner(folder, n, Saving, scheduler=schedulers.SuccessiveHalvingScheduler(max_t=9, num_trials=n)).fit
        ),
    ),
    "G5 points to evaluate first": (
        300,
        lambda folder, n: (
            tuner(folder, n, search_alg=BasicVariantGenerator(points_to_evaluate=[{"x": i / n} for i in range(n)])).fit
        ),
    ),
    "G8 ls": (40, lambda folder, n: (lambda path: words("ls", os.path.dirname(path)))(fitted(folder, n))),
    "G8 explain": (40, lambda folder, n: (lambda path: words("explain", path, "7"))(fitted(folder, n))),
    "G10 CSV, a column more each time": (30, lambda folder, n: wide_table(folder, n).fit),
    "G12 a stop function": (
        40,
        lambda folder, n: tuner(folder, n, stop=lambda trial, result: result["loss"] < -1).fit,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{os.path.dirname(tune.__file__)}\n{'':36}{'exponent':>9}  work at n, 2n, 8n")
    for name, (n, prepare) in CASES.items():
        if given.only and not any(part in name for part in given.only):
            continue
        with tempfile.TemporaryDirectory(prefix="growth-") as base:
            try:
                by_size = {}
                for size in (n, 2 * n, 8 * n):
                    folder = os.path.join(base, str(size))
                    os.makedirs(folder)
                    action = prepare(folder, size)
                    with contextlib.redirect_stdout(io.StringIO()):
                        by_size[size] = work(action)
            except Exception as error:  # an older commit may lack a part
                print(f"{name:36}  {type(error).__name__}: {' '.join(str(error).split())[:150]}", flush=True)
                continue
        print(f"{name:36}{exponent(by_size):9.2f}  {by_size}", flush=True)


if __name__ == "__main__":
    main()
