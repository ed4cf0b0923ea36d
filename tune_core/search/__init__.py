"""Search algorithms, each imported when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tune_core.search.registry import HOMES, create_searcher, searcher_from

if TYPE_CHECKING:
    from tune_core.search.auto import AutoSearch
    from tune_core.search.base import Searcher
    from tune_core.search.basic_variant import BasicVariantGenerator
    from tune_core.search.limiter import ConcurrencyLimiter
    from tune_core.search.repeater import Repeater

_MODULES = {
    **HOMES,
    "ConcurrencyLimiter": "tune_core.search.limiter",
    "Repeater": "tune_core.search.repeater",
    "Searcher": "tune_core.search.base",
}

__all__ = [
    "AutoSearch",
    "BasicVariantGenerator",
    "ConcurrencyLimiter",
    "Repeater",
    "Searcher",
    "create_searcher",
    "searcher_from",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
