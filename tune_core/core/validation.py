"""The one vocabulary for checking what users pass as arguments: each check returns the value, or says what to give.

``asked`` names the argument as the user wrote it, e.g. ``"TuneConfig(num_samples)"``; every check raises
:class:`~tune_core.errors.InvalidArgumentError`.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from tune_core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from fractions import Fraction


P = ParamSpec("P")
R = TypeVar("R")


def python_value(value: Any) -> Any:
    """A NumPy scalar as Python's own number, truth value or text; anything else as it is.

    What users compute with NumPy is converted once, where it is given: the journal, and tests such as
    ``isinstance(value, int)``, know Python's own types alone.
    """
    if type(value).__module__ != "numpy" or getattr(value, "shape", None) != ():
        return value
    plain = value.item()
    return float(plain) if type(plain).__module__ == "numpy" else plain  # longdouble is its own item


def json_default(value: Any, arrays: bool = False) -> Any:
    """The ``default`` of ``json.dumps`` that takes NumPy's scalars, and with ``arrays`` its arrays as lists.

    Raises
    ------
    TypeError
        If JSON cannot hold the value.
    """
    is_array = arrays and type(value).__module__ == "numpy" and hasattr(value, "tolist")
    plain = value.tolist() if is_array else python_value(value)
    if plain is value:
        raise TypeError(f"{value!r} (a {type(value).__name__}) is no value that JSON can hold")
    return plain


def python_values(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function or constructor, so that it is given Python's own values for NumPy's scalars."""

    @functools.wraps(function)
    def converting(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*map(python_value, args), **{name: python_value(value) for name, value in kwargs.items()})

    return converting


def python_fields(instance: Any) -> None:
    """Convert the fields of a new dataclass by :func:`python_value`."""
    for one in fields(instance):
        value = getattr(instance, one.name)
        plain = python_value(value)
        if plain is not value:
            object.__setattr__(instance, one.name, plain)  # it may be frozen


def python_list(value: Any) -> Any:
    """A one-dimensional array or a list of NumPy's scalars as a list of Python's own values; others as they are."""
    if hasattr(value, "tolist") and getattr(value, "ndim", None) == 1:
        return [python_value(one) for one in value.tolist()]
    return list(map(python_value, value)) if isinstance(value, list) else value


def is_asynchronous(function: Any) -> bool:
    """Whether a call runs none of the function's code, but returns something that has to be awaited."""
    while isinstance(function, functools.partial):
        function = function.func
    of_class = getattr(type(function), "__call__", None)  # noqa: B004
    return any(inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) for one in (function, of_class))


def synchronous(asked: str, function: Any) -> None:
    """Raise if ``function`` is asynchronous: nobody here awaits what it returns."""
    if is_asynchronous(function):
        raise InvalidArgumentError(
            asked,
            f"is the asynchronous function {getattr(function, '__name__', type(function).__name__)}",
            "it is called and nothing is awaited, so its code would not run",
            "Write def in place of async def, and asyncio.run(...) in it where something is to be awaited.",
        )


def _is_one(value: Any) -> bool:
    """Whether a value is no array of several."""
    return getattr(value, "shape", ()) == ()


def number(asked: str, value: object, least: float = -math.inf) -> float:
    """``value`` as a float, if it is a finite number of at least ``least``."""
    plain = python_value(value)
    if not isinstance(plain, (str, bool)) and hasattr(plain, "__float__") and _is_one(plain):
        found = float(plain)
        if math.isfinite(found) and found >= least:
            return found
    needed = "a finite number" if least == -math.inf else f"a number of {least:g} or more"
    raise InvalidArgumentError(asked, f"is {value!r}", f"it must be {needed}", f"Give {needed}, e.g. 0.01.")


