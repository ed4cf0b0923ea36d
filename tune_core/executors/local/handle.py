"""The driver's view of its processes: workers, started by themselves or forked by a template, and templates."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tune_core.core.values import Message
from tune_core.errors import ResourceError
from tune_core.executors.local import definitions, wire
from tune_core.executors.local.bootstrap import FROZEN, bootstrap
from tune_core.executors.worker.system import above_standard, is_readable, nameless_file
from tune_core.trainable.protocol import SHARED

if TYPE_CHECKING:
    from tune_core.core import events as ev
    from tune_core.executors.local.hand import Hand
    from tune_core.executors.machine_resources import Allocation

_LOOK_HOLDS_S = 1.0
_OURS_ALONE: weakref.WeakSet[Any] = weakref.WeakSet()  # what a forked child of the driver's must let go of


class Running(Protocol):
    """A process that was started: ``subprocess.Popen``, or :class:`Forked`."""

    @property
    def pid(self) -> int:
        """Its number."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; its exit code, or a negative signal number."""


class WorkerProcess:
    """A worker process and the driver's end of its connection."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        self.name = name
        self.environment = environment  #: what it has beside the driver's own
        self.logging: object = None  #: how logging was set there
        self.jobs: deque[ev.Launch] = deque()  #: the trial that it runs, and those that it has in hand behind that
        self.unsent: deque[ev.Launch] = deque()  #: the last of these, as far as they wait for it to be free
        self.promised = 0  #: launches of this turn that are to come
        self.hand: Hand | None = None  #: the way by which trials come that can be taken back
        self.is_apart = True  #: whether the trial that it runs came by its connection instead
        self.request: Mapping[str, float] = {}  #: what its trials ask for
        self.began = 0.0  #: when it was seen to begin with the first of them, on the monotonic clock
        self.grant: Allocation | None = None  #: the resources that these hold
        self.deadline: float | None = None  #: when this trial is to be ended, on the monotonic clock
        self.output_at = 0  #: where this trial's output begins in the file
        self.logged: dict[int, int] = {}  #: how long the own files of its trials were when they were launched
        self.rest = bytearray()  #: the beginning of a line that has not come to its end yet
        self.socket, self._theirs = _socket_pair()
        self._lifeline_theirs, self._lifeline = _pipe()  # the kernel tells the worker when the driver's end is gone
        self.output = above_standard(nameless_file("tune-core-output"))  #: what it prints
        self._running: Running | None = None
        _OURS_ALONE.add(self)

    @property
    def job(self) -> ev.Launch | None:
        """The trial that it runs."""
        return self.jobs[0] if self.jobs else None

    def forget_run(self) -> None:
        """The run is over for it, and nothing of that is left."""
        self.jobs.clear()
        self.unsent.clear()
        self.logged.clear()
        self.rest.clear()
        self.promised, self.is_apart = 0, True
        self.grant = self.deadline = None
        if self.hand is not None:
            self.hand.close()
            self.hand = None

    @property
    def descriptors(self) -> tuple[int, int, int]:
        """What the worker gets: its connection, its lifeline, its output."""
        return self._theirs.fileno(), self._lifeline_theirs, self.output

    def started(self, running: Running) -> None:
        """It was started with its descriptors."""
        self._running = running
        self._theirs.close()
        os.close(self._lifeline_theirs)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send a message; whether the worker still lives is seen when it is read from."""
        try:
            wire.send(self.socket, message, descriptors)
        except OSError:  # it has ended
            return

    def printed(self) -> int:
        """How much it has printed so far, in bytes."""
        try:
            return os.lseek(self.output, 0, os.SEEK_END)  # what is written goes to the end whatever is sought
        except OSError:  # closed with the worker
            return 0

    def forked_by(self) -> tuple[Template, float] | None:
        """The template that has forked it, and which of that process's interpreters; None if it started by itself."""
        return None if not isinstance(self._running, Forked) else (self._running.template, self._running.age)

    def rests(self, within_s: float) -> bool:
        """Whether it has said by then that it is free for another run."""
        deadline = time.monotonic() + within_s
        said = b""
        while not said.endswith(wire.RESTS):
            if not is_readable(self.socket.fileno(), max(0.0, deadline - time.monotonic())):
                return False
            try:
                more = self.socket.recv(1 << 12)
            except OSError:  # a reset connection is a closed one
                return False
            if not more:
                return False
            said += more
        return not is_readable(self.socket.fileno())  # else it has left since

    def wait(self, timeout_s: float) -> int | None:
        """Its exit code or negative signal number; None if it still runs, or was never there."""
        if self._running is None:
            return None
        try:
            return self._running.wait(timeout_s)
        except (subprocess.TimeoutExpired, TemplateGone):
            return None

    def kill(self) -> None:
        """End it and all that it has started, and forget it."""
        self.end()
        self.let_go()

    def end(self) -> None:
        """End it and all that it has started; what it has printed can still be read."""
        if self._running is None:
            self._theirs.close()
            os.close(self._lifeline_theirs)
        else:
            with contextlib.suppress(TemplateGone):
                pid = self._running.pid
                for end in (os.killpg, os.kill):  # the second for one that does not lead its group yet
                    with contextlib.suppress(OSError):
                        end(pid, signal.SIGKILL)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._running.wait(5.0)
                definitions.remove(pid)

    def let_go(self) -> None:
        """Close the driver's ends."""
        self.socket.close()
        if self.hand is not None:
            self.hand.close()
        for name in ("_lifeline", "output"):
            descriptor = getattr(self, name)
            setattr(self, name, -1)
            if descriptor >= 0:
                os.close(descriptor)


