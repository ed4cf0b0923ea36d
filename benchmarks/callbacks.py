"""What a framework's callback costs, beside Ray Tune's where there is one: `python benchmarks/callbacks.py`.

Inside one trial the same training runs with the callback and without it, in turns, several times; the ratio is that
of the fastest. On a busy machine trust the ratio of the process's CPU time, which leaves out what others use, and also
what a callback waits for. Every round or epoch is reported; no checkpoints are saved: that costs what saving costs.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.update(RAY_AUTH_MODE="disabled", RAY_USAGE_STATS_ENABLED="0", RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS="0")

ROUNDS, EPOCHS = 1000, 200
GOAL = 1.05

Train = Callable[[list[Any]], Any]


def data(rows: int = 2000) -> Any:
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 10)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype("int64")


def xgboost() -> Train:
    import xgboost as xgb

    matrix = xgb.DMatrix(*data())
    params = {"objective": "binary:logistic", "nthread": 1, "max_depth": 4}
    return lambda callbacks: xgb.train(
        params, matrix, ROUNDS, evals=[(matrix, "train")], verbose_eval=False, callbacks=callbacks
    )


def lightgbm() -> Train:
    import lightgbm as lgb

    x, y = data()
    params = {"objective": "binary", "num_threads": 1, "verbose": -1}

    def train(callbacks: list[Any]) -> None:
        dataset = lgb.Dataset(x, y)
        lgb.train(params, dataset, ROUNDS, valid_sets=[dataset], callbacks=callbacks)

    return train


def catboost() -> Train:
    import catboost as cb

    x, y = data()

    def train(callbacks: list[Any]) -> None:
        model = cb.CatBoostClassifier(iterations=ROUNDS, thread_count=1, verbose=0, allow_writing_files=False)
        model.fit(x, y, eval_set=(x, y), callbacks=callbacks or None)

    return train


def keras() -> Train:
    import keras as k

    x, y = data(256)

    def train(callbacks: list[Any]) -> None:
        model = k.Sequential([k.Input((10,)), k.layers.Dense(8, "relu"), k.layers.Dense(2, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x, y, validation_data=(x, y), epochs=EPOCHS, batch_size=32, verbose=0, callbacks=callbacks)

    return train


def lightning() -> Train:
    import pytorch_lightning as pl
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    loader = DataLoader(TensorDataset(*map(torch.tensor, data(256))), batch_size=32)

    class Net(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Sequential(torch.nn.Linear(10, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))

        def training_step(self, batch: Any, _: int) -> Any:
            return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def validation_step(self, batch: Any, _: int) -> None:
            self.log("loss", self.training_step(batch, _))

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters())

    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return lambda callbacks: pl.Trainer(max_epochs=EPOCHS, accelerator="cpu", callbacks=callbacks, **quiet).fit(
        Net(), loader, loader
    )


def our_callback(framework: str) -> Any:
    return importlib.import_module(f"tune_{framework}").TuneReportCallback()


class Idle:
    """A callback of LightGBM or CatBoost that does nothing."""

    def __call__(self, env: Any) -> None:
        pass

    def after_iteration(self, info: Any) -> bool:
        return True


def idle_callback(framework: str) -> Any:
    """What any callback costs in this framework."""
    if framework == "keras":
        return importlib.import_module("keras").callbacks.Callback()
    if framework == "lightning":
        return importlib.import_module("pytorch_lightning").Callback()
    if framework == "xgboost":
        return importlib.import_module("xgboost").callback.TrainingCallback()
    return Idle()


def rays_callback(framework: str) -> Any:
    if framework == "lightning":
        from ray.tune.integration.pytorch_lightning import TuneReportCheckpointCallback

        return TuneReportCheckpointCallback(save_checkpoints=False)
    module = importlib.import_module(f"ray.tune.integration.{framework}")
    return module.TuneReportCheckpointCallback(checkpoint_at_end=False)


TRAININGS: dict[str, tuple[Callable[[], Train], str, list[str]]] = {
    "xgboost": (xgboost, f"{ROUNDS} boosting rounds", ["xgboost"]),
    "lightgbm": (lightgbm, f"{ROUNDS} boosting rounds", ["lightgbm"]),
    "catboost": (catboost, f"{ROUNDS} iterations", ["catboost"]),
    "keras": (keras, f"{EPOCHS} epochs", ["keras", "torch"]),
    "lightning": (lightning, f"{EPOCHS} epochs", ["pytorch_lightning"]),
}
RAYS = {"xgboost", "lightgbm", "lightning"}  # those that run without TensorFlow
CALLBACKS = {"ours": our_callback, "ray": rays_callback}
WAYS = ("without", "idle", "with")


def measure(config: dict[str, Any]) -> None:
    """The trial: times of the training with and without the callback, in turns, into a file."""
    train = TRAININGS[config["framework"]][0]()
    train([])  # warms up
    makers: list[Any] = [None, idle_callback, CALLBACKS[config["tuner"]]]
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for _ in range(config["repeats"]):
        for make, seconds in zip(makers, times.values()):
            callbacks = [make(config["framework"])] if make else []
            began, used = time.perf_counter(), time.process_time()
            train(callbacks)
            seconds.append((time.perf_counter() - began, time.process_time() - used))
    Path(config["out"]).write_text(json.dumps(times))


def run(config: dict[str, Any]) -> None:
    """One trial under a tuner; this process does nothing else."""
    where = {"storage_path": config["folder"], "name": "run", "verbose": 0}
    if config["tuner"] == "ours":
        import tune_core as tune
    else:
        import ray
        from ray import tune

        ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    results = tune.Tuner(measure, param_space=config, run_config=tune.RunConfig(**where)).fit()
    if results.num_errors:
        raise SystemExit(str(results.errors[0]))


def ratios_of(framework: str, tuner: str, repeats: int) -> dict[str, tuple[float, float]]:
    """Seconds and CPU seconds without a callback; and with one, as multiples of these."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "times.json")
        config = {"framework": framework, "tuner": tuner, "repeats": repeats, "out": out, "folder": folder}
        done = subprocess.run(
            [sys.executable, __file__, "--trial", json.dumps(config)], capture_output=True, text=True, cwd=folder
        )
        if done.returncode or not os.path.exists(out):
            raise SystemExit(f"{framework} under {tuner} failed:\n{done.stdout}\n{done.stderr}")
        best = {way: [min(kind) for kind in zip(*rows)] for way, rows in json.loads(Path(out).read_text()).items()}
    seconds, cpu = best.pop("without")
    return {"without": (seconds, cpu), **{way: (a / seconds, b / cpu) for way, (a, b) in best.items()}}


