"""A search space as JSON that can be read back without running code: for searchers' saved states."""

from __future__ import annotations

from typing import Any

from tune_core.errors import SearchSpaceError
from tune_core.space.domains import Categorical
from tune_core.space.numeric import Float, Integer
from tune_core.space.sampling import path_str

_PLAIN = (str, int, float, bool, type(None))


def to_portable(node: Any, path: tuple[Any, ...] = ()) -> list[Any]:
    """A search space as nested lists, each with the kind of its node first.

    Raises
    ------
    SearchSpaceError
        If it holds something that JSON cannot: a function, or an object among the values.
    """
    if isinstance(node, Float):
        return ["float", *node.__reduce__()[1]]
    if isinstance(node, Integer):
        return ["integer", *node.__reduce__()[1]]
    if isinstance(node, Categorical):
        return ["choice", [to_portable(value, (*path, i)) for i, value in enumerate(node.categories)]]
    if isinstance(node, dict) and all(isinstance(key, str) for key in node):
        return ["dict", {key: to_portable(value, (*path, key)) for key, value in node.items()}]
    if type(node) in (list, tuple):
        return [type(node).__name__, [to_portable(value, (*path, i)) for i, value in enumerate(node)]]
    if type(node) in _PLAIN:
        return ["value", node]
    raise SearchSpaceError(
        path_str(path),
        f"is {node!r}",
        "only domains, and values that JSON has, can be written to a file without code",
        "Give the searcher its space again when it is restored.",
    )


def from_portable(written: list[Any]) -> Any:
    """The search space that :func:`to_portable` wrote."""
    kind, *rest = written
    if kind == "float":
        lower, upper, log, base, q, mean, sd = rest
        return Float(lower, upper, log=log, base=base, q=q, mean=mean, sd=sd)
    if kind == "integer":
        lower, upper, log, base, q = rest
        return Integer(lower, upper, log=log, base=base, q=q)
    (value,) = rest
    if kind == "choice":
        return Categorical([from_portable(item) for item in value])
    if kind == "dict":
        return {key: from_portable(item) for key, item in value.items()}
    if kind in ("list", "tuple"):
        items = [from_portable(item) for item in value]
        return items if kind == "list" else tuple(items)
    return value
