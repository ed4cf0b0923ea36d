"""Ranks as child processes of the trial's own process."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from tune_core.core.values import Config
from tune_core.distributed.members import write_output
from tune_core.distributed.rank import Outcome
from tune_core.errors import ExecutorError
from tune_core.executors.local.bootstrap import bootstrap
from tune_core.executors.worker import payload
from tune_core.executors.worker.system import nameless_file

_TERM_S = 2.0


class RankProcess:
    """One rank in a process of its own, in a process group of its own.

    Parameters
    ----------
    rank
        The rank.
    work
        A file with the function and the configuration, as :func:`tune_core.executors.worker.payload.dump` wrote it.
    path
        A file with the module path.
    environment
        The rank's environment variables.
    ended
        Called with the rank and its outcome, once, in a thread.
    """

    def __init__(
        self,
        rank: int,
        work: int,
        path: int,
        environment: Mapping[str, str],
        ended: Callable[[int, Outcome], None],
    ) -> None:
        self.rank = rank
        self._ended = ended
        self._outcome = nameless_file("tune-core-outcome")
        held, self._lifeline = os.pipe()
        os.set_inheritable(self._lifeline, False)
        descriptors = (work, self._outcome, held)
        program = bootstrap("tune_core.distributed.rank")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", program, *map(str, (path, *descriptors))],
                env={**os.environ, **environment},
                pass_fds=(path, *descriptors),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            os.close(self._lifeline)
            os.close(self._outcome)
            raise ExecutorError(f"The process of rank {rank}", "could not be started", str(error)) from error
        finally:
            os.close(held)
        self._reader = threading.Thread(target=self._read, name=f"tune-core-rank-{rank}", daemon=True)
        self._reader.start()
        threading.Thread(target=self._wait, name=f"tune-core-rank-{rank}-end", daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError, OSError):
            for line in self._process.stdout:
                write_output(self.rank, line)

    def _wait(self) -> None:
        code = self._process.wait()
        at = time.time()
        self._reader.join(0.5)  # a process that it left behind may hold the pipe
        data = os.pread(self._outcome, os.fstat(self._outcome).st_size, 0)
        outcome: Outcome
        try:
            outcome = pickle.loads(data)
        except Exception as error:
            outcome = _died(code, at, f"its outcome cannot be read ({type(error).__name__}: {error})" if data else "")
        self._ended(self.rank, outcome)

    def end(self) -> None:
        """End it and the processes that it has started: asked first, then made to."""
        with contextlib.suppress(OSError):
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_TERM_S)
        with contextlib.suppress(OSError):  # the group may outlive its leader
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Give up what was needed for it, once it has ended."""
        os.close(self._lifeline)
        self._reader.join(1.0)
        os.close(self._outcome)


def _died(code: int, at: float, why: str) -> Outcome:
    if code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            hint = " (often: out of memory)" if name == "SIGKILL" else ""
            return Outcome("died", error=f"was ended by {name}{hint}", at=at)
    return Outcome("died", error=f"ended with exit code {code} and {why or 'said nothing'}", at=at)


def work_of(train: Any, config: Config, name: str) -> int:
    """A file with what ranks are to do, for :class:`RankProcess`."""
    return payload.dump((train, config), name).handle
