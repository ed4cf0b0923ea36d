"""The SigOpt client with a server of your own: SigOpt's service is gone, its HTTP
interface is simple.

The server here answers with random points; put your own optimizer in its place.
"""

# needs: sigopt

import json
import math
import os
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import tune_core as tune
from tune_core.search.sigopt import SigOptSearch

rng = random.Random(0)
POINTS = [(rng.gauss(0, 1), rng.gauss(0, 1)) for _ in range(300)]
LABELS = [1 if x * x + y > 0.3 + rng.gauss(0, 0.2) else -1 for x, y in POINTS]


def features(point):
    x, y = point
    return (1.0, x, y, x * x, x * y, y * y)


def objective(config):
    """A perceptron with weight decay on quadratic features, trained by hand and
    tested on the last hundred points.
    """
    weights = [0.0] * 6
    for _ in range(config["epochs"]):
        for point, label in zip(POINTS[:200], LABELS[:200]):
            row = features(point)
            margin = label * sum(w * f for w, f in zip(weights, row))
            step = config["rate"] * label if margin < config["margin"] else 0.0
            weights = [
                (1 - config["decay"]) * w + step * f for w, f in zip(weights, row)
            ]
    right = sum(
        label * sum(w * f for w, f in zip(weights, features(point))) > 0
        for point, label in zip(POINTS[200:], LABELS[200:])
    )
    return {"accuracy": right / 100}


class Handler(BaseHTTPRequestHandler):
    """The three requests that a search needs: a new experiment, a suggestion, and
    what came of it.
    """

    parameters = []
    observations = []

    def do_POST(self):
        body = json.loads(
            self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}"
        )
        if self.path.endswith("/experiments"):
            self.parameters[:] = body["parameters"]
        elif self.path.endswith("/suggestions"):
            body = {"assignments": {p["name"]: self.draw(p) for p in self.parameters}}
        else:
            self.observations.append(body)
        text = json.dumps({"id": str(len(self.observations)), **body}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def draw(self, parameter):
        low, high = parameter["bounds"]["min"], parameter["bounds"]["max"]
        if parameter["type"] == "int":
            return random.randint(low, high)
        if parameter.get("transformation") == "log":
            return math.exp(random.uniform(math.log(low), math.log(high)))
        return random.uniform(low, high)

    def log_message(self, *arguments):
        pass


os.environ.setdefault("SIGOPT_API_TOKEN", "any")
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()

results = tune.Tuner(
    objective,
    param_space={
        "rate": tune.loguniform(1e-3, 10),
        "decay": tune.loguniform(1e-6, 1e-1),
        "margin": tune.uniform(0, 2),
        "epochs": tune.randint(1, 12),
    },
    tune_config=tune.TuneConfig(
        metric="accuracy",
        mode="max",
        search_alg=SigOptSearch(
            api_url=f"http://127.0.0.1:{server.server_port}", max_concurrent=2
        ),
        num_samples=16,
        max_concurrent_trials=2,
        seed=0,
    ),
    run_config=tune.RunConfig(verbose=0),
).fit()
server.shutdown()

print(f"The server was told of {len(Handler.observations)} results.")
best = results.get_best_result()
print(
    f"Best of {len(results)} trials: "
    f"accuracy {best.metrics['accuracy']:.3f} with {best.config}"
)
