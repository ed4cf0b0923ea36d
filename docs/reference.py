"""Makes what the documentation takes from the code: the API reference's list and the table of trial states."""

from __future__ import annotations

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
        [
            "tune_core.schedulers.base",
            "tune_core.search.base",
            "tune_core.executors.base",
            "tune_core.integration",
        ],
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
            "hydra_plugins.tune_core_sweeper",
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


def summary(thing: object) -> str:
    """First sentence of an object's docstring, fit for a cell of a table."""
    text = " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())
    text = re.sub(
        r":[a-z:]+:`~?(?:[\w.]*\.)?([^`<]+?)(?:\s*<[^`]*>)?`", r"``\1``", text
    )
    return text.partition(". ")[0].rstrip(".").replace("|", "\\|")


def page(module: str, name: str, thing: object) -> str:
    """The page of one public object."""
    if inspect.isclass(thing):
        directive, options = "autoclass", ["   :members:", "   :show-inheritance:"]
    elif callable(thing):
        directive, options = "autofunction", []
    else:
        directive, options = "autodata", ["   :no-value:"]
    lines = [
        f"# {name}",
        "",
        "```{eval-rst}",
        f".. currentmodule:: {module}",
        f".. {directive}:: {name}",
        *options,
    ]
    return "\n".join([*lines, "```", ""])


def pages(folder: Path) -> str:
    """Write a page for each public object into a folder; return the lists of them, group by group."""
    lines: list[str] = []
    written: set[Path] = set()
    described: set[int] = (
        set()
    )  # objects that a section before has: each is described once
    for title, modules in SECTIONS:
        there = [module for module in modules if exists(module)]
        if there:
            lines += [f"## {title}", ""]
        for module in there:
            found = {
                name: getattr(sys.modules[module], name)
                for name in public_names(module)
                if name[0] != "_"
            }
            new = {
                name: thing
                for name, thing in found.items()
                if id(thing) not in described
            }
            described |= {id(thing) for thing in new.values()}
            texts = {
                f"{module}.{name}": page(module, name, thing)
                for name, thing in new.items()
            }
            rows = [
                f"| [{name}]({folder.name}/{module}.{name}.md) | {summary(new[name])} |"
                for name in new
            ]
            if not found:  # without a list of names, a module is one page
                there_already = [
                    n
                    for n, thing in vars(sys.modules[module]).items()
                    if id(thing) in described
                ]
                options = (
                    f"   :members:\n   :exclude-members: {', '.join(there_already)}\n"
                )
                texts = {
                    module: f"# {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n{options}```\n"
                }
                rows = [
                    f"| [{module}]({folder.name}/{module}.md) | {summary(importlib.import_module(module))} |"
                ]
            written |= {
                write(folder / f"{stem}.md", text) for stem, text in texts.items()
            }
            if rows:
                lines += [
                    f"### `{module}`",
                    "",
                    "| name | what it is |",
                    "| --- | --- |",
                    *rows,
                    "",
                ]
                lines += [
                    "```{toctree}",
                    ":hidden:",
                    "",
                    *(f"{folder.name}/{stem}" for stem in texts),
                    "```",
                    "",
                ]
    for old in set(folder.glob("*.md")) - written:
        old.unlink()
    return "\n".join(lines)


def write(path: Path, text: str) -> Path:
    """Write a page if its text has changed, so that an unchanged one is not built again."""
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return path


def states() -> str:
    """The table of a trial's states, from the table that the engine itself uses and the comments beside it."""
    from tune_core.core import trial

    why = re.findall(
        r"^    \((\w+), Change\.(\w+)\): \w+,  # (.+)$",
        inspect.getsource(trial),
        re.MULTILINE,
    )
    reasons = {(before, change): text for before, change, text in why}
    lines = ["| a trial that is | on | becomes | when |", "| --- | --- | --- | --- |"]
    for (before, change), after in trial.TRANSITIONS.items():
        lines.append(
            f"| {before} | {change.value} | {after} | {reasons[before.name, change.name]} |"
        )
    return "\n".join(lines) + "\n"
