"""Tests of schedulers' arguments, each with an error that says what to write instead."""

from __future__ import annotations

from fractions import Fraction
from numbers import Integral, Real

from tune_core.errors import InvalidArgumentError


def fraction(asked: str, value: object, above: float = 0, allowed: str = "a number") -> Fraction:
    """A number as the exact fraction that its decimal notation says (1.1 is 11/10), if it is above ``above``.

    Raises
    ------
    InvalidArgumentError
        If it is no finite number, or not above ``above``.
    """
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


def count(asked: str, value: object, least: int = 1) -> int:
    """An integer of at least ``least``.

    Raises
    ------
    InvalidArgumentError
        If it is anything else.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise InvalidArgumentError(
            asked, f"is {value!r}", f"it must be an integer of at least {least}", f"Use {least} or more."
        )
    return int(value)


def one_of(asked: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise unless ``value`` is one of ``choices``.

    Raises
    ------
    InvalidArgumentError
        If it is none of them.
    """
    if value not in choices:
        named = ", ".join(map(repr, choices))
        raise InvalidArgumentError(asked, f"is {value!r}", "it is none of the known ones", f"Use one of {named}.")


def share(asked: str, value: object, most: float = 1.0) -> float:
    """A number from 0 to ``most``.

    Raises
    ------
    InvalidArgumentError
        If it is anything else.
    """
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= float(value) <= most:
        raise InvalidArgumentError(
            asked, f"is {value!r}", f"it is a share between 0 and {most:g}", f"Use a number from 0 to {most:g}."
        )
    return float(value)
