"""What a local worker process does from its first line: connect, fetch the trainable, serve, die with its driver."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import select
import signal
import socket
import struct
import sys
import threading
from typing import Any

from tune_core.executors.base import RunSpec
from tune_core.executors.local.output import Output
from tune_core.executors.worker import payload
from tune_core.executors.worker.worker import Worker

TICK_S = 0.1
_LENGTH = struct.Struct("<I")


def pack(message: tuple[Any, ...]) -> bytes:
    """A message to a worker as bytes with their length before them."""
    try:
        body = pickle.dumps(message, protocol=5)
    except Exception:  # lambdas, classes of __main__
        import cloudpickle

        body = cloudpickle.dumps(message, protocol=5)
    return _LENGTH.pack(len(body)) + body


class SocketLink:
    """A worker's end of the socket pair to its driver: lines go out as they are, messages come in with their length."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def send(self, lines: bytes) -> None:
        """Pass journal lines to the driver."""
        self._socket.sendall(lines)

    def receive(self) -> tuple[Any, ...] | None:
        """Wait for a message; None when the driver has closed the connection."""
        head = self._exactly(_LENGTH.size)
        if head is None:
            return None
        body = self._exactly(_LENGTH.unpack(head)[0])
        if body is None:
            return None
        message: tuple[Any, ...] = pickle.loads(body)
        return message

    def has_message(self) -> bool:
        """Whether a message is there."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def _exactly(self, size: int) -> bytes | None:
        parts = bytearray()
        while len(parts) < size:
            try:
                data = self._socket.recv(size - len(parts))
            except OSError:
                return None
            if not data:
                return None
            parts += data
        return bytes(parts)


def main(link_fd: int, lifeline_fd: int, output_path: str) -> None:
    """Serve the driver at the other end of ``link_fd``; end when ``lifeline_fd`` closes, whatever is running."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what Ctrl-C means
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)  # a line is not lost when the process dies, and can be followed
    for descriptor in (link_fd, lifeline_fd):  # no process that a trial starts may hold them open
        os.set_inheritable(descriptor, False)
    connection = socket.socket(fileno=link_fd)
    os.register_at_fork(after_in_child=connection.close)
    link = SocketLink(connection)
    output = Output(output_path)
    worker_box: list[Worker] = []
    threading.Thread(target=_tick, args=(lifeline_fd, output, worker_box), name="tune-core-tick", daemon=True).start()
    first = link.receive()
    if first is None:
        return
    spec: RunSpec = first[1]
    try:
        prepared = payload.load(spec.payload)
        os.close(spec.payload)
    except BaseException as error:
        _refuse(link, spec, error)
        return
    worker = Worker(link, spec, prepared)
    worker.output = output
    worker_box.append(worker)
    worker.serve()


def _refuse(link: SocketLink, spec: RunSpec, error: BaseException) -> None:
    """The trainable cannot be loaded here: answer every launch with that."""
    import time

    from tune_core.core import events as ev

    text = (
        f"The objective {spec.trainable_name} could not be loaded in a worker process: "
        f"{type(error).__name__}: {error}.\n"
        "Make sure that the modules which it needs can be imported outside of the main script."
    )
    while (message := link.receive()) is not None:
        if message[0] == "launch":
            job: ev.Launch = message[1]
            link.send(ev.encode(ev.Ended(job.trial, "invalid", time.time(), "the objective cannot be loaded", text)))


def _tick(lifeline_fd: int, output: Output, worker_box: list[Worker]) -> None:
    """Send what lies about, move the output on, and end the whole process group when the driver is gone."""
    driver = os.getppid()
    while True:
        gone = select.select([lifeline_fd], [], [], TICK_S)[0]
        if gone or os.getppid() != driver:  # a process that the driver forked may keep the lifeline open
            with contextlib.suppress(OSError):
                os.killpg(os.getpgid(0), signal.SIGKILL)
            os._exit(1)
        with contextlib.suppress(OSError):
            for worker in worker_box:
                worker.pipe.flush()
            output.move()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