def start(worker: WorkerProcess) -> None:
    """Start a worker in an interpreter of its own."""
    environment = {**plain_environment(), **worker.environment}
    worker.started(_interpreter("process", worker.descriptors, (), environment))


# --- templates --------------------------------------------------------------------------------------------------------


class TemplateGone(Exception):
    """The template has ended."""


class Template:
    """A process that forks workers, and what the driver knows of it. Several runs may use it at once, in threads."""

    def __init__(self, key: Any, environment: Mapping[str, str], idle_s: float) -> None:
        self.key = key  #: what its workers find; others need another template
        self.used_at = time.monotonic()
        self.idle_s = idle_s
        self.live = 0  #: its workers that nobody has seen end
        self.resting = 0  #: of them those that wait for another run
        self._lock = threading.RLock()  #: over all below, and the order of replies
        self._asked = 0
        self._replies: dict[int, Any] = {}
        self._answered = 0
        self._looked_at = -math.inf  #: when it was asked which interpreter it is
        self._look = 0  #: the number of that request
        self._age = 0.0  #: its answer
        self._socket, theirs = _socket_pair()
        lifeline_theirs, self._lifeline = _pipe()
        path = module_path_file()
        try:
            numbers = (theirs.fileno(), lifeline_theirs, path)
            self._popen = _interpreter("template", numbers, (max(1, round(idle_s)),), environment)
        finally:
            theirs.close()
            os.close(lifeline_theirs)
            os.close(path)
        _OURS_ALONE.add(self)

    def fork(self, worker: WorkerProcess, changes: Mapping[str, str], modules: Iterable[str]) -> None:
        """Have it import ``modules`` and start a worker with ``changes`` to the environment."""
        with self._lock:
            self.live += 1
            number = self._ask(("fork", dict(changes), list(modules)), worker.descriptors)
        worker.started(Forked(self, number))

    def _ask(self, message: Message, descriptors: Sequence[int] = ()) -> int:
        with self._lock:
            self.used_at = time.monotonic()
            with contextlib.suppress(OSError):  # seen when it is to answer
                wire.send(self._socket, message, descriptors)
            self._asked += 1
            return self._asked

    def reply(self, number: int) -> Any:
        """The answer to a request."""
        with self._lock:
            while number not in self._replies:
                message, _ = wire.receive(self._socket)
                if message is None:
                    raise TemplateGone
                self._answered += 1
                self._replies[self._answered] = message[0]
            return self._replies.pop(number)

    def ask(self, *message: Any) -> Any:
        """Ask and wait for the answer."""
        with self._lock:
            return self.reply(self._ask(message))

    def look(self) -> None:
        """Have it look whether its libraries are still what lies on disk; it starts over where they are not."""
        with self._lock:
            if time.monotonic() - self._looked_at > _LOOK_HOLDS_S:
                self._look = self._ask(("age",))
                self._looked_at = time.monotonic()

    def age(self) -> float:
        """When the interpreter began that runs there now: another one has other libraries."""
        with self._lock:
            self.look()
            if self._look:
                self._age, self._look = self.reply(self._look), 0
            return self._age

    @property
    def in_use(self) -> int:
        """How many workers run for somebody."""
        return self.live - self.resting

    def is_fit(self) -> bool:
        """Whether it can be expected to live for a while."""
        soon = time.monotonic() + min(5.0, self.idle_s / 4)
        return self._popen.poll() is None and (self.in_use > 0 or soon - self.used_at < self.idle_s)

    def end(self) -> None:
        """End it; its workers, if there are any, end with it."""
        with contextlib.suppress(OSError):
            os.kill(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        self.let_go()

    def leave(self) -> None:
        """The driver ends: this process sees that its lifeline is closed and ends by itself; nobody waits for it."""
        self.let_go()
        if self._popen.poll() is None:
            self._popen.returncode = 0  # else Python warns of a process that still runs

    def let_go(self) -> None:
        """Close the driver's ends."""
        self._socket.close()
        lifeline, self._lifeline = self._lifeline, -1
        if lifeline >= 0:
            os.close(lifeline)


class Forked:
    """A worker that a template has forked, in the manner of ``subprocess.Popen``."""

    def __init__(self, template: Template, number: int) -> None:
        self.template = template
        self._number = number
        self._answer: tuple[int, float] | None = None
        self._code: int | None = None

    @property
    def pid(self) -> int:
        return self._reply()[0]

    @property
    def age(self) -> float:
        """When the interpreter began that has forked it."""
        return self._reply()[1]

    def _reply(self) -> tuple[int, float]:
        if self._answer is None:
            self._answer = self.template.reply(self._number)
        return self._answer

    def wait(self, timeout: float | None = None) -> int:
        deadline = time.monotonic() + (timeout if timeout is not None else 60.0)
        while self._code is None:
            left = deadline - time.monotonic()
            self._code = self.template.ask("wait", self.pid, min(max(0.0, left), 0.2))
            if self._code is not None:
                self.template.live -= 1
            elif left <= 0:
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
        return self._code


# --- starting an interpreter ------------------------------------------------------------------------------------------


def plain_environment() -> dict[str, str]:
    """The driver's environment as its processes get it."""
    return {name: value for name, value in os.environ.items() if name not in (SHARED, FROZEN)}


def _interpreter(
    module: str, descriptors: Sequence[int], numbers: Sequence[int], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start an interpreter that runs ``main(*descriptors, *numbers)`` of a module of this folder."""
    path = module_path_file()
    try:
        output = descriptors[2] if module == "process" else subprocess.DEVNULL
        arguments = [str(number) for number in (*descriptors, *numbers)]
        if getattr(sys, "frozen", False):
            command = [sys.executable]
            environment = {**environment, FROZEN: ",".join(arguments)}
        else:
            command = [
                sys.executable,
                "-c",
                bootstrap(f"tune_core.executors.local.{module}"),
                str(path),
                *arguments,
            ]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(path, *descriptors),
            start_new_session=True,
            env=dict(environment),
        )
    finally:
        os.close(path)


def module_path() -> list[str]:
    """``sys.path`` as another process can use it, whatever its working directory."""
    entries = [entry for entry in sys.path if isinstance(entry, str)]
    return [os.path.abspath(entry) if not entry or os.path.exists(entry) else entry for entry in entries]


def module_path_file() -> int:
    """A file with the module path."""
    file = above_standard(nameless_file("tune-core-path"))
    os.write(file, "\0".join(module_path()).encode("utf-8", "surrogateescape"))
    return file


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    try:
        pair = socket.socketpair()
    except OSError as error:
        raise _no_more(error) from error
    return tuple(socket.socket(fileno=above_standard(end.detach())) for end in pair)  # type: ignore[return-value]


def _pipe() -> tuple[int, int]:
    try:
        read, write = os.pipe()
    except OSError as error:
        raise _no_more(error) from error
    return above_standard(read), above_standard(write)


def _no_more(error: OSError) -> ResourceError:
    return ResourceError(
        "A worker process",
        f"cannot be connected to: {error}",
        "this process may have no more files open",
        "Close files, raise the limit (ulimit -n), or run fewer trials at once: TuneConfig(max_concurrent_trials=...).",
    )


def _after_fork() -> None:
    """A child that the driver has forked must not keep the driver's processes alive."""
    for mine in list(_OURS_ALONE):
        with contextlib.suppress(Exception):
            mine.let_go()
    _OURS_ALONE.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
