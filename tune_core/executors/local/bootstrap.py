"""How a fresh interpreter is told what to do: all that the driver needs to know of its processes' own code."""

from __future__ import annotations

FROZEN = "TUNE_CORE_WORKER"
"""Environment variable that makes a frozen program, which can run no other script, serve as a worker."""


def bootstrap(module: str) -> str:
    """A program for a fresh interpreter: take over this process's module path, then run ``main`` of a module.

    Its arguments are descriptors: of a file with the module path, then those for ``main``.
    """
    return (
        "import os,sys;f=int(sys.argv[1]);"
        "sys.path[:]=os.pread(f,os.fstat(f).st_size,0).decode('utf-8','surrogateescape').split('\\0');"
        f"from {module} import main;main(*map(int,sys.argv[2:]))"
    )
