"""Forms of search space: scikit-learn's lists and distributions, tune-core's domains, and those of other libraries."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.model_selection import ParameterGrid, ParameterSampler

import tune_core as tune
from tune_core.errors import SearchSpaceError
from tune_core.space import Domain


class Drawn:
    """A domain as scikit-learn's sampler wants its distributions: with ``rvs``."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain

    def rvs(self, size: object = None, random_state: object = None) -> Any:
        """One value, drawn by ``random_state``."""
        return self.domain.sample(random_state=random_state)


def sampled(space: Any, n_iter: int, random_state: object) -> list[dict[str, Any]]:
    """The candidates of a random search: those of ``RandomizedSearchCV`` for the same ``random_state``."""
    _warn_of_ranges(space, n_iter)
    return list(ParameterSampler(_for_sampler(space), n_iter, random_state=random_state))


def _warn_of_ranges(space: Any, n_iter: int) -> None:
    """A pair of numbers is two values here, as in scikit-learn, and a range for the other searches."""
    for one in [space] if isinstance(space, Mapping) else space if isinstance(space, (list, tuple)) else []:
        for name, value in one.items() if isinstance(one, Mapping) else ():
            if isinstance(value, tuple) and _is_range(value) and n_iter > len(value):
                warnings.warn(
                    f"param_distributions[{name!r}] is {value!r}: random search takes it as {len(value)} values, as "
                    f"scikit-learn does. For a range write {_range(value)!r}; for the values, write the list "
                    f"{list(value)!r}.",
                    UserWarning,
                    stacklevel=2,
                )


def gridded(space: Any) -> list[dict[str, Any]]:
    """The candidates of a grid search, in ``GridSearchCV``'s order."""
    return list(ParameterGrid(_each(space, _for_grid)))


def _each(space: Any, change: Any) -> object:
    if isinstance(space, Mapping):
        return {name: change(name, value) for name, value in space.items()}
    if isinstance(space, Iterable) and not isinstance(space, str):
        return [_each(one, change) if isinstance(one, Mapping) else one for one in space]
    return space


def _for_sampler(space: Any) -> object:
    def change(name: str, value: Any) -> Any:
        if _is_grid(value):
            return list(value["grid_search"])
        domain = value if isinstance(value, Domain) else _foreign(name, value)
        return value if domain is None else Drawn(domain)

    return _each(space, change)


def _for_grid(name: str, value: Any) -> object:
    if isinstance(value, Domain) or hasattr(value, "rvs"):
        raise SearchSpaceError(
            f"param_grid[{name!r}]",
            f"is {value!r}",
            "a grid is made of values, and this is a distribution",
            "Use a list of values, or TuneSearchCV to sample it.",
        )
    if _is_grid(value):
        return list(value["grid_search"])
    return value


def _is_grid(value: object) -> bool:
    return isinstance(value, Mapping) and set(value) == {"grid_search"}


# --- for searchers ----------------------------------------------------------------------------------------------------


def domains_of(space: Any) -> dict[str, Any]:
    """A space for a searcher: each name with a domain of tune-core's."""
    if _is_configuration_space(space):
        return {str(name): _foreign(str(name), value) for name, value in dict(space).items()}
    if not isinstance(space, Mapping):
        raise SearchSpaceError(
            "param_distributions",
            f"is {space!r} of type {type(space).__name__}",
            "searchers other than 'random' work on one dict of names and distributions",
            'Use a dict, or search_optimization="random".',
        )
    return {name: domain_of(name, value) for name, value in space.items()}


def domain_of(name: str, value: Any) -> Any:
    """What is searched under one name, as a domain of tune-core's.

    Raises
    ------
    SearchSpaceError
        If there is no such domain.
    """
    if isinstance(value, Domain):
        return value
    if _is_grid(value):
        return tune.choice(value["grid_search"])
    if isinstance(value, tuple) and _is_range(value):
        return _range(value)
    foreign = _foreign(name, value)
    if foreign is not None:
        return foreign
    if hasattr(value, "rvs"):
        return _scipy(name, value)
    if isinstance(value, (list, tuple, range)) or (isinstance(value, np.ndarray) and value.ndim == 1):
        return tune.choice([v.item() if isinstance(v, np.generic) else v for v in value])
    raise SearchSpaceError(
        f"param_distributions[{name!r}]",
        f"is {value!r} of type {type(value).__name__}",
        "there is no known way to search it",
        "Use a list of values, (low, high), (low, high, 'log-uniform'), or a domain such as tune.uniform(low, high).",
    )


def _is_range(value: tuple[object, ...]) -> bool:
    """Whether a tuple is ``(low, high)`` or ``(low, high, prior)`` rather than a list of values."""
    ends = value[:2]
    if len(ends) < 2 or not all(isinstance(v, (int, float, np.number)) and not isinstance(v, bool) for v in ends):
        return False
    return len(value) == 2 or (len(value) == 3 and value[2] in ("uniform", "log-uniform"))


def _range(value: tuple[Any, ...]) -> Domain:
    """``(low, high)``: whole numbers if both ends are, both ends included; else floats."""
    low, high = value[:2]
    log = len(value) == 3 and value[2] == "log-uniform"
    if isinstance(low, (int, np.integer)) and isinstance(high, (int, np.integer)):
        make: Any = tune.lograndint if log else tune.randint
        return make(int(low), int(high) + 1)  # type: ignore[no-any-return]
    make = tune.loguniform if log else tune.uniform
    return make(float(low), float(high))  # type: ignore[no-any-return]


