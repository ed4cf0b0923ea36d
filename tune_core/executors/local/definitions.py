"""The script's own functions and classes in a worker's ``__main__``, where processes that a trial starts look for them.

Forked processes find them there. Spawned ones import what ``__main__.__file__`` names under the name ``__mp_main__``:
in place of the user's script, which would run again, that is a small file which loads the same definitions. It is
written when somebody asks for its name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
import types
from collections.abc import Mapping

_STUB = """\
import os, sys
with open(os.path.join(os.path.dirname(__file__), "definitions"), "rb") as file:
    import cloudpickle
    globals().update(cloudpickle.load(file))
"""


class _Main(types.ModuleType):
    """A ``__main__`` whose file comes into being when it is asked for."""

    @property
    def __file__(self) -> str:  # type: ignore[override]
        if "_tune_core_folder" not in self.__dict__:
            self.__dict__["_tune_core_folder"] = self._write()
        return os.path.join(self.__dict__["_tune_core_folder"], "main.py")

    def _write(self) -> str:
        """Write the definitions into a folder of this process's."""
        import cloudpickle

        folder: str = self.__dict__["_tune_core_writes_to"]
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:  # somebody else's
            folder = tempfile.mkdtemp(prefix=os.path.basename(folder))

        kept = {}
        for name in self.__dict__["_tune_core_names"]:
            with contextlib.suppress(Exception):
                cloudpickle.dumps(self.__dict__[name])
                kept[name] = self.__dict__[name]
        with open(os.path.join(folder, "definitions"), "wb") as file:
            cloudpickle.dump(kept, file)
        with open(os.path.join(folder, "main.py"), "w", encoding="utf-8") as file:
            file.write(_STUB)
        return folder


def publish(definitions: Mapping[str, object], folder: str | None = None) -> None:
    """Put definitions of the script into this process's ``__main__``.

    Parameters
    ----------
    definitions
        Functions and classes, by their names.
    folder
        Where they are written to when a spawned process is to find them, and who gave it removes it; None: a folder of
        this process's, for :func:`remove`.
    """
    if not definitions:
        return
    if folder is None:
        folder = _folder_of(os.getpid())
        remove(os.getpid())
    main = sys.modules["__main__"]
    main.__dict__.update(definitions)
    main.__dict__.pop("__file__", None)
    main.__dict__["__spec__"] = None
    main.__dict__["_tune_core_names"] = list(definitions)
    main.__dict__["_tune_core_writes_to"] = folder
    sys.modules.setdefault("__mp_main__", main)  # what a spawned process calls its main module
    main.__class__ = _Main


def renew(definitions: Mapping[str, object]) -> None:
    """Put the same definitions, which were loaded once more, in the place of those that were published."""
    sys.modules["__main__"].__dict__.update(definitions)


def _folder_of(pid: int) -> str:
    return os.path.join(tempfile.gettempdir(), f"tune-core-main-{pid}")


def remove(pid: int) -> None:
    """Remove what the worker ``pid`` may have written."""
    folder = _folder_of(pid)
    with contextlib.suppress(OSError):
        found = os.lstat(folder)
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)
