"""Ranges of numbers to draw a hyperparameter from: continuous or integer; linear, logarithmic, normal, in steps."""

from __future__ import annotations

import math
from numbers import Real
from random import Random
from typing import Any

from tune_core.errors import SearchSpaceError
from tune_core.space.domains import Domain, below, show


def _number(asked: str, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise SearchSpaceError(
            asked, f"has {name}={value!r}", f"{name} must be a number", f"Give {name} as an int or a float."
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise SearchSpaceError(
            asked, f"has {name}={show(value)}", f"{name} must be finite", f"Give {name} a finite value."
        )
    return number


def _integer(asked: str, name: str, value: Any) -> int:
    number = _number(asked, name, value)
    if not number.is_integer():
        raise SearchSpaceError(
            asked,
            f"has {name}={value!r}",
            f"{name} of an integer domain must be a whole number",
            "Round it, or use tune.uniform for a continuous domain.",
        )
    return int(value)


def _positive(asked: str, name: str, value: object) -> float:
    number = _number(asked, name, value)
    if number <= 0:
        raise SearchSpaceError(asked, f"has {name}={value!r}", f"{name} must be above 0", f"Use a positive {name}.")
    return number


def _check_base(asked: str, base: object) -> None:
    if _positive(asked, "base", base) == 1:
        raise SearchSpaceError(
            asked, f"has base={base!r}", "there is no logarithm to the base 1", "Leave base out; it is 10 then."
        )


def _check_order(asked: str, lower: float, upper: float, shown: str) -> None:
    if lower >= upper:
        raise SearchSpaceError(
            asked,
            f"has lower={lower!r} and upper={upper!r}",
            "the lower bound must be below the upper bound",
            f"Give the value {show(lower)} itself if it is a constant, else a larger upper bound."
            if lower == upper
            else f"Use {shown}.",
        )


class Float(Domain):
    """Real numbers between two bounds, or normally distributed.

    Parameters
    ----------
    lower, upper
        The bounds; None (no bound) is for normal distributions only.
    log, base
        Whether values are uniform in their logarithm; the base does not change the distribution.
    q
        Step: values are whole multiples of it.
    mean, sd
        Of a normal distribution.
    """

    __slots__ = (
        "_denominator",
        "_high",
        "_log_lower",
        "_log_span",
        "_low",
        "_numerator",
        "base",
        "log",
        "lower",
        "mean",
        "q",
        "sd",
        "upper",
    )

    def __init__(
        self,
        lower: float | None = None,
        upper: float | None = None,
        *,
        log: bool = False,
        base: float = 10,
        q: float | None = None,
        mean: float | None = None,
        sd: float | None = None,
    ) -> None:
        shown = [show(v) for v in (lower, upper) if v is not None] if sd is None else [show(mean), show(sd)]
        asked = f"tune.{_float_name(log, q, sd)}({', '.join(shown + ([] if q is None else [show(q)]))})"
        self.lower = -math.inf if lower is None else _number(asked, "lower", lower)
        self.upper = math.inf if upper is None else _number(asked, "upper", upper)
        if lower is not None and upper is not None:
            _check_order(asked, lower, upper, f"tune.{_float_name(log, q, sd)}({show(upper)}, {show(lower)}, ...)")
        self.log, self.base = log, base
        self.mean = None if sd is None else _number(asked, "mean", mean)
        self.sd = None if sd is None else _positive(asked, "sd", sd)
        if log:
            self._check_log(asked)
        self.q = None if q is None else _positive(asked, "q", q)
        self._numerator, self._denominator = 0, 1
        self._low = self._high = 0
        if self.q is not None:
            self._set_grid(asked, self.q)
        if log:
            half = (self.q or 0.0) / 2  # so that both ends are drawn as often as their neighbours
            self._log_lower = math.log(self.lower - half if self.lower > half else self.lower)
            self._log_span = math.log(self.upper + half) - self._log_lower

    def _check_log(self, asked: str) -> None:
        _check_base(asked, self.base)
        if not 0 < self.lower < self.upper < math.inf:
            raise SearchSpaceError(
                asked,
                f"has lower={self.lower!r} and upper={self.upper!r}",
                "a log domain needs a lower bound above 0 and a finite upper bound",
                f"Use tune.loguniform(1e-5, {show(self.upper)}), "
                f"or tune.uniform({show(self.lower)}, {show(self.upper)}) for a linear one."
                if self.upper > 0
                else "Use tune.uniform for a linear domain.",
            )

    def _set_grid(self, asked: str, q: float) -> None:
        from decimal import Decimal

        # The step as the decimal fraction that was typed: 3 * 1 / 10 is 0.3, while 3 * 0.1 is not.
        self._numerator, self._denominator = Decimal(repr(q)).as_integer_ratio()
        if q > (self.upper - self.lower) * (1 + 1e-9):  # 0.3 - 0.2 is a little less than 0.1
            raise SearchSpaceError(
                asked,
                f"has q={show(q)}",
                f"the step q is larger than the range, {show(self.upper - self.lower)}",
                "Use a smaller q, or wider bounds.",
            )
        for name in ("lower", "upper"):
            bound = getattr(self, name)
            if math.isinf(bound):
                continue
            steps = bound / q
            if math.isinf(steps):
                raise SearchSpaceError(asked, f"has q={show(q)}", "the step q is too small", "Use a larger q.")
            if not math.isclose(steps, round(steps), rel_tol=1e-9, abs_tol=1e-9):
                raise SearchSpaceError(
                    asked,
                    f"has {name}={show(bound)}",
                    f"the bound {name} is not a whole multiple of the step q={show(q)}",
                    f"Use {name}={show(self._multiple(round(steps)))}, or another q.",
                )
            setattr(self, "_low" if name == "lower" else "_high", round(steps))

    def _multiple(self, k: int) -> float:
        return k * self._numerator / self._denominator  # division of ints: the float nearest to the exact quotient

    def _on_grid(self, k: int) -> float:
        if self.lower != -math.inf and k <= self._low:
            return self.lower
        if self.upper != math.inf and k >= self._high:
            return self.upper
        return self._multiple(k)

    def uniform(self) -> Float:
        """The same bounds, drawn uniformly."""
        return Float(_bound(self.lower), _bound(self.upper), q=self.q)

    def loguniform(self, base: float = 10) -> Float:
        """The same bounds, drawn uniformly in the logarithm."""
        return Float(_bound(self.lower), _bound(self.upper), log=True, base=base, q=self.q)

    def normal(self, mean: float = 0.0, sd: float = 1.0) -> Float:
        """A normal distribution, truncated at the bounds if there are any."""
        return Float(_bound(self.lower), _bound(self.upper), mean=mean, sd=sd, q=self.q)

    def quantized(self, q: float) -> Float:
        """The same domain in steps of ``q``."""
        return Float(
            _bound(self.lower), _bound(self.upper), log=self.log, base=self.base, q=q, mean=self.mean, sd=self.sd
        )

    def draw(self, rng: Random, config: Any = None) -> float:
        """One value, drawn by ``rng`` alone."""
        if self.sd is not None:
            return self._draw_normal(rng)
        if self.log:
            value = math.exp(self._log_lower + self._log_span * rng.random())
            if self.q is not None:
                return self._on_grid(round(value / self.q))
        elif self.q is not None:
            return self._on_grid(self._low + below(rng, self._high - self._low + 1))
        else:
            share = rng.random()
            value = self.lower * (1.0 - share) + self.upper * share
        return self.lower if value < self.lower else self.upper if value > self.upper else value

    def _draw_normal(self, rng: Random) -> float:
        assert self.mean is not None and self.sd is not None
        for _ in range(1000):
            # Box and Muller's transform: random() is the only method whose sequence Python promises to keep
            radius = math.sqrt(-2.0 * math.log(1.0 - rng.random()))
            value = self.mean + self.sd * radius * math.cos(2.0 * math.pi * rng.random())
            if self.lower <= value <= self.upper:
                break
        return self.snap(value)

    def snap(self, value: float) -> float:
        """The value of the domain that is nearest to ``value``."""
        value = float(value)
        if self.q is not None and math.isfinite(value / self.q):
            return self._on_grid(round(value / self.q))
        return min(max(value, self.lower), self.upper)

    def is_valid(self, value: object) -> bool:
        """Whether ``value`` is a number between the bounds and on the grid."""
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            return False
        number = float(value)
        if not self.lower <= number <= self.upper:
            return False
        if self.q is None:
            return True
        steps = number / self.q
        return math.isclose(steps, round(steps), rel_tol=1e-9, abs_tol=1e-9)

    def cast(self, value: Any) -> float:
        """``value`` as a float."""
        return float(value)

    @property
    def domain_str(self) -> str:
        """The bounds."""
        return f"({self.lower}, {self.upper})"

    def _key(self) -> tuple[object, ...]:
        return (self.lower, self.upper, self.log, self.base, self.q, self.mean, self.sd)

    def __repr__(self) -> str:
        bounded = math.isfinite(self.lower) or math.isfinite(self.upper)
        if self.sd is not None and bounded:
            text = f"Float({self.lower!r}, {self.upper!r}).normal({self.mean!r}, {self.sd!r})"
            return text if self.q is None else f"{text}.quantized({self.q!r})"
        values = [self.lower, self.upper] if self.sd is None else [self.mean, self.sd]
        values += [] if self.q is None else [self.q]
        base = f", base={self.base!r}" if self.log and self.base != 10 else ""
        return f"{_float_name(self.log, self.q, self.sd)}({', '.join(map(repr, values))}{base})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild_float, (_bound(self.lower), _bound(self.upper), *self._key()[2:]))


def _bound(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _rebuild_float(lower: Any, upper: Any, log: Any, base: Any, q: Any, mean: Any, sd: Any) -> Float:
    return Float(lower, upper, log=log, base=base, q=q, mean=mean, sd=sd)


def _float_name(log: bool, q: object, sd: object) -> str:
    return ("" if q is None else "q") + ("randn" if sd is not None else "loguniform" if log else "uniform")


class Integer(Domain):
    """Whole numbers from ``lower`` to ``upper``: without ``upper`` itself, unless a step ``q`` is given.

    Parameters
    ----------
    lower, upper
        The bounds.
    log, base
        Whether values are uniform in their logarithm, so that small ones are drawn more often; the base does not change
        the distribution.
    q
        Step: values are whole multiples of it, and both bounds are included.
    """

    __slots__ = ("_first", "_last", "_log_lower", "_log_span", "base", "log", "lower", "q", "upper")

    def __init__(self, lower: int, upper: int, *, log: bool = False, base: float = 10, q: int | None = None) -> None:
        shown = ", ".join(show(v) for v in (lower, upper, q) if v is not None)
        name = ("" if q is None else "q") + ("lograndint" if log else "randint")
        asked = f"tune.{name}({shown})"
        self.lower, self.upper = _integer(asked, "lower", lower), _integer(asked, "upper", upper)
        _check_order(asked, self.lower, self.upper, f"tune.{name}({show(upper)}, {show(lower)}, ...)")
        self.log, self.base = log, base
        self.q: int | None = None
        if log:
            _check_base(asked, base)
        if log and self.lower <= 0:
            raise SearchSpaceError(
                asked,
                f"has lower={self.lower}",
                "a log domain needs a lower bound above 0",
                f"Use tune.lograndint(1, {self.upper}), or tune.randint({self.lower}, {self.upper}).",
            )
        if q is None:
            self._first, self._last = self.lower, self.upper - 1
        else:
            _positive(asked, "q", q)
            self.q = _integer(asked, "q", q)
            self._first, self._last = -(-self.lower // self.q), self.upper // self.q  # in steps
            if self.q > self.upper - self.lower or self._first > self._last:
                raise SearchSpaceError(
                    asked,
                    f"has q={self.q}",
                    f"the step q is larger than the range, {self.upper - self.lower}",
                    "Use a smaller q, or wider bounds.",
                )
        if log:
            start, stop = (self._first - 0.5, self._last + 0.5) if self.q else (self.lower, self.upper)
            self._log_lower = math.log(start)
            self._log_span = math.log(stop) - self._log_lower

    def uniform(self) -> Integer:
        """The same bounds, drawn uniformly."""
        return Integer(self.lower, self.upper, q=self.q)

    def loguniform(self, base: float = 10) -> Integer:
        """The same bounds, drawn uniformly in the logarithm."""
        return Integer(self.lower, self.upper, log=True, base=base, q=self.q)

    def quantized(self, q: int) -> Integer:
        """The same bounds, both included, in steps of ``q``."""
        return Integer(self.lower, self.upper, log=self.log, base=self.base, q=q)

    @property
    def first(self) -> int:
        """The least value."""
        return self._first * (self.q or 1)

    @property
    def last(self) -> int:
        """The greatest value."""
        return self._last * (self.q or 1)

    def draw(self, rng: Random, config: Any = None) -> int:
        """One value, drawn by ``rng`` alone."""
        if self.log:
            value = math.exp(self._log_lower + self._log_span * rng.random())
            step = min(max(round(value) if self.q else int(value), self._first), self._last)
        else:
            step = self._first + below(rng, self._last - self._first + 1)
        return step if self.q is None else step * self.q

    def snap(self, value: float) -> int:
        """The value of the domain that is nearest to ``value``."""
        step = round(value / self.q) if self.q else round(value)
        return min(max(step, self._first), self._last) * (self.q or 1)

    def is_valid(self, value: object) -> bool:
        """Whether ``value`` is a whole number within the bounds and on the grid."""
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            return False
        whole = self.cast(value)
        return whole == value and self.first <= whole <= self.last and whole % (self.q or 1) == 0

    def cast(self, value: Any) -> int:
        """``value`` as an int."""
        return int(value)

    @property
    def domain_str(self) -> str:
        """The bounds."""
        return f"({self.lower}, {self.upper})"

    def _key(self) -> tuple[object, ...]:
        return (self.lower, self.upper, self.log, self.base, self.q)

    def __repr__(self) -> str:
        name = ("" if self.q is None else "q") + ("lograndint" if self.log else "randint")
        step = "" if self.q is None else f", {self.q}"
        base = f", base={self.base!r}" if self.log and self.base != 10 else ""
        return f"{name}({self.lower}, {self.upper}{step}{base})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild_integer, self._key())


def _rebuild_integer(lower: Any, upper: Any, log: Any, base: Any, q: Any) -> Integer:
    return Integer(lower, upper, log=log, base=base, q=q)
