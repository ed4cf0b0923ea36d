"""What faults of a store, a network and a disk cost a run: nothing may be lost, nothing may hang.

Run it as ``python benchmarks/storage_faults.py [--seeds 30] [--jobs 4] [--away-s 60]``; it needs ``tune-core[s3]`` and
``moto[server]``, and root's rights for the full disk. Each seed is one run of 6 trials with 12 checkpoints each on S3
(moto's server), behind a proxy that does one of these:

- ``mixed``: 503, 500, broken connections, lost answers, cut answers, late answers, each request by chance
- ``hang``: some requests get no answer at all for 40 s
- ``expired``: for 8 s in the middle the credentials have expired
- ``away``: for 60 s in the middle no connection stands
- ``disk``: the disk of the working folder is full in the middle (a tmpfs), and the run is restored if it ended
- ``killed``: ``mixed``, and the driver is killed by SIGKILL in the middle; another machine goes on from the URL alone

Then another machine reads what is in the store, without the proxy: each trial's results must be those of a run without
faults, each checkpoint that they name whole, and no other checkpoint there. What the run says of a fault must name the
object or folder, and what to do or what happens to it. Exits with 1 if that fails for a seed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from storage.fault_proxy import Fault, FaultProxy, Faults  # noqa: E402

KINDS = ("mixed", "hang", "expired", "away", "disk", "killed")
TRIALS, STEPS, KEPT = 6, 12, 2
DISK_MB = 24

DRIVER = """
import os, sys, tempfile, time, warnings
from pathlib import Path
import tune_core as tune

def objective(config):
    start = 0
    checkpoint = tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            start = int(Path(folder, "step").read_text())
    for step in range(start + 1, {steps} + 1):
        time.sleep({pause})
        with tempfile.TemporaryDirectory(dir=os.environ["ELSEWHERE"]) as folder:
            Path(folder, "step").write_text(str(step))
            Path(folder, "weights").write_bytes(bytes([step]) * 50_000)
            tune.report({{"loss": config["i"] + 1 / step}}, checkpoint=tune.Checkpoint.from_directory(folder))

url = sys.argv[1]
if sys.argv[2] == "restore":
    grid = tune.Tuner.restore(url + "/run", objective, restart_errored=False, resume_errored=True).fit()
else:
    grid = tune.Tuner(
        objective,
        param_space={{"i": tune.grid_search(list(range({trials})))}},
        tune_config=tune.TuneConfig(metric="loss", mode="min", max_concurrent_trials=3),
        run_config=tune.RunConfig(
            name="run", storage_path=url, verbose=1,
            checkpoint_config=tune.CheckpointConfig(num_to_keep={kept}),
            sync_config=tune.SyncConfig(mirror_interval_s=0.5),
        ),
    ).fit()
print("ENDED", len(grid), grid.num_errors, flush=True)
for error in grid.errors:
    print("TRIAL ERROR", error, flush=True)
"""


@contextlib.contextmanager
def s3_server() -> Iterator[tuple[str, int]]:
    """Moto's server in a process of its own."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        os.environ.update(
            AWS_ACCESS_KEY_ID="faults",
            AWS_SECRET_ACCESS_KEY="a-secret-of-the-benchmark",
            AWS_DEFAULT_REGION="us-east-1",
            AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
        )
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=1).close()
                break
            time.sleep(0.1)
        yield "127.0.0.1", port
    finally:
        server.terminate()
        server.wait()


