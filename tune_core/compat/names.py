"""The one table of import paths that have no file: where a name is found that another path is known by.

An import of ``tune_core.X`` that no file answers is looked up in :data:`MODULES` (:class:`tune_core._OtherPaths` asks
:func:`find_spec`). A string means that the two paths are one module; a dict, that the path has these names, each from
the module given. A package that has a file and names in the table asks :func:`forward` for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MODULES: dict[str, str | dict[str, str]] = {
    "analysis": "results.analysis",
    "gpu": "trainable.gpu",
    "progress": "display.progress",
    "resources": "trainable.resources",
    "session": "trainable.session",
    "trial": "core.trial",
    "executors.local": {"LocalExecutor": "executors.local.executor"},
    "executors.ray": {"RayExecutor": "executors.ray.executor"},
}
"""By module path below ``tune_core``: the module that it is, or its names and the modules that have them."""


class _Loader:
    """Makes the module of an entry of the table."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """None: an ordinary empty module."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module, or put the one that it is in its place."""
        entry = MODULES[module.__name__.partition(".")[2]]
        if isinstance(entry, str):
            sys.modules[module.__name__] = import_module(f"tune_core.{entry}")
        else:
            module.__dict__.update(__getattr__=forward(module.__name__), __all__=sorted(entry))


def find_spec(name: str) -> ModuleSpec | None:
    """The spec of a module of the table; None for any other."""
    path = name.partition(".")[2]
    if path in MODULES:
        return ModuleSpec(name, _Loader(), is_package=isinstance(MODULES[path], dict))  # type: ignore[arg-type]
    return None


def forward(module: str) -> Callable[[str], Any]:
    """A module's ``__getattr__`` that fetches the names which the table gives it."""
    entry = MODULES[module.partition(".")[2]]
    assert isinstance(entry, Mapping), module

    def fetch(name: str) -> Any:
        if name not in entry:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        value = getattr(import_module(f"tune_core.{entry[name]}"), name)
        setattr(sys.modules[module], name, value)
        return value

    return fetch
