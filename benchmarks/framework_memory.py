"""What a worker that is reused keeps of its trials, framework by framework: `python benchmarks/framework_memory.py`.

One worker process runs 200 trials after each other, each of which trains a small model with the framework's callback.
Its memory (RSS) is read at the end of each trial. What grows between trial 20 and trial 200 is what the framework, or
the callback, keeps; a run of the same length that trains nothing is the measure of what tune-core keeps itself.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("KERAS_BACKEND", "torch")

FIRST, LAST = 20, 200
GOAL_MB = 10.0

Train = Callable[[], None]

MADE: dict[str, Any] = {}
"""Classes that a worker has made."""


def data(rows: int = 200) -> Any:
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 10)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype("int64")


def nothing() -> None:
    import tune_core as tune

    tune.report({"loss": 1.0})


def sklearn() -> None:
    from sklearn.ensemble import RandomForestClassifier

    import tune_core as tune

    x, y = data()
    tune.report({"score": RandomForestClassifier(50).fit(x, y).score(x, y)})


def xgboost() -> None:
    import xgboost as xgb

    from tune_xgboost import TuneReportCheckpointCallback

    matrix = xgb.DMatrix(*data())
    params = {"objective": "binary:logistic", "nthread": 1, "max_depth": 4}
    callback = TuneReportCheckpointCallback()
    xgb.train(params, matrix, 20, evals=[(matrix, "train")], verbose_eval=False, callbacks=[callback])


def lightgbm() -> None:
    import lightgbm as lgb

    from tune_lightgbm import TuneReportCheckpointCallback

    x, y = data()
    rows = lgb.Dataset(x, y)
    params = {"objective": "binary", "num_threads": 1, "verbose": -1}
    callback = TuneReportCheckpointCallback()
    lgb.train(params, rows, 20, valid_sets=[rows], valid_names=["train"], callbacks=[callback])


def catboost() -> None:
    from catboost import CatBoostClassifier

    from tune_catboost import TuneReportCheckpointCallback

    x, y = data()
    model = CatBoostClassifier(iterations=20, thread_count=1, verbose=False, allow_writing_files=False)
    model.fit(x, y, eval_set=(x, y), callbacks=[TuneReportCheckpointCallback(model)])


def torch() -> None:
    import torch as library

    import tune_core as tune

    x, y = (library.from_numpy(part) for part in data())
    net = library.nn.Sequential(library.nn.Linear(10, 200), library.nn.ReLU(), library.nn.Linear(200, 2))
    optimizer = library.optim.Adam(net.parameters())
    for _ in range(5):
        optimizer.zero_grad()
        loss = library.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        tune.report({"loss": loss.item()})


def lightning_module() -> Any:
    """The module's class, made once as in a script."""
    if "lightning" in MADE:
        return MADE["lightning"]
    import pytorch_lightning as pl
    import torch as library

    class Net(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = library.nn.Sequential(library.nn.Linear(10, 200), library.nn.ReLU(), library.nn.Linear(200, 2))

        def training_step(self, batch: Any, index: int) -> Any:
            loss = library.nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return library.optim.Adam(self.parameters())

    return MADE.setdefault("lightning", Net)


def lightning() -> None:
    import pytorch_lightning as pl
    import torch as library

    from tune_lightning import TuneReportCheckpointCallback

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    rows = library.utils.data.TensorDataset(*(library.from_numpy(part) for part in data()))
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[TuneReportCheckpointCallback()],
    )  # fmt: skip
    trainer.fit(lightning_module()(), library.utils.data.DataLoader(rows, batch_size=100))


