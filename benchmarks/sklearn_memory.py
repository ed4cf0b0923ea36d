"""A large X on worker processes: memory and time of TuneSearchCV beside RandomizedSearchCV, which uses joblib.

An array, a data frame and a sparse matrix of about the same size, five folds, a model that does next to nothing. Each
search runs in a process of its own. Printed are the seconds of ``fit`` and the most memory of the whole tree of
processes beside what the driver had before: private memory, shared memory (``/dev/shm`` included), and how much one
worker had to itself. Pages that processes share count once (PSS).

    python benchmarks/sklearn_memory.py --size-mb 1000
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

KINDS = ("array", "frame", "sparse")
SIDES = ("RandomizedSearchCV", "TuneSearchCV")
COLUMNS = 100


def data(kind: str, size_mb: int) -> tuple[Any, Any]:
    import numpy as np

    rng = np.random.default_rng(0)
    if kind == "sparse":
        from scipy import sparse

        rows, each = size_mb * 1_000_000 // (12 * 50), 50
        columns = rng.integers(0, 20_000, rows * each, dtype=np.int32)
        X = sparse.csr_matrix((rng.random(rows * each), columns, np.arange(0, rows * each + 1, each)), (rows, 20_000))
    else:
        X = rng.random((size_mb * 1_000_000 // (8 * COLUMNS), COLUMNS))
        if kind == "frame":
            import pandas as pd

            X = pd.DataFrame(X, columns=[f"x{i}" for i in range(COLUMNS)])
    return X, rng.integers(0, 2, X.shape[0])


def family(root: int) -> list[int]:
    """A process and all that descend from it."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def megabytes(pid: int) -> dict[str, float]:
    """What a process has to itself, and its part of what it shares."""
    totals = {"Private": 0.0, "Pss": 0.0}
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.startswith("Private"):
                    totals["Private"] += int(value.split()[0]) / 1e3
                elif name == "Pss":
                    totals["Pss"] += int(value.split()[0]) / 1e3
    except (OSError, ValueError):
        pass
    return totals


class Watch(threading.Thread):
    """Looks at the tree of processes every 0.2 s and keeps the most."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.most, self.worker = 0.0, 0.0

    def run(self) -> None:
        while not self.ended.wait(0.2):
            found = {pid: megabytes(pid) for pid in family(os.getpid())}
            files = shared_files()
            self.most = max(self.most, sum(one["Pss"] for one in found.values()), found[os.getpid()]["Private"] + files)
            self.worker = max([self.worker, *(one["Private"] for pid, one in found.items() if pid != os.getpid())])


def shared_files() -> float:
    stats = os.statvfs("/dev/shm")
    return (stats.f_blocks - stats.f_bfree) * stats.f_frsize / 1e6


def measure(kind: str, side: str, size_mb: int, workers: int) -> dict[str, float]:
    from sklearn.dummy import DummyClassifier
    from sklearn.model_selection import RandomizedSearchCV

    class Touching(DummyClassifier):
        """Reads all of X once in each fit, as any model does."""

        def fit(self, X: Any, y: Any) -> Any:
            X.sum()
            return super().fit(X, y)

    if side == "TuneSearchCV":
        from tune_sklearn import TuneSearchCV as Search
    else:
        Search = RandomizedSearchCV
    X, y = data(kind, size_mb)
    before = megabytes(os.getpid())["Pss"]
    watch = Watch()
    watch.start()
    began = time.perf_counter()
    Search(Touching(), {"random_state": [0, 1, 2, 3]}, n_iter=4, cv=5, n_jobs=workers, refit=False).fit(X, y)
    seconds = time.perf_counter() - began
    watch.ended.set()
    watch.join()
    return {"seconds": seconds, "before": before, "most": watch.most - before, "worker": watch.worker}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size-mb", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    parser.add_argument("--side", help="measure one side in this process and print it as JSON")
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(measure(arguments.kinds[0], arguments.side, arguments.size_mb, arguments.workers)))
        return
    print(f"{'X':<8}{'search':<20}{'fit s':>8}{'driver before, MB':>19}{'more at most, MB':>18}{'a worker, MB':>14}")
    for kind in arguments.kinds:
        for side in SIDES:
            command = [sys.executable, "-W", "ignore", __file__, "--side", side, "--kinds", kind]
            command += ["--size-mb", str(arguments.size_mb), "--workers", str(arguments.workers)]
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
            if done.returncode:
                raise SystemExit(done.stderr)
            found = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{kind:<8}{side:<20}{found['seconds']:8.1f}{found['before']:19.0f}{found['most']:18.0f}"
                f"{found['worker']:14.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
