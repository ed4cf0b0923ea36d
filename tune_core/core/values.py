"""Names for values that pass through many hands: users' configurations and metrics, JSON, arrays.

What a parameter or a metric holds is the user's business, so the values are ``Any``: here and, by these names, wherever
a configuration or a result is handed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy

Config: TypeAlias = dict[str, Any]
"""A trial's configuration: a value for each parameter of the search space."""

ConfigView: TypeAlias = Mapping[str, Any]
"""A configuration, or a part of one, that is only read."""

Metrics: TypeAlias = Mapping[str, Any]
"""What a trial has reported at once, by the metrics' names; only read."""

ResultDict: TypeAlias = dict[str, Any]
"""Metrics with the automatic fields, as callbacks and results give them to users, who may change the dict."""

JsonObject: TypeAlias = dict[str, Any]
"""A dict that is written as JSON, or was read from it."""

Message: TypeAlias = tuple[Any, ...]
"""What passes between a driver and its worker: the kind of message, then what it brings."""


def containers_copied(value: Any) -> Any:
    """A configuration whose dicts and lists may be changed without the original; what they hold is the same."""
    if type(value) is dict:
        return {name: containers_copied(item) for name, item in value.items()}
    return [containers_copied(item) for item in value] if type(value) is list else value


Array: TypeAlias = "numpy.ndarray[Any, numpy.dtype[Any]]"
"""An array of NumPy's; its shape is said where it is made."""
