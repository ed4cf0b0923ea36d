"""Searchers by name: ``TuneConfig(search_alg="optuna")`` and ``create_searcher("optuna", seed=1)``."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from tune_core.core.near_names import nearest
from tune_core.core.user_warnings import warn_user
from tune_core.errors import InvalidArgumentError, MissingDependencyError

HOMES = {
    "AutoSearch": "tune_core.search.auto",
    "AxSearch": "tune_core.search.ax",
    "BasicVariantGenerator": "tune_core.search.basic_variant",
    "BayesOptSearch": "tune_core.search.bayesopt",
    "BlendSearch": "tune_core.search.flaml",
    "CFO": "tune_core.search.flaml",
    "DragonflySearch": "tune_core.search.dragonfly",
    "HEBOSearch": "tune_core.search.hebo",
    "HyperOptSearch": "tune_core.search.hyperopt",
    "NevergradSearch": "tune_core.search.nevergrad",
    "OptunaSearch": "tune_core.search.optuna",
    "SMACSearch": "tune_core.search.smac",
    "SigOptSearch": "tune_core.search.sigopt",
    "TuneBOHB": "tune_core.search.bohb",
    "ZOOptSearch": "tune_core.search.zoopt",
}
"""Class and module of each search algorithm."""

NAMES = {
    "auto": "AutoSearch",
    "ax": "AxSearch",
    "bayesopt": "BayesOptSearch",
    "blendsearch": "BlendSearch",
    "bohb": "TuneBOHB",
    "cfo": "CFO",
    "dragonfly": "DragonflySearch",
    "hebo": "HEBOSearch",
    "hyperopt": "HyperOptSearch",
    "nevergrad": "NevergradSearch",
    "optuna": "OptunaSearch",
    "random": "BasicVariantGenerator",
    "sigopt": "SigOptSearch",
    "smac": "SMACSearch",
    "zoopt": "ZOOptSearch",
}
"""What users call them."""

_ALIASES = {"grid": "random", "variant_generator": "random", "flaml": "blendsearch", "bo": "bayesopt", "tpe": "optuna"}


def searcher_class(name: str) -> Any:
    """The class of a searcher, by its name."""
    key = name.lower() if isinstance(name, str) else name
    key = _ALIASES.get(key, key) if isinstance(key, str) else key
    if not isinstance(key, str) or key not in NAMES:
        near = nearest(str(key), [*NAMES, *_ALIASES])
        raise InvalidArgumentError(
            "create_searcher(name)",
            f"is {name!r}",
            f"there are {', '.join(map(repr, sorted(NAMES)))}",
            f"Use {near!r}." if near else "Use one of these names, or an instance of a Searcher.",
        )
    return getattr(import_module(HOMES[NAMES[key]]), NAMES[key])


def create_searcher(name: str | None = None, *, search_alg: str | None = None, **arguments: object) -> Any:
    """A searcher by its name.

    Parameters
    ----------
    name
        One of ``NAMES``, such as ``"optuna"`` or ``"hyperopt"``.
    search_alg
        Ray Tune's name for ``name``.
    **arguments
        For its constructor. One that this searcher does not take is left out, so that the same arguments may go with
        any name; if no other searcher takes it either, there is a warning.

    Raises
    ------
    InvalidArgumentError
        If there is no such searcher.
    MissingDependencyError
        If its library is not installed.

    Examples
    --------
    >>> create_searcher("random", random_state=7, sampler=None).random_state
    7
    """
    name = name if name is not None else search_alg
    cls = searcher_class(name)  # type: ignore[arg-type]
    known = _parameters(cls)
    everyones = {key for other in NAMES for key in _parameters(searcher_class(other))}
    for key in arguments:
        if key not in everyones:
            near = nearest(key, known)
            warn_user(
                f"create_searcher({name!r}, {key}=...) names an argument that no searcher takes; it has no effect. "
                f"{cls.__name__} takes {', '.join(known)}." + (f" Did you mean {near}?" if near else "")
            )
    return cls(**{key: value for key, value in arguments.items() if key in known})


def searcher_from(search_alg: Any, space: Any, num_samples: int) -> Any:
    """The searcher for what a user gave as ``TuneConfig(search_alg=...)``.

    Parameters
    ----------
    search_alg
        None for random search and grids, a name as for :func:`create_searcher`, or a searcher.
    space, num_samples
        The search space and the number of trials, by which ``"auto"`` chooses.
    """
    if search_alg is None:
        from tune_core.search.basic_variant import BasicVariantGenerator

        return BasicVariantGenerator()
    if isinstance(search_alg, str):
        if search_alg.lower() == "auto":
            from tune_core.search.auto import choose

            return choose(space, num_samples)
        try:
            return create_searcher(search_alg)
        except MissingDependencyError:
            raise
        except InvalidArgumentError as error:
            raise InvalidArgumentError("TuneConfig(search_alg)", error.found, error.cause, error.fix) from None
    if isinstance(search_alg, type) or not hasattr(search_alg, "suggest"):
        is_class = isinstance(search_alg, type)
        raise InvalidArgumentError(
            "TuneConfig(search_alg)",
            f"is {'the class ' + search_alg.__name__ if is_class else repr(search_alg)}",
            "it is a searcher's class, not a searcher" if is_class else "it is neither a searcher nor the name of one",
            f"Use {search_alg.__name__}()."
            if is_class
            else "Use an instance of a subclass of tune_core.search.Searcher, or a name like 'optuna'.",
        )
    return search_alg


def _parameters(cls: Any) -> list[str]:
    return [
        name
        for name, parameter in inspect.signature(cls.__init__).parameters.items()
        if name != "self" and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