def integer(asked: str, value: object, least: int = 1, also: str = "") -> int:
    """``value`` as an int, if it is an integer of at least ``least``; ``also`` says what else is allowed."""
    plain: Any = python_value(value)
    is_whole = not isinstance(plain, (str, float, bool)) and hasattr(plain, "__index__") and _is_one(plain)
    if is_whole and int(plain) >= least:
        return int(plain)
    raise InvalidArgumentError(
        asked,
        f"is {value!r}",
        f"it must be an integer of at least {least}{also}",
        f"Use e.g. {max(least, 10)}{also}.",
    )


def seconds(asked: str, value: object) -> float:
    """``value`` as a time in seconds, if it is a finite number above 0."""
    if isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) < math.inf:
        return float(value)
    raise InvalidArgumentError(
        asked, f"is {value!r}", "it is a time in seconds above 0", "Use e.g. 60.0, or None for no limit."
    )


def fraction(asked: str, value: object, above: float = 0, allowed: str = "a number") -> Fraction:
    """A number as the exact fraction that its decimal notation says (1.1 is 11/10), if it is above ``above``."""
    from fractions import Fraction  # with all of decimal: for the few schedulers that count in fractions

    exact: Fraction | None = None
    if isinstance(value, Integral) and not isinstance(value, bool):
        exact = Fraction(int(value))
    elif isinstance(value, Real) and not isinstance(value, bool):
        try:
            exact = Fraction(repr(float(value)))
        except ValueError:  # NaN, infinite
            exact = None
    if exact is None or exact <= above:
        raise InvalidArgumentError(
            asked, f"is {value!r}", f"it must be {allowed} above {above:g}", f"Use {allowed} above {above:g}."
        )
    return exact


def share(asked: str, value: object, most: float = 1.0) -> float:
    """A number from 0 to ``most``, both included."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= float(value) <= most:
        raise InvalidArgumentError(
            asked, f"is {value!r}", f"it is a share between 0 and {most:g}", f"Use a number from 0 to {most:g}."
        )
    return float(value)


def proper_share(asked: str, value: object) -> float:
    """A number between 0 and 1, both excluded."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < 1:
        raise InvalidArgumentError(asked, f"is {value!r}", "it is a share between 0 and 1", "Use e.g. 0.25.")
    return float(value)


def one_of(asked: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise unless ``value`` is one of ``choices``."""
    if value not in choices:
        named = ", ".join(map(repr, choices))
        raise InvalidArgumentError(asked, f"is {value!r}", "it is none of the known ones", f"Use one of {named}.")


def takes(asked: str, function: Callable[..., object], *names: str, example: str) -> None:
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


def points(name: str, value: object) -> list[Mapping[str, Any]]:
    """The ``points_to_evaluate`` of the searcher ``name``: a list of configurations; None is an empty one."""
    asked = f"{name}(points_to_evaluate)"
    value = python_list(value)
    if value is None:
        return []
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
        raise InvalidArgumentError(asked, f"is {value!r}", "it is a list of configurations", "Use a list of dicts.")
    for i, point in enumerate(value):
        if not isinstance(point, Mapping):
            raise InvalidArgumentError(f"{asked}[{i}]", f"is {point!r}", "a point is a dict", 'Use e.g. {"lr": 0.01}.')
    return list(value)


def rewards(name: str, value: object, points: Sequence[object]) -> list[Any] | None:
    """The ``evaluated_rewards`` of the searcher ``name``: one value, or None, for each point."""
    if value is None:
        return None
    value = python_list(value)
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence) or len(value) != len(points):
        raise InvalidArgumentError(
            f"{name}(evaluated_rewards)",
            f"is {value!r}, for {len(points)} points_to_evaluate",
            "each point needs its value, or None where it is to be tried",
            "Give a list of the same length.",
        )
    return list(value)


def seed(asked: str, value: object) -> int | None:
    """An integer, or None."""
    plain: Any = python_value(value)
    if plain is None or (hasattr(plain, "__index__") and not isinstance(plain, bool) and _is_one(plain)):
        return None if plain is None else int(plain)
    raise InvalidArgumentError(asked, f"is {value!r}", "a seed is a whole number", "Use e.g. 0, or None.")
