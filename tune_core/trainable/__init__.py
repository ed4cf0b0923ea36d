"""What can be tuned: functions and classes derived from :class:`Trainable`, with parameters or resources bound."""

from __future__ import annotations

import functools
import inspect
import os
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tune_core.errors import InvalidArgumentError
from tune_core.trainable.resources import DEFAULT_RESOURCES, check_resources

DONE = "done"
SHOULD_CHECKPOINT = "should_checkpoint"
RESULT_DUPLICATE = "__duplicate__"


class Trainable:
    """A training as a class: :meth:`setup` once, then :meth:`step` until something stops it.

    Override :meth:`setup`, :meth:`step`, and, so that it can be paused, exploited or tried again without starting
    over, :meth:`save_checkpoint` and :meth:`load_checkpoint`. Names and semantics are Ray Tune's.

    Parameters
    ----------
    config
        The trial's configuration.
    """

    _trial_info: Mapping[str, Any] = MappingProxyType({})  # set by the worker before __init__ is called

    def __init__(self, config: dict[str, Any] | None = None, **setup_arguments: Any) -> None:
        self.config: dict[str, Any] = config if config is not None else {}
        self._iteration = 0
        self._started = time.perf_counter()
        self._time_total = 0.0
        self.setup(self.config, **setup_arguments)

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> Mapping[str, float] | None:
        """Resources that a trial with ``config`` asks for, e.g. ``{"cpu": 1, "gpu": 0.5}``; None: the default."""
        return None

    def setup(self, config: dict[str, Any]) -> None:
        """Prepare to train with ``config``."""

    def step(self) -> dict[str, Any]:
        """Train for one iteration and return its metrics; ``{"done": True}`` among them ends the trial."""
        raise NotImplementedError(f"{type(self).__name__} has to define step(self), which returns a dict of metrics")

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any] | str | None:
        """Write what is needed to go on into ``checkpoint_dir``, or return it as a dict."""
        raise NotImplementedError(f"{type(self).__name__} defines no save_checkpoint(self, checkpoint_dir)")

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Go on from what :meth:`save_checkpoint` wrote (its folder) or returned (its dict)."""
        raise NotImplementedError(f"{type(self).__name__} defines no load_checkpoint(self, checkpoint)")

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take a new configuration in place of being built anew; return True if that was possible."""
        return False

    def cleanup(self) -> None:
        """Release what :meth:`setup` took."""

    def train(self) -> dict[str, Any]:
        """One iteration outside of a tuning run: :meth:`step`'s metrics with the automatic fields."""
        began = time.perf_counter()
        result = dict(self.step())
        took = time.perf_counter() - began
        self._iteration += 1
        self._time_total += took
        result.setdefault("training_iteration", self._iteration)
        result.setdefault("time_this_iter_s", took)
        result.setdefault("time_total_s", self._time_total)
        result.setdefault(DONE, False)
        return result

    def stop(self) -> None:
        """End the training: calls :meth:`cleanup`."""
        self.cleanup()

    @property
    def iteration(self) -> int:
        """Iterations done so far."""
        return self._iteration

    @property
    def training_iteration(self) -> int:
        """Iterations done so far."""
        return self._iteration

    @property
    def trial_id(self) -> str:
        """The trial's id, or ``"default"`` outside of a run."""
        return str(self._trial_info.get("trial_id", "default"))

    @property
    def trial_name(self) -> str:
        """The trial's name, or ``"default"`` outside of a run."""
        return str(self._trial_info.get("trial_name", "default"))

    @property
    def logdir(self) -> str | None:
        """The trial's folder, made on first use; None outside of a run."""
        folder = self._trial_info.get("trial_dir")
        if folder is not None:
            os.makedirs(folder, exist_ok=True)
        return folder

    @property
    def trial_resources(self) -> Mapping[str, float] | None:
        """What the trial was given."""
        return self._trial_info.get("resources")

    def get_config(self) -> dict[str, Any]:
        """The configuration in force."""
        return self.config


def is_class(trainable: Any) -> bool:
    """Whether this is a class trainable."""
    return inspect.isclass(trainable) and issubclass(trainable, Trainable)


class Prepared:
    """A trainable with parameters or resources bound to it, callable like the function itself."""

    def __init__(
        self,
        trainable: Callable[..., Any] | type[Trainable],
        parameters: Mapping[str, Any] | None = None,
        resources: Any = None,
    ) -> None:
        self.trainable = trainable
        self.parameters = dict(parameters or {})
        self.resources = resources
        self.__name__ = name_of(trainable)
        self.__doc__ = getattr(trainable, "__doc__", None)

    def __call__(self, config: dict[str, Any]) -> Any:
        return self.trainable(config, **self.parameters)

    @property
    def is_class(self) -> bool:
        """Whether the trainable inside is a class."""
        return is_class(self.trainable)


def prepare(trainable: Any) -> Prepared:
    """Any trainable as a :class:`Prepared`, after checking that it is one."""
    if isinstance(trainable, Prepared):
        return trainable
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
    if not inspect.isclass(trainable):
        _check_signature(trainable)
    return Prepared(trainable)


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


def name_of(trainable: Any) -> str:
    """A name for people: the function's, the class's, or the type's."""
    if isinstance(trainable, functools.partial):
        return name_of(trainable.func)
    return str(getattr(trainable, "__name__", type(trainable).__name__))


def with_parameters(trainable: Any, **parameters: Any) -> Prepared:
    """Bind objects, however large, to a trainable.

    They are written once and mapped by every worker on the machine (through the object store on a cluster), so an
    array of a gigabyte costs no trial a copy. Arrays arrive read-only.

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


def with_resources(trainable: Any, resources: Any) -> Prepared:
    """Say what a trial of this trainable needs.

    Parameters
    ----------
    trainable
        A function or class trainable.
    resources
        ``{"cpu": 2, "gpu": 0.5, "my_license": 1}`` (units of one; a GPU fraction shares a device), a function of the
        configuration that returns such a dict, or a :class:`PlacementGroupFactory`.
    """
    if not callable(resources):
        check_resources(resources, "with_resources(resources)")
    prepared = prepare(trainable)
    return Prepared(prepared.trainable, prepared.parameters, resources)


def request_of(prepared: Prepared) -> Any:
    """What a trainable asks for: a dict, a :class:`PlacementGroupFactory`, or a function of the configuration."""
    if prepared.resources is not None:
        return prepared.resources
    cls: Any = prepared.trainable
    default: Any = Trainable.default_resource_request
    if prepared.is_class and cls.default_resource_request.__func__ is not default.__func__:
        return cls.default_resource_request
    return DEFAULT_RESOURCES
