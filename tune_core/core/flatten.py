"""Nested dicts as flat ones."""

from __future__ import annotations

from collections.abc import Mapping
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
