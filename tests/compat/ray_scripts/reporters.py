"""A command-line reporter with columns of one's own, and a subclass that says when it reports."""

from ray import tune
from ray.tune import CLIReporter
from ray.tune.experiment.trial import Trial


class AtTheEnd(CLIReporter):
    """Reports when all trials are over."""

    calls = 0

    def should_report(self, trials, done=False):
        AtTheEnd.calls += 1
        self.trials = list(trials)
        return done or all(trial.status in (Trial.TERMINATED, Trial.ERROR) for trial in trials)


def train_fn(config):
    for i in range(3):
        tune.report({"loss": config["x"] / (i + 1), "acc": i})


if __name__ == "__main__":
    reporter = AtTheEnd(
        metric_columns=["loss"], parameter_columns={"x": "the x"}, max_progress_rows=5, metric="loss", mode="min"
    )
    reporter.add_metric_column("acc")
    results = tune.Tuner(
        train_fn,
        param_space={"x": tune.grid_search([1.0, 2.0])},
        run_config=tune.RunConfig(progress_reporter=reporter, verbose=1),
    ).fit()
    assert AtTheEnd.calls > 0
    assert len(reporter.trials) == 2
    assert results.get_best_result("loss", "min").config == {"x": 1.0}
