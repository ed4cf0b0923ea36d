"""A temporary folder that goes when its process does, however that ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile

_REAP = 'exec 3<&0; (cat <&3 >/dev/null; rm -rf -- "$1") </dev/null >/dev/null 2>&1 &'


class Scratch:
    """A folder that a small process removes as soon as this one has ended, if it has not done so itself.

    The small process has a session of its own and is no child of this one: it outlives what ends a worker's children.
    It also removes the folder when nobody has this object any more.

    Parameters
    ----------
    name
        What the folder's name begins with.
    within
        Where it is made; None: the system's temporary folder.
    """

    def __init__(self, name: str, within: str | None = None) -> None:
        self.path = tempfile.mkdtemp(prefix=f"{name}-", dir=within)
        try:
            self._lifeline: subprocess.Popen[bytes] | None = subprocess.Popen(
                ["/bin/sh", "-c", _REAP, "tune-core", self.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:  # no shell here, or no process more: only an end by force leaves the folder
            self._lifeline = None
        else:
            self._lifeline.wait()  # the shell; what it left in the background waits for our end of the pipe to close
        self._owner = os.getpid()

    def remove(self) -> None:
        """Remove the folder now."""
        if os.getpid() != self._owner:  # a forked child has a copy of this object
            return
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lifeline is not None and self._lifeline.stdin is not None:
            self._lifeline.stdin.close()
