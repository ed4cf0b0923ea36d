"""What a process is to a trial, put back before the next one: folder, environment, module path, streams, children."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

from tune_core.executors.worker.system import children_of, has_children

ORIGINAL_FOLDER = "TUNE_ORIG_WORKING_DIR"
"""Environment variable with the folder in which the run was started (the name is Ray Tune's)."""

_LONG_AGO_NS = 10**9
_SIGNALS = tuple(
    int(getattr(signal, name))
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM")
    if hasattr(signal, name)
)
_handler_of = getattr(
    sys.modules.get("_signal"), "getsignal", signal.getsignal
)  # the former makes no enum of its answer
_TERM_S = 0.5
_KILL_S = 5.0
_log = logging.getLogger(__name__)


class Surroundings:
    """The state of a worker process that one trial must not hand on to the next.

    Parameters
    ----------
    chdir
        Whether each trial's folder is its working directory.
    owns_process
        Whether the process runs nothing but trials. In the driver's own, children are the driver's.
    hands_on
        Whether the folder of a trial that has ended for good, and left nothing in it, becomes the next one's:
        renaming a folder is cheaper than making one, and each of many short trials has one.
    """

    def __init__(self, chdir: bool, owns_process: bool = True, hands_on: bool = False) -> None:
        self._chdir = chdir
        self._owns_process = owns_process
        self._hands_on = hands_on
        self._folder: str | None = None  # of the present trial, if it may become the next one's
        self._made: tuple[int, ...] = ()  # what is known of that folder as long as nothing was done to it
        self._spare: str | None = None  # the folder of the last trial, if that has ended for good
        self._home = _current_folder()
        if chdir:
            os.environ[ORIGINAL_FOLDER] = self._home
        self._environment = dict(_raw_of(os.environ))
        self._path = list(sys.path)
        self._streams = (sys.stdin, sys.stdout, sys.stderr)
        if owns_process:
            os.umask(umask := os.umask(0o077))
            self._umask = umask
            self._signals = [(number, _handler_of(number)) for number in _SIGNALS]
            self._logging = _LoggingState()

    def enter(self, folder: str) -> None:
        """A trial begins; ``folder`` is its own.

        Raises
        ------
        OSError
            If the folder cannot be made.
        """
        if not self._chdir:
            return
        spare, self._spare = self._spare, None
        if spare is not None and self._hand_on(spare, folder):
            self._folder = folder
        elif self._make(folder) and self._hands_on:
            self._made = _made_recognisable(folder)
            self._folder = folder if self._made else None
        else:
            self._folder = None
        os.chdir(folder)

    def _make(self, folder: str) -> bool:
        """Make a trial's folder; False if it was there."""
        try:
            os.mkdir(folder)
        except FileExistsError:
            return False
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)
        return True

    def _hand_on(self, spare: str, folder: str) -> bool:
        """Let an empty folder be ``folder`` from now on; False if it is not as it was made, or that is there."""
        try:
            if _facts(os.lstat(spare)) != self._made:
                return False
            os.rename(spare, folder)
        except OSError:  # gone, or there is one with something in it
            return False
        return True

    def leave(self, is_final: bool = False) -> None:
        """A trial is over: undo what it has changed, and end the processes that it has left behind.

        ``is_final``: it will not be run again.
        """
        if is_final:
            self._spare = self._folder
        if self._owns_process and has_children():
            end_children()
        if _raw_of(os.environ) != self._environment:
            _restore_environment(self._environment)
        if sys.path != self._path:
            sys.path[:] = self._path
        if self._owns_process:
            sys.stdin, sys.stdout, sys.stderr = self._streams
            signal.alarm(0)
            os.umask(self._umask)
            for number, handler in self._signals:
                if _handler_of(number) != handler:
                    with contextlib.suppress(ValueError, TypeError):  # not in the main thread, or not set by Python
                        signal.signal(number, handler)
            self._logging.put_back()
        if self._chdir or _current_folder() != self._home:
            try:
                os.chdir(self._home)
            except OSError:  # it was deleted
                return


class _LoggingState:
    """How ``logging`` is set: a file that one trial logs to is not the next one's."""

    def __init__(self) -> None:
        root = logging.root
        self._handlers = list(root.handlers)
        self._levels = (root.level, root.manager.disable)
        self._number = _number_of_handlers()

    def put_back(self) -> None:
        root = logging.root
        if (root.level, root.manager.disable) != self._levels:
            root.setLevel(self._levels[0])
            logging.disable(self._levels[1])
        if _number_of_handlers() == self._number and root.handlers == self._handlers:
            return
        folder = os.path.join(_current_folder(), "")
        for logger in [root, *root.manager.loggerDict.values()]:
            for handler in list(getattr(logger, "handlers", ())):
                is_file = isinstance(handler, logging.FileHandler) and handler.baseFilename.startswith(folder)
                if handler not in self._handlers and (is_file or logger is root):  # others are libraries' own
                    logger.removeHandler(handler)  # type: ignore[union-attr]
                    with contextlib.suppress(Exception):
                        handler.close()
        for handler in self._handlers:
            root.addHandler(handler)
        self._number = _number_of_handlers()


def _number_of_handlers() -> int:
    """How many handlers there are, of any logger; looking at each logger takes longer."""
    return len(getattr(logging, "_handlerList", ()))


def _facts(folder: os.stat_result) -> tuple[int, ...]:
    """What tells whether a folder is the same and as it was: whatever is made in it changes its time."""
    return folder.st_mtime_ns, folder.st_ino, folder.st_dev, folder.st_mode, folder.st_uid, folder.st_gid


