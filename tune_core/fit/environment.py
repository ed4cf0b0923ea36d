"""Where and with what a run was made: what a reader needs to make it again. Looked at without importing anything."""

from __future__ import annotations

import contextlib
import os
import sys

from tune_core.core.values import JsonObject

_TOLD = (
    "numpy",
    "pandas",
    "scipy",
    "sklearn",
    "torch",
    "tensorflow",
    "keras",
    "jax",
    "xgboost",
    "lightgbm",
    "catboost",
    "lightning",
    "pytorch_lightning",
    "transformers",
    "ray",
    "optuna",
    "hyperopt",
)


def environment() -> JsonObject:
    """Python, platform, libraries that are imported by now, and the git revision of the working directory, if any."""
    found: JsonObject = {
        "python": sys.version.split()[0],
        "platform": f"{sys.platform} {os.uname().release}" if hasattr(os, "uname") else sys.platform,
        "machine": os.uname().machine if hasattr(os, "uname") else "",
        "cpus": os.cpu_count() or 0,
        "packages": {
            name: str(version)  # Torch's is of a class of its own
            for name in _TOLD
            if isinstance(version := getattr(sys.modules.get(name), "__version__", None), str)
        },
    }
    with contextlib.suppress(OSError):  # the working directory may be gone
        revision = git_revision(os.getcwd())
        if revision is not None:
            found["git"] = revision
    return found


def git_revision(folder: str) -> str | None:
    """The commit that is checked out in a folder or above it; read from git's files, without running git."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        while not os.path.exists(os.path.join(folder, ".git")):
            above = os.path.dirname(folder)
            if above == folder:
                return None
            folder = above
        git = os.path.join(folder, ".git")
        if os.path.isfile(git):  # a worktree or a submodule
            git = os.path.join(folder, _read(git).partition("gitdir: ")[2])
        head = _read(os.path.join(git, "HEAD"))
        if not head.startswith("ref: "):
            return head or None
        return _resolve(git, head.removeprefix("ref: "))
    return None


def _resolve(git: str, ref: str) -> str | None:
    common = git
    with contextlib.suppress(OSError):
        common = os.path.join(git, _read(os.path.join(git, "commondir")))
    for place in (git, common):
        with contextlib.suppress(OSError):
            return _read(os.path.join(place, ref))
    for line in _read(os.path.join(common, "packed-refs")).splitlines():
        if line.endswith(f" {ref}"):
            return line.split()[0]
    return None


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read().strip()
