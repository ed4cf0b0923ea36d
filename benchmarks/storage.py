"""What an object store costs a run: on S3 (moto's server in a process of its own) beside a local folder.

Run it as ``python benchmarks/storage.py [--trials 1000] [--reports 100] [--gib 1] [--large-gib 5]``; it needs
``tune-core[s3]`` and ``moto[server]``. The client of tune-core is s3fs, or obstore with ``--obstore``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

from discarding_s3 import DiscardingS3


@contextlib.contextmanager
def s3_server(port: int) -> Iterator[str]:
    """A bucket on moto's server."""
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            os.environ.update(
                AWS_ACCESS_KEY_ID="benchmark",
                AWS_SECRET_ACCESS_KEY="benchmark-secret",
                AWS_DEFAULT_REGION="us-east-1",
                AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
                AWS_ALLOW_HTTP="true",
            )
            for _ in range(200):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=1).close()
                    break
                time.sleep(0.1)
            import s3fs

            bucket = f"bucket-{uuid.uuid4().hex[:8]}"
            s3fs.S3FileSystem().mkdir(bucket)
            yield bucket
        finally:
            server.terminate()
            server.wait()


def objective(config: dict[str, Any]) -> None:
    """Reports, with a small checkpoint now and then."""
    import tune_core as tune

    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "weights"), "wb") as file:
            file.write(os.urandom(1000))
        for step in range(config["reports"]):
            checkpoint = None
            if config["every"] and step % config["every"] == config["every"] - 1:
                checkpoint = tune.Checkpoint.from_directory(folder)
            tune.report({"loss": config["x"] / (step + 1)}, checkpoint=checkpoint)


def run(path: str, filesystem: Any, trials: int, reports: int, checkpoints: int) -> tuple[float, float]:
    """Seconds of a run, and CPU seconds of this process in it."""
    import tune_core as tune

    every = reports // checkpoints if checkpoints else 0
    began, used = time.perf_counter(), time.process_time()
    grid = tune.Tuner(
        objective,
        param_space={"x": tune.uniform(0, 1), "reports": reports, "every": every},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=trials, seed=0),
        run_config=tune.RunConfig(storage_path=path, storage_filesystem=filesystem, verbose=0),
    ).fit()
    assert grid.num_terminated == trials
    return time.perf_counter() - began, time.process_time() - used


def row(what: str, *values: str) -> None:
    print(f"{what:<58}" + "".join(f"{value:>14}" for value in values), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5788)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--reports", type=int, default=100)
    parser.add_argument("--gib", type=float, default=1.0)
    parser.add_argument("--large-gib", type=float, default=5.0)
    parser.add_argument("--obstore", action="store_true")
    parser.add_argument("--only-memory", action="store_true", help="only the large checkpoint")
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp()
    os.environ["TUNE_CORE_CACHE"] = os.path.join(folder, "cache")
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} CPUs")
    if arguments.only_memory:
        os.environ.update(AWS_ACCESS_KEY_ID="benchmark", AWS_SECRET_ACCESS_KEY="benchmark-secret")
        os.environ.update(AWS_DEFAULT_REGION="us-east-1")
        memory(folder, arguments.large_gib, arguments.obstore)
        return
    with s3_server(arguments.port) as bucket:
        filesystem = None
        if arguments.obstore:
            from obstore.store import S3Store

            options: Any = {"endpoint": os.environ["AWS_ENDPOINT_URL"], "client_options": {"allow_http": True}}
            filesystem = S3Store(bucket, **options)
        url = f"s3://{bucket}/runs"
        overhead(folder, url, filesystem, arguments.trials, arguments.reports)
        objects(bucket, url, filesystem, arguments.trials, arguments.reports)
        if arguments.gib:
            beside_client(folder, bucket, filesystem, arguments.gib)
    if arguments.large_gib:
        memory(folder, arguments.large_gib, arguments.obstore)


