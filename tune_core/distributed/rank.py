"""What one rank does, in a process of its own or in a Ray actor: take its place, train, say how it ended."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tune_core.core.values import Config
from tune_core.errors import FatalError, InvalidArgumentError
from tune_core.executors.worker.worker import describe
from tune_core.trainable import session as user_session
from tune_core.trainable.protocol import NothingLeft, StopTrial
from tune_core.trainable.session_remote import RemoteSession, connect


class Outcome(NamedTuple):
    """How a rank has ended."""

    how: str  # "returned", "stopped", "raised", "died", or "lost" with its machine
    value: Any = None  # what the function returned
    error: str = ""  # what went wrong, with its traceback
    fatal: Exception | None = None  # an error that ends the whole run
    at: float = 0.0  # seconds since the epoch


class RankSession(RemoteSession):
    """The trial's session as a rank has it: functions for its end are the rank's own."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self.end_functions: list[Callable[[], None]] = []

    def at_end(self, function: Callable[[], None]) -> None:
        """Call ``function`` in this process when the rank has trained."""
        self.end_functions.append(function)

    def write(self, text: str) -> None:
        """Have text printed into the trial's log."""
        self._call("write", text)


def run(train: Callable[..., Any], config: Config, address: str, place: Mapping[str, str]) -> Outcome:
    """Run the function as the rank that ``place`` names.

    Parameters
    ----------
    train
        The function, called with the configuration.
    config
        The trial's configuration.
    address
        Where the rank's view of the session is served.
    place
        The rank's environment variables.
    """
    os.environ.update(place)
    session = connect(address, RankSession)
    if session is None:
        return Outcome("stopped", at=time.time())
    user_session.adopt(session, address)
    how, value = "returned", None
    try:
        try:
            value = train(config)
        except NothingLeft:
            pass
        except StopTrial:
            how = "stopped"
        while session.end_functions:
            session.end_functions.pop()()
        _check(value, int(place["RANK"]))
    except StopTrial:
        how = "stopped"
    except FatalError as error:
        return Outcome("raised", error=str(error), fatal=error, at=time.time())
    except SystemExit as error:
        return Outcome("raised", error=f"it called sys.exit({error.code!r})", at=time.time())
    except BaseException as error:
        return Outcome("raised", error=describe(error), at=time.time())
    return Outcome(how, value, at=time.time())


def _check(value: object, rank: int) -> None:
    """A value that rank zero returns is a result, and must get to the trial's process."""
    if rank != 0 or value is None:
        return
    try:
        pickle.dumps(value)
    except Exception as error:
        raise InvalidArgumentError(
            "The function of with_workers",
            f"returned {value!r}, which cannot be pickled: {error}",
            "what rank zero returns is the trial's last result",
            "Return a dict of metrics, a number, or nothing.",
        ) from error


# --- in a process of its own ------------------------------------------------------------------------------------------


def main(payload_fd: int, outcome_fd: int, lifeline_fd: int) -> None:
    """Run one rank: what to do lies in ``payload_fd``, how it ended goes into ``outcome_fd``.

    The process and its children die when the other end of ``lifeline_fd`` closes.
    """
    from tune_core.executors.local import definitions
    from tune_core.executors.worker import payload
    from tune_core.executors.worker.system import is_readable, kill_group_at_hangup

    kill_group_at_hangup(lifeline_fd)
    for descriptor in (payload_fd, outcome_fd, lifeline_fd):
        os.set_inheritable(descriptor, False)

    def watch() -> None:
        while not is_readable(lifeline_fd, 1.0):
            pass
        os._exit(1)

    threading.Thread(target=watch, name="tune-core-lifeline", daemon=True).start()
    address = os.environ[user_session.SHARED]
    try:
        (train, config), found = payload.load(payload_fd)
        definitions.publish(found)
    except BaseException as error:
        outcome = Outcome("raised", error=f"the function could not be loaded: {describe(error)}", at=time.time())
    else:
        outcome = run(train, config, address, os.environ)
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(outcome_fd, pickle.dumps(outcome))
    definitions.remove(os.getpid())
