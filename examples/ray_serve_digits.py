"""Tune a model on Ray, take the best checkpoint, serve it with Ray Serve, and ask it
over HTTP.

Needs `pip install "ray[serve]" scikit-learn`. Everything runs on this machine.
"""

# needs: ray, sklearn, aiohttp_cors, uvicorn
# slow

from __future__ import annotations

import json
import pickle
import socket
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import ray
from ray import serve
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

import tune_core as tune

MODEL_FILE = "model.pkl"


def train(config: dict[str, Any], data: Any) -> None:
    """Ten epochs of a linear classifier; each reports its accuracy with the model as
    a checkpoint.
    """
    x_train, x_valid, y_train, y_valid = data
    model = SGDClassifier(
        alpha=config["alpha"],
        learning_rate="constant",
        eta0=config["eta0"],
        random_state=0,
    )
    for _ in range(10):
        model.partial_fit(x_train, y_train, classes=range(10))
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, MODEL_FILE).write_bytes(pickle.dumps(model))
            accuracy = float(model.score(x_valid, y_valid))
            tune.report(
                {"accuracy": accuracy},
                checkpoint=tune.Checkpoint.from_directory(folder),
            )


def tuned() -> tune.Result:
    """The best of 8 configurations; they run on Ray, since Ray is up."""
    x, y = load_digits(return_X_y=True)
    data = train_test_split(x / 16, y, random_state=0)
    results = tune.Tuner(
        tune.with_parameters(train, data=data),
        param_space={
            "alpha": tune.loguniform(1e-6, 1e-2),
            "eta0": tune.loguniform(1e-3, 1.0),
        },
        tune_config=tune.TuneConfig(
            metric="accuracy",
            mode="max",
            num_samples=8,
            seed=1,
            scheduler=tune.ASHAScheduler(max_t=10),
        ),
        run_config=tune.RunConfig(verbose=0, storage_path=tempfile.mkdtemp()),
    ).fit()
    return results.get_best_result()


@serve.deployment
class Digits:
    """Answers {"pixels": [64 numbers from 0 to 1]} with {"digit": n}."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.model = pickle.loads(files[MODEL_FILE])

    async def __call__(self, request: Any) -> dict[str, int]:
        pixels = (await request.json())["pixels"]
        return {"digit": int(self.model.predict([pixels])[0])}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


ray.init(
    num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False
)
best = tuned()
print(f"Best accuracy {best.metrics['accuracy']:.3f} with {best.config}")

# The checkpoint is on this machine; its files go to wherever the replica runs.
with best.checkpoint.as_directory() as folder:
    files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
port = free_port()
serve.start(http_options={"port": port})
serve.run(Digits.bind(files), route_prefix="/digits")

x, y = load_digits(return_X_y=True)
for index in (0, 7):
    body = json.dumps({"pixels": (x[index] / 16).tolist()}).encode()
    with urllib.request.urlopen(
        f"http://127.0.0.1:{port}/digits", data=body, timeout=30
    ) as answer:
        print(
            f"POST /digits, a picture of a {y[index]}: "
            f"{answer.status} {answer.read().decode()}"
        )
serve.shutdown()
ray.shutdown()
