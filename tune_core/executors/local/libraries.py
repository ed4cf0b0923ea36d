"""Which packages are ours, and where installed ones lie: looked at by the driver and by templates."""

from __future__ import annotations

import functools
import os
import site
import sysconfig

OURS = ("tune_core", "tune_sklearn", "tune_xgboost", "tune_lightgbm", "tune_optuna")
"""Packages of this distribution that workers load, wherever it lies."""


@functools.cache
def library_folders() -> tuple[str, ...]:
    """The folders of installed packages, each with a separator at its end."""
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return tuple(os.path.realpath(folder) + os.sep for folder in folders)
