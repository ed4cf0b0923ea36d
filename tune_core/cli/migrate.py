"""``tune-core migrate``: changes a script's imports from Ray Tune's to ours, and says what has no counterpart."""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tune_core.core.optional_imports import require
from tune_core.errors import InvalidArgumentError

if TYPE_CHECKING:
    import libcst

ROOTS = ("ray.tune", "ray.air", "ray.train")
"""Packages whose names are looked for here."""


@dataclass
class Remark:
    """Something that a person has to look at: a line, and what there is to know about it."""

    line: int
    text: str


@dataclass
class Migrated:
    """A script with its imports changed."""

    source: str
    remarks: list[Remark] = field(default_factory=list)


def ours(path: str) -> str:
    """Our path of a module of Ray's: ``ray.tune.search.optuna`` becomes ``tune_core.search.optuna``."""
    if path == "ray.tune" or path.startswith("ray.tune."):
        return "tune_core" + path.removeprefix("ray.tune")
    return "tune_core" + path.removeprefix("ray")


def is_rays(path: str) -> bool:
    """Whether a module is one of those that are looked for here."""
    return any(path == root or path.startswith(f"{root}.") for root in ROOTS)


def why_absent(path: str, name: str = "") -> str | None:
    """None if a module, or a name in it, can be had here; otherwise why not."""
    try:
        module = importlib.import_module(ours(path))
        if name and name != "*" and not hasattr(module, name):
            importlib.import_module(f"{ours(path)}.{name}")
    except ImportError as error:
        text = str(error)
        where = f"{path}.{name}" if name else path
        _, found, reason = text.partition("has no counterpart here: ")
        missing = error.name or ""
        if not found and not missing.startswith(("tune_core", "ray")):
            return None  # it is there; its library is not
        return f"{where} has no counterpart: {reason}" if found else f"{where} is not known here"
    return None


def migrate(source: str) -> Migrated:
    """Change the imports of a script.

    Parameters
    ----------
    source
        The script. Its formatting and comments stay as they are.

    Raises
    ------
    InvalidArgumentError
        If it is no Python.
    MissingDependencyError
        If libcst is not installed.
    """
    cst: Any = require("tune-core migrate", "libcst", "migrate")
    try:
        wrapper = cst.metadata.MetadataWrapper(cst.parse_module(source))
    except cst.ParserSyntaxError as error:
        raise InvalidArgumentError(
            "tune-core migrate", f"cannot read the script: {error.message}", "it is no Python 3", "Correct it first."
        ) from error
    remarks: list[Remark] = []
    changed = _with_roots(cst, wrapper.module, wrapper.visit(_transformer(cst, remarks)))
    return Migrated(changed.code, sorted(remarks, key=lambda remark: remark.line))


def _dotted(cst: Any, path: str) -> object:
    node: Any = cst.Name(path.partition(".")[0])
    for part in path.split(".")[1:]:
        node = cst.Attribute(node, cst.Name(part))
    return node


def _with_roots(cst: Any, before: Any, after: Any) -> Any:
    """The script with imports of ``tune_core`` and ``ray`` where it has their names dotted and no such import yet.

    ``ray.tune.run`` works after ``import ray`` beside ``from ray import tune``, and ``ray.init`` after
    ``import ray.tune``: the changed names need imports of their own.
    """
    from libcst.codemod import CodemodContext
    from libcst.codemod.visitors import AddImportsVisitor

    bound_before = _roots(cst, before)[0]
    bound, used = _roots(cst, after)
    context = CodemodContext()
    if "tune_core" in used - bound:
        AddImportsVisitor.add_needed_import(context, "tune_core")
    if "ray" in bound_before & used - bound:
        AddImportsVisitor.add_needed_import(context, "ray")
    return AddImportsVisitor(context).transform_module(after)


def _roots(cst: Any, module: Any) -> tuple[set[str], set[str]]:
    """The names that a script's imports bind, and those that it has before a dot."""
    name_of = cst.helpers.get_full_name_for_node
    bound: set[str] = set()
    used: set[str] = set()

    class Roots(cst.CSTVisitor):
        def _bind(self, node: Any) -> bool:
            for alias in () if isinstance(node.names, cst.ImportStar) else node.names:
                bound.add(alias.evaluated_alias or name_of(alias.name).partition(".")[0])
            return False

        visit_Import = visit_ImportFrom = _bind  # noqa: N815

        def visit_Attribute(self, node: Any) -> None:  # noqa: N802
            if isinstance(node.value, cst.Name):
                used.add(node.value.value)

    module.visit(Roots())
    return bound, used


