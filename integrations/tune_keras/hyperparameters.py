"""KerasTuner's ``build(hp)`` as a search space of tune-core, and a trial's configuration as its ``hp``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import tune_core as tune
from tune_core import integration as tc
from tune_core.errors import SearchSpaceError

__all__ = ["default_config", "hyperparameters", "search_space"]

_MOST_VALUES = 64  # of a parameter that others depend on
_TRIED_VALUES = 10  # of one on whose value the function may branch


def search_space(hypermodel: object) -> dict[str, Any]:
    """The space that a function ``build(hp)`` or a ``HyperModel`` of KerasTuner spans.

    The function is run several times, with each value of its choices, as KerasTuner does to find all parameters.
    Parameters of a ``conditional_scope`` become parts of a choice: a configuration holds them only where they are
    active, in a dict under the name of the parameter that they depend on. :func:`hyperparameters` reads it.

    Parameters
    ----------
    hypermodel
        A function ``build(hp)``, or an object that has it as a method.

    Raises
    ------
    SearchSpaceError
        If a parameter has no counterpart (``sampling="reverse_log"`` without a step).

    Examples
    --------
    >>> def build(hp):  # doctest: +SKIP
    ...     return make_model(hp.Int("units", 32, 128, step=32), hp.Float("lr", 1e-4, 1e-1, sampling="log"))
    >>> search_space(build)  # doctest: +SKIP
    {'units': qrandint(32, 128, 32), 'lr': loguniform(0.0001, 0.1)}
    """
    return _space(_found(hypermodel), {}, _domain)


def default_config(hypermodel: object) -> dict[str, Any]:
    """The configuration of all parameters' defaults, e.g. for a searcher's ``points_to_evaluate``.

    Parameters
    ----------
    hypermodel
        A ``HyperModel`` of KerasTuner's, or a function ``build(hp)``.
    """
    return _space(_found(hypermodel), {}, lambda hp: hp.default, only_default=True)


def hyperparameters(config: Mapping[str, object]) -> Any:
    """The ``hp`` with which KerasTuner's ``build(hp)`` makes the model of a trial's configuration.

    Parameters
    ----------
    config
        The trial's configuration.
    """
    kt = _keras_tuner()

    class HyperParameters(kt.HyperParameters):  # type: ignore[name-defined]
        def _register(self, hyperparameter: Any, overwrite: bool = False) -> object:
            is_new = hyperparameter.name not in self.values and type(hyperparameter).__name__ != "Fixed"
            if is_new and self.is_active(hyperparameter):
                warnings.warn(
                    f"build(hp) asks for {hyperparameter.name!r}, which was not there when the search space was "
                    f"read; its default {hyperparameter.default!r} is used.",
                    stacklevel=4,
                )
            return super()._register(hyperparameter, overwrite)

    hp = HyperParameters()
    hp.values = _flat(config)
    return hp


def _flat(config: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in config.items():
        found.update(_flat(value) if isinstance(value, Mapping) else {name: value})
    return found


def _keras_tuner() -> Any:
    return tc.require("tune_keras.search_space", "keras_tuner", "keras-tuner")


# --- which parameters there are ---------------------------------------------------------------------------------------


def _found(hypermodel: Any) -> list[Any]:
    """All parameters that the function asks for, whatever it branches on; in the order in which they are asked for."""
    kt = _keras_tuner()
    build: Callable[[Any], Any] | None = getattr(hypermodel, "build", None) or hypermodel
    if not callable(build):
        raise SearchSpaceError(
            "search_space(hypermodel)",
            f"is {hypermodel!r}",
            "it is a function build(hp), or an object with such a method",
            "Pass what KerasTuner's tuner was given.",
        )
    found: list[Any] = []
    waiting: list[dict[str, object]] = [{}]
    seen: list[dict[str, Any]] = []
    while waiting:
        values = waiting.pop(0)
        if values in seen:
            continue
        seen.append(values)
        hp = kt.HyperParameters()
        hp.values = dict(values)
        build(hp)
        for one in hp.space:
            if any(one.name == other.name and one.conditions == other.conditions for other in found):
                continue
            found.append(one)
            needed = {c.name: c.values[0] for c in one.conditions}
            waiting += [{**values, **needed}] if needed else []
            options = _values(one, _TRIED_VALUES)
            waiting += [{**needed, one.name: value} for value in options]
        waiting += [{**values, **{c.name: c.values[0] for c in scope}} for scope in hp.inactive_scopes]
    return found


def _values(hp: Any, most: int) -> list[Any]:
    """The values of a parameter, if it has few; else its ends."""
    kind = type(hp).__name__
    if kind == "Fixed":
        return [hp.value]
    if kind == "Boolean":
        return [False, True]
    if kind == "Choice":
        return list(hp.values)
    if hp.step is None:
        whole = kind == "Int" and hp.max_value - hp.min_value < most
        return list(range(hp.min_value, hp.max_value + 1)) if whole else [hp.min_value, hp.max_value]
    count = hp._get_n_values()
    return _stepped(hp) if count <= most else [hp.min_value, hp.max_value]


def _stepped(hp: Any) -> list[object]:
    values = [hp._get_value_by_index(index) for index in range(hp._get_n_values())]
    return [round(value) if type(hp).__name__ == "Int" else float(value) for value in values]


# --- the space --------------------------------------------------------------------------------------------------------


def _space(
    found: list[Any], known: dict[str, Any], as_domain: Callable[[Any], Any], *, only_default: bool = False
) -> dict[str, Any]:
    """Those parameters that are active where ``known`` parameters have these values, and not known themselves."""
    space: dict[str, Any] = {}
    for hp in found:
        if hp.name in known or not all(condition.is_active(known) for condition in hp.conditions):
            continue
        dependent = [other for other in found if any(condition.name == hp.name for condition in other.conditions)]
        if not dependent:
            space.setdefault(hp.name, as_domain(hp))
            continue
        branches = [
            {hp.name: value, **_space(dependent, {**known, hp.name: value}, as_domain, only_default=only_default)}
            for value in ([hp.default] if only_default else _switch(hp))
        ]
        space[hp.name] = branches[0] if len(branches) == 1 else tune.choice(branches)
    return space


def _switch(hp: Any) -> list[Any]:
    values = _values(hp, _MOST_VALUES)
    kind = type(hp).__name__
    if kind not in ("Int", "Float"):
        return values
    endless = hp.step is None and (kind == "Float" or hp.max_value - hp.min_value >= _MOST_VALUES)
    if endless or (hp.step is not None and hp._get_n_values() > _MOST_VALUES):
        raise _wrong(hp, "other parameters depend on it, and it has too many values", "Use hp.Choice")
    return values


def _domain(hp: Any) -> Any:
    kind = type(hp).__name__
    if kind == "Fixed":
        return hp.value
    if kind in ("Boolean", "Choice"):
        return tune.choice(_values(hp, _MOST_VALUES))
    if hp.min_value == hp.max_value:
        return hp.min_value
    if hp.sampling == "linear":
        if hp.step is None:
            return tune.uniform(hp.min_value, hp.max_value)
        return tc.steps(hp.min_value, hp.max_value, hp.step if kind == "Int" else float(hp.step))
    if hp.step is not None:
        values = _stepped(hp)
        return tune.choice(values) if len(values) > 1 else values[0]
    if hp.sampling == "log":
        return (
            tune.lograndint(hp.min_value, hp.max_value + 1)
            if kind == "Int"
            else tune.loguniform(hp.min_value, hp.max_value)
        )
    raise _wrong(hp, f"sampling={hp.sampling!r} without a step has no counterpart", 'Use sampling="log", or a step')


def _wrong(hp: Any, cause: str, fix: str) -> SearchSpaceError:
    return SearchSpaceError(f"search_space: the parameter {hp.name!r}", f"is {hp!r}", cause, f"{fix}.")
