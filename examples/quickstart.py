"""The smallest run: minimise a² + b over a grid for a and random choices for b."""

import tune_core as tune


def objective(config):
    return {"score": config["a"] ** 2 + config["b"]}


results = tune.Tuner(
    objective,
    param_space={
        "a": tune.grid_search([0.001, 0.01, 0.1, 1.0]),
        "b": tune.choice([1, 2, 3]),
    },
    tune_config=tune.TuneConfig(metric="score", mode="min", num_samples=3, seed=0),
).fit()

best = results.get_best_result()
print(
    f"\nBest of {len(results)} trials: a={best.config['a']}, b={best.config['b']}, "
    f"score={best.metrics['score']:.6f}"
)
