"""Numbers in steps from any start, as frameworks' own search spaces have them, as a domain."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tune_core.core.validation import python_values
from tune_core.errors import InvalidArgumentError
from tune_core.space import choice, qrandint, quniform, randint


@python_values
def steps(lower: float, upper: float, step: float) -> Any:
    """The values ``lower``, ``lower + step``, … up to ``upper``, as a domain; a single value as itself.

    Parameters
    ----------
    lower, upper
        The first value, and a bound that none is above.
    step
        The distance of two values. The values are integers if ``lower`` and ``step`` are.

    Examples
    --------
    >>> steps(32, 96, 32)
    qrandint(32, 96, 32)
    >>> steps(1, 6, 2)
    choice([1, 3, 5])
    >>> steps(0.0, 1.0, 0.25)
    quniform(0.0, 1.0, 0.25)
    """
    whole = isinstance(lower, int) and isinstance(step, int)
    if not step > 0 or upper < lower:
        raise InvalidArgumentError(
            "steps(lower, upper, step)",
            f"are {lower!r}, {upper!r} and {step!r}",
            "there are no such values",
            "Use a step above 0, and an upper bound that is not below the lower one.",
        )
    first, last, by = (Decimal(str(value)) for value in (lower, upper, step))
    count = int((last - first) / by)
    if not count:
        return lower
    last = first + count * by
    if by == 1 and whole:
        return randint(int(first), int(last) + 1)
    if first % by == 0:
        return qrandint(int(first), int(last), int(by)) if whole else quniform(float(first), float(last), float(by))
    values = [first + i * by for i in range(count + 1)]
    return choice([int(value) for value in values] if whole else [float(value) for value in values])