def is_there(module: str) -> bool:
    with contextlib.suppress(ModuleNotFoundError):
        return importlib.util.find_spec(module) is not None
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(TRAININGS), choices=list(TRAININGS))
    parser.add_argument("--trial", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.trial:
        run(json.loads(arguments.trial))
        return
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, fastest of {arguments.repeats}.")
    print(f"Time with a callback over time without, and CPU time likewise (goal for ours: {GOAL}).\n")
    heads = "".join(f"   {who:>5} {'cpu':>5}" for who in ("idle", "ours", "Ray"))
    print(f"{'':<10} {'training':<22} {'without':>8}{heads}")
    for framework in arguments.only:
        _, what, needs = TRAININGS[framework]
        if not all(map(is_there, needs)):
            print(f"{framework:<10} not installed")
            continue
        ours = ratios_of(framework, "ours", arguments.repeats)
        rows = [ours["idle"], ours["with"]]
        if framework in RAYS and is_there("ray.tune"):
            rows.append(ratios_of(framework, "ray", arguments.repeats)["with"])
        ratios = "".join(f"   {wall:>5.2f} {cpu:>5.2f}" for wall, cpu in rows)
        print(f"{framework:<10} {what:<22} {ours['without'][0]:>7.2f}s{ratios}", flush=True)


if __name__ == "__main__":
    main()