def overhead(folder: str, url: str, filesystem: Any, trials: int, reports: int) -> None:
    """Trials and reports a second, side by side."""
    row("", "local", "store", "store/local")
    for what, some, each in (("trials/s (1 report each)", 5 * trials, 1), ("reports/s", 8, 25 * trials)):
        run(f"{folder}/local", None, 10, 1, 0)
        local, used = run(f"{folder}/local", None, some, each, 0)
        stored, more = run(url, filesystem, some, each, 0)
        total = some * each
        row(what, f"{total / local:,.0f}", f"{total / stored:,.0f}", f"{local / stored:.2f}")
        row("    CPU seconds of the driver", f"{used:.2f}", f"{more:.2f}", f"{more / used:.2f}")


def objects(bucket: str, url: str, filesystem: Any, trials: int, reports: int) -> None:
    """How many objects a run writes."""
    import s3fs

    took, _ = run(f"{url}/counted", filesystem, trials, reports, 2)
    keys = s3fs.S3FileSystem(use_listings_cache=False).find(f"{bucket}/runs/counted")
    segments = sum("/journal/" in key for key in keys)
    checkpoints = sum("/checkpoint_" in key for key in keys)
    row(f"objects of {trials} trials × {reports} reports × 2 checkpoints", f"{len(keys)}")
    row("    a checkpoint", f"{checkpoints / (2 * trials):.2f}")
    row("    segments, and seconds of the run", f"{segments}", f"{took:.1f}")


def beside_client(folder: str, bucket: str, filesystem: Any, gib: float) -> None:
    """A large checkpoint, beside what the store's own client needs."""
    import s3fs

    from tune_core.storage.connect import object_store
    from tune_core.storage.folders import upload_folder

    source = os.path.join(folder, "checkpoint")
    os.makedirs(source)
    write(os.path.join(source, "weights"), gib)
    path = os.path.join(source, "weights")
    client, ours = [], []
    for attempt in range(2):
        began = time.perf_counter()
        s3fs.S3FileSystem().put_file(path, f"{bucket}/plain{attempt}")
        client.append(time.perf_counter() - began)
        began = time.perf_counter()
        upload_folder(object_store(f"s3://{bucket}/ours{attempt}", filesystem), source, "checkpoint")
        ours.append(time.perf_counter() - began)
        s3fs.S3FileSystem().rm(f"{bucket}/plain{attempt}")
        s3fs.S3FileSystem().rm(f"{bucket}/ours{attempt}", recursive=True)
    row(
        f"{gib:g} GiB checkpoint: s3fs, tune-core (s)",
        f"{min(client):.1f}",
        f"{min(ours):.1f}",
        f"{min(ours) / min(client):.2f}",
    )
    row("memory of this process at its peak (MiB)", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")


UPLOAD = """
import os, re, sys
from tune_core.storage.connect import object_store
from tune_core.storage.folders import upload_folder

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

filesystem = None
if sys.argv[2] == "obstore":
    from obstore.store import S3Store
    filesystem = S3Store("bucket", endpoint=os.environ["AWS_ENDPOINT_URL"], client_options={"allow_http": True})
store = object_store("s3://bucket/large", filesystem)
store.put("warm", b"")
before = peak()
upload_folder(store, sys.argv[1], "checkpoint")
print(before, peak())
"""


def memory(folder: str, gib: float, obstore: bool) -> None:
    """The memory that a process needs for a large checkpoint's upload, to a server that keeps nothing."""
    source = os.path.join(folder, "large")
    os.makedirs(source)
    with open(os.path.join(source, "weights"), "wb") as file:
        file.truncate(int(gib * (1 << 30)))  # a hole is as long to read and to send
    server = DiscardingS3()
    try:
        out = subprocess.run(
            [sys.executable, "-c", UPLOAD, source, "obstore" if obstore else "s3fs"],
            env={**os.environ, "AWS_ENDPOINT_URL": server.url},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.split()
    finally:
        server.close()
    before, after = (int(kib) / 1024 for kib in out)
    figures = (f"{before:.0f}", f"{after:.0f}", f"{after - before:.0f}")
    row(f"{gib:g} GiB checkpoint: memory before, peak, more (MiB)", *figures)


def write(path: str, gib: float) -> None:
    chunk = os.urandom(1 << 20)
    with open(path, "wb") as file:
        for _ in range(int(gib * 1024)):
            file.write(chunk)


if __name__ == "__main__":
    main()
