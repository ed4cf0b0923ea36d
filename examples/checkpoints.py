"""Trials that crash halfway and go on from their last checkpoint, and where the best
checkpoint is found.
"""

import json
import tempfile
from pathlib import Path

import tune_core as tune


def compound(config):
    """Savings of twenty years. In year twelve of the first attempt, the power fails."""
    year, money = 0, 100.0
    start = tune.get_checkpoint()
    if start is not None:
        with start.as_directory() as folder:
            year, money = json.loads(Path(folder, "state.json").read_text())
        print(
            f"going on from year {year} with {money:.2f}"
        )  # goes to output.log in the trial's folder
    while year < 20:
        year, money = year + 1, money * (1 + config["interest"])
        if year == 12 and start is None:
            raise RuntimeError("power failure")
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "state.json").write_text(json.dumps([year, money]))
            tune.report(
                {"money": money, "year": year},
                checkpoint=tune.Checkpoint.from_directory(folder),
            )


results = tune.Tuner(
    compound,
    param_space={"interest": tune.grid_search([0.01, 0.03, 0.05])},
    tune_config=tune.TuneConfig(metric="money", mode="max"),
    run_config=tune.RunConfig(
        failure_config=tune.FailureConfig(max_failures=1),
        checkpoint_config=tune.CheckpointConfig(
            num_to_keep=3, checkpoint_score_attribute="money"
        ),
        verbose=0,
    ),
).fit()

best = results.get_best_result()
print(best.explain())
print((Path(best.path) / "output.log").read_text().strip())

checkpoint = best.get_best_checkpoint("money", "max")
with checkpoint.as_directory() as folder:
    year, money = json.loads(Path(folder, "state.json").read_text())
print(
    f"{best.config['interest']:.0%} a year: {money:.2f} after {year} years, "
    f"kept in {Path(checkpoint.path).name}"
)