def keras() -> None:
    import keras as library

    from tune_keras import TuneReportCheckpointCallback

    x, y = data()
    model = library.Sequential(
        [library.Input((10,)), library.layers.Dense(200, "relu"), library.layers.Dense(2, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=100, epochs=2, verbose=0, callbacks=[TuneReportCheckpointCallback()])


def torch_module() -> Any:
    """The module's class, made once as in a script."""
    if "torch" in MADE:
        return MADE["torch"]
    import torch as library

    class Net(library.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = library.nn.Linear(10, 2)

        def forward(self, x: Any, labels: Any) -> Any:
            logits = self.net(x)
            return {"loss": library.nn.functional.cross_entropy(logits, labels), "logits": logits}

    return MADE.setdefault("torch", Net)


def transformers() -> None:
    import torch as library
    import transformers as hf

    from tune_transformers import TuneReportCheckpointCallback

    rows = [{"x": x, "labels": y} for x, y in zip(*(library.from_numpy(part) for part in data()))]
    with tempfile.TemporaryDirectory() as folder:
        arguments = hf.TrainingArguments(
            folder, num_train_epochs=1, per_device_train_batch_size=100, eval_strategy="epoch", save_strategy="no",
            report_to=[], disable_tqdm=True, use_cpu=True,
        )  # fmt: skip
        trainer = hf.Trainer(
            torch_module()(),
            arguments,
            train_dataset=rows,
            eval_dataset=rows,
            callbacks=[TuneReportCheckpointCallback()],
        )
        trainer.remove_callback(hf.PrinterCallback)
        trainer.train()


FRAMEWORKS: dict[str, tuple[Train, str]] = {
    "nothing": (nothing, "tune_core"),
    "sklearn": (sklearn, "sklearn"),
    "xgboost": (xgboost, "xgboost"),
    "lightgbm": (lightgbm, "lightgbm"),
    "catboost": (catboost, "catboost"),
    "torch": (torch, "torch"),
    "lightning": (lightning, "pytorch_lightning"),
    "keras": (keras, "keras"),
    "transformers": (transformers, "transformers"),
}


def objective(config: dict[str, Any]) -> None:
    """One trial; what the process holds goes into a file of all trials."""
    import psutil

    warnings.filterwarnings("ignore")
    FRAMEWORKS[config["framework"]][0]()
    with open(config["file"], "a") as file:
        file.write(f"{os.getpid()} {psutil.Process().memory_info().rss}\n")


def measure(framework: str, trials: int) -> None:
    """Run the trials of one framework and print one line."""
    import tune_core as tune

    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "memory")
        results = tune.Tuner(
            objective,
            param_space={"framework": framework, "file": file},
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=1),
            run_config=tune.RunConfig(
                storage_path=folder, verbose=0, checkpoint_config=tune.CheckpointConfig(num_to_keep=1)
            ),
        ).fit()
        if results.num_errors:
            print(f"{framework:13} {results.num_errors} trials failed: {results.errors[0]}", flush=True)
            return
        with open(file) as lines:
            rows = [tuple(map(int, line.split())) for line in lines]
    first, last = rows[min(FIRST, trials) - 1][1] / 2**20, rows[-1][1] / 2**20
    workers = len({pid for pid, _ in rows})
    verdict = "flat" if last - first <= GOAL_MB else "GROWS"
    print(
        f"{framework:13} {first:8.1f} {last:8.1f} {last - first:+8.1f} {workers:8d}  {verdict}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("frameworks", nargs="*", help=f"of {', '.join(FRAMEWORKS)}; those installed by default")
    parser.add_argument("--trials", type=int, default=LAST)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        measure(asked.frameworks[0], asked.trials)
        return
    print(f"MB in the worker at the end of trial {FIRST} and of trial {asked.trials}")
    print(f"{'framework':13} {FIRST:8d} {asked.trials:8d} {'growth':>8} {'workers':>8}")
    for name in asked.frameworks or FRAMEWORKS:
        if importlib.util.find_spec(FRAMEWORKS[name][1]) is None:
            print(f"{name:13} is not installed")
            continue
        subprocess.run([sys.executable, __file__, name, "--trials", str(asked.trials), "--one"], check=True)


if __name__ == "__main__":
    main()
