"""What a storage path names: a folder of this machine, or a store."""

from __future__ import annotations

import os
import re

_URL = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+)://")  # two letters or more: C:\ is a path


def is_remote(path: str) -> bool:
    """Whether a path is the URL of a store other than this machine's file system."""
    scheme = _URL.match(path)
    return scheme is not None and scheme[1].lower() not in ("file", "local")


def local_path(storage_path: str | os.PathLike[str]) -> str | None:
    """The absolute path that a plain path or a ``file://`` URL names; None for other stores."""
    path = os.fspath(storage_path)
    if is_remote(path):
        return None
    scheme = _URL.match(path)
    return os.path.abspath(path[scheme.end() :] if scheme else os.path.expanduser(path))


def default_storage_path() -> str:
    """``TUNE_CORE_STORAGE`` or one of Ray Tune's variables for it, if they are set, otherwise ``~/tune_results``."""
    variable = default_storage_variable()
    return os.environ[variable] if variable else os.path.expanduser("~/tune_results")


def default_storage_variable() -> str:
    """The environment variable that names the default folder of experiments; empty if none does."""
    variables = ("TUNE_CORE_STORAGE", "RAY_AIR_LOCAL_CACHE_DIR", "TUNE_RESULT_DIR")
    return next((variable for variable in variables if os.environ.get(variable)), "")
