"""Makes imports find what :mod:`tune_core.compat.names` lists: the importer behind paths that have no file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from tune_core.compat.names import ABSENT, ADDED, CONSTANTS, INTEGRATIONS, MODULES, OTHERS_OF_TRAIN

ROOT = "tune_core"


class _Loader:
    """Makes the module of an entry of the table."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """None: an ordinary empty module."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module, or put the one that it is in its place."""
        path = module.__name__.partition(".")[2]
        entry = MODULES[path]
        if isinstance(entry, str):
            sys.modules[module.__name__] = import_module(f"{ROOT}.{entry}")
        else:
            module.__doc__ = f"Ray Tune's names under this path; each is defined elsewhere in {ROOT}."
            module.__dict__.update(__getattr__=getter(module), __all__=sorted(names_of(path)))


def find_spec(name: str, search: Callable[[], ModuleSpec | None]) -> ModuleSpec | None:
    """The spec of a module: its file's (which ``search`` finds), made to know its added names, or the table's.

    Raises
    ------
    ImportError
        If the table says that there is no counterpart.
    """
    path = name.partition(".")[2]
    found = search()
    if found is not None:
        if found.loader is not None and path in _extended():
            _extend(found)
        return found
    if path in MODULES:
        return ModuleSpec(name, _Loader(), is_package=True)  # type: ignore[arg-type]
    reason = _absence(path)
    if reason is not None:
        raise ImportError(f"{name} has no counterpart here: {reason}", name=name)
    return None


def names_of(path: str) -> dict[str, tuple[str, str]]:
    """The names that the table gives a module: by name, the module that defines it and its name there."""
    entry = MODULES.get(path, {})
    return _read(frozenset({**(entry if isinstance(entry, dict) else {}), **ADDED.get(path, {})}.items()))


@cache
def _read(homes: frozenset[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for home, names in homes:
        for item in names.split():
            name, _, attribute = item.partition("=")
            found[name] = (home if home in INTEGRATIONS else f"{ROOT}.{home}", attribute or name)
    return found


def fetch(module: str, name: str) -> Any:
    """A name that the table gives a module.

    Raises
    ------
    ImportError
        If the table says that it has no counterpart.
    AttributeError
        If the table does not know it.
    """
    path = module.partition(".")[2]
    found = names_of(path).get(name)
    if found is not None:
        try:
            return getattr(import_module(found[0]), found[1])
        except AttributeError:
            pass  # the table has a reason for it below
        except ModuleNotFoundError as error:
            if error.name != found[0]:
                raise
    key = f"{path or ROOT}:{name}"
    reason = ABSENT.get(key) or (OTHERS_OF_TRAIN if path == "train" and not name.startswith("_") else None)
    if reason is not None:
        raise ImportError(f"{module}.{name} has no counterpart here: {reason}", name=f"{module}.{name}")
    if found is not None:
        return getattr(import_module(found[0]), found[1])  # its own error says most
    for home in CONSTANTS if name.isupper() and path else ():
        constants = import_module(f"{ROOT}.{home}")
        if hasattr(constants, name):
            return getattr(constants, name)
    raise AttributeError(f"module {module!r} has no attribute {name!r}")


def getter(module: ModuleType) -> Callable[[str], Any]:
    """A module's ``__getattr__``, which asks its own one first if it has one."""
    own: Callable[[str], Any] | None = vars(module).get("__getattr__")

    def get(name: str) -> Any:
        if own is not None:
            try:
                return own(name)
            except AttributeError:
                pass
        if name.startswith("__"):
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        value = fetch(module.__name__, name)
        setattr(module, name, value)
        return value

    return get


def _extend(spec: ModuleSpec) -> None:
    """Let a module that has a file know its added names, and be a package where the table puts modules below it."""
    loader: Any = spec.loader
    execute = loader.exec_module

    def execute_and_add(module: ModuleType) -> None:
        execute(module)
        module.__dict__["__getattr__"] = getter(module)
        if not hasattr(module, "__path__"):
            module.__path__ = []

    loader.exec_module = execute_and_add


@cache
def _extended() -> frozenset[str]:
    """Modules about which the table knows something that their files, if they have one, do not say."""
    parents = {other.rpartition(".")[0] for other in MODULES}
    aliased = {entry for entry in MODULES.values() if isinstance(entry, str)}
    return frozenset({*ADDED, *parents, *aliased, *(key.partition(":")[0] for key in ABSENT)})


def _absence(path: str) -> str | None:
    """Why a module has no counterpart; a reason also holds for all that is below it."""
    while path:
        if path in ABSENT:
            return ABSENT[path]
        path = path.rpartition(".")[0]
    return None
