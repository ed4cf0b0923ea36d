"""Reads search spaces in libraries' own notation, and writes ours in theirs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tune_core import space
from tune_core.core.validation import python_value
from tune_core.core.values import Config
from tune_core.errors import SearchSpaceError
from tune_core.space.domains import Categorical, Domain, Function
from tune_core.space.numeric import Float, Integer
from tune_core.space.sampling import flatten, is_grid


def from_configspace(given: Any) -> dict[str, object]:
    """A ``ConfigSpace.ConfigurationSpace`` as a search space.

    Raises
    ------
    SearchSpaceError
        If it has conditions, forbidden clauses or a hyperparameter that is neither uniform, a choice nor constant.
    """
    if given.conditions or given.forbidden_clauses:
        raise SearchSpaceError(
            "TuneBOHB(space)",
            "has conditions or forbidden clauses",
            "they cannot be read from a ConfigurationSpace",
            'Write the space with tune, e.g. tune.choice([{"kind": "a"}, {"kind": "b", "x": tune.uniform(0, 1)}]).',
        )
    return {name: _from_hyperparameter(name, hyperparameter) for name, hyperparameter in given.items()}


def _from_hyperparameter(name: str, given: Any) -> object:
    kind = type(given).__name__
    if kind == "UniformFloatHyperparameter":
        return (space.loguniform if given.log else space.uniform)(float(given.lower), float(given.upper))
    if kind == "UniformIntegerHyperparameter":
        return (space.lograndint if given.log else space.randint)(int(given.lower), int(given.upper) + 1)
    if kind == "CategoricalHyperparameter":
        return space.choice(list(given.choices))
    if kind == "OrdinalHyperparameter":
        return space.choice(list(given.sequence))
    if kind == "Constant":
        return given.value
    raise SearchSpaceError(
        f"TuneBOHB(space)[{name!r}]",
        f"is a {kind}",
        "uniform numbers, choices, ordinals and constants can be read",
        "Write the space with tune, e.g. tune.randn(0, 1).",
    )


def from_ax(given: list[Mapping[str, Any]]) -> dict[str, Any]:
    """A list of Ax's parameter dicts, as ``AxClient.create_experiment`` takes them, as a search space.

    Raises
    ------
    SearchSpaceError
        If one of them has no name, or another type than range, choice or fixed.
    """
    made: Config = {}
    for number, one in enumerate(given):
        kind = one.get("type")
        if "name" not in one or kind not in ("range", "choice", "fixed"):
            raise SearchSpaceError(
                f"AxSearch(space)[{number}]",
                f"is {dict(one)!r}",
                "a parameter of Ax has a name and the type range, choice or fixed",
                'Use e.g. {"name": "x", "type": "range", "bounds": [0.0, 1.0]}.',
            )
        if kind == "fixed":
            made[one["name"]] = one["value"]
        elif kind == "choice":
            made[one["name"]] = space.choice(list(one["values"]))
        else:
            low, high = map(python_value, one["bounds"])
            whole = one.get("value_type", "int" if isinstance(low, int) and isinstance(high, int) else "float") == "int"
            log = bool(one.get("log_scale"))
            if whole:
                made[one["name"]] = (space.lograndint if log else space.randint)(low, high + 1)
            else:
                made[one["name"]] = (space.loguniform if log else space.uniform)(low, high)
    return made


def from_zoopt(given: Mapping[str, Any]) -> dict[str, object]:
    """ZOOpt's tuples, such as ``(ValueType.CONTINUOUS, [0, 1], 1e-2)``, as a search space; others stay as they are.

    Raises
    ------
    SearchSpaceError
        If the range of a number has not two ends.
    """
    return {name: _from_tuple(name, value) if is_of_zoopt(value) else value for name, value in given.items()}


def is_of_zoopt(value: object) -> bool:
    """Whether a value is a dimension in ZOOpt's notation: one of its types, which are 0, 1 and 2, and a range."""
    return type(value) is tuple and len(value) >= 2 and value[0] in (0, 1, 2) and isinstance(value[1], (list, tuple))


def _from_tuple(name: str, given: tuple[Any, ...]) -> Any:
    from zoopt import ValueType

    kind, ends = given[0], given[1]
    if kind is ValueType.GRID:
        return space.choice(list(ends))
    if len(ends) != 2:
        raise SearchSpaceError(
            f"ZOOptSearch(dim_dict)[{name!r}]",
            f"is {given!r}",
            "the range of a number is its lowest and its highest value",
            "Use e.g. (ValueType.CONTINUOUS, [0, 1], 1e-2).",
        )
    return space.randint(ends[0], ends[1] + 1) if kind is ValueType.DISCRETE else space.uniform(*ends)


