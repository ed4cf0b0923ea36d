"""The searcher for candidates that are known beforehand: names them one after the other."""

from __future__ import annotations

from typing import Any

from tune_core.search import Searcher


class ListedCandidates(Searcher):
    """Suggestion *i* is fit *i* of a list: fold after fold, or with ``n_splits`` = 0 whole candidates.

    Parameters
    ----------
    shown
        Each candidate's parameters as plain values, for the journal and the view.
    n_splits
        Folds a candidate is divided into; 0 for none.
    """

    stateless = True

    def __init__(self, shown: list[dict[str, object]], n_splits: int) -> None:
        super().__init__()
        self.shown = shown
        self.n_splits = n_splits

    @property
    def total(self) -> int:
        """How many suggestions there are."""
        return len(self.shown) * max(self.n_splits, 1)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The fit whose number is ``trial_id``."""
        number = int(trial_id)
        if number >= self.total:
            return self.FINISHED
        if not self.n_splits:
            return {"candidate": number, "params": self.shown[number]}
        candidate, split = divmod(number, self.n_splits)
        return {"candidate": candidate, "split": split, "params": self.shown[candidate]}

    def describe(self) -> str:
        """One line for the journal and the view."""
        return f"{len(self.shown)} listed candidates" + (f" of {self.n_splits} splits" if self.n_splits else "")
