"""Reads which modules a source tree imports, without importing any of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

BLOCK_OPTIONAL = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        light = ("tune_core", "msgspec", "cloudpickle", "fsspec", "sortedcontainers")
        if top not in sys.stdlib_module_names and top not in light:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Blocker())
"""
"""The start of a program that can import nothing but the standard library, tune_core and what that always needs."""


@dataclass(frozen=True)
class Import:
    """One import: who imports what, where, and whether it runs when the importing module is imported."""

    importer: str
    imported: str
    place: str
    at_import: bool


def module_name(path: Path, base: Path) -> str:
    """Dotted name of the module in ``path``, seen from ``base``."""
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules(base: Path, folder: str = "") -> dict[str, Path]:
    """Modules under ``base / folder`` by dotted name."""
    return {module_name(path, base): path for path in sorted((base / folder).rglob("*.py"))}


def imports_of(name: str, path: Path, known: frozenset[str] = frozenset()) -> Iterator[Import]:
    """All imports in a module but those under ``if TYPE_CHECKING``.

    ``from package import x`` counts as an import of ``package.x`` where ``known`` has a module of that name.
    """
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]

    def walk(node: ast.AST, at_import: bool) -> Iterator[Import]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.orelse:
                yield from walk(child, at_import)
            return
        place = f"{path}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, alias.name, place, at_import)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                source = ".".join([*parent, source] if source else parent)
            for alias in node.names:
                full = f"{source}.{alias.name}"
                yield Import(name, full if full in known else source, place, at_import)
        for child in ast.iter_child_nodes(node):
            inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from walk(child, at_import and not inside)

    yield from walk(ast.parse(path.read_text(encoding="utf-8"), str(path)), True)


def is_under(module: str, prefix: str) -> bool:
    """Whether ``module`` is ``prefix`` or inside it."""
    return module == prefix or module.startswith(prefix + ".")
