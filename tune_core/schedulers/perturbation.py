"""Exploring around a configuration: hyperparameters are drawn again or moved a little, never out of their domains."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from tune_core import space
from tune_core.core.random_state import seeded
from tune_core.core.validation import python_list
from tune_core.core.values import Config, ConfigView
from tune_core.errors import InvalidArgumentError
from tune_core.space.sampling import equal, varies

Mutations = Mapping[str, Any]


def python_mutations(mutations: Any) -> Any:
    """Mutations with lists of Python's own values for NumPy's arrays and scalars, as ``np.linspace`` makes them."""
    if not isinstance(mutations, Mapping):
        return mutations
    return {
        name: python_mutations(how) if isinstance(how, Mapping) else python_list(how) for name, how in mutations.items()
    }


def check_mutations(asked: str, mutations: object) -> None:
    """Raise unless ``mutations`` says for each name how it may change.

    Raises
    ------
    InvalidArgumentError
        If it is no mapping, or one of its values is neither a domain, a list, a function nor a mapping of these.
    """
    if not isinstance(mutations, Mapping):
        raise InvalidArgumentError(
            asked,
            f"is {mutations!r}",
            "it maps hyperparameters to how they may change",
            'Use e.g. {"lr": tune.loguniform(1e-4, 1e-1), "batch": [32, 64]}.',
        )
    for name, how in mutations.items():
        if isinstance(how, Mapping):
            check_mutations(f"{asked}[{name!r}]", how)
        elif isinstance(how, space.Function):
            raise InvalidArgumentError(
                f"{asked}[{name!r}]",
                f"is {how!r}",
                "a mutation is drawn on its own, without the configuration that sample_from is given",
                "Use the function itself, without arguments: lambda: random.uniform(0, 1).",
            )
        elif not (isinstance(how, (space.Domain, Sequence)) and not isinstance(how, str)) and not callable(how):
            raise InvalidArgumentError(
                f"{asked}[{name!r}]",
                f"is {how!r}",
                "it is neither a domain, a list of values nor a function that draws one",
                "Use e.g. tune.uniform(0, 1), [1, 2, 4] or lambda: random.uniform(0, 1).",
            )
        elif isinstance(how, Sequence) and not how:
            raise InvalidArgumentError(
                f"{asked}[{name!r}]", "is an empty list", "there is nothing to choose from", "List its values."
            )


def complete(param_space: Mapping[str, object], mutations: Mutations) -> Config:
    """The search space with the hyperparameters that only ``mutations`` has."""
    completed = dict(param_space)
    for name, how in mutations.items():
        if isinstance(how, Mapping):
            inner = completed.get(name, {})
            if isinstance(inner, Mapping):
                completed[name] = complete(inner, how)
        elif name not in completed:
            completed[name] = as_domain(how)
    return completed


def as_domain(how: Any) -> Any:
    """A mutation as a domain to draw from."""
    if isinstance(how, space.Domain):
        return how
    return space.choice(how) if isinstance(how, Sequence) else space.sample_from(lambda: how())


def explore(
    config: ConfigView,
    mutations: Mutations,
    param_space: Mapping[str, object],
    rng: random.Random,
    resample_probability: float,
    factors: Sequence[float],
    path: str = "",
) -> tuple[Config, list[str]]:
    """A configuration near ``config``.

    Parameters
    ----------
    config
        Where to start from; it is not changed.
    mutations
        How each hyperparameter may change.
    param_space
        The search space: domains that bound what a function in ``mutations`` draws.
    rng
        Source of chance.
    resample_probability
        How likely a value is drawn anew instead of moved.
    factors
        What to multiply numbers by when they are moved.

    Returns
    -------
    tuple
        The new configuration, and what was done, in words.
    """
    made = copy.deepcopy(dict(config))
    words: list[str] = []
    for name, how in mutations.items():
        if name not in made:
            continue
        old, where = made[name], f"{path}{name}"
        inner = param_space.get(name)
        if isinstance(how, Mapping):
            if isinstance(old, Mapping):
                below = inner if isinstance(inner, Mapping) else {}
                made[name], more = explore(old, how, below, rng, resample_probability, factors, f"{where}/")
                words += more
            continue
        bounds = how if isinstance(how, space.Domain) else inner if isinstance(inner, space.Domain) else None
        if rng.random() < resample_probability:
            made[name] = into(bounds, draw(how, rng))
        else:
            made[name] = move(old, how, bounds, rng, factors)
        words.append(f"{where} {show(old)} → {show(made[name])}")
    return made, words


def draw(how: Any, rng: random.Random) -> Any:
    """A value drawn anew."""
    if isinstance(how, space.Domain):
        return how.sample(random_state=rng)
    if isinstance(how, Sequence):
        return rng.choice(how)
    with seeded(rng.getrandbits(32)):
        return how()


def move(old: object, how: object, bounds: object, rng: random.Random, factors: Sequence[float]) -> Any:
    """A value near ``old``: a neighbour of a choice, a multiple of a number; always within the domain."""
    if isinstance(how, space.Categorical) and varies({"": list(how.categories)}):
        return draw(how, rng)  # its options hold domains: they have no neighbours
    values = how.categories if isinstance(how, space.Categorical) else how if isinstance(how, Sequence) else None
    if values is not None:
        at = next((i for i, value in enumerate(values) if equal(value, old)), None)
        if at is None:
            return rng.choice(values)
        return values[min(max(at + rng.choice((-1, 1)), 0), len(values) - 1)]
    factor = rng.choice(factors)
    number = as_python_number(old)
    if number is None:
        return draw(how, rng)
    is_domain = isinstance(bounds, (space.Float, space.Integer))
    is_whole = isinstance(bounds, space.Integer) if is_domain else isinstance(number, int)
    new = into(bounds, number * factor)
    if is_whole:
        new = round(new)
    if new == number and number != 0:  # a step too small for its grid: take the next one on it
        step = (getattr(bounds, "q", None) or (1 if is_whole else 0)) * (1 if number > 0 else -1)
        new = into(bounds, number + step if factor > 1 else number - step)
    return int(new) if is_whole else float(new)


def as_python_number(value: object) -> int | float | None:
    """A number of any type (NumPy's too) as an int or float; None for anything else, booleans included."""
    if isinstance(value, bool):
        return None
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else None


def into(bounds: object, value: object) -> Any:
    """The value of the domain that is nearest."""
    snap: Callable[[object], object] | None = getattr(bounds, "snap", None)
    number = as_python_number(value)
    if snap is None or number is None or not math.isfinite(number):
        return value
    return snap(number)


def show(value: object) -> str:
    """A value as text, for the reason of a decision."""
    return f"{value:.4g}" if isinstance(value, float) else repr(value)
