"""The functions with which a user writes a search space: each makes a domain, or a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tune_core.errors import InvalidArgumentError, SearchSpaceError
from tune_core.space.domains import Categorical, Function, as_values
from tune_core.space.numeric import Float, Integer


def uniform(lower: float, upper: float) -> Float:
    """Draw a float uniformly between ``lower`` and ``upper``.

    Parameters
    ----------
    lower
        Smallest value.
    upper
        Largest value.

    Returns
    -------
    Float
        A domain for a search space.

    Raises
    ------
    SearchSpaceError
        If a number is missing or not finite, or the numbers do not fit together.

    Examples
    --------
    >>> 0 <= uniform(0, 1).sample(random_state=1) <= 1
    True
    """
    return Float(_need("uniform", "lower", lower), _need("uniform", "upper", upper))


def quniform(lower: float, upper: float, q: float) -> Float:
    """Draw a float uniformly from the multiples of ``q`` between ``lower`` and ``upper``, both included.

    Parameters
    ----------
    lower
        Smallest value.
    upper
        Largest value.
    q
        Step: values are multiples of it; above 0.

    Returns
    -------
    Float
        A domain for a search space.

    Raises
    ------
    SearchSpaceError
        If a number is missing or not finite, or the numbers do not fit together.

    Examples
    --------
    >>> sorted(set(quniform(0, 0.3, 0.1).sample(size=99, random_state=1)))
    [0.0, 0.1, 0.2, 0.3]
    """
    return Float(_need("quniform", "lower", lower), _need("quniform", "upper", upper), q=_need("quniform", "q", q))


def loguniform(lower: float, upper: float, base: float = 10) -> Float:
    """Draw a float between ``lower`` and ``upper`` whose logarithm is uniform: each decade is as likely as the next.

    Parameters
    ----------
    lower
        Smallest value; above 0.
    upper
        Largest value.
    base
        Base of the logarithm. It changes no probability; searchers of other libraries may show it.

    Returns
    -------
    Float
        A domain for a search space.

    Raises
    ------
    SearchSpaceError
        If a number is missing or not finite, or the numbers do not fit together.
    """
    name = "loguniform"
    return Float(_need(name, "lower", lower), _need(name, "upper", upper), log=True, base=base)


def qloguniform(lower: float, upper: float, q: float, base: float = 10) -> Float:
    """Draw a multiple of ``q`` whose logarithm is uniform between ``lower`` and ``upper``, both included.

    Parameters
    ----------
    lower
        Smallest value; above 0.
    upper
        Largest value.
    q
        Step: values are multiples of it; above 0.
    base
        Base of the logarithm. It changes no probability; searchers of other libraries may show it.

    Returns
    -------
    Float
        A domain for a search space.

    Raises
    ------
    SearchSpaceError
        If a number is missing or not finite, or the numbers do not fit together.
    """
    name = "qloguniform"
    return Float(_need(name, "lower", lower), _need(name, "upper", upper), log=True, base=base, q=_need(name, "q", q))


def randn(mean: float = 0.0, sd: float = 1.0) -> Float:
    """Draw a float from a normal distribution.

    Parameters
    ----------
    mean
        The distribution's mean.
    sd
        Its standard deviation; above 0.

    Returns
    -------
    Float
        A domain for a search space.

    Raises
    ------
    SearchSpaceError
        If a number is missing or not finite, or the numbers do not fit together.
    """
    return Float(mean=mean, sd=_need("randn", "sd", sd))


def qrandn(mean: float, sd: float, q: float) -> Float:
    """Draw a float from a normal distribution, rounded to a multiple of ``q``.

    Parameters
    ----------
    mean
        The distribution's mean.
    sd
        Its standard deviation; above 0.
    q
        Step: values are multiples of it; above 0.

    Returns
    -------
    Float
        A domain for a search space.

    Raises
    ------
    SearchSpaceError
        If a number is missing or not finite, or the numbers do not fit together.
    """
    return Float(mean=mean, sd=_need("qrandn", "sd", sd), q=_need("qrandn", "q", q))


def randint(lower: int, upper: int) -> Integer:
    """Draw an integer uniformly from ``lower`` to ``upper``, without ``upper`` itself.

    Parameters
    ----------
    lower
        Smallest value.
    upper
        One more than the largest value; it is never drawn itself.

    Returns
    -------
    Integer
        A domain for a search space.

    Raises
    ------
    SearchSpaceError
        If a number is missing or not finite, or the numbers do not fit together.

    Examples
    --------
    >>> sorted(set(randint(1, 4).sample(size=99, random_state=1)))
    [1, 2, 3]
    """
    return Integer(lower, upper)


def qrandint(lower: int, upper: int, q: int = 1) -> Integer:
    """Draw an integer uniformly from the multiples of ``q`` between ``lower`` and ``upper``, both included.

    Parameters
    ----------
    lower
        Smallest value.
    upper
        Largest value.
    q
        Step: values are multiples of it; above 0.

    Returns
    -------
    Integer
        A domain for a search space.

    Raises
    ------
    SearchSpaceError
        If a number is missing or not finite, or the numbers do not fit together.
    """
    return Integer(lower, upper, q=_need("qrandint", "q", q))


def lograndint(lower: int, upper: int, base: float = 10) -> Integer:
    """Draw an integer from ``lower`` to ``upper``, without ``upper`` itself, uniformly in its logarithm.

    Parameters
    ----------
    lower
        Smallest value; at least 1.
    upper
        One more than the largest value; it is never drawn itself.
    base
        Base of the logarithm. It changes no probability; searchers of other libraries may show it.

    Returns
    -------
    Integer
        A domain for a search space.

    Raises
    ------
    SearchSpaceError
        If a number is missing or not finite, or the numbers do not fit together.
    """
    return Integer(lower, upper, log=True, base=base)


def qlograndint(lower: int, upper: int, q: int, base: float = 10) -> Integer:
    """Draw a multiple of ``q`` between ``lower`` and ``upper``, both included, uniformly in its logarithm.

    Parameters
    ----------
    lower
        Smallest value; at least 1.
    upper
        Largest value.
    q
        Step: values are multiples of it; above 0.
    base
        Base of the logarithm. It changes no probability; searchers of other libraries may show it.

    Returns
    -------
    Integer
        A domain for a search space.

    Raises
    ------
    SearchSpaceError
        If a number is missing or not finite, or the numbers do not fit together.
    """
    return Integer(lower, upper, log=True, base=base, q=_need("qlograndint", "q", q))


def choice(categories: Iterable[object], *more: object) -> Categorical:
    """Draw one of ``categories``; a dict among them may hold domains, which are drawn only if it is chosen.

    Parameters
    ----------
    categories
        The values to choose from, of any type, each as likely as the others. At least one.
    *more
        Not accepted: the values are given as one list. It is there so that an error can say so.

    Returns
    -------
    Categorical
        A domain for a search space.

    Raises
    ------
    InvalidArgumentError
        If there are no categories, or they were not given as one list.

    Examples
    --------
    >>> model = choice([{"kind": "svm", "C": loguniform(0.01, 100)}, {"kind": "knn", "k": randint(1, 30)}])
    >>> model.sample(random_state=1)["kind"]
    'svm'
    """
    if more:
        values = [categories, *more]
        raise InvalidArgumentError(
            f"tune.choice({', '.join(map(repr, values))})",
            f"was given {len(values)} arguments",
            "the values to choose from are one list",
            f"Use tune.choice({values!r}).",
        )
    return Categorical(categories)


def sample_from(func: Callable[..., object]) -> Function:
    """Compute a value by ``func``, which takes nothing or the configuration so far.

    Parameters
    ----------
    func
        Called once for each trial; if it takes an argument, with the values drawn so far, which it can read as items
        and as attributes.

    Returns
    -------
    Function
        A domain for a search space.

    Examples
    --------
    >>> from tune_core.space import generate
    >>> space = {"width": choice([8]), "depth": sample_from(lambda config: config.width // 2)}
    >>> generate(space, seed=0, index=0)
    {'width': 8, 'depth': 4}
    """
    return Function(func)


def grid_search(values: Iterable[object]) -> dict[str, list[Any]]:
    """Try each of ``values``, crossed with all other grids and with every sample of the random domains.

    Parameters
    ----------
    values
        What to try, of any type, in this order.

    Returns
    -------
    dict
        A domain for a search space, in Ray Tune's notation: ``{"grid_search": [...]}``.

    Raises
    ------
    InvalidArgumentError
        If ``values`` is not a list or another iterable of values.

    Examples
    --------
    >>> grid_search([0.1, 1.0])
    {'grid_search': [0.1, 1.0]}
    """
    return {"grid_search": as_values("tune.grid_search", "values", values)}


def _need(name: str, parameter: str, value: object) -> Any:
    if value is None:
        raise SearchSpaceError(
            f"tune.{name}", f"has {parameter}=None", f"{parameter} must be a number", f"Give {parameter} a value."
        )
    return value
