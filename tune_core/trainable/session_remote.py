"""A trial's session in the processes that the trial starts: its own process listens, they forward their reports.

The trial's process serves the calls in threads, through a Unix socket in a private folder; its address and the key
that opens it travel in an environment variable. Nothing is started before :func:`tune_core.trainable.session.share`
asks for it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Client, Connection, Listener
from typing import TYPE_CHECKING, Any, TypeVar

from tune_core.core.values import Metrics
from tune_core.errors import FatalError, TuneError
from tune_core.trainable.protocol import SHARED, Session, StopTrial

if TYPE_CHECKING:
    from tune_core.checkpoint import Checkpoint

_SEPARATOR = "|"
_TCP = "tcp:"
_S = TypeVar("_S", bound="RemoteSession")


def serve(session: Session, host: str | None = None) -> tuple[str, Callable[[], None]]:
    """Let other processes reach ``session``: what they are to be told, and a function that ends it.

    Parameters
    ----------
    session
        What answers their calls.
    host
        An address of this machine, for processes on other machines; None: those of this machine only.
    """
    folder = ""
    key = secrets.token_bytes(16)
    if host is None:
        folder = tempfile.mkdtemp(prefix="tune-core-session-")
        listener = Listener(os.path.join(folder, "socket"), "AF_UNIX", authkey=key)
    else:
        listener = Listener((host, 0), "AF_INET", authkey=key)
    address: Any = listener.address
    connections: list[Connection] = []
    closed = threading.Event()

    def accept() -> None:
        while not closed.is_set():
            with contextlib.suppress(Exception):  # a stranger without the key, or one that died
                connection = listener.accept()
                connections.append(connection)
                threading.Thread(target=_answer, args=(session, connection), daemon=True).start()

    def close() -> None:
        closed.set()
        with contextlib.suppress(Exception):
            Client(address, authkey=key).close()  # wakes accept
        thread.join(1.0)
        listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.close()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)

    thread = threading.Thread(target=accept, name="tune-core-share", daemon=True)
    thread.start()
    where = address if host is None else f"{_TCP}{address[0]}:{address[1]}"
    return f"{where}{_SEPARATOR}{key.hex()}", close


def share(session: Session) -> Callable[[], None]:
    """Serve ``session`` and name it in this process's environment; returns a function that ends both."""
    shared, close = serve(session)
    os.environ[SHARED] = shared

    def end() -> None:
        if os.environ.get(SHARED) == shared:
            del os.environ[SHARED]
        close()

    return end


def _answer(session: Session, connection: Connection) -> None:
    """Carry out the calls of one process until it is gone."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            method, args = pickle.loads(connection.recv_bytes())
            answer: tuple[bool, Any]
            try:
                answer = True, session.info if method == "info" else getattr(session, method)(*args)
            except StopTrial:  # the driver is gone
                answer = True, False
            except Exception as error:
                if isinstance(error, FatalError) and hasattr(session, "refused"):
                    session.refused = str(error)
                answer = False, error
            connection.send_bytes(pickle.dumps(answer))


def connect(shared: str, kind: Callable[[Connection], _S]) -> _S | None:
    """The session that another process shares, as a ``kind`` of :class:`RemoteSession`; None if its trial has ended."""
    address, _, key = shared.rpartition(_SEPARATOR)
    where: Any = address
    try:
        if address.startswith(_TCP):
            name, _, port = address[len(_TCP) :].rpartition(":")
            where = (name, int(port))
        return kind(Client(where, authkey=bytes.fromhex(key)))
    except (OSError, EOFError, ValueError):
        return None


class RemoteSession:
    """The session of a trial whose process has started this one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._info: Mapping[str, object] = {**self._call("info"), "remote": True}

    @property
    def info(self) -> Mapping[str, Any]:
        return self._info

    def report(self, metrics: Mapping[str, object], checkpoint: Checkpoint | None) -> bool:
        try:
            return bool(self._call("report", metrics, checkpoint))
        except (EOFError, OSError):  # the trial has ended without this process
            return False

    def start_checkpoint(self) -> Checkpoint | None:
        found: Checkpoint | None = self._call("start_checkpoint")
        return found

    def save(self, checkpoint: Checkpoint, again: bool = False, result: tuple[int, Metrics] | None = None) -> None:
        self._call("save", checkpoint, again, result)

    def checkpoint_due(self, metrics: Mapping[str, object]) -> bool:
        return bool(self._call("checkpoint_due", metrics))

    def preempted(self) -> bool:
        return bool(self._call("preempted"))

    def at_end(self, function: Callable[[], None]) -> None:
        raise TuneError(
            "tune_core.trainable.session.at_end",
            "was called in a process that a trial has started",
            "the trial ends in another process",
            "Save the checkpoint with the last report.",
        )

    def _call(self, method: str, *args: object) -> Any:
        with self._lock:
            self._connection.send_bytes(pickle.dumps((method, args)))
            fine, answer = pickle.loads(self._connection.recv_bytes())
        if not fine:
            raise answer
        return answer


class ForkedSession:
    """Where a trial's process was forked without sharing its session: every use says how to share it."""

    def __init__(self, info: Mapping[str, object]) -> None:
        self.info: Mapping[str, object] = {**info, "remote": True}

    def _refuse(self, *_: object) -> Any:
        raise TuneError(
            "tune.report",
            "was called in a process that was forked from the trial's",
            "a forked process cannot use its parent's connection to the tuner",
            "Call tune_core.trainable.session.share() in the trial before it forks, or start the process by spawning.",
        )

    report = start_checkpoint = save = checkpoint_due = preempted = at_end = _refuse
