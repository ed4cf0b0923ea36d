"""What all domains share, and the domains that are not ranges of numbers: choices and functions."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral
from random import Random
from typing import Any, Protocol, cast

from tune_core.errors import SearchSpaceError

_BIG = 1 << 40  # below this, int(random() * n) is uniform to better than one part in 8,000


class Sampler(Protocol):
    """Draws from whole spaces; :mod:`tune_core.space.sampling`, which is built on the domains here."""

    def draw_value(self, node: object, rng: Random, config: Any = None) -> Any:
        """Draw one domain, or all domains in a container."""

    def fits(self, value: object, node: object) -> bool:
        """Whether ``value`` is what ``node`` of a space could become."""


sampler = cast(Sampler, None)  # set by the module that draws whole spaces, which is built on this one


def set_sampler(found: Sampler) -> None:
    """Say what draws the values of a choice that are whole spaces themselves."""
    global sampler
    sampler = found


def below(rng: Random, n: int) -> int:
    """A uniform integer in ``[0, n)``, by operations with the same results in every Python version."""
    return int(rng.random() * n) if n < _BIG else rng.getrandbits(n.bit_length() + 64) % n


def show(value: object) -> str:
    """A number as the user would type it: ``1e-05`` and ``0.1``, and ``10`` for ``10``."""
    return repr(value.item()) if type(value).__module__ == "numpy" and hasattr(value, "item") else repr(value)


def is_utf8(text: str) -> bool:
    """Whether a text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal and of the same types, so that 1, 1.0 and True differ; NaN is the same as NaN."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    try:
        return bool(a == b) or (isinstance(a, float) and math.isnan(a) and math.isnan(b))
    except Exception:  # arrays and other types whose comparison is no truth value
        return False


def as_rng(random_state: object) -> Random:
    """A ``random.Random`` from None (fresh), an int, a ``random.Random`` or one of NumPy's generators."""
    if isinstance(random_state, Random):
        return random_state
    if random_state is None:
        return Random()
    if isinstance(random_state, Integral) and not isinstance(random_state, bool):
        return Random(int(random_state))
    draw = getattr(random_state, "integers", None) or getattr(random_state, "randint", None)
    if draw is not None and type(random_state).__module__.partition(".")[0] == "numpy":
        high, low = (int(draw(0, 1 << 31)) for _ in range(2))
        return Random(high << 32 | low)
    raise SearchSpaceError(
        "random_state",
        f"is {random_state!r}",
        "a seed or a generator is needed",
        "Give an int, a random.Random, a numpy Generator or RandomState, or None.",
    )


class Domain:
    """A set of values and how they are drawn; the functions of :mod:`tune_core.space` make domains."""

    __slots__ = ()

    def _key(self) -> tuple[object, ...]:
        raise NotImplementedError

    def draw(self, rng: Random, config: Any = None) -> Any:
        """One value, drawn by ``rng`` alone."""
        raise NotImplementedError

    def sample(self, config: Any = None, size: int = 1, random_state: object = None) -> Any:
        """Draw one value, or a list of ``size`` values.

        Parameters
        ----------
        config
            Values resolved so far, for :class:`Function`.
        size
            How many to draw; with 1 the bare value is returned.
        random_state
            None, a seed, a ``random.Random``, or a NumPy ``Generator`` or ``RandomState``.
        """
        rng = as_rng(random_state)
        values = [sampler.draw_value(self, rng, config) for _ in range(size)]
        return values[0] if size == 1 else values

    def is_valid(self, value: object) -> bool:
        """Whether ``value`` could have been drawn."""
        raise NotImplementedError

    def cast(self, value: object) -> Any:
        """``value`` as the domain's type."""
        return value

    @property
    def domain_str(self) -> str:
        """The set of values as a short text."""
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and same(self._key(), other._key())

    def __hash__(self) -> int:
        try:
            return hash((type(self).__name__, self._key()))
        except TypeError:  # unhashable categories
            return hash(type(self).__name__)


def as_values(asked: str, name: str, values: Any) -> list[Any]:
    """The alternatives of a choice or grid as a list, or an error that says what is wrong with them."""
    problem = ""
    if isinstance(values, (str, bytes)):
        problem, fix = "a string would be split into its characters", f"Use [{values!r}]."
    elif isinstance(values, (set, frozenset)):
        problem, fix = "a set has no order, so a seed could not fix what is drawn", "Use sorted(...) or a list."
    elif isinstance(values, Mapping):
        problem, fix = "a dict is one configuration, not a list of alternatives", "Use a list: [{...}, {...}]."
    elif isinstance(values, Domain) or not isinstance(values, Iterable):
        problem, fix = "a list of alternatives is needed", "Use a list, for example [1, 2, 3]."
    if problem:
        raise SearchSpaceError(asked, f"has {name}={values!r}", problem, fix)
    found = list(values)
    if not found:
        raise SearchSpaceError(
            asked, f"has no {name}", "there is nothing to choose from", "Give at least one value, or leave it out."
        )
    return found


