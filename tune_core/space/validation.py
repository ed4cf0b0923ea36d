"""Finds what is wrong with a search space before anything is drawn from it, and says where."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from tune_core.core.flatten import repeated_name
from tune_core.errors import SearchSpaceError
from tune_core.space import domain_functions
from tune_core.space.domains import Categorical, Domain, is_utf8
from tune_core.space.numeric import Float
from tune_core.space.sampling import Constant, Path, children, is_container, is_grid, path_str

_OTHERS_DOMAINS = (
    "ray.tune.search.sample",
    "optuna.distributions",
    "scipy.stats._distn_infrastructure",
    "hyperopt.pyll",
)


def validate(param_space: object) -> None:
    """Raise :class:`SearchSpaceError` if the space cannot be searched; the error names the path of what is wrong."""
    if not isinstance(param_space, Mapping):
        raise SearchSpaceError(
            "param_space",
            f"is {_short(param_space)}, of type {type(param_space).__name__}",
            "a search space is a dict from parameter names to domains and constants",
            'Use a dict, for example {"lr": tune.loguniform(1e-4, 1e-1)}.',
        )
    if "grid_search" in param_space:
        raise SearchSpaceError(
            "param_space",
            "is itself a grid_search",
            "a grid belongs to a parameter",
            'Give it a name: {"lr": tune.grid_search([...])}.',
        )
    _check(dict(param_space), (), None, frozenset())
    name = repeated_name({key: _without_values(node) for key, node in param_space.items()})
    if name is not None:
        raise SearchSpaceError(
            "param_space",
            f"has two parameters that are called {name!r} in results and data frames",
            "a dict's entries are called outer/inner there",
            "Rename one of them.",
        )


def _without_values(node: object) -> object:
    """The names below a node of a space: those of dicts, not those that mark a grid."""
    if not isinstance(node, Mapping) or is_grid(node):
        return None
    return {key: _without_values(child) for key, child in node.items()}


def _check(node: object, path: Path, within: str | None, parents: frozenset[int]) -> None:
    """Check one node; ``within`` names the choice or grid that it is part of, where no grid may be."""
    if isinstance(node, Constant):
        return
    if isinstance(node, Domain):
        _check_domain(node, path, parents)
        return
    if isinstance(node, dict) and "grid_search" in node:
        _check_grid(node, path, within, parents)
        return
    if not is_container(node):
        _check_leaf(node, path)
        return
    if id(node) in parents:
        raise SearchSpaceError(
            path_str(path), "contains itself", "such a space never ends", "Copy the inner dict or list instead."
        )
    for key, child in children(node):
        if isinstance(key, str) and not is_utf8(key):
            raise SearchSpaceError(
                path_str(path),
                f"has the key {key!r}",
                "half of a surrogate pair is no character, and names are kept as UTF-8",
                "Rename the parameter.",
            )
        if isinstance(node, dict) and not isinstance(key, str):
            raise SearchSpaceError(
                f"{path_str(path)}[{key!r}]",
                f"has a key of type {type(key).__name__}",
                "names of parameters are strings, as they are kept as JSON",
                f"Use the key {str(key)!r}.",
            )
        _check(child, (*path, key), within, parents | {id(node)})


def _check_domain(node: Domain, path: Path, parents: frozenset[int]) -> None:
    if isinstance(node, Categorical):
        if id(node) in parents:
            raise SearchSpaceError(
                path_str(path),
                "contains itself",
                "such a choice never ends",
                "Take the choice out of its own categories.",
            )
        for category in node.categories:
            _check(category, path, "choice", parents | {id(node)})
    elif isinstance(node, Float) and node.sd is None and not math.isfinite(node.upper - node.lower):
        if math.isfinite(node.lower) and math.isfinite(node.upper):
            return
        raise SearchSpaceError(
            path_str(path),
            f"is Float({node.lower}, {node.upper})",
            "a value cannot be drawn uniformly between infinite bounds",
            "Give both bounds, or use tune.randn(mean, sd).",
        )


def _check_grid(node: Mapping[str, object], path: Path, within: str | None, parents: frozenset[int]) -> None:
    where = path_str(path)
    if len(node) > 1:
        others = ", ".join(repr(k) for k in node if k != "grid_search")
        raise SearchSpaceError(
            where,
            f"has grid_search beside {others}",
            'a grid is a dict with the one key "grid_search"',
            "Give the grid a parameter of its own, or rename that key.",
        )
    if within is not None:
        raise SearchSpaceError(
            where,
            f"has a grid_search inside a {within}",
            "a grid is crossed with everything else, so its size may not depend on what is drawn",
            "Use tune.choice there, or move the grid to the top of the space."
            if within == "choice"
            else "Write one grid_search over all combinations, or two beside each other.",
        )
    values = node["grid_search"]
    if not isinstance(values, (list, tuple)):
        raise SearchSpaceError(
            where,
            f"has grid_search={_short(values)}",
            "a grid is a list of values",
            "Use tune.grid_search([...]) with a list.",
        )
    if not values:
        raise SearchSpaceError(
            where, "has an empty grid_search", "there is nothing to try", "Give at least one value, or leave it out."
        )
    for value in values:
        _check(value, path, "grid_search", parents)


def _check_leaf(node: Any, path: Path) -> None:
    kind = type(node)
    if isinstance(node, FunctionType) and node.__module__ == domain_functions.__name__:
        raise SearchSpaceError(
            path_str(path),
            f"is the function tune.{node.__name__} itself",
            "it was not called",
            f"Use tune.{node.__name__}(...).",
        )
    if kind.__module__.startswith(_OTHERS_DOMAINS):
        raise SearchSpaceError(
            path_str(path),
            f"is a {kind.__name__} of {kind.__module__.partition('.')[0]}",
            "it would be passed to the objective as it is, not drawn from",
            "Use tune_core's own tune.uniform, tune.choice and so on; or give the library's space to its searcher.",
        )
    if isinstance(node, (set, frozenset)) and any(isinstance(value, Domain) for value in node):
        raise SearchSpaceError(
            path_str(path), "is a set that holds domains", "a set has no order to draw in", "Use a list or a dict."
        )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
