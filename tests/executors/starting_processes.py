"""The table of processes that trials start: each is to find what the user's script, notebook or module defines.

One row for each place of the definitions, one column for each tool and start method. A script runs all cells of its
row as trials.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

METHODS = ("fork", "forkserver", "spawn")
QUICK = ("Process", "Pool", "ProcessPoolExecutor")
TORCH = ("DataLoader", "mp.start_processes")

PLACES = pytest.mark.parametrize(
    "where",
    [
        "script",
        pytest.param("guarded script", marks=pytest.mark.slow),
        pytest.param("script with ranks", marks=pytest.mark.slow),
        "module",
        pytest.param("python -m", marks=pytest.mark.slow),
        pytest.param("python -c", marks=pytest.mark.slow),
        "notebook",
    ],
)
"""All places of the definitions."""

DEFINITIONS = '''
import collections
import functools
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

FACTOR = 10


class Number:
    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Number) and self.value == other.value

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index >= 4:
            raise IndexError(index)
        return times(Number(index)).value


Pair = collections.namedtuple("Pair", "first second")


def times(number):
    """Needs the class, and a global variable, of the same place."""
    assert isinstance(number, Number)
    return Number(FACTOR * number.value)


def put(queue, number):
    queue.put(Pair(times(number), os.getpid()))


def put_rank(rank, queue, number):
    queue.put(Pair(times(number), os.getpid()))


def cell(config):
    """One cell of the table: [3] times ten, computed in another process."""
    context = multiprocessing.get_context(config["method"])
    if config["tool"] == "Process":
        queue = context.Queue()
        process = context.Process(target=put, args=(queue, Number(3)))
        process.start()
        pair = queue.get(timeout=60)
        process.join()
    elif config["tool"] == "Pool":
        with context.Pool(1) as pool:
            pair = Pair(pool.map(times, [Number(3)])[0], pool.apply(os.getpid))
    elif config["tool"] == "ProcessPoolExecutor":
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            pair = Pair(pool.submit(times, Number(3)).result(), pool.submit(os.getpid).result())
    elif config["tool"] == "DataLoader":
        from torch.utils.data import DataLoader

        loader = DataLoader(Number(0), num_workers=1, multiprocessing_context=context)
        pair = Pair(Number(int(list(loader)[3])), 0)
    else:
        from torch import multiprocessing as torch_multiprocessing

        queue = context.SimpleQueue()
        arguments = (queue, Number(3))
        torch_multiprocessing.start_processes(put_rank, arguments, nprocs=1, start_method=config["method"])
        pair = queue.get()
    assert pair.second != os.getpid()
    assert type(pair.first) is Number and pair.first == Number(30), pair
    return {"value": pair.first.value}
'''

SEARCH = """
import json
import os
import sys
import time

import tune_core

print("the script runs")
OBJECTIVE = tune_core.with_workers(cell, 2, {"cpu": 0.5}) if "RANKS" in os.environ else cell
results = tune_core.Tuner(
    OBJECTIVE,
    param_space={
        "tool": tune_core.grid_search(json.loads(os.environ["TOOLS"])),
        "method": tune_core.grid_search(["fork", "forkserver", "spawn"]),
    },
    tune_config=tune_core.TuneConfig(max_concurrent_trials=2),
    run_config=tune_core.RunConfig(storage_path=os.environ["STORAGE"], verbose=0),
).fit()
with open(os.environ["FOUND"], "w") as file:
    json.dump([[r.config["tool"], r.config["method"], r.metrics.get("value"), str(r.error)] for r in results], file)
"""

NOTEBOOK = """
import json
import os

from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
with open(os.environ["CELLS"]) as file:
    for cell in json.load(file):
        shell.run_cell(cell).raise_error()
"""


def row(where: str, tools: tuple[str, ...], folder: Path, executor: str) -> dict[tuple[str, str], tuple[object, str]]:
    """Run all cells of a row, and return what each gave."""
    arguments = ["main.py"]
    environment = {
        **os.environ,
        "TUNE_CORE_EXECUTOR": executor,
        "TOOLS": json.dumps(tools),
        "STORAGE": str(folder),
        "FOUND": str(folder / "found"),
    }
    if where in ("script", "script with ranks"):
        environment.update({"RANKS": "2"} if where == "script with ranks" else {})
        (folder / "main.py").write_text(DEFINITIONS + SEARCH)
    elif where == "guarded script":
        guarded = "if __name__ == '__main__':\n" + "".join(f"    {line}\n" for line in SEARCH.strip().splitlines())
        (folder / "main.py").write_text(DEFINITIONS + guarded)
    elif where == "module":
        (folder / "beside.py").write_text(DEFINITIONS)
        (folder / "main.py").write_text("from beside import cell\n" + SEARCH)
    elif where == "python -m":
        (folder / "main.py").write_text(DEFINITIONS + SEARCH)
        arguments = ["-m", "main"]
    elif where == "python -c":
        arguments = ["-c", DEFINITIONS + SEARCH]
    else:
        (folder / "main.py").write_text(NOTEBOOK)
        environment.update(CELLS=str(folder / "cells"), IPYTHONDIR=str(folder / "ipython"))
        (folder / "cells").write_text(json.dumps([DEFINITIONS, SEARCH]))
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("the script runs") == 1, done.stdout  # in no process of a trial's once more
    found = json.loads((folder / "found").read_text())
    assert len(found) == len(tools) * len(METHODS)
    return {(tool, method): (value, error) for tool, method, value, error in found}


def check(where: str, tools: tuple[str, ...], folder: Path, executor: str = "local") -> None:
    """All cells of a row give what the same call gives in the trial itself."""
    if where == "notebook":
        pytest.importorskip("IPython")
    wrong = {cell: error for cell, (value, error) in row(where, tools, folder, executor).items() if value != 30}
    assert not wrong, "\n\n".join(f"{cell}: {error}" for cell, error in wrong.items())
