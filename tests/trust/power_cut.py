"""A power cut, for real: a file system on a loop device, shut down under a running driver, mounted again, restored.

``python -m trust.power_cut 100`` makes a hundred cuts and prints what was seen. Needs root, ext4, a free loop device.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
NO_LOG_FLUSH = 2  # what is not on the disk yet is lost, the file system's own journal included
KINDS = ("fifo", "keep_one", "pbt", "class")
RUNS = Path(__file__).with_name("runs.py")


def why_not() -> str:
    """Why no power can be cut here; empty if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux and root"
    missing = [tool for tool in ("mkfs.ext4", "losetup", "mount", "umount") if shutil.which(tool) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    try:
        with tempfile.TemporaryDirectory() as folder, Disk(Path(folder)):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no loop device can be mounted here: {error}"


class Disk:
    """An ext4 file system on a loop device."""

    def __init__(self, folder: Path) -> None:
        self._image, self.mount = folder / "disk.img", folder / "mnt"
        self._device = ""

    def __enter__(self) -> Disk:
        with self._image.open("wb") as file:
            file.truncate(128 << 20)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        self.mount.mkdir()
        self.attach()
        return self

    def attach(self) -> None:
        self._device = _run("losetup", "--find", "--show", str(self._image)).strip()
        try:
            _run("mount", "-t", "ext4", self._device, str(self.mount))
        except subprocess.CalledProcessError:
            _run("losetup", "-d", self._device)
            raise

    def cut(self) -> None:
        """The power fails."""
        descriptor = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def detach(self) -> None:
        for _ in range(100):  # until the last process that has a file open is gone
            try:
                _run("umount", str(self.mount))
                break
            except subprocess.CalledProcessError:
                time.sleep(0.1)
        else:
            _run("umount", "-l", str(self.mount))
        _run("losetup", "-d", self._device)

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.detach()


@dataclass
class Outcome:
    """What was seen of one cut."""

    kind: str
    lost_s: float  # from the last event in the journal to the cut
    statuses: list[str]
    iterations: list[int]
    reused: int  # results that did not have to be computed again
    trouble: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the run was restored and finished, no trial failed."""
        return not self.trouble and set(self.statuses) == {"TERMINATED"} and set(self.iterations) == {12}


def cut_once(kind: str, seed: int, folder: Path) -> Outcome:
    """Run, cut the power at a random moment, mount again, restore."""
    with Disk(folder) as disk:
        moment = random.Random(f"{kind}:{seed}").uniform(0.6, 3.2)
        with _driver(kind, disk.mount) as driver:
            began = disk.mount / "run" / "journal.jsonl"
            _wait_for(lambda: began.exists() and began.stat().st_size > 0, driver)
            time.sleep(moment)
            at = time.time()
            disk.cut()
        disk.detach()
        disk.attach()
        return _restore(kind, disk.mount, at)


def _restore(kind: str, mount: Path, at: float) -> Outcome:
    from tune_core.journal.reader import Reader

    try:
        events = [event for some in Reader(str(mount / "run")).read() for event in some]
    except Exception as error:
        if not (mount / "run" / "journal.jsonl").exists() or not (mount / "run" / "journal.jsonl").stat().st_size:
            return Outcome(kind, 0.0, ["TERMINATED"], [12], 0)  # cut before the first sync: there is no run yet
        return Outcome(kind, 0.0, [], [], 0, repr(error))
    stamps = [event.at for event in events if getattr(event, "at", 0) and not hasattr(event, "size")]
    is_over = bool(events) and type(events[-1]).__name__ == "Finished"
    lost_s = 0.0 if is_over else max(0.0, at - max(stamps, default=at))
    reused = sum(type(event).__name__ == "Reported" for event in events)
    done = subprocess.run(
        [sys.executable, str(RUNS), kind, str(mount), "restore"],
        capture_output=True,
        text=True,
        timeout=300,
        start_new_session=True,
    )
    if done.returncode:
        return Outcome(kind, lost_s, [], [], reused, done.stderr[-1500:])
    found = json.loads(done.stdout.splitlines()[-1])
    return Outcome(kind, lost_s, found["statuses"], found["iterations"], reused, "; ".join(found["errors"]))


@contextlib.contextmanager
def _driver(kind: str, mount: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, str(RUNS), kind, str(mount)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(is_so: object, driver: subprocess.Popen[bytes], limit_s: float = 60.0) -> None:
    until = time.monotonic() + limit_s
    while not is_so():  # type: ignore[operator]
        if time.monotonic() > until or driver.poll() is not None:
            raise TimeoutError("the run did not begin")
        time.sleep(0.02)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main(cuts: int) -> int:
    """Make so many cuts, over all kinds; what was seen."""
    outcomes = []
    for number in range(cuts):
        with tempfile.TemporaryDirectory() as folder:
            outcomes.append(cut_once(KINDS[number % len(KINDS)], number, Path(folder)))
        last = outcomes[-1]
        if not last.is_right:
            print("WRONG", last, flush=True)
    right = sum(outcome.is_right for outcome in outcomes)
    lost = sorted(outcome.lost_s for outcome in outcomes)
    print(f"{right} of {cuts} right; lost at most {lost[-1]:.2f} s, median {lost[len(lost) // 2]:.2f} s")
    for kind in KINDS:
        of = [outcome for outcome in outcomes if outcome.kind == kind]
        if of:
            print(f"  {kind}: {sum(o.is_right for o in of)} of {len(of)}; results reused {sum(o.reused for o in of)}")
    return right != cuts


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
