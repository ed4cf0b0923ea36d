"""The smallest run: a plain function, a search space and ASHA."""

import tune_core as tune


def train(config):  # (1)
    loss = 1.0
    for _ in range(20):
        loss -= config["lr"] * (loss - config["floor"])
        tune.report({"loss": loss})  # (2)


results = tune.Tuner(
    train,
    param_space={  # (3)
        "lr": tune.loguniform(1e-3, 1),
        "floor": tune.uniform(0, 0.5),
    },
    tune_config=tune.TuneConfig(
        metric="loss",
        mode="min",
        num_samples=20,
        seed=1,
        scheduler=tune.ASHAScheduler(),  # (4)
    ),
).fit()
best = results.get_best_result()  # (5)
print(best.config)
