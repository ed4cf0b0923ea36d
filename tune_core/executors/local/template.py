"""A process that has imported what trials need, has run nothing of the user's, and forks itself into fresh workers.

It outlives a run, so that the next one finds its libraries loaded. Since it runs no code of the user's, what a worker
finds is what it would find in a process of its own, but for the time that imports take: the driver starts another
template where module path, working directory or environment differ, and a template whose libraries have changed on
disk starts over before it forks again.

Only libraries that are known to bear a fork after they were imported are imported here (see ``FORKABLE``); all else,
above all modules of the user's own, is imported by each worker.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import os
import random
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from tune_core.core.values import Message
from tune_core.executors.local import process, wire
from tune_core.executors.local.bootstrap import bootstrap
from tune_core.executors.local.libraries import OURS, library_folders
from tune_core.executors.local.output import redirect
from tune_core.executors.worker.system import has_children, is_readable, kill_group_at_hangup

_OTHERS = (
    "numpy",
    "scipy",
    "sklearn",
    "pandas",
    "joblib",
    "threadpoolctl",
    "xgboost",
    "lightgbm",
    "torch",
    "imblearn",
    "optuna",
)
FORKABLE = frozenset((*OURS, *_OTHERS, "cloudpickle", "msgspec"))
_LOOK_S = 1.0
_MOST_NAMES = 2000


def main(control_fd: int, lifeline_fd: int, path_fd: int, idle_s: int) -> None:
    """Serve the driver at the other end of ``control_fd``; leave when it has gone, or after ``idle_s`` without work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kill_group_at_hangup(lifeline_fd)
    for descriptor in (control_fd, lifeline_fd, path_fd):
        os.set_inheritable(descriptor, False)
    driver = os.getppid()
    control = socket.socket(fileno=control_fd)
    learned, teach = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in (learned, teach):
        end.setblocking(False)
    loaded: dict[str, tuple[int, int, int]] = {}
    ended: dict[int, int] = {}  # workers that have left, nobody having asked for that yet
    began = used_at = time.time()
    while True:
        if not is_readable(control.fileno(), _LOOK_S):
            _collect(ended)
            if os.getppid() != driver or (time.time() - used_at > idle_s and not has_children()):
                return
            continue
        if _changed(loaded, began):
            _start_over(control_fd, lifeline_fd, path_fd, idle_s)
        message, descriptors = wire.receive(control)
        if message is None:
            return
        used_at = time.time()
        if message[0] in ("fork", "age") and (preload([*_modules_in(message), *_heard(learned)]) or not loaded):
            loaded.update(_stamps())
            gc.collect()
            gc.freeze()  # what workers share with this process stays shared
        if message[0] == "fork":
            wire.send(control, ((_fork(control, learned, teach, descriptors, message[1]), began),))
        elif message[0] == "age":
            wire.send(control, (began,))
        elif message[0] == "wait":
            wire.send(control, (_wait(message[1], message[2], ended),))
        for descriptor in descriptors:
            os.close(descriptor)


# --- what is loaded, and whether it is still what lies on disk --------------------------------------------------------


def preload(names: Iterable[str]) -> bool:
    """Import those of these modules that are libraries' and bear a fork; whether there were any new ones.

    One that cannot be imported is left to the workers.
    """
    before = len(sys.modules)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            if name not in sys.modules and name.partition(".")[0] in FORKABLE and _is_installed(name.partition(".")[0]):
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
        _look_up_plugins()
    return len(sys.modules) > before


def _look_up_plugins() -> None:
    """Have narwhals, by which scikit-learn looks at data, read the installed packages' entry points once, and here."""
    dependencies: Any = sys.modules.get("narwhals.dependencies")
    if dependencies is not None:
        with contextlib.suppress(Exception):
            dependencies.is_into_dataframe(None)


def _is_installed(root: str) -> bool:
    """Whether a package is an installed one, and not one of the same name in a folder of the user's."""
    if root in OURS:
        return True
    try:
        spec = importlib.util.find_spec(root)
    except (ImportError, ValueError):  # not importable here, so it is not preloaded
        return False
    origin = os.path.realpath(spec.origin) if spec is not None and spec.origin else ""
    return origin.startswith(library_folders())


def _stamps() -> dict[str, tuple[int, int, int]]:
    """What the files of all loaded modules look like."""
    return {file: stamp for file in _files() if (stamp := _stamp(file)) is not None}


def _files() -> set[str]:
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return {file for file in files if isinstance(file, str)}


def _stamp(file: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)
    except OSError:  # gone: differs from every stamp of a file
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _changed(loaded: Mapping[str, tuple[int, int, int]], began: float) -> bool:
    """Whether a loaded module's file is another one by now, or was written since this process began."""
    for file, before in loaded.items():
        now = _stamp(file)
        if now != before or now[0] > began * 1e9:
            return True
    return False


def _start_over(*arguments: int) -> NoReturn:
    """Become a fresh interpreter in the same process; what the driver has sent meanwhile waits in the connection."""
    for descriptor in arguments[:3]:
        os.set_inheritable(descriptor, True)
    command = [
        sys.executable,
        "-c",
        bootstrap("tune_core.executors.local.template"),
        *map(str, (arguments[2], *arguments)),
    ]
    os.execv(sys.executable, command)


# --- workers ----------------------------------------------------------------------------------------------------------


def _fork(
    control: socket.socket, learned: socket.socket, teach: socket.socket, descriptors: list[int], changes: Any
) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads; ours are none of Python's
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        control.close()
        learned.close()
        link, lifeline, output = descriptors
        redirect(output)
        os.environ.update(changes)
        _reseed()
        known = set(sys.modules)

        def rested() -> None:
            _teach(teach, known)
            known.update(sys.modules)
            _reseed()

        process.main(link, lifeline, output, rested)
        _teach(teach, known)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        process.leave(code)


def _reseed() -> None:
    """Give this process chance of its own."""
    random.seed()
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()


def _teach(teach: socket.socket, known: set[str]) -> None:
    """Tell the template which libraries this worker had to import itself, so that the next need not."""
    names = [name for name in sys.modules if name not in known and name.partition(".")[0] in FORKABLE]
    with contextlib.suppress(OSError):
        teach.send("\n".join(names[:_MOST_NAMES]).encode())


def _modules_in(message: Message) -> list[str]:
    return list(message[2]) if message[0] == "fork" else []


def _heard(learned: socket.socket) -> list[str]:
    names: list[str] = []
    with contextlib.suppress(OSError):
        while True:
            names += learned.recv(1 << 18).decode().split("\n")
    return names


def _collect(ended: dict[int, int]) -> None:
    """Take note of workers that have ended by themselves."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = os.waitstatus_to_exitcode(found[1])


def _wait(pid: int, timeout_s: float, collected: dict[int, int]) -> int | None:
    """How a worker has ended, as ``subprocess`` puts it; None if it runs."""
    deadline = time.monotonic() + timeout_s
    while True:
        if pid in collected:
            return collected.pop(pid)
        try:
            ended, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # collected elsewhere: its status is lost
            return -signal.SIGKILL
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.002)
