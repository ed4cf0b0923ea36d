"""What searchers that wrap another one have in common: its metric and mode, and what they only pass on to it."""

from __future__ import annotations

from typing import Any

from tune_core.core.values import ConfigView
from tune_core.errors import InvalidArgumentError
from tune_core.search.base import Searcher
from tune_core.search.basic_variant import BasicVariantGenerator


def variants_of(searcher: Searcher) -> int | None:
    """How many trials random and grid search come to, wrapped or not; None without an end, and for other searchers."""
    while isinstance(searcher, WrappingSearcher):
        searcher = searcher.searcher
    return searcher.total if isinstance(searcher, BasicVariantGenerator) else None


class WrappingSearcher(Searcher):
    """Base of searchers that change how another one is asked or told.

    Parameters
    ----------
    searcher
        The searcher that is wrapped.
    """

    _done_to_it = "wrapped"  # for the error that refuses what is no searcher
    _example = ""

    def __init__(self, searcher: Searcher) -> None:
        if not isinstance(searcher, Searcher):
            raise InvalidArgumentError(
                f"{type(self).__name__}(searcher)",
                f"is {searcher!r}",
                f"only a Searcher can be {self._done_to_it}"
                + (", not its class" if isinstance(searcher, type) else ""),
                f"Use for example {self._example}.",
            )
        super().__init__()
        self.searcher = searcher
        self.replays = searcher.replays

    @property
    def metric(self) -> Any:
        """The searcher's metric."""
        return self.searcher.metric

    @property
    def mode(self) -> Any:
        """The searcher's mode."""
        return self.searcher.mode

    def set_search_properties(self, metric: str | None, mode: str | None, config: ConfigView, **spec: object) -> bool:
        """Forward to the searcher."""
        return self.searcher.set_search_properties(metric, mode, config, **spec)

    def add_evaluated_point(self, parameters: ConfigView, value: float, *more: Any, **named: Any) -> None:
        """Forward to the searcher."""
        self.searcher.add_evaluated_point(parameters, value, *more, **named)
