"""Checks of the numbers and functions that users pass as arguments."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from tune_core.errors import InvalidArgumentError


def number(asked: str, value: Any, least: float = -math.inf) -> float:
    """``value`` as a float, if it is a finite number of at least ``least``; ``asked`` names it in the error."""
    if not isinstance(value, (str, bool)) and hasattr(value, "__float__"):
        found = float(value)
        if math.isfinite(found) and found >= least:
            return found
    needed = "a finite number" if least == -math.inf else f"a number of {least:g} or more"
    raise InvalidArgumentError(asked, f"is {value!r}", f"it must be {needed}", f"Give {needed}, e.g. 0.01.")


def integer(asked: str, value: Any, least: int) -> int:
    """``value`` as an int, if it is an integer of at least ``least``; ``asked`` names it in the error."""
    if not isinstance(value, (str, float, bool)) and hasattr(value, "__index__") and int(value) >= least:
        return int(value)
    needed = f"an integer of {least} or more"
    raise InvalidArgumentError(asked, f"is {value!r}", f"it must be {needed}", f"Give {needed}, e.g. {least + 4}.")


def check_takes(asked: str, function: Callable[..., Any], *names: str, example: str) -> None:
    """Raise unless ``function`` can be called with one positional argument for each of ``names``."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # built in: cannot be looked into
    try:
        signature.bind(*names)
    except TypeError as error:
        raise InvalidArgumentError(
            asked,
            f"is a function with the signature {signature}",
            f"it is called as function({', '.join(names)})",
            f"Give it {len(names)} parameters, e.g. {example}.",
        ) from error
