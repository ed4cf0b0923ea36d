"""Trainables by name: ``register_trainable("my_model", MyModel)``, then ``tune.run("my_model")``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tune_core.errors import InvalidArgumentError

_registered: dict[str, object] = {}


def register_trainable(name: str, trainable: object, warn: bool = True) -> None:
    """Make a trainable known by a name, in this process.

    Parameters
    ----------
    name
        The name; registering it again replaces the trainable.
    trainable
        A function of the configuration, or a class derived from :class:`tune_core.Trainable`.
    warn
        Accepted and not needed.

    Raises
    ------
    InvalidArgumentError
        If it is no trainable, or the name no string.
    """
    if not isinstance(name, str) or not name:
        raise InvalidArgumentError(
            "register_trainable(name)", f"is {name!r}", "trainables are registered by a name", 'Use e.g. "my_model".'
        )
    if not callable(trainable):
        raise InvalidArgumentError(
            f"register_trainable({name!r})",
            f"got {trainable!r}",
            "a trainable is a function of the configuration or a class derived from tune_core.Trainable",
            "Pass one of these.",
        )
    _registered[name] = trainable


def get_trainable_cls(trainable_name: str) -> Any:
    """The trainable that was registered by a name.

    Raises
    ------
    InvalidArgumentError
        If none was.
    """
    validate_trainable(trainable_name)
    return _registered[trainable_name]


def validate_trainable(trainable_name: str) -> None:
    """Raise :class:`InvalidArgumentError` if nothing was registered by a name."""
    if trainable_name not in _registered:
        known = ", ".join(map(repr, sorted(_registered))) or "nothing"
        raise InvalidArgumentError(
            f"The trainable {trainable_name!r}",
            "is not registered",
            f"registered in this process: {known}",
            f"Call tune.register_trainable({trainable_name!r}, trainable) first, or pass the trainable itself.",
        )


def is_function_trainable(trainable: str | Callable[..., Any] | type) -> bool:
    """Whether a trainable, or the one registered by a name, is a function."""
    if isinstance(trainable, str):
        trainable = get_trainable_cls(trainable)
    return callable(trainable) and not inspect.isclass(trainable)
