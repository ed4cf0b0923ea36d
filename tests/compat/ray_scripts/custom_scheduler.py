"""Schedulers of one's own: a TrialScheduler, and a subclass of one that is shipped."""

from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler


class StopBelowMean(FIFOScheduler):
    """Ends a trial that is worse than the mean of what has been seen at its iteration."""

    def __init__(self):
        super().__init__()
        self.seen, self.wanted = {}, None

    def set_search_properties(self, metric, mode, **spec):
        self.wanted = metric
        return True

    def on_trial_result(self, tune_controller, trial, result):
        values = self.seen.setdefault(result["training_iteration"], [])
        values.append(result[self.wanted])
        return TrialScheduler.STOP if result[self.wanted] < sum(values) / len(values) else TrialScheduler.CONTINUE


class Counting(ASHAScheduler):
    stopped = 0

    def on_trial_result(self, tune_controller, trial, result):
        decision = super().on_trial_result(tune_controller, trial, result)
        Counting.stopped += decision == TrialScheduler.STOP
        return decision


def train_fn(config):
    for i in range(1, 9):
        tune.report({"score": config["x"] * i})


if __name__ == "__main__":
    space = {"x": tune.grid_search([4, 3, 2, 1])}
    for scheduler in (StopBelowMean(), Counting(max_t=8, grace_period=1, reduction_factor=2)):
        results = tune.Tuner(
            train_fn,
            param_space=space,
            tune_config=tune.TuneConfig(scheduler=scheduler, metric="score", mode="max", max_concurrent_trials=1),
        ).fit()
        steps = {r.config["x"]: r.metrics["training_iteration"] for r in results}
        assert steps[4] == 8 and steps[1] == 1, steps
        assert results.get_best_result().config["x"] == 4
    assert Counting.stopped >= 2
