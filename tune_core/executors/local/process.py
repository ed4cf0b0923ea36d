"""What a local worker process does from its first line: connect, fetch the trainable, serve, die with its driver."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from typing import NoReturn

from tune_core.core import events as ev
from tune_core.core.values import Message
from tune_core.executors.base import RunSpec
from tune_core.executors.local import definitions, wire
from tune_core.executors.local.bootstrap import FROZEN
from tune_core.executors.local.output import Output, redirect
from tune_core.executors.worker import log_setup, payload
from tune_core.executors.worker.surroundings import Surroundings
from tune_core.executors.worker.system import adopt_orphans, is_readable, kill_group_at_hangup
from tune_core.executors.worker.worker import Worker
from tune_core.trainable import Prepared

TICK_S = 0.1


class SocketLink:
    """A worker's end of the socket pair to its driver: lines go out as they are, messages come in with their length."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.descriptors: list[int] = []  # that came with the first message, and with no later one
        self._rest: bytes | None = None  # what was read behind the last message; None before the first

    def send(self, lines: bytes) -> None:
        """Pass journal lines to the driver."""
        self._socket.sendall(lines)

    def receive(self) -> Message | None:
        """Wait for a message; None when the driver has closed the connection."""
        if self._rest is None:
            self._rest = b""
            message, self.descriptors = wire.receive(self._socket)
        else:
            message, self._rest = wire.receive_plain(self._socket, self._rest)
            if message is not None and message[0] == "launch":
                message = ("launch", ev.launch_of(message[1:]))
        return message

    def has_message(self) -> bool:
        """Whether a message is there."""
        return bool(self._rest) or is_readable(self._socket.fileno())


def main(link_fd: int, lifeline_fd: int, output_fd: int) -> None:
    """Serve the driver at the other end of ``link_fd``; end when ``lifeline_fd`` closes, whatever is running."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what Ctrl-C means
    kill_group_at_hangup(lifeline_fd)
    adopt_orphans()
    for descriptor in (link_fd, lifeline_fd, output_fd):  # no process that a trial starts may hold them open
        os.set_inheritable(descriptor, False)
    redirect(output_fd)
    connection = socket.socket(fileno=link_fd)
    os.register_at_fork(after_in_child=connection.close)
    link = SocketLink(connection)
    output = Output(output_fd)
    workers: list[Worker] = []
    threading.Thread(target=_tick, args=(lifeline_fd, output, workers), name="tune-core-tick", daemon=True).start()
    first = link.receive()
    if first is None:
        return
    spec: RunSpec = first[1]
    log_setup.apply(spec.logging)
    try:
        load = payload.Payload(link.descriptors[0])
        os.close(link.descriptors[0])
        prepared, found = load()
        definitions.publish(found)
    except BaseException as error:
        _refuse(link, spec, error)
        return
    worker = Worker(link, spec, prepared, anew=lambda: _load_again(load))
    worker.output = output
    worker.surroundings = Surroundings(spec.chdir, hands_on=spec.hands_on_folders)
    workers.append(worker)
    worker.serve()
    definitions.remove(os.getpid())


def _load_again(load: payload.Payload) -> Prepared:
    """The trainable once more, with the script's definitions of the same loading in this process's ``__main__``."""
    prepared, found = load()
    definitions.renew(found)
    return prepared  # type: ignore[no-any-return]


def main_of_frozen() -> NoReturn:
    """What a frozen program does in place of its own work, when it was started as a worker."""
    arguments = map(int, os.environ.pop(FROZEN).split(","))
    main(*arguments)
    leave(0)


def leave(code: int) -> NoReturn:
    """End a process that may not return to the code that it came from."""
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def _refuse(link: SocketLink, spec: RunSpec, error: BaseException) -> None:
    """The trainable cannot be loaded here: answer every launch with that."""
    text = (
        f"The objective {spec.trainable_name} could not be loaded in a worker process: "
        f"{type(error).__name__}: {error}.\n"
        "Make sure that the modules which it needs can be imported outside of the main script."
    )
    while (message := link.receive()) is not None:
        if message[0] == "launch":
            job: ev.Launch = message[1]
            link.send(ev.encode(ev.Ended(job.trial, "invalid", time.time(), "the objective cannot be loaded", text)))


def _tick(lifeline_fd: int, output: Output, workers: list[Worker]) -> None:
    """Send what lies about, move the output on, and end the whole process group when the driver is gone."""
    parent = os.getppid()
    while True:
        gone = is_readable(lifeline_fd, TICK_S)
        if gone or os.getppid() != parent:  # a process that the driver forked may keep the lifeline open
            with contextlib.suppress(OSError):
                os.killpg(os.getpgid(0), signal.SIGKILL)
            os._exit(1)
        with contextlib.suppress(OSError):
            for worker in workers:
                worker.pipe.flush()
        output.move()
