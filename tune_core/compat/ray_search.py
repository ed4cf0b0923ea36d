"""What Ray Tune's ``search`` and ``schedulers`` packages hold beside their classes: tables, messages, wrappers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tune_core.search.base import Searcher
from tune_core.search.registry import searcher_class


class SearchGenerator:
    """Returns the searcher that it is given: in Ray Tune a wrapper, which is not needed here."""

    def __new__(cls, searcher: Searcher) -> Any:
        return searcher


SEARCH_ALG_IMPORT: Mapping[str, Callable[[], object]] = {
    name: partial(searcher_class, name)
    for name in (
        *("variant_generator", "random", "ax", "hyperopt", "bayesopt"),
        *("bohb", "nevergrad", "optuna", "zoopt", "hebo"),
    )
}
"""Functions that import a searcher's class, by its name."""


class _Schedulers(Mapping[str, Any]):
    """Schedulers' classes by name, imported when they are asked for."""

    def __getitem__(self, name: str) -> Any:
        from tune_core.schedulers.registry import scheduler_class

        return scheduler_class(name)

    def __iter__(self) -> Any:
        from tune_core.schedulers.registry import NAMES

        return iter(NAMES)

    def __len__(self) -> int:
        return sum(1 for _ in self)


SCHEDULER_IMPORT = _Schedulers()

UNRESOLVED_SEARCH_SPACE = (
    "The `{par}` of {cls} holds domains of a search space; give the space as `param_space` to `tune.Tuner()` instead."
)
UNDEFINED_SEARCH_SPACE = "{cls} has no search space: pass `{space}`, or `param_space` to `tune.Tuner()`."
UNDEFINED_METRIC_MODE = "{cls} has no metric ({metric}) or mode ({mode}): pass them to it, or to `tune.TuneConfig()`."


def set_search_properties_backwards_compatible(
    function: Callable[..., bool], metric: str | None, mode: str | None, config: Mapping[str, object], **spec: object
) -> bool:
    """Call a searcher's ``set_search_properties``, also one that takes no further keywords."""
    from tune_core.search.properties import call_set_search_properties

    return call_set_search_properties(function, metric, mode, config, spec)


def __getattr__(name: str) -> Any:
    if name == "BOHB":
        from tune_core.search.bohb import TuneBOHB

        return TuneBOHB
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