class Seed:
    """One run with faults.

    Parameters
    ----------
    seed
        Which faults, when, and where.
    upstream
        The S3 server.
    away_s
        How long a store stays away.
    limit_s
        After how long a run counts as hanging.
    """

    def __init__(self, seed: int, upstream: tuple[str, int], away_s: float, limit_s: float) -> None:
        self.seed = seed
        self.kind = KINDS[seed % len(KINDS)]
        self.away_s = away_s
        self.limit_s = limit_s
        self.chance = random.Random(seed)
        self.bucket = f"faults-{seed:04d}-{os.getpid()}"
        self.proxy = FaultProxy(upstream)
        self.folder = tempfile.mkdtemp(prefix=f"faults-{seed}-")
        self.said = ""
        self.problems: list[str] = []

    def run(self) -> str:
        """The table's row."""
        import s3fs

        s3fs.S3FileSystem().mkdir(self.bucket)
        began = time.monotonic()
        try:
            with self._cache() as cache:
                self._drive(cache)
            self._check()
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")
        finally:
            self.proxy.close()
        verdict = "; ".join(self.problems) or "whole"
        said = len(re.findall(r"\S*(?:s3://|/)\S+", self.said))
        return (
            f"{self.seed:>4}  {self.kind:<8}{self.proxy.faults.hits:>7}{time.monotonic() - began:>8.1f} s"
            f"{said:>7}  {verdict}"
        )

    # --- the run ------------------------------------------------------------------------------------------------------

    def _drive(self, cache: str) -> None:
        driver = self._start("new", cache)
        self._wait_until_begun(driver)
        time.sleep(self.chance.uniform(0.2, 1.5))
        getattr(self, f"_{self.kind}")(driver, cache)

    def _start(self, how: str, cache: str) -> subprocess.Popen[str]:
        code = DRIVER.format(steps=STEPS, pause=0.25, trials=TRIALS, kept=KEPT)
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": self.proxy.url,
            "TUNE_CORE_CACHE": cache,
            "TUNE_CORE_LEASE_EXPIRY_S": "5",
            "ELSEWHERE": self.folder,
            "PYTHONWARNINGS": "always::UserWarning",
        }
        return subprocess.Popen(
            [sys.executable, "-c", code, f"s3://{self.bucket}/experiments", how],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _wait_until_begun(self, driver: subprocess.Popen[str]) -> None:
        until = time.monotonic() + self.limit_s
        while not any("PUT" in line and "journal/0000000" in line for line in self.proxy.faults.log):
            if driver.poll() is not None or time.monotonic() > until:
                driver.kill()
                raise RuntimeError(f"the run did not begin: {driver.communicate()[0][-500:]}")
            time.sleep(0.02)

    def _end(self, driver: subprocess.Popen[str], may_fail: bool = False) -> bool:
        """Wait for a driver; whether it ended well."""
        try:
            said, _ = driver.communicate(timeout=self.limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(driver.pid, signal.SIGKILL)
            self.said += driver.communicate()[0]
            raise RuntimeError(f"hangs after {self.limit_s:g} s") from None
        self.said += said
        well = driver.returncode == 0 and f"ENDED {TRIALS} 0" in said
        if not well and not may_fail:
            raise RuntimeError(f"ended with {driver.returncode}: {said[-600:]}")
        return well

    def _mixed(self, driver: subprocess.Popen[str], cache: str) -> None:
        self._inject()
        self._end(driver)

    def _inject(self) -> None:
        kinds = ["SlowDown", "InternalError", "reset", "lost", "cut", "slow"]
        faults = [Fault(kind, chance=self.chance.uniform(0.02, 0.15)) for kind in self.chance.sample(kinds, 4)]
        self.proxy.faults = Faults(faults, self.seed)

    def _hang(self, driver: subprocess.Popen[str], cache: str) -> None:
        faults = [Fault("hang", times=self.chance.randint(2, 5), chance=0.2), Fault("reset", chance=0.05)]
        self.proxy.faults = Faults(faults, self.seed)
        self._end(driver)

    def _expired(self, driver: subprocess.Popen[str], cache: str) -> None:
        self.proxy.faults = Faults([Fault("ExpiredToken")], self.seed)
        time.sleep(8.0)
        self.proxy.faults.now = []
        self._end(driver)

    def _away(self, driver: subprocess.Popen[str], cache: str) -> None:
        self.proxy.away = True
        timer = threading.Timer(self.away_s, setattr, (self.proxy, "away", False))
        timer.start()
        try:
            self._end(driver)
        finally:
            timer.cancel()
        self.proxy.faults.hits = max(self.proxy.faults.hits, 1)

    def _disk(self, driver: subprocess.Popen[str], cache: str) -> None:
        ballast = Path(cache, "ballast")
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                self.proxy.faults.hits = 1
        timer = threading.Timer(self.chance.uniform(1.0, 4.0), ballast.unlink)
        timer.start()
        well = self._end(driver, may_fail=True)
        timer.join()
        if not well:
            if not re.search(r"disk is full|No space left", self.said):
                self.problems.append(f"the error does not say that the disk is full: {self.said[-400:]}")
            self._end(self._start("restore", cache))

    def _killed(self, driver: subprocess.Popen[str], cache: str) -> None:
        self._inject()
        time.sleep(self.chance.uniform(0.5, 4.0))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)
        driver.communicate()
        another = os.path.join(self.folder, "another-machine")
        self._end(self._start("restore", another))

    @contextlib.contextmanager
    def _cache(self) -> Iterator[str]:
        """The folder of working folders: on a small disk of its own where that is to be full."""
        place = os.path.join(self.folder, "cache")
        os.makedirs(place)
        if self.kind != "disk":
            yield place
            return
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "none", place], check=True)
        try:
            yield place
        finally:
            subprocess.run(["umount", "-l", place], check=False)

    # --- what is left -------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        import tune_core as tune
        from tune_core.storage.connect import object_store

        url = f"s3://{self.bucket}/experiments/run"
        grid = tune.ResultGrid.from_path(url)
        losses = [round(result.metrics["loss"], 6) for result in grid]
        if losses != [round(i + 1 / STEPS, 6) for i in range(TRIALS)]:
            self.problems.append(f"results are {losses}")
        for result in grid:
            seen = []
            for checkpoint, _ in result.best_checkpoints:
                with checkpoint.as_directory() as folder:
                    step = int(Path(folder, "step").read_text())
                    if Path(folder, "weights").read_bytes() != bytes([step]) * 50_000:
                        self.problems.append(f"{checkpoint} is damaged")
                    seen.append(step)
            if sorted(seen) != [STEPS - 1, STEPS]:
                self.problems.append(f"checkpoints are of steps {seen}")
        keys = object_store(url).keys("")
        folders = {key.rpartition("/")[0] for key in keys if "/checkpoint_" in key}
        if len(folders) != KEPT * TRIALS:
            self.problems.append(f"{len(folders)} checkpoints are in the store")
        if self.kind in ("expired", "away") and not re.search(r"(read|write) s3://\S+/(journal|trial|head)", self.said):
            self.problems.append("the run did not say which object it could not read or write")
        if self.kind == "expired" and "Renew the credentials" not in self.said:
            self.problems.append("the run did not say what to do")
        if "a-secret-of-the-benchmark" in self.said:
            self.problems.append("a secret was printed")
        for line in self.said.splitlines():
            ours = re.search(r"tune_core\.errors\.\w+:|Warning:|could not", line)
            if ours and "s3://" not in line and "/" not in line:
                self.problems.append(f"names no object: {line[:200]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, help="leave out the seeds of other kinds")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--away-s", type=float, default=60.0)
    parser.add_argument("--limit-s", type=float, default=300.0)
    parser.add_argument("--said", action="store_true", help="also print what the runs said")
    arguments = parser.parse_args()
    os.environ["TUNE_CORE_CACHE"] = tempfile.mkdtemp(prefix="faults-reader-")
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} CPUs")
    print(f"{'seed':>4}  {'kind':<8}{'faults':>7}{'time':>10}{'said':>7}  verdict", flush=True)

    def run(seed: int) -> bool:
        one = Seed(seed, upstream, arguments.away_s, arguments.limit_s)
        row = one.run()
        print(row, flush=True)
        if arguments.said or one.problems:
            print("\n".join(f"        | {line}" for line in one.said.splitlines()[-30:]), flush=True)
        return not one.problems

    with s3_server() as upstream, ThreadPoolExecutor(arguments.jobs) as pool:
        seeds = [
            seed
            for seed in range(arguments.first, arguments.first + arguments.seeds)
            if KINDS[seed % len(KINDS)] in arguments.only
        ]
        whole = sum(pool.map(run, seeds))
    print(f"{whole} of {len(seeds)} whole")
    return 0 if whole == len(seeds) else 1


if __name__ == "__main__":
    raise SystemExit(main())
