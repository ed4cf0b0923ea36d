"""An actor's temporary folder, which goes when the actor does, however that ends."""

from __future__ import annotations

import subprocess
import tempfile

_REAP = 'exec 3<&0; (cat <&3 >/dev/null; rm -rf -- "$1") </dev/null >/dev/null 2>&1 &'


class Scratch:
    """A folder that a small process removes as soon as this one has ended, if it has not done so itself.

    The small process has a session of its own and is no child of this one: it outlives what ends a worker's children.
    It also removes the folder when nobody has this object any more.
    """

    def __init__(self, name: str) -> None:
        self.path = tempfile.mkdtemp(prefix=f"tune-core-{name}-")
        self._lifeline = subprocess.Popen(
            ["/bin/sh", "-c", _REAP, "tune-core", self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._lifeline.wait()  # the shell; what it left in the background waits for our end of the pipe to close