def from_nevergrad(given: Any) -> dict[str, object]:
    """A ``nevergrad.p.Dict`` or ``Instrumentation`` as a search space.

    Raises
    ------
    SearchSpaceError
        If a parameter is neither a bounded scalar nor a choice, a constant or a dict of these.
    """
    if type(given).__name__ == "Instrumentation":
        given = given[1]  # of the arguments by position and by name
    if type(given).__name__ != "Dict":
        raise _unread("NevergradSearch(space)", type(given).__name__, "a nevergrad.p.Dict")
    return {name: _from_parameter(name, given[name]) for name in given.value}


def _from_parameter(name: str, given: Any) -> object:
    kind = type(given).__name__
    if kind in ("Choice", "TransitionChoice"):
        return space.choice(list(given.choices.value))
    if kind == "Dict":
        return from_nevergrad(given)
    if kind not in ("Scalar", "Log"):
        if hasattr(given, "bounds") or hasattr(given, "choices"):
            raise _unread(f"NevergradSearch(space)[{name!r}]", kind, "a bounded Scalar, a Log or a Choice")
        return getattr(given, "value", given)
    low, high = (None if end is None else float(f"{float(end[0]):.14g}") for end in given.bounds)  # it keeps logarithms
    if low is None or high is None:
        raise _unread(f"NevergradSearch(space)[{name!r}]", f"{kind} without bounds", "a Scalar(lower=..., upper=...)")
    if given.integer:
        return (space.lograndint if kind == "Log" else space.randint)(round(low), round(high) + 1)
    return (space.loguniform if kind == "Log" else space.uniform)(low, high)


def from_hebo(given: Any) -> dict[str, object]:
    """A ``DesignSpace`` of HEBO's as a search space.

    Raises
    ------
    SearchSpaceError
        If a parameter is of another type than num, int, pow, pow_int, cat or bool.
    """
    return {one["name"]: _from_design(one) for one in given.para_config}


def _from_design(given: Mapping[str, Any]) -> object:
    kind = given["type"]
    if kind == "cat":
        return space.choice(list(given["categories"]))
    if kind == "bool":
        return space.choice([False, True])
    if kind in ("num", "pow"):
        return (space.loguniform if kind == "pow" else space.uniform)(given["lb"], given["ub"])
    if kind in ("int", "pow_int"):
        return (space.lograndint if kind == "pow_int" else space.randint)(round(given["lb"]), round(given["ub"]) + 1)
    raise _unread(f"HEBOSearch(space)[{given['name']!r}]", kind, "num, int, pow, pow_int, cat or bool")


def _unread(asked: str, kind: str, known: str) -> SearchSpaceError:
    return SearchSpaceError(
        asked, f"is {kind}", f"what can be read is {known}", "Write the space with tune.uniform & co."
    )


# --- ours in theirs ---------------------------------------------------------------------------------------------------

Convert = Callable[[str, Any], Any]


def to_optuna(given: Mapping[str, Any]) -> dict[str, object]:
    """Our domains as distributions of Optuna's, by path; constants are left out."""
    from optuna import distributions as made

    def one(name: str, domain: Any) -> Any:
        if isinstance(domain, Categorical):
            return made.CategoricalDistribution(domain.categories)
        low, high = _bounds("OptunaSearch", name, domain)
        if isinstance(domain, Integer):
            step = domain.q or 1
            return made.IntDistribution(low, high, log=domain.log, step=1 if domain.log else step)
        return made.FloatDistribution(low, high, log=domain.log, step=None if domain.log else domain.q)

    return _by_path("OptunaSearch", given, one)


def to_bayesopt(given: Mapping[str, Any]) -> dict[str, object]:
    """Our real-valued domains as bayes_opt's bounds, by path."""

    def one(name: str, domain: object) -> Any:
        if isinstance(domain, Categorical):
            raise _unsupported("BayesOptSearch", name, domain)
        return _bounds("BayesOptSearch", name, domain)

    return _by_path("BayesOptSearch", given, one)


