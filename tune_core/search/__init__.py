"""Search algorithms, each imported when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tune_core.search.base import Searcher
    from tune_core.search.basic_variant import BasicVariantGenerator
    from tune_core.search.limiter import ConcurrencyLimiter

_MODULES = {
    "BasicVariantGenerator": "tune_core.search.basic_variant",
    "ConcurrencyLimiter": "tune_core.search.limiter",
    "Searcher": "tune_core.search.base",
}

__all__ = ["BasicVariantGenerator", "ConcurrencyLimiter", "Searcher"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))


def resolve(search_alg: Any, space: Any, num_samples: int) -> Any:
    """The searcher for what a user gave as ``search_alg``: None, a name, or a searcher."""
    from tune_core.errors import InvalidArgumentError
    from tune_core.search.basic_variant import BasicVariantGenerator

    if search_alg is None or search_alg in ("random", "grid", "variant_generator"):
        return BasicVariantGenerator()
    if isinstance(search_alg, str):
        return create_searcher(search_alg)
    if not hasattr(search_alg, "suggest"):
        raise InvalidArgumentError(
            "TuneConfig(search_alg)",
            f"is {search_alg!r}",
            "it is neither a searcher nor the name of one",
            "Use an instance of a subclass of tune_core.search.Searcher, or a name like 'optuna'.",
        )
    return search_alg


def create_searcher(name: str, **arguments: Any) -> Any:
    """A searcher by its name."""
    from tune_core.errors import InvalidArgumentError

    raise InvalidArgumentError("create_searcher(name)", f"is {name!r}", "no searcher has that name", "Use 'random'.")
