"""The kinds of candidates of a search: what each would be before it is fitted."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sklearn.base import clone

from tune_core.space import Domain

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


@dataclass(frozen=True)
class Variant:
    """An unfitted estimator with the parameters of a candidate, these as text, and whether some are no numbers."""

    estimator: BaseEstimator
    text: str
    has_words: bool = False


def variants_of(
    estimator: BaseEstimator, candidates: list[dict[str, object]] | None, space: Mapping[str, Any]
) -> list[Variant]:
    """The estimator as it is, then one of each kind of candidate: those that differ in numbers alone are of one kind.

    Where candidates are proposed as the search goes on, each value of each choice is tried by itself. Candidates that
    cannot be made, for a parameter's name or a value that ``set_params`` refuses, are left out: they fail in their fit.
    """
    found = [Variant(estimator, "the estimator as it is")]
    seen: set[Any] = set()
    for params in candidates if candidates is not None else _single_values(space):
        kind = tuple(sorted((name, _kind(value)) for name, value in params.items()))
        if kind in seen:
            continue
        seen.add(kind)
        try:
            made = clone(estimator).set_params(**clone(dict(params), safe=False))
        except Exception:
            continue
        words = {name: value for name, value in params.items() if not _is_number(value)}
        text = ", ".join(f"{name}={_short(value)}" for name, value in (words or params).items())
        found.append(Variant(made, text, bool(words)))
    if candidates and len(found) > 1:
        return found[1:]  # nobody evaluates the estimator as it is
    return found


def _single_values(space: Mapping[str, Any]) -> Iterable[dict[str, object]]:
    for name, value in space.items():
        categories = getattr(value, "categories", None)
        if categories is not None:
            yield from ({name: one} for one in categories)
        elif isinstance(value, Domain):
            yield {name: value.sample(random_state=0)}


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _kind(value: object) -> str:
    """What tells a value from those that lead to the same way of training."""
    if _is_number(value):
        return "number"
    if value is None or isinstance(value, (bool, str)):
        return repr(value)
    return f"{type(value).__name__} {id(value)}"


def _short(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
