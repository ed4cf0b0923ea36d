"""What ResultGrid, Result and ExperimentAnalysis give, also from a folder of an earlier run."""

import os
import tempfile

from ray import tune
from ray.tune import ExperimentAnalysis, ResultGrid


def train_fn(config):
    for i in range(1, 5):
        tune.report({"acc": config["lr"] * i, "nested": {"loss": 1 / (i * config["lr"])}})


if __name__ == "__main__":
    storage = tempfile.mkdtemp()
    tuner = tune.Tuner(
        train_fn,
        param_space={"lr": tune.grid_search([0.1, 0.2, 0.3])},
        run_config=tune.RunConfig(name="analysis", storage_path=storage),
        tune_config=tune.TuneConfig(metric="acc", mode="max"),
    )
    tuner.fit()

    restored = tune.Tuner.restore(os.path.join(storage, "analysis"), trainable=train_fn)
    grid = restored.get_results()
    assert isinstance(grid, ResultGrid)
    assert len(grid) == 3 and grid.num_errors == 0 and not grid.errors
    assert os.path.basename(grid.experiment_path) == "analysis"
    frame = grid.get_dataframe()
    assert set(frame["config/lr"]) == {0.1, 0.2, 0.3}
    assert {"acc", "nested/loss", "training_iteration", "time_total_s", "trial_id"} <= set(frame.columns)
    early = grid.get_dataframe(filter_metric="nested/loss", filter_mode="max")
    assert set(early["training_iteration"]) == {1}
    best = grid.get_best_result()
    assert best.config == {"lr": 0.3} and abs(best.metrics["acc"] - 1.2) < 1e-9
    assert grid.get_best_result("nested/loss", "max", scope="all").config == {"lr": 0.1}
    history = best.metrics_dataframe
    assert list(history["training_iteration"]) == [1, 2, 3, 4]
    assert set(grid[0].metrics["config"]) == {"lr"}
    assert os.path.isdir(best.path) and best.checkpoint is None

    analysis = ExperimentAnalysis(os.path.join(storage, "analysis"), default_metric="acc", default_mode="max")
    assert analysis.best_config == {"lr": 0.3}
    assert abs(analysis.best_result["acc"] - 1.2) < 1e-9
    assert analysis.get_best_config("nested/loss", "max") == {"lr": 0.1}
    assert analysis.best_trial.last_result["training_iteration"] == 4
    assert len(analysis.trials) == 3 and len(analysis.trial_dataframes) == 3
    assert len(analysis.dataframe(metric="acc", mode="max")) == 3
    assert {c["lr"] for c in analysis.get_all_configs().values()} == {0.1, 0.2, 0.3}
    assert len(analysis.results) == 3 and len(analysis.results_df) == 3