class Categorical(Domain):
    """One of several values, each as likely as the others. A dict among them may hold domains of its own.

    Parameters
    ----------
    categories
        The values, in a fixed order, so that a seed always draws the same.
    """

    __slots__ = ("categories",)
    log, q = False, None

    def __init__(self, categories: Iterable[object]) -> None:
        self.categories = as_values("tune.choice", "categories", categories)

    def uniform(self) -> Categorical:
        """The same categories, each as likely as the others."""
        return self

    def grid(self) -> dict[str, list[Any]]:
        """All categories, one after the other, as a grid."""
        return {"grid_search": list(self.categories)}

    def draw(self, rng: Random, config: Any = None) -> Any:
        """One category; domains within it are not drawn yet."""
        return self.categories[below(rng, len(self.categories))]

    def index_of(self, value: object) -> int | None:
        """Position of ``value`` among the categories: the same object or type and value first, then an equal one."""
        for i, category in enumerate(self.categories):
            if category is value:
                return i
        for i, category in enumerate(self.categories):
            if same(category, value):
                return i
        for i, category in enumerate(self.categories):
            try:
                if bool(category == value):
                    return i
            except Exception:  # arrays and other types whose comparison is no truth value
                continue
        return None

    def is_valid(self, value: object) -> bool:
        """Whether ``value`` is a category, or could be drawn from a category that holds domains."""
        return self.index_of(value) is not None or any(sampler.fits(value, c) for c in self.categories)

    def __len__(self) -> int:
        return len(self.categories)

    def __getitem__(self, item: int) -> Any:
        return self.categories[item]

    @property
    def domain_str(self) -> str:
        """The categories."""
        return f"{self.categories}"

    def _key(self) -> tuple[object, ...]:
        return tuple(self.categories)

    def __repr__(self) -> str:
        return f"choice({self.categories!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Categorical, (self.categories,))


class Function(Domain):
    """A value that a function computes, from nothing or from the values resolved so far.

    Parameters
    ----------
    func
        Takes no argument, or one: the configuration so far.
    """

    __slots__ = ("func", "takes_config")
    log, q = False, None

    def __init__(self, func: Callable[..., object]) -> None:
        if not callable(func):
            raise SearchSpaceError(
                "tune.sample_from",
                f"has func={func!r}",
                "func must be a function",
                "Use tune.sample_from(lambda config: ...), or give the value itself if it is a constant.",
            )
        self.func = func
        self.takes_config = _takes_config(func)

    def draw(self, rng: Random, config: Any = None) -> Any:
        """What the function returns for ``config``."""
        return self.func(config) if self.takes_config else self.func()

    def is_valid(self, value: object) -> bool:
        """True: what a function may return is not known."""
        return True

    @property
    def domain_str(self) -> str:
        """The function's name."""
        return f"{getattr(self.func, '__qualname__', type(self.func).__name__)}()"

    def _key(self) -> tuple[object, ...]:
        return (self.func,)

    def __repr__(self) -> str:
        return f"sample_from({getattr(self.func, '__qualname__', type(self.func).__name__)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Function, (self.func,))


def _takes_config(func: Callable[..., object]) -> bool:
    try:
        parameters = list(inspect.signature(func).parameters.values())
    except (TypeError, ValueError):  # a builtin without a signature
        return False
    bare = [p for p in parameters if p.default is p.empty]
    required = [p for p in bare if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    named = [p for p in bare if p.kind is p.KEYWORD_ONLY]
    if len(required) > 1 or named:
        raise SearchSpaceError(
            "tune.sample_from",
            f"has a func with the required parameters {', '.join(p.name for p in required + named)}",
            "func is called with the configuration so far, or with nothing",
            "Let func take at most one argument, and read the other values from it.",
        )
    # `lambda i=i: i` keeps its own default; `def f(spec=None)` means the configuration.
    first = parameters[0] if parameters else None
    return bool(required) or (first is not None and (first.kind is first.VAR_POSITIONAL or first.name in _SPEC_NAMES))


_SPEC_NAMES = ("spec", "config")
