"""One driver at a time: by the kernel's locks, on file systems without them, and from containers."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tune_core.errors import ExperimentLockedError
from tune_core.journal import lock as locks
from tune_core.journal.lock import LOCK_FILE, Lock, is_running

HOLDER = """
import fcntl, os, sys
from tune_core.journal.lock import Lock

def no_locks(descriptor, how):
    raise OSError(37, "No locks available")

if sys.argv[2] == "without":
    fcntl.flock = no_locks
lock = Lock(sys.argv[1])
print(os.getpid(), flush=True)
sys.stdin.read()
"""
CONTAINER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def no_locks(descriptor: int, how: int) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.fixture(params=["locks", "no locks"])
def has_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """The file system with locks, and as a client sees one without."""
    if request.param == "no locks":
        monkeypatch.setattr(fcntl, "flock", no_locks)
    monkeypatch.setattr(locks, "_SILENT_S", 2.5)
    return bool(request.param == "locks")


@contextmanager
def holder(folder: Path, has_locks: bool, *inside: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another driver that holds the folder, and the pid that it has for itself."""
    command = [*inside, sys.executable, "-c", HOLDER, str(folder), "with" if has_locks else "without"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def in_containers() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*CONTAINER, "true"], check=False).returncode == 0


def test_other_process_is_kept_out_and_let_in_after_its_end(tmp_path: Path, has_locks: bool) -> None:
    with holder(tmp_path, has_locks) as (process, pid):
        assert is_running(str(tmp_path))
        with pytest.raises(ExperimentLockedError, match=f"process {pid}"):
            Lock(str(tmp_path))
        process.kill()
        process.wait()
        assert not is_running(str(tmp_path))
        Lock(str(tmp_path)).release()


def test_other_thread_of_the_process_is_kept_out(tmp_path: Path, has_locks: bool) -> None:
    lock = Lock(str(tmp_path))
    with pytest.raises(ExperimentLockedError, match=f"process {os.getpid()}"):
        Lock(str(tmp_path))
    lock.release()
    Lock(str(tmp_path)).release()


@pytest.mark.skipif(not in_containers(), reason="no containers can be made here")
def test_containers_whose_processes_have_equal_numbers(tmp_path: Path, has_locks: bool) -> None:
    with holder(tmp_path, has_locks, *CONTAINER) as (first, pid):
        assert pid == 1
        second = subprocess.run(
            [*CONTAINER, sys.executable, "-c", HOLDER, str(tmp_path), "with" if has_locks else "without"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode != 0 and "ExperimentLockedError" in second.stderr
        assert is_running(str(tmp_path))
        first.kill()
        first.wait()
        Lock(str(tmp_path)).release()


def test_number_of_a_dead_holder_may_belong_to_another_process(
    tmp_path: Path, has_locks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with holder(tmp_path, has_locks):
        owner = json.loads((tmp_path / LOCK_FILE).read_text())
    owner["pid"] = os.getppid()  # alive, but it began earlier
    (tmp_path / LOCK_FILE).write_text(json.dumps(owner))
    assert not is_running(str(tmp_path))
    Lock(str(tmp_path)).release()


def test_released_lock_is_free_at_once_for_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", no_locks)
    Lock(str(tmp_path)).release()
    monkeypatch.setattr(locks.socket, "gethostname", lambda: "elsewhere")
    monkeypatch.setattr(locks, "_is_touched", lambda *_: pytest.fail("it waits"))
    Lock(str(tmp_path)).release()


@pytest.mark.parametrize("flock", [no_locks, lambda descriptor, how: None], ids=["no locks", "locks of one machine"])
def test_holder_on_another_machine_is_known_by_its_touch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flock: Any
) -> None:
    monkeypatch.setattr(fcntl, "flock", flock)
    lock = Lock(str(tmp_path))
    owner = {**json.loads((tmp_path / LOCK_FILE).read_text()), "host": "elsewhere"}
    (tmp_path / LOCK_FILE).write_text(json.dumps(owner))
    with pytest.raises(ExperimentLockedError, match="on elsewhere"):
        Lock(str(tmp_path))
    assert is_running(str(tmp_path)) == (flock is no_locks)
    lock._released.set()  # as if the other machine had lost its power
    for thread in threading.enumerate():
        if thread.name == "tune-core-lock":
            thread.join()
    monkeypatch.setattr(locks, "_SILENT_S", 0.5)
    Lock(str(tmp_path)).release()


def test_forked_child_does_not_free_its_parents_lock(tmp_path: Path, has_locks: bool) -> None:
    lock = Lock(str(tmp_path))
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(ExperimentLockedError):
        Lock(str(tmp_path))
    lock.release()


def test_user_is_told_that_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", no_locks)
    lock: Any = Lock(str(tmp_path))
    assert "has no locks (No locks available)" in lock.note
    lock.release()
