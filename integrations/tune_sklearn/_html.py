"""What a notebook shows of a search: scikit-learn's diagram, and below it how the search stands."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tune_sklearn._base import TuneBaseSearchCV


def with_state(diagram: str, search: TuneBaseSearchCV) -> str:
    """The diagram of an estimator with a line on the state of the search."""
    rows = "".join(f"<tr><th style='text-align:left'>{name}</th><td>{value}</td></tr>" for name, value in state(search))
    table = f"<table class='tune-search-state' style='font-size:90%'>{rows}</table>"
    before, body, after = diagram.rpartition("</body>")
    return f"{before}{table}{body}{after}" if body else diagram + table


def state(search: TuneBaseSearchCV) -> list[tuple[str, str]]:
    """Names and values, escaped: what was evaluated, what was stopped, and the best; or that it is not fitted yet."""
    results = getattr(search, "cv_results_", None)
    if results is None:
        return [("Search", "not fitted yet")]
    count = len(results["params"])
    stopped = int(np.sum(np.asarray(results.get("stop_reason", [""] * count)) != ""))
    rows = [("Candidates", f"{count}" + (f", of which {stopped} were stopped early" if stopped else ""))]
    rows.append(("Folds", str(search.n_splits_)))
    early = getattr(search, "early_stopping_", None)
    if early is not None:
        rows.append(("Early stopping", f"{early['resource']}: {', '.join(map(str, early['steps']))}"))
    if hasattr(search, "best_score_"):
        rows.append(("Best score", f"{search.best_score_:.6g}"))
    if hasattr(search, "best_params_"):
        rows.append(("Best parameters", ", ".join(f"{k}={_short(v)}" for k, v in search.best_params_.items())))
    if hasattr(search, "refit_time_"):
        rows.append(("Refit", f"{search.refit_time_:.3g} s"))
    return [(name, html.escape(value)) for name, value in rows]


def _short(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "..."
