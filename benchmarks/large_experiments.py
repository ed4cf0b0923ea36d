"""What reading a large experiment costs: processor time and peak memory of each command, each in a process of its own.

    python benchmarks/large_experiments.py [--trials 100000] [--results 10] [--folder DIR] [--only NAME ...]

The experiment is made by a run in one process: random search, each trial to its end. It is kept in DIR if given,
and used again. "all histories" is a loop over a grid that asks each trial for its data frame; "second explain" and
"second ls" come after the first has kept what it found beside the journal.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from typing import Any

PARTS = {
    "ls": "main(['ls', base])",
    "show": "main(['show', folder])",
    "best (all results)": "main(['best', folder])",
    "best (last results)": "main(['best', folder, '--scope', 'last'])",
    "explain": "main(['explain', folder, '77'])",
    "second explain": "main(['explain', folder, '99'])",
    "second ls": "main(['ls', base])",
    "export": "main(['export', folder, '-o', out + '.csv'])",
    "export --results": "main(['export', folder, '--results', '-o', out + '.csv'])",
    "export to Parquet": "main(['export', folder, '--results', '-o', out + '.parquet'])",
    "from_path": "ResultGrid.from_path(folder)",
    "get_dataframe": "ResultGrid.from_path(folder).get_dataframe()",
    "trial_dataframes": "for frame in ExperimentAnalysis(folder).trial_dataframes.values(): pass",
    "metrics_dataframe": "ResultGrid.from_path(folder).metrics_dataframe",
    "all histories": "[result.metrics_dataframe for result in ResultGrid.from_path(folder)]",
    "restore (random)": "tune.Tuner.restore(folder, objective).fit()",
}
CODE = """
import os, resource, sys, time
import tune_core as tune
from tune_core.cli.main import main
from tune_core.results import ResultGrid
from tune_core.results.analysis import ExperimentAnalysis
def objective(config):
    raise RuntimeError("no trial is left to run")
base, folder, out = sys.argv[1:4]
keep = os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
before = time.process_time()
{part}
used = time.process_time() - before
sys.stdout.flush()
os.dup2(keep, 1)
print(used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def write(folder: str, trials: int, results: int) -> None:
    """An experiment as a run of the inline executor leaves it."""
    import tune_core as tune

    def objective(config: dict[str, Any]) -> None:
        for step in range(1, results + 1):
            tune.report({"loss": config["x"] + 1 / step, "accuracy": 1 - config["x"] / step})

    base, name = os.path.split(folder)
    tune.Tuner(
        objective,
        param_space={"x": tune.uniform(0, 1), "layers": tune.randint(1, 9), "kind": tune.choice(["a", "b"])},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=trials, seed=1, chdir_to_trial_dir=False),
        run_config=tune.RunConfig(executor="inline", storage_path=base, name=name, verbose=0),
    ).fit()


def measured(part: str, base: str, folder: str) -> tuple[float, float]:
    """Processor seconds and peak memory in MB."""
    code = CODE.format(part=textwrap.dedent(part))
    command = [sys.executable, "-c", code, base, folder, os.path.join(tempfile.gettempdir(), f"export-{os.getpid()}")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    seconds, megabytes = done.stdout.strip().splitlines()[-1].split()
    return float(seconds), float(megabytes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--results", type=int, default=10)
    parser.add_argument("--folder")
    parser.add_argument("--only", nargs="*")
    given = parser.parse_args()
    base = os.path.abspath(given.folder or tempfile.mkdtemp(prefix="large-experiments-"))
    folder = os.path.join(base, f"run-{given.trials}x{given.results}")
    if not os.path.isdir(folder):
        write(folder, given.trials, given.results)
    size = os.path.getsize(os.path.join(folder, "journal.jsonl"))
    print(f"{given.trials:,} trials of {given.results} results, {size / 1e6:,.0f} MB of journal")
    print(f"{'':24}{'CPU s':>10}{'peak MB':>10}")
    try:
        for name, part in PARTS.items():
            if not given.only or name in given.only:
                seconds, megabytes = measured(part, base, folder)
                print(f"{name:24}{seconds:10.2f}{megabytes:10.0f}", flush=True)
    finally:
        if not given.folder:
            shutil.rmtree(base)


if __name__ == "__main__":
    main()
