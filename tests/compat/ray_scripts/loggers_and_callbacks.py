"""A callback and a logger of one's own beside the CSV, JSON and TensorBoard loggers; the files they leave."""

import csv
import json
import os
import tempfile

from ray import tune
from ray.tune import Callback
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback, LoggerCallback

seen = []


class Watch(Callback):
    def setup(self, stop=None, num_samples=None, total_num_samples=None, **info):
        seen.append("setup")

    def on_trial_start(self, iteration, trials, trial, **info):
        seen.append(f"start {trial.config['x']}")

    def on_trial_result(self, iteration, trials, trial, result, **info):
        assert result["trial_id"] == trial.trial_id
        seen.append(f"result {trial.config['x']} {result['y']}")

    def on_trial_complete(self, iteration, trials, trial, **info):
        seen.append(f"complete {trial.config['x']}")

    def on_experiment_end(self, trials, **info):
        seen.append(f"end {len(trials)}")


class Lines(LoggerCallback):
    def __init__(self, filename="lines.txt"):
        self.filename, self.files = filename, {}

    def log_trial_start(self, trial):
        self.files[trial] = open(os.path.join(trial.local_path, self.filename), "a")  # noqa: SIM115

    def log_trial_result(self, iteration, trial, result):
        if trial in self.files:
            self.files[trial].write(f"{result['y']}\n")

    def on_trial_complete(self, iteration, trials, trial, **info):
        if trial in self.files:
            self.files[trial].close()
            del self.files[trial]


def train_fn(config):
    for i in range(3):
        tune.report({"y": config["x"] * 10 + i})


if __name__ == "__main__":
    storage = tempfile.mkdtemp()
    results = tune.Tuner(
        train_fn,
        param_space={"x": tune.grid_search([1, 2])},
        run_config=tune.RunConfig(
            name="logged", storage_path=storage, callbacks=[Watch(), Lines(), CSVLoggerCallback(), JsonLoggerCallback()]
        ),
    ).fit()
    assert seen[0] == "setup" and seen[-1] == "end 2", seen
    for x in (1, 2):
        own = [s for s in seen if s.split()[1:2] == [str(x)] and not s.startswith("end")]
        expected = [f"start {x}", *(f"result {x} {10 * x + i}" for i in range(3)), f"complete {x}"]
        assert [s for s in own if s in expected] == expected, own
    for result in results:
        x = result.config["x"]
        with open(os.path.join(result.path, "params.json")) as file:
            assert json.load(file) == {"x": x}
        with open(os.path.join(result.path, "result.json")) as file:
            assert [json.loads(line)["y"] for line in file] == [10 * x, 10 * x + 1, 10 * x + 2]
        with open(os.path.join(result.path, "progress.csv")) as file:
            rows = list(csv.DictReader(file))
        assert [row["y"] for row in rows] == [str(10 * x + i) for i in range(3)]
        with open(os.path.join(result.path, "lines.txt")) as file:
            assert file.read().split() == [str(10 * x + i) for i in range(3)]
