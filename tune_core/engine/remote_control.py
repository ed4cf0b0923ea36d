"""Commands to a running experiment from outside: a file in its folder that the driver reads, if the run allows it.

``RunConfig(control=True)`` allows it. Whoever may write to the folder may send: ``tune-core dashboard --control`` does,
when somebody presses a button. Every command that is carried out is an event of the journal.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Iterator

from tune_core.core.values import JsonObject

logger = logging.getLogger(__name__)

COMMANDS_FILE = "commands.jsonl"
MAX_LINE = 4096
DO = ("stop", "stop_run", "hold", "resume", "time_budget")


def checked(command: object) -> dict[str, object]:
    """A command with only what it needs.

    Raises
    ------
    ValueError
        If it is none; says why.
    """
    if not isinstance(command, dict) or command.get("do") not in DO:
        raise ValueError(f"a command's 'do' is one of {', '.join(DO)}")
    do = command["do"]
    if do == "stop":
        trial = command.get("trial")
        if isinstance(trial, bool) or not isinstance(trial, int) or trial < 0:
            raise ValueError("'trial' is the index of a trial")
        return {"do": do, "trial": trial}
    if do == "time_budget":
        seconds = command.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < math.inf:
            raise ValueError("'seconds' is a number above 0")
        return {"do": do, "seconds": seconds}
    return {"do": do}


def send_command(folder: str, command: object) -> None:
    """Append a command to an experiment's file.

    Raises
    ------
    ValueError
        If it is no command.
    """
    line = json.dumps(checked(command)).encode() + b"\n"
    path = os.path.join(folder, COMMANDS_FILE)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        os.write(file, line)
    finally:
        os.close(file)


class RemoteControl:
    """Reads the commands that come while a run goes on; those from before it are left out.

    Parameters
    ----------
    folder
        The experiment's folder.
    """

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, COMMANDS_FILE)
        self._at = os.path.getsize(self._path) if os.path.exists(self._path) else 0

    def read(self, note: Callable[[str], None]) -> Iterator[JsonObject]:
        """What has come since the last time; what is no command is noted and left out."""
        try:
            if os.path.getsize(self._path) <= self._at:
                return
            with open(self._path, "rb") as file:
                file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return
        except OSError as error:
            logger.warning("Commands from outside cannot be read: %s", error)
            return
        whole = data.rfind(b"\n") + 1
        self._at += whole
        for line in data[:whole].splitlines():
            try:
                yield checked(json.loads(line[:MAX_LINE]))
            except ValueError as error:
                note(f"a command from outside was not understood: {error}")
