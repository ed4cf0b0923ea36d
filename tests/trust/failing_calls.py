"""Every writing call of a run fails once: ``python -m trust.failing_calls 300`` tries so many of them, evenly spread.

A run of 20 trials with checkpoints is made with a library preloaded into the driver and its workers that lets one call
fail. It must end right, or with one clear error; and a restore must come to the results of the unbroken run.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import mmap
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

ERRORS = (errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EACCES)
SOURCE = Path(__file__).with_name("failing.c")
TRIALS, REPORTS = 20, 3
_SIZE = 3 * 8 + 4096


def why_not() -> str:
    """Why this cannot be tried here; empty if it can."""
    if sys.platform != "linux":
        return "needs Linux"
    return "" if shutil.which("cc") or shutil.which("gcc") else "needs a C compiler"


def build(folder: Path) -> Path:
    """The library to preload."""
    library = folder / "failing.so"
    compiler = shutil.which("cc") or shutil.which("gcc") or "cc"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library


class Shared:
    """What the preloaded library counts and is told."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SIZE)

    def arm(self, at: int, error: int) -> None:
        self._map[: 3 * 8] = struct.pack("lll", 0, at, error)
        self._map[3 * 8 : 3 * 8 + 1] = b"\0"

    @property
    def count(self) -> int:
        return int(struct.unpack("l", self._map[:8])[0])

    @property
    def what(self) -> str:
        return self._map[3 * 8 :].split(b"\0")[0].decode(errors="replace")


def objective(config: dict[str, Any]) -> None:
    import tune_core as tune

    checkpoint = tune.get_checkpoint()
    start = 0
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            start = int(Path(folder, "step").read_text())
    for step in range(start + 1, REPORTS + 1):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step").write_text(str(step))
            tune.report({"loss": config["x"] * step}, checkpoint=tune.Checkpoint.from_directory(folder))


def fit(storage: str, restore: bool = False) -> Any:
    import tune_core as tune

    run = tune.RunConfig(
        name="run", storage_path=storage, verbose=0, checkpoint_config=tune.CheckpointConfig(num_to_keep=1)
    )
    config = tune.TuneConfig(metric="loss", mode="min", max_concurrent_trials=2)
    space = {"x": tune.grid_search(list(range(1, TRIALS + 1)))}
    if restore:
        path = os.path.join(storage, "run")
        return tune.Tuner.restore(
            path, objective, resume_errored=True, param_space=space, tune_config=config, run_config=run
        ).fit()
    return tune.Tuner(objective, param_space=space, tune_config=config, run_config=run).fit()


def facts(results: Any) -> list[Any]:
    return [[str(r.status), r.config["x"], r.metrics.get("loss"), r.metrics.get("training_iteration")] for r in results]


RIGHT = [["TERMINATED", x, float(x * REPORTS), REPORTS] for x in range(1, TRIALS + 1)]


def attempt(shared: Shared, storage: str, at: int, error: int) -> dict[str, Any]:
    """One run with one failing call, and its restore; in a forked child, since it may end in any way."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        found: dict[str, Any] = {}
        try:
            found = _try(shared, storage, at, error)
        except BaseException:
            found = {"end": "broken", "said": traceback.format_exc()[-1500:]}
        os.write(writer, json.dumps(found).encode()[:60000])
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        data = file.read()
    os.waitpid(pid, 0)
    return json.loads(data) if data else {"end": "died", "said": ""}


def _try(shared: Shared, storage: str, at: int, error: int) -> dict[str, Any]:
    from tune_core.errors import TuneError

    shutil.rmtree(storage, ignore_errors=True)
    os.mkdir(storage)
    said, found = io.StringIO(), {"end": "", "said": ""}
    shared.arm(at, error)
    with contextlib.redirect_stderr(said):
        try:
            results = fit(storage)
            failed = [str(e) for e in results.errors]
            found["end"] = "right" if facts(results) == RIGHT else "trials failed" if failed else "wrong"
            found["said"] = "\n".join(failed[:3]) if found["end"] != "wrong" else str(facts(results))
        except TuneError as raised:
            found["end"], found["said"] = "clear error", str(raised)
        except BaseException as raised:
            found["end"], found["said"] = "raw error", "".join(traceback.format_exception(raised))[-1500:]
        found["what"], found["count"] = shared.what, shared.count
        shared.arm(0, 0)
        again = os.path.exists(os.path.join(storage, "run", "journal.jsonl"))
        with contextlib.suppress(OSError):
            again = again and os.path.getsize(os.path.join(storage, "run", "journal.jsonl")) > 0
        try:
            restored = facts(fit(storage, restore=again))
            found["restored"] = "right" if restored == RIGHT else str(restored)
        except BaseException as raised:
            found["restored"] = "".join(traceback.format_exception(raised))[-1500:]
    return found


def is_right(found: dict[str, Any]) -> bool:
    """Whether it ended right or with one clear error, and the restore came to the same results."""
    return found.get("end") in ("right", "clear error", "trials failed") and found.get("restored") == "right"


def inside(points: int) -> int:
    """With the library preloaded: try the points."""
    shared, storage = Shared(os.environ["TRUST_SHARED"]), os.environ["TRUST_PREFIX"]
    clean = attempt(shared, storage, 0, 0)
    total = clean["count"]
    print(f"an unbroken run makes {total} calls: {clean['end']}, restored {clean['restored']}", flush=True)
    ends: dict[str, int] = {}
    wrong = 0
    for number in range(points):
        at = 1 + number * total // points
        found = attempt(shared, storage, at, ERRORS[number % len(ERRORS)])
        ends[found["end"]] = ends.get(found["end"], 0) + 1
        if not is_right(found):
            wrong += 1
            print("WRONG", at, os.strerror(ERRORS[number % len(ERRORS)]), json.dumps(found), flush=True)
    print(f"{points} points tried: {ends}; restores equal to the unbroken run: {points - wrong}", flush=True)
    return int(wrong > 0 or clean["end"] != "right")


def main(points: int) -> int:
    """Build the library, and start again with it."""
    with tempfile.TemporaryDirectory() as folder:
        library, shared = build(Path(folder)), Path(folder, "shared")
        shared.write_bytes(b"\0" * _SIZE)
        environment = {
            **os.environ,
            "LD_PRELOAD": str(library),
            "TRUST_SHARED": str(shared),
            "TRUST_PREFIX": os.path.join(folder, "storage"),
        }
        command = [sys.executable, "-m", "trust.failing_calls", "--inside", str(points)]
        return subprocess.run(command, env=environment).returncode


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        sys.exit(inside(int(sys.argv[2])))
    sys.exit(main(int(sys.argv[1])))
