"""From the trials' reports to ``cv_results_``: scikit-learn's columns in its order, and what was stopped and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from tune_core.errors import TrialError
from tune_sklearn import _sklearn_private as private

if TYPE_CHECKING:
    from tune_sklearn._base import TuneBaseSearchCV


@dataclass
class Outcome:
    """What became of one candidate."""

    params: dict[str, Any]
    fits: dict[int, dict[str, Any]] = field(default_factory=dict)
    training_iteration: int = 0
    time_total_s: float = 0.0
    n_resources: float = 0
    times_s: list[float] = field(default_factory=list)  # that the fits had taken after each step
    reason: str = ""
    complete: bool = False
    is_copy: bool = False  # under population-based training


def outcomes_of(
    results: Any,
    candidates: list[dict[str, object]] | None,
    n_splits: int,
    error_score: object,
    steps: tuple[float, ...],
) -> list[Outcome]:
    """One outcome a candidate, in the order of candidates whatever order trials finished in."""
    if candidates is not None:
        found = {i: Outcome(params) for i, params in enumerate(candidates)}
    else:
        found = {}
    for number, result in enumerate(results):
        metrics = result.metrics
        index = result.config["candidate"] if candidates is not None else number
        if index not in found:
            found[index] = Outcome(dict(result.config))
        outcome = found[index]
        split = result.config.get("split") if candidates is not None else None
        if result.error is not None:
            _take_crash(outcome, result.error, error_score, range(n_splits) if split is None else [split])
            continue
        outcome.fits.update({int(fold): dict(fit) for fold, fit in metrics.get("fits", {}).items()})
        iteration = int(metrics.get("training_iteration", 0))
        outcome.training_iteration = max(outcome.training_iteration, iteration)
        outcome.time_total_s += float(metrics.get("time_total_s", 0.0))
        outcome.n_resources = metrics.get("n_resources", 0)
        outcome.times_s = list(metrics.get("times_s", ()))
        outcome.complete = len(outcome.fits) == n_splits and (not steps or iteration >= len(steps))
        if not outcome.complete and result.reason:
            outcome.reason = result.reason
        if result.is_copy:
            outcome.is_copy = True
    for outcome in found.values():
        outcome.complete = outcome.complete or (len(outcome.fits) == n_splits and not steps)
        if outcome.is_copy:  # no score of these parameters alone
            outcome.complete = False
            outcome.reason = "its model is a copy of another candidate's, trained on with these parameters"
        elif outcome.complete:
            outcome.reason = ""
        elif not outcome.reason:
            outcome.reason = "the search ended before it was evaluated in full"
    return [found[i] for i in sorted(found) if candidates is not None or found[i].fits]


def seconds_in_full(times: list[list[float]], n_steps: int, redone: int) -> float | None:
    """What all candidates would have taken without early stopping, guessed from those that went further than others.

    From each step to the next, the time of a candidate that was stopped grows as that of those together did that went
    on. None where nobody came to the last step.

    Parameters
    ----------
    times
        For each candidate the seconds that it had taken after each of its steps.
    n_steps
        How many steps there are.
    redone
        How many of the first steps a search without early stopping would not make: what comes later is fitted anew.
    """
    grown = [list(one) for one in times]
    for step in range(1, n_steps):
        further = [one for one in times if len(one) > step]
        if not further:
            return None
        before = sum(one[step - 1] for one in further)
        growth = sum(one[step] for one in further) / before if before else 1.0
        for one in grown:
            if len(one) == step:
                one.append(one[-1] * growth)
    return sum(one[-1] - (one[redone - 1] if redone else 0.0) for one in grown if one)


def _take_crash(outcome: Outcome, error: BaseException, error_score: object, folds: Any) -> None:
    """A worker that died with a fit is a failed fit."""
    if error_score == "raise":
        raise error if isinstance(error, TrialError) else TrialError("A fit", f"failed: {error}")
    for fold in folds:
        outcome.fits[fold] = {
            "fit_error": str(error),
            "test_scores": error_score,
            "train_scores": error_score,
            "fit_time": 0.0,
            "score_time": 0.0,
            "n_test_samples": 0,
        }
    outcome.complete = True


def build(
    search: TuneBaseSearchCV, outcomes: list[Outcome], n_splits: int, more: Mapping[str, Any] | None, may_stop: bool
) -> dict[str, Any]:
    """``cv_results_``; warns of failed fits, and raises if all failed, as scikit-learn does."""
    done = [o.fits[k] for o in outcomes for k in range(n_splits) if k in o.fits]
    if not done:
        raise ValueError(
            "No fits were performed. Was the CV iterator empty? Were there no candidates? "
            "Was the time budget too short?"
        )
    private.warn_or_raise_about_fit_failures(done, search.error_score)
    if callable(search.scoring) or any(_names(f) != _names(done[0]) for f in done):
        private.insert_error_scores(done, search.error_score)
    out = [_fit_or_filler(o, k, done, search.return_train_score) for o in outcomes for k in range(n_splits)]
    whole = all(o.complete for o in outcomes)
    with private.without_nonfinite_warning(not whole and all(o.fits for o in outcomes if o.complete)):
        results = private.format_results(search, [o.params for o in outcomes], n_splits, out, more)
    if not whole:
        _show_what_is_missing(results, outcomes, n_splits)
    if not whole or search.mode == "min":
        _rank(results, outcomes, search.mode)
    if may_stop:
        results["training_iteration"] = np.array([o.training_iteration for o in outcomes], dtype=np.int64)
        results["time_total_s"] = np.array([o.time_total_s for o in outcomes], dtype=np.float64)
        if any(o.n_resources for o in outcomes):
            results["n_resources"] = np.array([o.n_resources for o in outcomes])
        results["stop_reason"] = np.array([o.reason for o in outcomes], dtype=object)
    return results


def _names(fit: Mapping[str, Any]) -> tuple[str, ...]:
    scores = fit["test_scores"]
    return tuple(scores) if isinstance(scores, Mapping) else ()


def _fit_or_filler(outcome: Outcome, fold: int, done: list[dict[str, Any]], with_train: bool) -> dict[str, object]:
    """A fold's fit; for one that was not reached the mean of the others, which leaves the candidate's mean as it is."""
    if fold in outcome.fits:
        return outcome.fits[fold]
    own = list(outcome.fits.values())
    template = done[0]

    def mean(kind: str) -> Any:
        if isinstance(template[kind], Mapping):
            return {n: float(np.mean([f[kind][n] for f in own])) if own else np.nan for n in template[kind]}
        return float(np.mean([f[kind] for f in own])) if own else np.nan

    filler = {"fit_error": None, "n_test_samples": 0, "test_scores": mean("test_scores")}
    filler["fit_time"] = float(np.mean([f["fit_time"] for f in own])) if own else np.nan
    filler["score_time"] = float(np.mean([f["score_time"] for f in own])) if own else np.nan
    if with_train:
        filler["train_scores"] = mean("train_scores")
    return filler


def _show_what_is_missing(results: dict[str, Any], outcomes: list[Outcome], n_splits: int) -> None:
    """NaN for folds that were not reached, and spreads over those that were."""
    for row, outcome in enumerate(outcomes):
        missing = [k for k in range(n_splits) if k not in outcome.fits]
        if not missing:
            continue
        reached = [k for k in range(n_splits) if k in outcome.fits]
        for key in [k for k in results if k.startswith(("mean_test_", "mean_train_"))]:
            name = key.removeprefix("mean_")
            for fold in missing:
                results[f"split{fold}_{name}"][row] = np.nan
            values = [results[f"split{k}_{name}"][row] for k in reached]
            results[key][row] = np.mean(values) if values else np.nan
            results[f"std_{name}"][row] = np.std(values) if values else np.nan


def _rank(results: dict[str, Any], outcomes: list[Outcome], mode: str | None) -> None:
    """Ranks: candidates that were evaluated in full first, then by how far they came, then by score; NaN last."""
    effort = np.array([(1 if o.complete else 0, o.n_resources, len(o.fits)) for o in outcomes])
    _, tiers = np.unique(effort, axis=0, return_inverse=True)
    tiers = np.asarray(tiers).reshape(-1)
    for key in [k for k in results if k.startswith("rank_test_")]:
        means = np.array(results["mean_test_" + key.removeprefix("rank_test_")])
        if mode == "min":
            means = -means
        nan = np.isnan(means)
        if nan.all():
            results[key] = np.ones(len(means), dtype=np.int32)
            continue
        within = rankdata(np.where(nan, -np.inf, means), method="min") / (len(means) + 1.0)
        merit = np.where(nan, -1.0, tiers + within)
        results[key] = rankdata(-merit, method="min").astype(np.int32)
