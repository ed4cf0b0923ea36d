"""The tutorial's second part: the same search on Ray actors, and its best model behind
an HTTP address.

Needs `pip install "ray[serve]" torch scikit-learn`. Everything runs on this machine.
"""

# needs: ray, sklearn, torch, aiohttp_cors, uvicorn
# slow

import io
import json
import socket
import tempfile
import urllib.request
from pathlib import Path

import ray
import torch
from ray import serve
from sklearn.datasets import load_digits

import tune_core as tune


# [train]
def build(config):
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(64, config["width"]),
        torch.nn.ReLU(),
        torch.nn.Linear(config["width"], 10),
    )


def train(config, data):
    x, y = data
    model = build(config)
    optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"], momentum=0.9)
    for _ in range(9):
        for batch in torch.randperm(1297).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
        with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
            right = (model(x[1297:]).argmax(dim=1) == y[1297:]).float().mean().item()
            torch.save(model.state_dict(), Path(folder, "model.pt"))
            tune.report(
                {"accuracy": right}, checkpoint=tune.Checkpoint.from_directory(folder)
            )


# [ray]
ray.init(
    num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False
)
pixels, digits = load_digits(return_X_y=True)
data = torch.tensor(pixels / 16).float(), torch.tensor(digits)

results = tune.Tuner(
    tune.with_resources(tune.with_parameters(train, data=data), {"cpu": 1}),
    param_space={"width": tune.choice([32, 64]), "lr": tune.loguniform(1e-2, 1.0)},
    tune_config=tune.TuneConfig(
        metric="accuracy",
        mode="max",
        num_samples=8,
        seed=1,
        scheduler=tune.ASHAScheduler(max_t=9, grace_period=3, reduction_factor=3),
    ),
    run_config=tune.RunConfig(executor="ray", verbose=0),
).fit()
best = results.get_best_result(scope="all")
print("== on Ray")
print(f"accuracy {best.metrics_dataframe['accuracy'].max():.3f} with {best.config}")


# [deployment]
@serve.deployment
class Digits:
    """Answers {"pixels": [64 numbers from 0 to 1]} with {"digit": n}."""

    def __init__(self, config, weights):
        self.model = build(config)
        self.model.load_state_dict(torch.load(io.BytesIO(weights)))

    async def __call__(self, request):
        pixels = torch.tensor((await request.json())["pixels"])
        return {"digit": int(self.model(pixels).argmax())}


# [serve]
checkpoint = best.get_best_checkpoint("accuracy", "max")
with checkpoint.as_directory() as folder:
    weights = Path(folder, "model.pt").read_bytes()
with socket.socket() as probe:  # a port that nobody listens on
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
serve.start(http_options={"port": port})
serve.run(Digits.bind(best.config, weights), route_prefix="/digits")

# [ask]
print("== served")
for row in (0, 7):
    body = json.dumps({"pixels": data[0][row].tolist()}).encode()
    with urllib.request.urlopen(
        f"http://127.0.0.1:{port}/digits", body, timeout=30
    ) as answer:
        print(f"a picture of a {digits[row]}: {answer.status} {answer.read().decode()}")
serve.shutdown()
ray.shutdown()
# [end]