def _scipy(name: str, frozen: Any) -> Domain:
    """A frozen distribution of scipy's as a domain, where it is one that searchers know."""
    kind = getattr(getattr(frozen, "dist", None), "name", type(frozen).__name__)
    try:
        shapes, loc, scale = frozen.dist._parse_args(*frozen.args, **frozen.kwds)
    except AttributeError:
        shapes, loc, scale = (), 0, 1
        kind = f"{kind} (no distribution of scipy.stats)"
    if kind == "uniform":
        return tune.uniform(float(loc), float(loc + scale))
    if kind in ("loguniform", "reciprocal") and loc == 0:
        return tune.loguniform(float(shapes[0] * scale), float(shapes[1] * scale))
    if kind == "randint":
        return tune.randint(int(shapes[0] + loc), int(shapes[1] + loc))
    if kind == "norm":
        return tune.randn(float(loc), float(scale))
    raise SearchSpaceError(
        f"param_distributions[{name!r}]",
        f"is a distribution {kind}",
        "of scipy's, searchers know uniform, loguniform, randint and norm",
        'Use one of these, a domain such as tune.uniform, or search_optimization="random", which takes any.',
    )


# --- objects of other libraries, known by where their classes come from -----------------------------------------------


def _library(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def _is_configuration_space(value: object) -> bool:
    return _library(value) == "ConfigSpace" and type(value).__name__ == "ConfigurationSpace"


def _foreign(name: str, value: object) -> Domain | None:
    """An object of a search library as a domain; None if it is no such object."""
    makers = {"optuna": _optuna, "skopt": _skopt, "ConfigSpace": _config_space, "hyperopt": _hyperopt}
    make = makers.get(_library(value))
    if make is None:
        return None
    domain: Domain | None = make(value)
    if domain is None:
        raise SearchSpaceError(
            f"param_distributions[{name!r}]",
            f"is {value!r} of {_library(value)}",
            "this kind of it has no counterpart",
            "Write it with a domain of tune-core, e.g. tune.uniform(low, high).",
        )
    return domain


def _number_range(low: Any, high: Any, whole: bool, log: bool, step: Any = None) -> Domain:
    """A range with both ends included."""
    if whole:
        step = int(step or 1)
        if step > 1:
            return tune.qrandint(int(low), int(high), step)
        return (tune.lograndint if log else tune.randint)(int(low), int(high) + 1)
    if step:
        return tune.quniform(float(low), float(high), float(step))
    return (tune.loguniform if log else tune.uniform)(float(low), float(high))


def _optuna(value: Any) -> Domain | None:
    if hasattr(value, "choices"):
        return tune.choice(list(value.choices))
    kind = type(value).__name__
    if not kind.startswith(("Float", "Int", "Uniform", "LogUniform", "Discrete")):
        return None
    step = getattr(value, "step", None)
    return _number_range(value.low, value.high, kind.startswith("Int"), bool(getattr(value, "log", False)), step)


def _skopt(value: Any) -> Domain | None:
    kind = type(value).__name__
    if kind == "Categorical":
        return tune.choice(list(value.categories))
    if kind not in ("Real", "Integer"):
        return None
    return _number_range(value.low, value.high, kind == "Integer", value.prior == "log-uniform")


def _config_space(value: Any) -> Domain | None:
    kind = type(value).__name__
    if "Categorical" in kind:
        return tune.choice(list(value.choices))
    if "Ordinal" in kind:
        return tune.choice(list(value.sequence))
    if "Constant" in kind:
        return tune.choice([value.value])
    if not kind.startswith("Uniform"):
        return None
    return _number_range(value.lower, value.upper, "Integer" in kind, bool(value.log))


def _hyperopt(value: Any) -> Domain | None:
    """``hp.uniform`` and its kind: a node that names the parameter, around one that draws."""
    import math

    drawing = _find_drawing(value)
    if drawing is None:
        return None
    name = drawing.name
    try:
        numbers = [a.obj for a in drawing.pos_args] + [node.obj for key, node in drawing.named_args if key != "rng"]
    except AttributeError:
        return None
    if value.name == "switch":
        choices = [getattr(a, "obj", None) for a in value.pos_args[1:]]
        return tune.choice(choices) if all(hasattr(a, "obj") for a in value.pos_args[1:]) else None
    if name == "uniform":
        return tune.uniform(*numbers[:2])
    if name == "loguniform":
        return tune.loguniform(math.exp(numbers[0]), math.exp(numbers[1]))
    if name == "quniform":
        return tune.quniform(*numbers[:3])
    if name == "uniformint":
        return tune.randint(int(numbers[0]), int(numbers[1]) + 1)
    if name == "randint":
        return tune.randint(0, int(numbers[0])) if len(numbers) == 1 else tune.randint(int(numbers[0]), int(numbers[1]))
    return tune.randn(*numbers[:2]) if name == "normal" else None


def _find_drawing(node: Any, depth: int = 4) -> Any:
    """The node of a small hyperopt graph that draws a number."""
    if getattr(node, "name", "") in ("uniform", "loguniform", "quniform", "uniformint", "randint", "normal"):
        return node
    for child in getattr(node, "pos_args", ()) if depth else ():
        found = _find_drawing(child, depth - 1)
        if found is not None:
            return found
    return None


# --- fixed candidates, for the core -----------------------------------------------------------------------------------


def readable(params: Mapping[str, object]) -> dict[str, Any]:
    """A candidate's parameters as plain values, for the journal and the view."""
    return {name: _plain(value) for name, value in params.items()}


def _plain(value: object) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    text = " ".join(str(value).split())
    return text if len(text) <= 120 else text[:117] + "..."