def to_ax(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Our search space as Ax's parameter dicts, constants as fixed ones."""

    def one(name: str, domain: Any) -> Any:
        if isinstance(domain, Categorical):
            return {"name": name, "type": "choice", "values": list(domain.categories)}
        low, high = _bounds("AxSearch", name, domain)
        kind = "int" if isinstance(domain, Integer) else "float"
        return {"name": name, "type": "range", "bounds": [low, high], "value_type": kind, "log_scale": domain.log}

    found = _by_path("AxSearch", given, one)
    constants = {name: value for name, value in flatten(dict(given)).items() if name not in found}
    return [{"name": n, "type": "fixed", "value": v} for n, v in constants.items()] + list(found.values())


def to_configspace(given: Mapping[str, Any]) -> object:
    """Our domains as a ``ConfigurationSpace``, by path; constants are left out."""
    import ConfigSpace as cs  # noqa: N813

    def one(name: str, domain: Any) -> Any:
        if isinstance(domain, Categorical):
            return cs.CategoricalHyperparameter(name, domain.categories)
        low, high = _bounds("TuneBOHB", name, domain)
        whole = isinstance(domain, Integer)
        return (cs.UniformIntegerHyperparameter if whole else cs.UniformFloatHyperparameter)(
            name, low, high, log=domain.log
        )

    made = cs.ConfigurationSpace()
    made.add(list(_by_path("TuneBOHB", given, one).values()))
    return made


def to_zoopt(given: Mapping[str, Any]) -> dict[str, object]:
    """Our domains as ZOOpt's tuples, by path; constants are left out."""
    from zoopt import ValueType

    def one(name: str, domain: Any) -> Any:
        if isinstance(domain, Categorical):
            return (ValueType.GRID, list(domain.categories))
        low, high = _bounds("ZOOptSearch", name, domain)
        if domain.log or (isinstance(domain, Integer) and domain.q):
            raise _unsupported("ZOOptSearch", name, domain)
        if isinstance(domain, Integer):
            return (ValueType.DISCRETE, [low, high], True)
        return (ValueType.CONTINUOUS, [low, high], domain.q or 1e-12)

    return _by_path("ZOOptSearch", given, one)


def to_nevergrad(given: Mapping[str, Any]) -> object:
    """Our domains as a ``nevergrad.p.Dict``, by path, without steps, which it does not have; constants are left out."""
    import nevergrad as ng

    def one(name: str, domain: Any) -> Any:
        if isinstance(domain, Categorical):
            return ng.p.Choice(list(domain.categories))
        low, high = _bounds("NevergradSearch", name, domain)
        made = (ng.p.Log if domain.log else ng.p.Scalar)(lower=low, upper=high)
        return made.set_integer_casting() if isinstance(domain, Integer) else made

    return ng.p.Dict(**_by_path("NevergradSearch", given, one))


def to_hebo(given: Mapping[str, Any]) -> object:
    """Our domains as a ``DesignSpace``, by path, without steps, which it does not have; constants are left out."""
    from hebo.design_space.design_space import DesignSpace

    def one(name: str, domain: Any) -> Any:
        if isinstance(domain, Categorical):
            return {"name": name, "type": "cat", "categories": list(domain.categories)}
        low, high = _bounds("HEBOSearch", name, domain)
        number = "int" if isinstance(domain, Integer) else "num"
        kind = {"int": "pow_int", "num": "pow"}[number] if domain.log else number
        return {"name": name, "type": kind, "lb": low, "ub": high}

    return DesignSpace().parse(list(_by_path("HEBOSearch", given, one).values()))


def to_hyperopt(given: Any, path: tuple[str, ...] = ()) -> Any:
    """Our search space with expressions of HyperOpt's in place of domains."""
    from hyperopt import hp

    if is_grid(given):
        raise _unsupported("HyperOptSearch", "/".join(path), given)
    if isinstance(given, Mapping):
        return {key: to_hyperopt(value, (*path, str(key))) for key, value in given.items()}
    if type(given) in (list, tuple):
        return type(given)(to_hyperopt(value, (*path, str(i))) for i, value in enumerate(given))
    if not isinstance(given, Domain):
        return given
    label = "/".join(path)
    if isinstance(given, Categorical):
        return hp.choice(label, [to_hyperopt(value, (*path, str(i))) for i, value in enumerate(given.categories)])
    if isinstance(given, Float) and given.sd is not None:
        normal = (given.mean, given.sd)
        return hp.normal(label, *normal) if given.q is None else hp.qnormal(label, *normal, given.q)
    low, high = _bounds("HyperOptSearch", label, given)
    step = given.q or (1 if isinstance(given, Integer) and given.log else None)  # type: ignore[attr-defined]
    if isinstance(given, Integer) and step is None:
        return hp.randint(label, low, high + 1)
    ends = (math.log(low), math.log(high)) if given.log else (low, high)  # type: ignore[attr-defined]
    kind = ("" if step is None else "q") + ("loguniform" if given.log else "uniform")  # type: ignore[attr-defined]
    return getattr(hp, kind)(label, *ends, *(() if step is None else (step,)))


def _by_path(searcher: str, given: Mapping[str, Any], one: Convert) -> dict[str, Any]:
    flat = flatten(dict(given))
    for name, value in flat.items():
        if is_grid(value):
            raise _unsupported(searcher, name, value)
    return {name: one(name, value) for name, value in flat.items() if isinstance(value, Domain)}


def _bounds(searcher: str, name: str, domain: Any) -> tuple[Any, Any]:
    """Both ends, included."""
    if isinstance(domain, Function) or (isinstance(domain, Float) and domain.sd is not None):
        raise _unsupported(searcher, name, domain)
    if isinstance(domain, Integer) and domain.q is None:
        return domain.lower, domain.upper - 1
    return domain.lower, domain.upper


def _unsupported(searcher: str, name: str, value: object) -> SearchSpaceError:
    return SearchSpaceError(
        f"{searcher}.convert_search_space(spec)[{name!r}]",
        f"is {value!r}",
        "the library has no equivalent of it",
        f"Give the space to the Tuner instead, which {searcher} reads without conversion.",
    )
