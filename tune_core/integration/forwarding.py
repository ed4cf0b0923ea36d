"""What the modules under Ray Tune's import paths are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def forward(package: str) -> Callable[[str], Any]:
    """A module's ``__getattr__`` that looks names up in another package, imported when it is needed.

    Parameters
    ----------
    package
        Name of the integration that has what is looked up.
    """

    def find(name: str) -> Any:
        import importlib

        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(importlib.import_module(package), name)

    return find
