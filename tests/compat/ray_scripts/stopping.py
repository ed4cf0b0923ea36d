"""Every way to stop: a dict, a function, a Stopper of one's own, those that are shipped, and a time budget."""

import time

from ray import tune
from ray.tune.stopper import (
    CombinedStopper,
    ExperimentPlateauStopper,
    FunctionStopper,
    MaximumIterationStopper,
    Stopper,
    TimeoutStopper,
    TrialPlateauStopper,
)


def climb(config):
    for i in range(50):
        tune.report({"acc": min(i * config["speed"], 10)})


def forever(config):
    while True:
        time.sleep(0.02)
        tune.report({"acc": 1})


def run(trainable, stop, **options):
    config = {"speed": tune.grid_search([1, 2])}
    run_config = tune.RunConfig(stop=stop, verbose=0)
    results = tune.Tuner(
        trainable, param_space=config, run_config=run_config, tune_config=tune.TuneConfig(**options)
    ).fit()
    return {r.config["speed"]: r.metrics["training_iteration"] for r in results}


class AllOnce(Stopper):
    def __init__(self):
        self.should_stop = False

    def __call__(self, trial_id, result):
        if not self.should_stop and result["acc"] >= 6:
            self.should_stop = True
        return self.should_stop

    def stop_all(self):
        return self.should_stop


if __name__ == "__main__":
    assert run(climb, {"training_iteration": 3}) == {1: 3, 2: 3}
    assert run(climb, {"acc": 4}) == {1: 5, 2: 3}
    assert run(climb, {"acc": 4, "training_iteration": 4}) == {1: 4, 2: 3}
    assert run(climb, lambda trial_id, result: result["acc"] >= 8) == {1: 9, 2: 5}
    assert run(climb, FunctionStopper(lambda trial_id, result: result["acc"] > 8)) == {1: 10, 2: 6}
    assert run(climb, MaximumIterationStopper(max_iter=6)) == {1: 6, 2: 6}
    both = CombinedStopper(MaximumIterationStopper(max_iter=7), FunctionStopper(lambda _, result: result["acc"] >= 8))
    assert run(climb, both) == {1: 7, 2: 5}
    plateau = TrialPlateauStopper(metric="acc", std=0.001, num_results=4, grace_period=4)
    assert run(climb, plateau) == {1: 14, 2: 9}
    ended = run(climb, AllOnce(), max_concurrent_trials=1)
    assert ended[1] == 7, ended
    ended = run(climb, ExperimentPlateauStopper(metric="acc", std=0.001, top=2, mode="max", patience=0))
    assert len(ended) >= 1
    assert all(n >= 1 for n in run(forever, TimeoutStopper(1)).values())
    assert all(n >= 1 for n in run(forever, None, time_budget_s=1).values())
