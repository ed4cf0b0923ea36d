"""A driver is killed outright in the middle of a run; a second one goes on and finds
the same as an unbroken run.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import tune_core as tune
from tune_core.schedulers import ASHAScheduler


def cool_down(config):
    """A cup of coffee, minute by minute, that remembers how far it got."""
    minute, degrees = 0, 90.0
    start = tune.get_checkpoint()
    if start is not None:
        with start.as_directory() as folder:
            minute, degrees = json.loads(Path(folder, "cup.json").read_text())
    while minute < 27:
        minute, degrees = minute + 1, degrees - config["loss"] * (degrees - 20)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "cup.json").write_text(json.dumps([minute, degrees]))
            tune.report(
                {"too_cold": abs(degrees - 55)},
                checkpoint=tune.Checkpoint.from_directory(folder),
            )


class PullThePlug(tune.Callback):
    """Kills the process that it runs in, as the kernel would when memory is short."""

    def on_trial_result(self, trial, result, **info):
        if trial.index == 10:
            os.kill(os.getpid(), signal.SIGKILL)


def tuner(folder, name, callbacks=()):
    return tune.Tuner(
        cool_down,
        param_space={"loss": tune.loguniform(1e-3, 0.5)},
        tune_config=tune.TuneConfig(
            metric="too_cold",
            mode="min",
            num_samples=30,
            scheduler=ASHAScheduler(max_t=27, reduction_factor=3),
            # so that the order of results, and with it ASHA, is the same each time
            max_concurrent_trials=1,
            seed=5,
        ),
        run_config=tune.RunConfig(
            name=name, storage_path=folder, callbacks=callbacks, verbose=0
        ),
    )


if sys.argv[1:2] == ["first-driver"]:
    tuner(sys.argv[2], "killed", [PullThePlug()]).fit()

storage = os.environ.get("TUNE_CORE_STORAGE") or tempfile.mkdtemp()
first = subprocess.run([sys.executable, __file__, "first-driver", storage])
print(f"The first driver ended with {signal.Signals(-first.returncode).name}.")

folder = str(Path(storage, "killed"))
states = [str(result.status) for result in tune.ResultGrid.from_path(folder)]
print(
    f"It left {len(states)} trials: {states.count('TERMINATED')} finished, "
    f"{states.count('RUNNING')} cut off."
)

restored = tune.Tuner.restore(
    folder, cool_down, run_config=tune.RunConfig(verbose=0)
).fit()
unbroken = tuner(storage, "unbroken").fit()

for name, results in (("restored", restored), ("unbroken", unbroken)):
    best = results.get_best_result()
    minutes = sum(result.metrics["training_iteration"] for result in results)
    print(
        f"{name}: {len(results)} trials, {minutes} minutes of coffee, "
        f"best loss {best.config['loss']:.6f}"
    )


def story(results):
    return [
        (
            result.config,
            result.metrics["training_iteration"],
            result.metrics["too_cold"],
        )
        for result in results
    ]


print("Trial by trial the same:", story(restored) == story(unbroken))
