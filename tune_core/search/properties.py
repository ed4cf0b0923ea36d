"""Calls a searcher's ``set_search_properties``, whatever form of it the searcher has."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from tune_core.core.user_warnings import warn_user
from tune_core.core.values import ConfigView


def call_set_search_properties(
    function: Callable[..., object],
    metric: object,
    mode: object,
    config: ConfigView,
    spec: Mapping[str, object],
) -> bool:
    """Call it with the keywords of ``spec`` that it takes; with a warning where it takes none at all.

    Returns
    -------
    bool
        False if the searcher refused; an answer of None is no refusal.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]
    takes_all = not parameters or any(p.kind is p.VAR_KEYWORD for p in parameters)
    names = {p.name for p in parameters}
    known = {key: value for key, value in spec.items() if takes_all or key in names}
    if spec and not known and not takes_all:
        owner = type(getattr(function, "__self__", None)).__name__
        warn_user(
            f"{owner}.set_search_properties takes no further keywords, so the run's seed and num_samples do not reach "
            "it: add **spec to its parameters."
        )
    return function(metric, mode, config, **known) is not False
