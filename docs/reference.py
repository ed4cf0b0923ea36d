"""Makes what the documentation takes from the code: the API reference's list and the table of trial states."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import sys
from pathlib import Path

SECTIONS: list[tuple[str, list[str]]] = [
    ("The public face", ["tune_core"]),
    ("Schedulers", ["tune_core.schedulers"]),
    ("Search", ["tune_core.search"]),
    ("Stopping", ["tune_core.stopper"]),
    ("Executors", ["tune_core.executors"]),
    ("Loggers and callbacks", ["tune_core.logger"]),
    ("Plots", ["tune_core.plots"]),
    ("Errors", ["tune_core.errors"]),
    (
        "Extension points",
        ["tune_core.schedulers.base", "tune_core.search.base", "tune_core.executors.base", "tune_core.integration"],
    ),
    (
        "Integrations",
        [
            "tune_sklearn",
            "tune_lightning",
            "tune_keras",
            "tune_optuna",
            "tune_xgboost",
            "tune_lightgbm",
            "tune_catboost",
            "tune_transformers",
        ],
    ),
]


def exists(module: str) -> bool:
    """Whether a module is there, without importing more than its parents."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return False
    return spec is not None and spec.origin is not None


def public_names(module: str) -> list[str]:
    """Names that a module lists in ``__all__``; empty if it has none."""
    try:
        return list(getattr(importlib.import_module(module), "__all__", ()))
    except ImportError:
        return []


def pages() -> str:
    """The reference, as directives that Sphinx fills from docstrings."""
    lines: list[str] = []
    described: set[int] = set()  # objects that a section before has: each is described once
    for title, modules in SECTIONS:
        there = [module for module in modules if exists(module)]
        if there:
            lines += [f"## {title}", ""]
        for module in there:
            listed = {name: id(getattr(sys.modules[module], name, name)) for name in public_names(module)}
            names = [name for name, thing in listed.items() if thing not in described]
            described |= set(listed.values())
            options = [f":members: {', '.join(names)}", ":imported-members:"] if names else []
            if not listed:
                options = [":members:"]  # without a list, what a module imports is not its own
            lines += ["```{eval-rst}", f".. automodule:: {module}", *(f"   {option}" for option in options), "```", ""]
    return "\n".join(lines)


def examples() -> str:
    """The scripts in examples/, each with the first line of its docstring."""
    root = Path(__file__).resolve().parents[1] / "examples"
    lines = ["| script | shows |", "| --- | --- |"]
    for script in sorted(root.rglob("*.py")):
        text = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
        summary = " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")
        lines.append(f"| `examples/{script.relative_to(root).as_posix()}` | {summary} |")
    return "\n".join(lines) + "\n"


def states() -> str:
    """The table of a trial's states, from the table that the engine itself uses and the comments beside it."""
    from tune_core.core import trial

    why = re.findall(r"^    \((\w+), Change\.(\w+)\): \w+,  # (.+)$", inspect.getsource(trial), re.MULTILINE)
    reasons = {(before, change): text for before, change, text in why}
    lines = ["| a trial that is | on | becomes | when |", "| --- | --- | --- | --- |"]
    for (before, change), after in trial.TRANSITIONS.items():
        lines.append(f"| {before} | {change.value} | {after} | {reasons[before.name, change.name]} |")
    return "\n".join(lines) + "\n"
