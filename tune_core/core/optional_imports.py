"""Import an optional library when it is needed, or say what brings it."""

from __future__ import annotations

import importlib
from typing import Any

from tune_core.errors import MissingDependencyError


def require(wanted: str, module: str, extra: str) -> Any:
    """The imported ``module``.

    Parameters
    ----------
    wanted
        What needs it, for the error.
    module
        Name of the module; may have dots.
    extra
        The extra of tune-core that installs it.

    Raises
    ------
    MissingDependencyError
        If it is not installed. An installed library that fails to import raises its own error.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingDependencyError(wanted, package, extra) from error
