"""Fixes some values of a search space, so that a point given by the user is completed by sampling the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tune_core.core.values import Config
from tune_core.errors import SearchSpaceError
from tune_core.space.domains import Categorical, Domain, Function
from tune_core.space.sampling import Constant, Path, equal, is_grid, path_str


def pin(param_space: Mapping[str, object], point: Mapping[str, object], asked: str = "point") -> Config:
    """The space with the values of ``point`` in place of domains and grids.

    Parameters
    ----------
    param_space
        A valid space.
    point
        Values of some or all parameters, nested as the space is.
    asked
        What the point is called in errors, e.g. ``"points_to_evaluate[0]"``.

    Raises
    ------
    SearchSpaceError
        If the space has no such parameter, or the value is outside of its domain.
    """
    if not isinstance(point, Mapping):
        raise SearchSpaceError(
            asked, f"is {point!r}", "a point is a dict from parameters to values", 'Use a dict: {"lr": 0.01}.'
        )
    return _pin_dict(param_space, point, (), asked)


def _pin_dict(space: Mapping[str, object], point: Mapping[str, object], path: Path, asked: str) -> Config:
    for key in point:
        if key not in space:
            known = ", ".join(map(repr, space)) or "nothing"
            raise SearchSpaceError(
                f"{asked}{_tail((*path, key))}",
                "is not in the search space",
                f"{path_str(path)} has {known}",
                "Correct the name, or add the parameter to param_space.",
            )
    return {k: _pin(v, point[k], (*path, k), asked) if k in point else v for k, v in space.items()}


def _pin(node: Any, value: Any, path: Path, asked: str) -> object:
    if isinstance(node, Categorical) or is_grid(node):
        return _pin_choice(node, value, path, asked)
    if isinstance(node, Function):
        return Constant(value)
    if isinstance(node, Domain):
        if not node.is_valid(value):
            raise _outside(node, value, path, asked)
        return Constant(node.cast(value))
    if isinstance(node, dict) and isinstance(value, Mapping):
        return _pin_dict(node, value, path, asked)
    if type(node) in (list, tuple) and isinstance(value, (list, tuple)) and len(node) == len(value):
        return type(node)(_pin(n, v, (*path, i), asked) for i, (n, v) in enumerate(zip(node, value, strict=True)))
    if not equal(node, value):
        raise _outside(node, value, path, asked)
    return node


def _pin_choice(node: Any, value: object, path: Path, asked: str) -> object:
    domain = node if isinstance(node, Categorical) else Categorical(node["grid_search"])
    found = domain.index_of(value)
    if found is not None:
        return _as_is(domain.categories[found])
    for category in domain.categories:
        try:
            if isinstance(category, (dict, list, tuple, Domain)):
                return _pin(category, value, path, asked)
        except SearchSpaceError:
            continue
    raise _outside(node, value, path, asked)


def _as_is(value: object) -> object:
    return value if isinstance(value, (dict, list, tuple)) else Constant(value)


def _outside(node: object, value: object, path: Path, asked: str) -> SearchSpaceError:
    return SearchSpaceError(
        f"{asked}{_tail(path)}",
        f"is {value!r}",
        f"{path_str(path)} is {node!r}, which does not contain that value",
        "Use a value of that domain, or widen the domain.",
    )


def _tail(path: Path) -> str:
    return path_str(path).removeprefix("param_space")
