"""Makes what the documentation takes from the code: the API reference's list and the table of trial states."""

from __future__ import annotations

import importlib
import importlib.util

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
    for title, modules in SECTIONS:
        there = [module for module in modules if exists(module)]
        if there:
            lines += [f"## {title}", ""]
        for module in there:
            names = public_names(module)
            options = [f":members: {', '.join(names)}" if names else ":members:", ":imported-members:"]
            if not names:
                options.pop()  # without a list, what a module imports is not its own
            lines += ["```{eval-rst}", f".. automodule:: {module}", *(f"   {option}" for option in options), "```", ""]
    return "\n".join(lines)


def states() -> str:
    """The table of a trial's states, from the table that the engine itself uses."""
    from tune_core.trial import TRANSITIONS

    lines = ["| a trial that is | on | becomes |", "| --- | --- | --- |"]
    lines += [f"| {before} | {change.value} | {after} |" for (before, change), after in TRANSITIONS.items()]
    return "\n".join(lines) + "\n"
