"""Nested dicts as flat ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_LEAVES = frozenset((float, int, str, bool, type(None), list))  # told without a look at their bases


def flatten(nested: Mapping[str, object], separator: str = "/") -> dict[str, Any]:
    """Nested dicts as one, keys joined by ``separator``: ``{"a": {"b": 1}}`` becomes ``{"a/b": 1}``."""
    flat: dict[str, object] = {}
    for key, value in nested.items():
        if type(value) not in _LEAVES and isinstance(value, Mapping) and value:
            for below, leaf in flatten(value, separator).items():
                flat[f"{key}{separator}{below}"] = leaf
        else:
            flat[str(key)] = value
    return flat


def repeated_name(nested: Mapping[str, object]) -> str | None:
    """The first name that :func:`flatten` gives to two values, of which it keeps one; None if there is none."""
    seen = set[str]()
    for name in _names(nested, ""):
        if name in seen:
            return name
        seen.add(name)
    return None


def _names(nested: Mapping[str, object], before: str) -> Iterator[str]:
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            yield from _names(value, f"{before}{key}/")
        else:
            yield f"{before}{key}"
