"""A store under tune-core and under Ray Tune: time, and what each reports of faults beside what is in the bucket.

Run it as ``python benchmarks/storage_beside_ray.py [--only times refused away cut]``; it needs ``tune-core[s3]``,
``moto[server]`` and ``ray[tune]``. Both run the same function on the same S3 server (moto's) behind the same proxy:

- ``times``: one trial with 50 checkpoints of 1 MB; then another process restores the experiment and reads the last one
- ``refused``: 403 for each PUT of a checkpoint's object
- ``away``: 503 for each PUT of a checkpoint's object, without end
- ``cut``: a checkpoint of 40 MB goes up in parts; each part's connection breaks

Beside what the run said stands what another process finds in the bucket: of the checkpoints that the results name, how
many can be read and are whole.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from storage.fault_proxy import Fault, FaultProxy, Faults
from storage_faults import s3_server

FAULTS = {
    "times": [],
    "refused": [("AccessDenied", "checkpoint_", "PUT")],
    "away": [("SlowDown", "checkpoint_", "PUT")],
    "cut": [("reset", "weights?partNumber=", "PUT")],
}
LIMIT_S = 240.0

COMMON = """
import json, os, sys, tempfile, time, warnings
from pathlib import Path
bucket, how, steps, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def objective(config):
    start = 0
    checkpoint = tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            start = int(Path(folder, "step").read_text())
    for step in range(start + 1, steps + 1):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step").write_text(str(step))
            Path(folder, "weights").write_bytes(os.urandom(size))
            tune.report({"loss": 1 / step}, checkpoint=tune.Checkpoint.from_directory(folder))

def finish(grid, began, first):
    found = {"seconds": time.perf_counter() - began, "init": began - first}
    found["trials"], found["errors"] = len(grid), grid.num_errors
    found["text"] = [str(error)[-300:] for error in grid.errors]
    found["last"] = [(r.metrics or {}).get("training_iteration") for r in grid]
    named = whole = 0
    for result in grid:
        for checkpoint, _ in result.best_checkpoints or []:
            named += 1
            try:
                with checkpoint.as_directory() as folder:
                    whole += Path(folder, "weights").stat().st_size == size and Path(folder, "step").exists()
            except Exception as error:
                found["unreadable"] = f"{type(error).__name__}: {error}"[:200]
    found["named"], found["whole"] = named, whole
    print("FOUND " + json.dumps(found), flush=True)
"""

OURS = (
    """
import tune_core as tune
"""
    + COMMON
    + """
url = f"s3://{bucket}/experiments"
first = began = time.perf_counter()
if how == "run":
    grid = tune.Tuner(
        objective,
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        run_config=tune.RunConfig(
            name="run", storage_path=url, verbose=0, sync_config=tune.SyncConfig(flush_timeout_s=30)
        ),
    ).fit()
elif how == "restore":
    grid = tune.Tuner.restore(f"{url}/run", objective).fit()
else:
    grid = tune.ResultGrid.from_path(f"{url}/run")
finish(grid, began, first)
"""
)

THEIRS = (
    """
import ray, logging
from ray import tune
from ray.tune import RunConfig
"""
    + COMMON
    + """
from pyarrow.fs import S3FileSystem
first = time.perf_counter()
for attempt in range(5):
    try:
        ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
        break
    except Exception as error:  # it gives itself 30 seconds, which a busy machine may not
        print("ray.init:", error)
began = time.perf_counter()
store = S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"), scheme="http")
path = f"{bucket}/experiments"
try:
    if how == "run":
        grid = tune.Tuner(
            objective,
            tune_config=tune.TuneConfig(metric="loss", mode="min"),
            run_config=RunConfig(name="run", storage_path=path, storage_filesystem=store, verbose=1),
        ).fit()
    else:
        grid = tune.Tuner.restore(f"{path}/run", objective, storage_filesystem=store)
        grid = grid.fit() if how == "restore" else grid.get_results()
    finish(grid, began, first)
finally:
    ray.shutdown()
"""
)


def process(code: str, proxy_url: str, bucket: str, how: str, steps: int, size: int) -> tuple[dict[str, Any], str]:
    """What a process found, and all that it said."""
    place = tempfile.mkdtemp()
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": proxy_url,
        "TUNE_CORE_CACHE": place,
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_TRAIN_ENABLE_V2": "0",
    }
    began = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-c", code, bucket, how, str(steps), str(size)],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, _ = child.communicate(timeout=LIMIT_S)
        found: dict[str, Any] = {"exit": child.returncode}
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGTERM)
        try:
            said, _ = child.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            said, _ = child.communicate()
        found = {"exit": f"still running after {LIMIT_S:g} s"}
    except BaseException:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait()
        raise
    for line in said.splitlines():
        if line.startswith("FOUND "):
            found.update(json.loads(line[6:]))
    found["wall"] = time.perf_counter() - began
    return found, said


def complaints(said: str) -> list[str]:
    """The lines that tell of a failure, each once."""
    words = ("rror", "arning", "ailed", "could not", "denied", "SlowDown", "not take")
    lines = [line.strip()[:500] for line in said.splitlines() if any(word in line for word in words)]
    return list(dict.fromkeys(line for line in lines if not line.startswith("FOUND")))[:6]


def show(who: str, found: dict[str, Any], said: str) -> None:
    reports = f"errors {found.get('errors', '-')}, exit {found['exit']}, last step {found.get('last', '-')}"
    print(f"  {who:<10} run: {found.get('seconds', found['wall']):.1f} s, {reports}", flush=True)
    for line in complaints(said):
        print(f"      says: {line}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(FAULTS), default=list(FAULTS))
    parser.add_argument("--peers", nargs="+", choices=["tune-core", "ray"], default=["tune-core", "ray"])
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} CPUs")
    codes = {"tune-core": OURS, "ray": THEIRS}
    with s3_server() as upstream:
        import s3fs

        for part in arguments.only:
            steps, size = (50, 1_000_000) if part == "times" else (3, 40_000_000 if part == "cut" else 1_000_000)
            print(f"\n{part}: {steps} checkpoints of {size / 1e6:g} MB", flush=True)
            for who in arguments.peers:
                bucket = f"{part}-{who}-{os.getpid()}"
                s3fs.S3FileSystem().mkdir(bucket)
                proxy = FaultProxy(upstream)
                proxy.faults = Faults([Fault(*fault) for fault in FAULTS[part]])
                try:
                    found, said = process(codes[who], proxy.url, bucket, "run", steps, size)
                    show(who, found, said)
                    proxy.faults = Faults()
                    how = "restore" if part == "times" else "read"
                    after, said = process(codes[who], proxy.url, bucket, how, steps, size)
                    keys = s3fs.S3FileSystem(use_listings_cache=False).find(f"{bucket}/experiments", detail=True)
                    parts = {key: info["size"] for key, info in keys.items() if "/checkpoint_" in key}
                    total = sum(parts.values()) / 1e6
                    print(
                        f"      {how}: {after.get('seconds', after['wall']):.1f} s; the results name "
                        f"{after.get('named', '-')} checkpoints, {after.get('whole', '-')} are whole; "
                        f"in the bucket: {len(parts)} objects of checkpoints, {total:.1f} MB",
                        flush=True,
                    )
                    if after.get("exit") or after.get("unreadable"):
                        print(f"      {how} says: {after.get('unreadable') or complaints(said)[-1:]}", flush=True)
                finally:
                    proxy.close()


if __name__ == "__main__":
    main()
