"""A perceptron of a few lines, tuned by Dragonfly's Gaussian process."""

# needs: dragonfly
# slow

import random

import tune_core as tune
from tune_core.search.dragonfly import DragonflySearch

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
        search_alg=DragonflySearch(),
        num_samples=12,
        max_concurrent_trials=2,
        seed=0,
    ),
    run_config=tune.RunConfig(verbose=0),
).fit()

best = results.get_best_result()
print(
    f"Best of {len(results)} trials: "
    f"accuracy {best.metrics['accuracy']:.3f} with {best.config}"
)
