"""The older homes of the same names: ``ray.air`` and ``ray.train``, and paths inside of the package."""

from ray import tune
from ray.air import session
from ray.air.config import CheckpointConfig, FailureConfig, RunConfig
from ray.tune.experiment import Trial
from ray.tune.result import DONE, TRAINING_ITERATION
from ray.tune.schedulers.async_hyperband import ASHAScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.tune_config import TuneConfig
from ray.tune.tuner import Tuner


def train_fn(config):
    assert tune.get_context().get_trial_id() == session.get_trial_id()
    for i in range(1, 4):
        tune.report({"v": config["x"] * i, "name": tune.get_context().get_trial_name()})


if __name__ == "__main__":
    points = [{"x": 9}]
    results = Tuner(
        train_fn,
        param_space={"x": tune.randint(0, 10)},
        tune_config=TuneConfig(
            num_samples=3,
            metric="v",
            mode="max",
            scheduler=ASHAScheduler(max_t=3, stop_last_trials=False),
            search_alg=BasicVariantGenerator(points_to_evaluate=points, random_state=4, max_concurrent=2),
        ),
        run_config=RunConfig(
            failure_config=FailureConfig(max_failures=2), checkpoint_config=CheckpointConfig(num_to_keep=1)
        ),
    ).fit()
    assert results[0].config == {"x": 9}
    best = results.get_best_result()
    assert best.metrics["v"] == 27 and best.metrics[TRAINING_ITERATION] == 3 and best.metrics[DONE]
    assert best.metrics["name"].startswith("train_fn_")
    assert Trial.TERMINATED == "TERMINATED"