def _transformer(cst: Any, remarks: list[Remark]) -> object:
    """A transformer that changes imports and dotted names; made here, since libcst is imported late."""
    name_of = cst.helpers.get_full_name_for_node

    class Imports(cst.CSTTransformer):
        METADATA_DEPENDENCIES = (cst.metadata.PositionProvider,)

        def _say(self, node: libcst.CSTNode, text: str) -> None:
            remarks.append(Remark(self.get_metadata(cst.metadata.PositionProvider, node).start.line, text))

        def leave_SimpleStatementLine(self, original: Any, updated: Any) -> object:  # noqa: N802
            lines: list[Any] = []
            for was, statement in zip(original.body, updated.body, strict=True):
                if isinstance(was, cst.ImportFrom) and was.module is not None and not was.relative:
                    lines += self._from(was, statement)
                elif isinstance(was, cst.Import):
                    lines += self._plain(was, statement)
                else:
                    lines.append(statement)
            if len(lines) == len(updated.body):
                return updated.with_changes(body=lines)
            first, *rest = [cst.SimpleStatementLine([line.with_changes(semicolon=_none(cst))]) for line in lines]
            first = first.with_changes(leading_lines=updated.leading_lines)
            last = (rest or [first])[-1].with_changes(trailing_whitespace=updated.trailing_whitespace)
            return cst.FlattenSentinel([first, *rest[:-1], last] if rest else [last])

        def _from(self, was: Any, statement: Any) -> list[object]:
            path = name_of(was.module)
            if isinstance(was.names, cst.ImportStar):
                if is_rays(path) and (reason := why_absent(path)) is None:
                    return [statement.with_changes(module=_dotted(cst, ours(path)))]
                if is_rays(path):
                    self._say(was, str(reason))
                return [statement]
            if path == "ray":
                return self._from_ray(was, statement)
            if not is_rays(path):
                return [statement]
            moved: list[object] = []
            kept: list[object] = []
            for alias in was.names:
                reason = why_absent(path, name_of(alias.name))
                (moved if reason is None else kept).append(alias)
                if reason is not None:
                    self._say(was, reason)
            if moved and not kept:  # the names keep their layout and comments
                return [statement.with_changes(module=_dotted(cst, ours(path)))]
            made = [] if not moved else [self._import(ours(path), moved)]
            return [*made, *([self._import(path, kept)] if kept else [])]

        def _from_ray(self, was: Any, statement: object) -> list[object]:
            """``from ray import tune, train, serve``."""
            made, kept, moved = [], [], []
            for alias in was.names:
                name = name_of(alias.name)
                if name == "tune":
                    bound = alias.evaluated_alias or "tune"
                    made.append(cst.Import([cst.ImportAlias(cst.Name("tune_core"), cst.AsName(cst.Name(bound)))]))
                elif f"ray.{name}" in ROOTS:
                    moved.append(alias)
                else:
                    kept.append(alias)
            if not made and not moved:
                return [statement]
            made += [self._import("tune_core", moved)] if moved else []
            return [*made, *([self._import("ray", kept)] if kept else [])]

        def _import(self, path: str, aliases: Sequence[Any]) -> object:
            names = [alias.with_changes(comma=cst.MaybeSentinel.DEFAULT) for alias in aliases]
            return cst.ImportFrom(_dotted(cst, path), names)

        def _plain(self, was: object, statement: Any) -> list[Any]:
            """``import ray.tune as tune``, ``import ray.tune``."""
            names = []
            for alias in statement.names:
                path = name_of(alias.name)
                reason = why_absent(path) if is_rays(path) else "not looked for"
                if is_rays(path) and reason is not None:
                    self._say(was, reason)
                names.append(alias if reason is not None else alias.with_changes(name=_dotted(cst, ours(path))))
            return [statement.with_changes(names=names)]

        def leave_Attribute(self, original: object, updated: object) -> object:  # noqa: N802
            """``ray.tune.run(...)`` after ``import ray.tune``; only the shortest dotted name changes."""
            path = name_of(original)
            if path == "ray.tune":
                return cst.Name("tune_core")
            if path in ROOTS:
                return _dotted(cst, ours(path))
            return updated

        def visit_ImportFrom(self, node: object) -> bool:  # noqa: N802
            return False  # its dotted name is changed as a whole

        def visit_Import(self, node: object) -> bool:  # noqa: N802
            return False

        def visit_Call(self, node: Any) -> None:  # noqa: N802
            if name_of(node.func) in ("ray.init", "ray.shutdown"):
                self._say(node, f"{name_of(node.func)} is not needed: trials run in local processes unless Ray is up")

    return Imports()


def _none(cst: Any) -> object:
    return cst.MaybeSentinel.DEFAULT


def scripts_in(paths: Sequence[str]) -> Iterator[str]:
    """Python files among ``paths`` and in the folders among them.

    Raises
    ------
    InvalidArgumentError
        If one does not exist.
    """
    for path in paths:
        if os.path.isdir(path):
            for folder, _, names in os.walk(path):
                yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(".py"))
        elif os.path.isfile(path):
            yield path
        else:
            raise InvalidArgumentError(
                "tune-core migrate", f"finds no {path!r}", "it does not exist", "Check its name."
            )


def run(paths: Sequence[str], write: bool) -> int:
    """Migrate scripts: print what changes, or with ``write`` change them. Returns the number of remarks."""
    remarks = changed = count = 0
    for path in scripts_in(paths):
        with open(path, encoding="utf-8", newline="") as file:
            source = file.read()
        if "ray" not in source:
            continue
        count += 1
        migrated = migrate(source)
        if migrated.source != source:
            changed += 1
            if write:
                with open(path, "w", encoding="utf-8", newline="") as file:
                    file.write(migrated.source)
            else:
                old, new = source.splitlines(True), migrated.source.splitlines(True)
                print("".join(difflib.unified_diff(old, new, path, path)), end="")
        for remark in migrated.remarks:
            print(f"{path}:{remark.line}: {remark.text}")
        remarks += len(migrated.remarks)
    done = "changed" if write else "would change (--write changes them)"
    print(f"{changed} of {count} scripts {done}; {remarks} remarks")
    return remarks
