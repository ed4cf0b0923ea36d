"""Four ways to write an objective as a function: report, yield, return a dict,
return a number.
"""

import tune_core as tune


def reports(config, target):
    guess = 0.0
    for _ in range(3):
        guess += config["rate"] * (target - guess)
        tune.report({"miss": abs(target - guess)})


def yields(config, target):
    guess = 0.0
    for _ in range(3):
        guess += config["rate"] * (target - guess)
        yield {"miss": abs(target - guess)}


def returns(config, target):
    return {"miss": abs(target - target * (1 - (1 - config["rate"]) ** 3))}


def returns_a_number(config, target):
    return abs(target * (1 - config["rate"]) ** 3)  # reported under the name "_metric"


for objective in (reports, yields, returns, returns_a_number):
    metric = "_metric" if objective is returns_a_number else "miss"
    results = tune.Tuner(
        tune.with_parameters(
            objective, target=10.0
        ),  # what is not tuned: bound once, shared by all trials
        param_space={"rate": tune.quniform(0.1, 0.9, 0.1)},
        tune_config=tune.TuneConfig(metric=metric, mode="min", num_samples=6, seed=4),
        run_config=tune.RunConfig(verbose=0),
    ).fit()
    best = results.get_best_result()
    print(
        f"{objective.__name__:>16}: "
        f"rate {best.config['rate']:.1f} misses by {best.metrics[metric]:.4f},"
        f" last report {best.metrics['training_iteration']}"
    )
