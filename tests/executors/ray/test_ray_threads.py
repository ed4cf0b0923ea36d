"""A Ray that a run has started in a thread of the user's serves other runs when that thread has ended."""

from __future__ import annotations

import threading
import time

import psutil
import pytest

ray = pytest.importorskip("ray")

from tune_core.executors.ray.connection import Connection


def heads() -> list[psutil.Process]:
    """Processes of a Ray head that this process has started."""
    return [child for child in psutil.Process().children(recursive=True) if "gcs_server" in child.name()]


def test_ray_outlives_the_thread_that_started_it() -> None:
    assert not ray.is_initialized()
    made: list[Connection] = []
    thread = threading.Thread(target=lambda: made.append(Connection(ray, "local", {"num_cpus": 1}, {})))
    thread.start()
    thread.join()
    try:
        (head,) = heads()
        time.sleep(0.5)  # the kernel would have ended it by now
        assert head.is_running() and head.status() != psutil.STATUS_ZOMBIE
        assert ray.get(ray.remote(lambda: "still here").remote(), timeout=60) == "still here"
    finally:
        made[0].leave()
    assert not ray.is_initialized() and not heads()
    deadline = time.monotonic() + 10
    while any(other.name == "tune-core-ray" for other in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ray_that_cannot_start_in_a_thread_is_a_clear_error() -> None:
    raised: list[BaseException] = []

    def start() -> None:
        try:
            Connection(ray, "local", {"num_cpus": "many"}, {})
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "could not start Ray" in str(raised[0])
    assert not ray.is_initialized()
