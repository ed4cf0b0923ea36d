"""Trainables as a run takes them: checked, with parameters and resources bound."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from tune_core.core.validation import is_asynchronous
from tune_core.core.values import Config, ConfigView
from tune_core.errors import InvalidArgumentError
from tune_core.trainable.base import Trainable
from tune_core.trainable.registry import get_trainable_cls
from tune_core.trainable.resources import DEFAULT_RESOURCES, as_request


def is_class(trainable: object) -> bool:
    """Whether this is a class trainable."""
    return inspect.isclass(trainable) and issubclass(trainable, Trainable)


class Prepared:
    """A trainable with parameters or resources bound to it, callable like the function itself."""

    def __init__(
        self,
        trainable: Callable[..., Any] | type[Trainable],
        parameters: ConfigView | None = None,
        resources: object = None,
    ) -> None:
        self.trainable = trainable
        self.parameters = dict(parameters or {})
        self.resources = resources
        self.__name__ = name_of(trainable)
        self.__doc__ = getattr(trainable, "__doc__", None)

    def __call__(self, config: Config) -> Any:
        return self.trainable(config, **self.parameters)

    @property
    def is_class(self) -> bool:
        """Whether the trainable inside is a class."""
        return is_class(self.trainable)


def prepare(trainable: object) -> Prepared:
    """Any trainable, or the name of one that was registered, as a :class:`Prepared`, after checking that it is one."""
    if isinstance(trainable, Prepared):
        return trainable
    if isinstance(trainable, str):
        return prepare(get_trainable_cls(trainable))
    function = vars(trainable).get("_function") if is_class(trainable) else None
    if isinstance(function, staticmethod):  # a class made by wrap_function
        return prepare(function.__func__)
    if inspect.isclass(trainable) and not issubclass(trainable, Trainable):
        raise InvalidArgumentError(
            "Tuner(trainable)",
            f"is the class {trainable.__name__}",
            "a class is only a trainable if it derives from tune_core.Trainable",
            f"Write class {trainable.__name__}(tune.Trainable), or pass a function of the configuration.",
        )
    if not callable(trainable):
        raise InvalidArgumentError(
            "Tuner(trainable)",
            f"is {trainable!r} of type {type(trainable).__name__}",
            "it must be a function of the configuration or a class derived from tune_core.Trainable",
            "Pass e.g. def objective(config): ... return {'loss': ...}.",
        )
    if inspect.isclass(trainable):
        for method in _CALLED:
            if is_asynchronous(getattr(trainable, method)):
                raise InvalidArgumentError(*asynchronous(f"{trainable.__name__}.{method}"))
    else:
        if is_asynchronous(trainable):
            raise InvalidArgumentError(*asynchronous(name_of(trainable)))
        _check_signature(trainable)
    return Prepared(trainable)


_CALLED = ("setup", "step", "save_checkpoint", "load_checkpoint", "reset_config", "cleanup")


def asynchronous(name: str) -> tuple[str, str, str, str]:
    """The parts of the error for an objective that is asynchronous."""
    return (
        f"The objective {name}",
        "is asynchronous (async def, or a function that returns a coroutine)",
        "a trial calls it and awaits nothing, so its code would not run",
        "Write an ordinary function that runs it: asyncio.run(...), with the coroutine in place of the dots.",
    )


def _check_signature(function: Callable[..., Any], bound: tuple[str, ...] = ()) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # a builtin that tells nothing
    try:
        signature.bind({}, **dict.fromkeys(bound))
    except TypeError as error:
        name = name_of(function)
        if bound:
            raise InvalidArgumentError(
                f"with_parameters({name}, {', '.join(bound)})",
                f"but the objective is {name}{signature}",
                str(error),
                f"Write def {name}(config, {', '.join(bound)}).",
            ) from None
        raise InvalidArgumentError(
            f"The objective {name}{signature}",
            "cannot be called with the configuration as its one argument",
            str(error),
            f"Write def {name}(config), and bind further arguments with tune.with_parameters({name}, ...).",
        ) from None


def name_of(trainable: object) -> str:
    """A name for people: the function's, the class's, or the type's."""
    if isinstance(trainable, functools.partial):
        return name_of(trainable.func)
    return str(getattr(trainable, "__name__", type(trainable).__name__))