def _made_recognisable(folder: str) -> tuple[int, ...]:
    """Give a new folder a time of change that no later change gives it; its facts, none if it tells no changes.

    The clock of a file system may stand still for some milliseconds, so the time at which it was made would not do.
    """
    try:
        past_ns = os.stat(folder).st_mtime_ns - _LONG_AGO_NS
        os.utime(folder, ns=(past_ns, past_ns))
        os.mkdir(f"{folder}/probe")
        os.rmdir(f"{folder}/probe")
        if os.stat(folder).st_mtime_ns == past_ns:
            return ()
        os.utime(folder, ns=(past_ns, past_ns))
        return _facts(os.stat(folder))
    except OSError:
        return ()


def _current_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return "/"


def _raw_of(environment: Any) -> dict[object, object]:
    """The environment as it is kept, not decoded: it is looked at after each trial."""
    data: dict[Any, Any] = environment._data
    return data


def _restore_environment(kept: dict[Any, Any]) -> None:
    decode = os.fsdecode
    wanted = {decode(name): decode(value) for name, value in kept.items()}
    for name in [name for name in os.environ if name not in wanted]:
        del os.environ[name]
    os.environ.update({name: value for name, value in wanted.items() if os.environ.get(name) != value})


# --- processes that a trial has left behind ---------------------------------------------------------------------------


def end_children() -> None:
    """End all processes that this one has started, but those that only keep books for it.

    First those that libraries hold, in the way that the library knows of; the rest get SIGTERM, then SIGKILL.
    """
    _end_pools()
    began = time.monotonic()
    asked: set[int] = set()
    while children := _strangers():
        age = time.monotonic() - began
        for pid in children:
            if pid not in asked or age > _TERM_S:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL if age > _TERM_S else signal.SIGTERM)
                asked.add(pid)
        if age > _KILL_S:
            _log.warning("processes %s that a trial has left behind cannot be ended", children)
            return
        time.sleep(0.005)


def _strangers() -> list[int]:
    """Children that still run, after those that have ended were waited for."""
    keep = set(_bookkeepers())
    running = []
    for pid in children_of(os.getpid()):
        if pid in keep:
            continue
        try:
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                running.append(pid)
        except ChildProcessError:  # somebody else has collected it
            continue
    return running


_TRACKERS = ("multiprocessing.resource_tracker", "joblib.externals.loky.backend.resource_tracker")
_POOLS = ("joblib.externals.loky.reusable_executor", "loky.reusable_executor")


def _bookkeepers() -> Iterator[int]:
    """Processes that only note which shared memory is to be freed; they serve all trials."""
    for name in (*_TRACKERS, "loky.backend.resource_tracker"):
        tracker = getattr(sys.modules.get(name), "_resource_tracker", None)
        pid = getattr(tracker, "_pid", None)
        if isinstance(pid, int):
            yield pid


def _end_pools() -> None:
    """Processes that libraries keep from call to call; they would keep the trial's folder and environment as well."""
    with contextlib.suppress(Exception):
        forkserver: Any = getattr(sys.modules.get("multiprocessing.forkserver"), "_forkserver", None)
        if forkserver is not None and forkserver._forkserver_pid is not None:
            os.kill(forkserver._forkserver_pid, signal.SIGKILL)  # else it waits for all that it has forked
            forkserver._stop()
    for name in _POOLS:
        with contextlib.suppress(Exception):
            pool: Any = getattr(sys.modules.get(name), "_executor", None)
            if pool is not None:
                pool.shutdown(wait=True, kill_workers=True)
    with contextlib.suppress(Exception):
        wandb: Any = sys.modules.get("wandb")
        if wandb is not None:
            wandb.teardown()
    multiprocessing: Any = sys.modules.get("multiprocessing")
    if multiprocessing is not None:
        with contextlib.suppress(Exception):
            for process in multiprocessing.active_children():
                process.terminate()
                process.join(_TERM_S)


# --- files that are looked for in the wrong folder --------------------------------------------------------------------

_QUOTED = re.compile(r"""['"]([^'"\n]{1,300})['"]""")


def hint_at_folder(error: BaseException) -> str:
    """What to say of a relative path that was not found in the trial's folder but is where the run was started."""
    home = os.environ.get(ORIGINAL_FOLDER)
    if home is None or not isinstance(error, Exception):
        return ""
    link: BaseException | None = error
    for _ in range(5):
        if link is None:
            break
        for path in _paths_in(link):
            if not os.path.isabs(path) and not os.path.exists(path) and os.path.exists(os.path.join(home, path)):
                return (
                    f"The path {path!r} is relative, and a trial's working directory is its own folder. The file is in "
                    f"{home}, where the run was started: use an absolute path, "
                    f"os.path.join(os.environ[{ORIGINAL_FOLDER!r}], {path!r}), "
                    "or TuneConfig(chdir_to_trial_dir=False)."
                )
        link = link.__cause__ or link.__context__
    return ""


def _paths_in(error: BaseException) -> Iterator[str]:
    """Paths that an error speaks of."""
    for name in (getattr(error, "filename", None), getattr(error, "filename2", None)):
        if isinstance(name, (str, bytes)) and name:
            yield os.fsdecode(name)
    if not isinstance(error, OSError) or error.errno in (None, errno.ENOENT):
        with contextlib.suppress(Exception):
            yield from _QUOTED.findall(str(error)[:5000])[:20]
