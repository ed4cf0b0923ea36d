"""What a local worker process does from its first line: connect, fetch the trainable, serve, die with its driver."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from tune_core.core import events as ev
from tune_core.core.values import Message
from tune_core.executors.base import RunSpec
from tune_core.executors.local import definitions, hand, wire
from tune_core.executors.local.bootstrap import FROZEN
from tune_core.executors.local.output import Output, redirect
from tune_core.executors.worker import log_setup, payload
from tune_core.executors.worker.surroundings import Surroundings
from tune_core.executors.worker.system import (
    adopt_orphans,
    is_readable,
    kill_group_at_hangup,
    resident_bytes,
    wait_for_either,
)
from tune_core.executors.worker.worker import Worker
from tune_core.trainable import Prepared

TICK_S = 0.1
_TIDY_AFTER_S = 0.5
_MOST_GROWTH_BYTES = 100 << 20
"""A process that has grown by more than this rests for no other run: it ends, and its memory is free."""


class SocketLink:
    """A worker's end of the socket pair to its driver: lines go out as they are, messages come in with their length."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.descriptors: list[int] = []  # that came with the first message, and with no later one
        self._rest: bytes | None = None  # what was read behind the last message; None before the first
        self.hand: socket.socket | None = None  # where trials come that are sent ahead

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

    def next_message(self) -> Message | None:
        """Wait between two trials for the next one, or another message; None when there will be no more."""
        while self.hand is not None:
            message = hand.take(self.hand)
            if message is not None:
                return ("launch", ev.launch_of(message))
            if self._rest or wait_for_either(self._socket.fileno(), self.hand.fileno()):
                break
        return self.receive()

    def has_message(self) -> bool:
        """Whether a message is there."""
        return bool(self._rest) or is_readable(self._socket.fileno())

    def put_down_hand(self) -> None:
        """The run is over: no trial is sent ahead any more."""
        if self.hand is not None:
            self.hand.close()
            self.hand = None

    def close(self) -> None:
        """In a forked child: this is its parent's."""
        self._socket.close()
        self.put_down_hand()

    def rest(self, idle_s: float) -> bool:
        """Tell the driver that this process is free for another run; whether one comes within ``idle_s``."""
        self._rest = None
        self._socket.sendall(wire.RESTS)
        if not is_readable(self._socket.fileno(), _TIDY_AFTER_S):
            gc.collect()  # what the last run has left, e.g. a file of data that is still mapped
        return is_readable(self._socket.fileno(), idle_s)


def main(link_fd: int, lifeline_fd: int, output_fd: int, rested: Callable[[], object] | None = None) -> None:
    """Serve the driver at the other end of ``link_fd``; end when ``lifeline_fd`` closes, whatever is running.

    ``rested`` is called before this process waits for another run.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what Ctrl-C means
    kill_group_at_hangup(lifeline_fd)
    adopt_orphans()
    for descriptor in (link_fd, lifeline_fd, output_fd):  # no process that a trial starts may hold them open
        os.set_inheritable(descriptor, False)
    redirect(output_fd)
    connection = socket.socket(fileno=link_fd)
    link = SocketLink(connection)
    os.register_at_fork(after_in_child=link.close)
    output = Output(output_fd)
    workers: list[Worker] = []
    threading.Thread(target=_tick, args=(lifeline_fd, output, workers), name="tune-core-tick", daemon=True).start()
    size_bytes = resident_bytes()
    is_first = True
    while (first := link.receive()) is not None:
        spec: RunSpec = first[1]
        if is_first:
            log_setup.apply(spec.logging)
        last = _serve_run(link, spec, output, workers)
        if last is None or resident_bytes() - size_bytes > _MOST_GROWTH_BYTES:
            break
        is_first = False
        if rested is not None:
            rested()
        if not link.rest(last[1]):
            break
    definitions.remove(os.getpid())


def _serve_run(link: SocketLink, spec: RunSpec, output: Output, workers: list[Worker]) -> Message | None:
    """Run the trials of one run; the message by which the driver tells this process to rest, None if it is to end."""
    if len(link.descriptors) > 1:
        link.hand = socket.socket(fileno=link.descriptors[1])
    try:
        load = payload.Payload(link.descriptors[0])
        os.close(link.descriptors[0])
        prepared, found = load()
        definitions.publish(found)
    except BaseException as error:
        _refuse(link, spec, error)
        return None
    worker = Worker(link, spec, prepared, anew=lambda: _load_again(load))
    worker.output = output
    worker.surroundings = Surroundings(spec.chdir, hands_on=spec.hands_on_folders)
    workers.append(worker)
    last = worker.serve(link.next_message)
    workers.clear()
    link.put_down_hand()
    return last


def _load_again(load: payload.Payload) -> Prepared:
    """The trainable once more, with the script's definitions of the same loading in this process's ``__main__``."""
    prepared, found = load()
    definitions.renew(found)
    return prepared  # type: ignore[no-any-return]


def main_of_frozen() -> NoReturn:
    """What a frozen program does in place of its own work, when it was started as a worker."""
    link_fd, lifeline_fd, output_fd = map(int, os.environ.pop(FROZEN).split(","))
    main(link_fd, lifeline_fd, output_fd)
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
    while (message := link.next_message()) is not None:
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
