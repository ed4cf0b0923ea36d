"""Limits how many suggestions of a searcher may be unfinished at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tune_core.core.validation import python_values
from tune_core.core.values import Config, ConfigView, JsonObject, Metrics
from tune_core.errors import InvalidArgumentError
from tune_core.search.base import Searcher
from tune_core.search.wrapping import WrappingSearcher, variants_of


class ConcurrencyLimiter(WrappingSearcher):
    """Lets at most ``max_concurrent`` trials of a searcher be unfinished, so that it learns before it goes on.

    Parameters
    ----------
    searcher
        The searcher to limit.
    max_concurrent
        How many of its trials may be unfinished at once.
    batch
        Tell the searcher results only when ``max_concurrent`` trials have ended, all of them at once.

    Notes
    -----
    Where a batch cannot fill up, since the searcher has no more suggestions or ``num_samples`` were made, it is told
    the results that the batch has once the last trial has ended.
    """

    stateless = False
    _done_to_it = "limited"
    _example = "ConcurrencyLimiter(OptunaSearch(), max_concurrent=4)"

    @python_values
    def __init__(self, searcher: Searcher, max_concurrent: int, batch: bool = False) -> None:
        super().__init__(searcher)
        if isinstance(max_concurrent, bool) or not isinstance(max_concurrent, int) or max_concurrent < 1:
            raise InvalidArgumentError(
                "ConcurrencyLimiter(max_concurrent)",
                f"is {max_concurrent!r}",
                "at least one trial must be able to run",
                "Use an int of 1 or more.",
            )
        self.max_concurrent = max_concurrent
        self.batch = batch
        self._live: set[str] = set()  # suggested, and its result not yet told to the searcher
        self._held: dict[str, Callable[[], None]] = {}  # results of an incomplete batch
        self._finished = False  # the searcher has no more suggestions
        self._begun = 0  # how many trials it has been given
        self._planned = math.inf  # how many it will be given
        self._limits = not searcher.set_max_concurrency(max_concurrent)

    def set_search_properties(self, metric: str | None, mode: str | None, config: ConfigView, **spec: Any) -> bool:
        """Forward to the searcher; ``num_samples`` says which batch is the last."""
        taken = super().set_search_properties(metric, mode, config, **spec)
        planned = (variants_of(self.searcher) if taken else None) or spec.get("num_samples")
        self._begun, self._planned = 0, math.inf if planned in (None, -1) else planned
        return taken

    def _begin(self, trial_id: str) -> None:
        if self._limits and trial_id not in self._live:
            self._live.add(trial_id)
            self._begun += 1

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """False: this limit stays in force, and the engine applies its own as well."""
        return False

    def suggest(self, trial_id: str) -> Config | str | None:
        """The searcher's suggestion, or None while too many are unfinished."""
        if not self._limits:
            return self.searcher.suggest(trial_id)
        live = self.unfinished_trials()
        if len(live) >= self.max_concurrent:
            return None
        suggestion = self.searcher.suggest(trial_id)
        if not isinstance(suggestion, dict) and self._held and len(self._held) == len(live):
            # No running trial could complete the batch, and the searcher waits for the results that are held back.
            self._tell_held()
            if suggestion is None:
                suggestion = self.searcher.suggest(trial_id)
        if isinstance(suggestion, dict):
            self._begin(trial_id)
        self._finished = suggestion == self.FINISHED
        return suggestion

    def unfinished_trials(self) -> set[str]:
        """Trials that count toward the limit, also those that only the searcher knows, from a restored file."""
        return self._live.union(self.searcher.unfinished_trials())

    def adopt(self, trial_id: str, config: ConfigView) -> None:
        """Count the trial, and forward."""
        self._begin(trial_id)
        self.searcher.adopt(trial_id, config)

    def resume_state(self) -> JsonObject | None:
        """The searcher's, unless results are held back."""
        return None if self.batch else self.searcher.resume_state()

    def set_resume_state(self, state: JsonObject) -> None:
        """Forward to the searcher."""
        self.searcher.set_resume_state(state)

    def recall(self, trial_id: str, config: ConfigView, reason: str = "") -> None:
        """Count the trial, and forward."""
        self._begin(trial_id)
        self.searcher.recall(trial_id, config, reason)

    def on_trial_result(self, trial_id: str, result: Metrics) -> None:
        """Forward to the searcher."""
        self.searcher.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: Metrics | None = None, error: bool = False) -> None:
        """Tell the searcher, in batch mode once the batch is complete."""
        self._end(trial_id, lambda: self.searcher.on_trial_complete(trial_id, result=result, error=error))

    def on_trial_pruned(self, trial_id: str, result: Metrics) -> None:
        """The same for a trial that a scheduler ended early."""
        self._end(trial_id, lambda: self.searcher.on_trial_pruned(trial_id, result))

    def _end(self, trial_id: str, tell: Callable[[], None]) -> None:
        live = self.unfinished_trials()
        if self.batch and trial_id in live:
            self._held[trial_id] = tell
            is_last = self._finished or self._begun >= self._planned
            if len(self._held) == (len(live) if is_last else self.max_concurrent):
                self._tell_held()
            return
        self._live.discard(trial_id)
        tell()

    def _tell_held(self) -> None:
        held, self._held = self._held, {}
        self._live.difference_update(held)
        for tell in held.values():
            tell()

    def save(self, checkpoint_path: str) -> None:
        """Write the searcher's state, once it has been told the results of an incomplete batch."""
        self._tell_held()
        self.searcher.save(checkpoint_path)

    def restore(self, checkpoint_path: str) -> None:
        """Forward to the searcher."""
        self.searcher.restore(checkpoint_path)

    def describe(self) -> str:
        """The searcher and its limit."""
        batch = ", batch=True" if self.batch else ""
        return f"ConcurrencyLimiter({self.searcher.describe()}, max_concurrent={self.max_concurrent}{batch})"

    def __getattr__(self, name: str) -> Any:
        if name == "searcher" or (name.startswith("__") and name.endswith("__")):  # not yet set, e.g. while unpickling
            raise AttributeError(name)
        return getattr(self.searcher, name)