def with_parameters(trainable: Any, **parameters: Any) -> Prepared:
    """Bind objects, however large, to a trainable.

    They are written once and mapped by every worker on the machine (through the object store on a cluster), so an
    array of a gigabyte costs no trial a copy. Large arrays arrive read-only; of everything else each trial has a copy
    of its own, as it was bound, so that a model that one trial trains is an untrained one for the next. (In the
    process of the caller, with ``executor="inline"``, trials share the objects themselves.)

    Parameters
    ----------
    trainable
        A function ``f(config, **parameters)``, or a class whose ``setup(self, config, **parameters)`` takes them.
    **parameters
        What to bind.

    Raises
    ------
    InvalidArgumentError
        If the trainable cannot take these parameters.

    Examples
    --------
    >>> import tune_core as tune
    >>> def objective(config, data):
    ...     return {"loss": abs(sum(data) - config["x"])}
    >>> bound = tune.with_parameters(objective, data=[1, 2, 3])
    >>> bound({"x": 4})
    {'loss': 2}
    """
    if isinstance(trainable, str):
        trainable = prepare(trainable)
    inner = trainable if isinstance(trainable, Prepared) else None
    target = inner.trainable if inner else trainable
    everything = {**(inner.parameters if inner else {}), **parameters}
    if not callable(target):
        prepare(target)
    if inspect.isclass(target):
        prepare(target)
        _check_setup(target, tuple(everything))
    else:
        _check_signature(target, tuple(everything))
    return Prepared(target, everything, inner.resources if inner else None)


def _check_setup(cls: type[Any], bound: tuple[str, ...]) -> None:
    try:
        inspect.signature(cls.setup).bind(None, {}, **dict.fromkeys(bound))
    except TypeError as error:
        raise InvalidArgumentError(
            f"with_parameters({cls.__name__}, {', '.join(bound)})",
            f"but setup has the signature {inspect.signature(cls.setup)}",
            str(error),
            f"Write def setup(self, config, {', '.join(bound)}).",
        ) from None


def with_resources(trainable: object, resources: object) -> Prepared:
    """Say what a trial of this trainable needs.

    Parameters
    ----------
    trainable
        A function or class trainable.
    resources
        ``{"cpu": 2, "gpu": 0.5, "my_license": 1}`` (units of one; a GPU fraction shares a device), a function of the
        configuration that returns such a dict, a :class:`PlacementGroupFactory`, or a ``ScalingConfig``. Custom
        resources stand in the dict itself or in a dict under ``"custom_resources"``; ``"memory"`` is in bytes.
    """
    request = as_request(resources, "with_resources(resources)")
    prepared = prepare(trainable)
    if getattr(prepared.trainable, "has_resources_of_workers", False) is True:
        raise InvalidArgumentError(
            "with_resources(trainable)",
            f"is {prepared.__name__} with several workers",
            "a trial's resources are those of its workers",
            "Leave with_resources out, and use tune.with_workers(resources_per_worker=...).",
        )
    return Prepared(prepared.trainable, prepared.parameters, request)


def request_of(prepared: Prepared) -> Any:
    """What a trainable asks for: a dict, a :class:`PlacementGroupFactory`, or a function of the configuration."""
    if prepared.resources is not None:
        return prepared.resources
    cls: Any = prepared.trainable
    default: Any = Trainable.default_resource_request
    if prepared.is_class and cls.default_resource_request.__func__ is not default.__func__:
        return cls.default_resource_request
    return DEFAULT_RESOURCES
