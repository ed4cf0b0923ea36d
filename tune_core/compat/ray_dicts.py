"""Ray Tune's helpers for nested dicts."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from tune_core.errors import InvalidArgumentError

_MISSING = object()


def merge_dicts(d1: Mapping[str, object], d2: Mapping[str, object]) -> dict[str, Any]:
    """A new dict: a deep copy of ``d1``, updated by ``d2`` at every depth."""
    return deep_update(copy.deepcopy(dict(d1)), d2, new_keys_allowed=True)


def deep_update(
    original: dict[str, Any],
    new_dict: Mapping[str, Any],
    new_keys_allowed: bool = False,
    allow_new_subkey_list: Sequence[str] | None = None,
    override_all_if_type_changes: Sequence[str] | None = None,
    override_all_key_list: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Update a dict by another at every depth, in place, and return it.

    Parameters
    ----------
    original, new_dict
        The dict to change, and what to change it by.
    new_keys_allowed
        Whether ``new_dict`` may have keys that ``original`` lacks.
    allow_new_subkey_list
        Top-level keys below which new keys are allowed all the same.
    override_all_if_type_changes
        Top-level keys whose value is replaced as a whole where its own key ``"type"`` changes.
    override_all_key_list
        Keys whose value is always replaced as a whole.

    Raises
    ------
    InvalidArgumentError
        If a key is new and may not be.
    """
    whole = override_all_key_list or ()

    def _changes_type(key: str) -> bool:
        old, new = original[key].get("type"), new_dict[key].get("type")
        return key in (override_all_if_type_changes or ()) and None not in (old, new) and old != new

    for key, value in new_dict.items():
        if key not in original and not new_keys_allowed:
            raise InvalidArgumentError(
                f"deep_update: {key!r}",
                f"is not among {sorted(map(str, original))}",
                "new keys are not allowed here",
                "Correct its name, or pass new_keys_allowed=True.",
            )
        before = original.get(key)
        if not isinstance(before, dict) or not isinstance(value, dict) or key in whole or _changes_type(key):
            original[key] = value
        else:
            allowed = new_keys_allowed or key in (allow_new_subkey_list or ())
            deep_update(before, value, allowed, override_all_key_list=whole)
    return original


def flatten_dict(
    dt: Mapping[str, object], delimiter: str = "/", prevent_delimiter: bool = False, flatten_list: bool = False
) -> dict[str, Any]:
    """Nested dicts as one: ``{"a": {"b": 1}}`` becomes ``{"a/b": 1}``. Empty ones vanish.

    Parameters
    ----------
    dt, delimiter
        What to flatten, and what joins the keys.
    prevent_delimiter
        Raise ``ValueError`` if a key holds the delimiter itself.
    flatten_list
        Flatten lists as well, by their positions.
    """
    flat: dict[str, object] = {}
    for key, value in dt.items():
        if prevent_delimiter and delimiter in str(key):
            raise ValueError(f"The key {key!r} holds the delimiter {delimiter!r}: rename it, or use another delimiter.")
        if flatten_list and isinstance(value, list):
            value = {str(i): child for i, child in enumerate(value)}
        if isinstance(value, dict):
            below = flatten_dict(value, delimiter, prevent_delimiter, flatten_list)
            flat.update({f"{key}{delimiter}{name}": leaf for name, leaf in below.items()})
        else:
            flat[key] = value
    return flat


def unflatten_dict(dt: Mapping[str, Any], delimiter: str = "/") -> dict[str, Any]:
    """The nested dict of a flat one; lists are not made."""
    out: dict[str, Any] = {}
    for key, value in dt.items():
        *parents, last = key.split(delimiter)
        node = out
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise TypeError(f"The key {key!r} lies below {parent!r}, which has a value of its own: rename one.")
        node[last] = value
    return out


def unflatten_list_dict(dt: Mapping[str, object], delimiter: str = "/") -> Any:
    """The nested dicts and lists of a flat dict; keys that are numbers 0, 1, … become positions of lists."""

    def lists(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        children = {key: lists(child) for key, child in node.items()}
        if children and list(children) == [str(i) for i in range(len(children))]:
            return list(children.values())
        return children

    return lists(unflatten_dict(dt, delimiter))


def unflattened_lookup(
    flat_key: str, lookup: Mapping[str, object] | Sequence[object], delimiter: str = "/", **kwargs: object
) -> Any:
    """What stands in nested dicts and lists under a flat key: ``"a/0/b"`` is ``lookup["a"][0]["b"]``.

    Raises
    ------
    KeyError
        If it is not there and no ``default`` was given.
    """
    if isinstance(lookup, Mapping) and flat_key in lookup:
        return lookup[flat_key]
    node: Any = lookup
    for key in flat_key.split(delimiter):
        try:
            node = node[key] if isinstance(node, Mapping) else node[int(key)] if _is_list(node) else _MISSING
        except (KeyError, IndexError, ValueError):
            node = _MISSING
        if node is _MISSING:
            if "default" in kwargs:
                return kwargs["default"]
            raise KeyError(flat_key)
    return node


def _is_list(node: Any) -> bool:
    return isinstance(node, Sequence) and not isinstance(node, str)
