"""Which callbacks a run gets beside the user's own: those that a setting or an environment variable asks for.

Most runs get none, and load none of them.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from tune_core.core.environment import flag
from tune_core.errors import InvalidArgumentError


def further_callbacks(ray_files: bool | None, log_to_file: Any = False, policies: bool = False) -> list[Any]:
    """Callbacks that a setting or an environment variable adds to a run.

    Raises
    ------
    InvalidArgumentError
        If ``$RAY_TUNE_CALLBACKS`` names a class that cannot be imported.
    """
    added: list[Any] = []
    if log_to_file:
        names = ("stdout", "stderr") if log_to_file is True else log_to_file
        from tune_core.compat.ray_files import OutputLinks

        added.append(OutputLinks([names] if isinstance(names, str) else list(names)))
    wanted = ray_files if ray_files is not None else flag("TUNE_CORE_RAY_FILES")
    if wanted and not flag("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"):
        from tune_core.compat.ray_files import default_loggers

        added.append(default_loggers())
    if policies:
        from tune_core.compat.ray_files import PolicyFiles

        added.append(PolicyFiles())
    if flag("TUNE_PRINT_ALL_TRIAL_ERRORS"):
        from tune_core.compat.ray_files import PrintErrors

        added.append(PrintErrors())
    for path in filter(None, os.environ.get("RAY_TUNE_CALLBACKS", "").split(",")):
        module, _, name = path.strip().rpartition(".")
        try:
            added.append(getattr(import_module(module), name)())
        except (ImportError, AttributeError, ValueError) as error:
            raise InvalidArgumentError(
                "The environment variable RAY_TUNE_CALLBACKS",
                f"holds {path!r}",
                f"{type(error).__name__}: {error}",
                "It is a list of classes' import paths, joined by commas.",
            ) from error
    return added
