"""The steps before a pipeline's last one, fitted once for all candidates that have them alike, on the same rows.

Only where nobody can tell: scikit-learn's own pipelines and transformers, where these call no functions of the user's
and draw no random numbers but from a seed of their own, and scorers that look at predictions alone. (On a part of a
fold, whose scores are not told as a candidate's, transformers may be any.) The rows that a last step gets are the
very ones that its pipeline would give it, and are read-only; should it fail on them, the pipeline is fitted as a
whole, and nothing is shared any more. Fits are told as long as they would have been. The idea is that of dask-ml's
searches, which merge the equal first steps of pipelines.
"""

from __future__ import annotations

import numbers
import time
import types
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from tune_sklearn._fingerprint import fingerprint
from tune_sklearn._rows import FoldX, Rows, available_memory, size_bytes
from tune_sklearn._sklearn_private import looks_at_predictions_only, pairwise, safe_indexing

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


KEPT_BYTES = 256 << 20
"""Bytes of transformed rows that a process keeps at most; those that were used last stay."""
_PART_OF_MEMORY = 64
"""It is less on a small machine: of the memory that nobody needs, the part that one process may take for them."""
_OF_PIPELINES = frozenset({"steps", "memory", "verbose", "transform_input"})
_SEEDED = "random_state"


@dataclass(frozen=True)
class Remainder:
    """What is left of a pipeline: its last step with a candidate's parameters, and the rows as they reach it.

    ``fit_s`` and ``score_s`` are the seconds that the steps before it took with the rows to train and to score on.
    """

    estimator: BaseEstimator
    rows: Rows
    fit_s: float
    score_s: float


@dataclass(frozen=True)
class _Reached:
    rows: Rows
    fit_s: float
    score_s: float

    @property
    def size(self) -> int:
        return sum(size_bytes(self.rows.X[part]) for part in (self.rows.train, self.rows.test))


@dataclass
class Prefixes:
    """Rows as they reach the last step, for each way to transform them; those of this process.

    Attributes
    ----------
    fails
        Whether a last step could not do with the shared rows what its pipeline could: then none is shared any more.
    """

    fails: bool = False
    _kept: OrderedDict[Any, _Reached | None] = field(default_factory=OrderedDict)
    _size: int = 0

    def remainder(
        self,
        pipeline: BaseEstimator,
        params: Mapping[str, Any],
        scorer: Any,
        rows: Rows,
        place: object,
        is_told: bool = True,
    ) -> Remainder | None:
        """What is left to fit for one candidate; None where the pipeline is to be fitted as a whole.

        ``place`` names the rows: equal ones are taken for the same. ``is_told`` says whether the scores are told as the
        candidate's; those that are not may come from other random numbers.
        """
        if self.fails or type(pipeline) is not Pipeline or len(pipeline.steps) < 2:
            return None
        if pipeline.memory is not None or pipeline.verbose or getattr(pipeline, "transform_input", None):
            return None
        if rows.fit_params or rows.score_params or not looks_at_predictions_only(scorer):
            return None
        if not _OF_PIPELINES.isdisjoint(params):
            return None
        name, model = pipeline.steps[-1]
        model = params.get(name, model)
        if not hasattr(model, "fit"):  # "passthrough"
            return None
        of_last = f"{name}__"
        before = {key: value for key, value in params.items() if key != name and not key.startswith(of_last)}
        own = {key.removeprefix(of_last): value for key, value in params.items() if key.startswith(of_last)}
        with suppress(Exception):  # the fit of the whole says what is wrong
            model = clone(model).set_params(**clone(own, safe=False))
            if not pairwise(model):
                key = (place, fingerprint(before) if before else "")
                reached = self._reached(pipeline, before, rows, key, is_told)
                return None if reached is None else Remainder(model, reached.rows, reached.fit_s, reached.score_s)
        return None

    def _reached(
        self, pipeline: Pipeline, before: Mapping[str, Any], rows: Rows, key: Any, is_told: bool
    ) -> _Reached | None:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        self._kept[key] = None  # if it fails, or is too large
        found = _transformed(pipeline, before, rows, is_told)
        most = min(KEPT_BYTES, available_memory() // _PART_OF_MEMORY or KEPT_BYTES)
        if found is None or found.size > most:
            return None
        self._kept[key] = found
        self._size += found.size
        while self._size > most:
            _, oldest = self._kept.popitem(last=False)
            self._size -= 0 if oldest is None else oldest.size
        return found


def _transformed(pipeline: Pipeline, before: Mapping[str, Any], rows: Rows, is_told: bool) -> _Reached | None:
    """The rows as they reach the last step; None if others could be got another time, or if they cannot be shared."""
    transformers = _transformers(pipeline, before)
    if pairwise(pipeline) or (is_told and not all(map(_is_scikit_learns, transformers))):
        return None
    chance = np.random.get_state()
    began = time.perf_counter()
    X = safe_indexing(rows.X, rows.train, axis=0)
    if size_bytes(X) > KEPT_BYTES:
        return None
    y_train = None if rows.y is None else safe_indexing(rows.y, rows.train)
    fitted = []
    for transformer in transformers:
        if hasattr(transformer, "fit_transform"):
            X = transformer.fit_transform(X, y_train)
        else:
            X = transformer.fit(X, y_train).transform(X)
        fitted.append(transformer)
    scored = time.perf_counter()
    test = safe_indexing(rows.X, rows.test, axis=0)
    for transformer in fitted:
        test = transformer.transform(test)
    ended = time.perf_counter()
    if is_told and not same(chance, np.random.get_state()):
        return None  # another time it would be others
    read_only = (_read_only(X), _read_only(test))
    if is_told and any(piece is None for piece in read_only):
        return None
    pieces = [whole if piece is None else piece for whole, piece in zip((X, test), read_only, strict=True)]
    n_train, order = len(rows.train), np.concatenate([rows.train, rows.test])
    X = FoldX(pieces.__getitem__, n_train, len(rows.test))
    y = None if rows.y is None else safe_indexing(rows.y, order)
    train, test = np.arange(n_train), np.arange(n_train, len(order))
    return _Reached(Rows(X, y, {}, {}, train, test), scored - began, ended - scored)


def _transformers(pipeline: Pipeline, before: Mapping[str, Any]) -> list[Any]:
    """The transformers before the last step, new and with a candidate's parameters."""
    model = Pipeline([*pipeline.steps[:-1], ("last", None)])
    model = clone(model).set_params(**clone(dict(before), safe=False))
    steps = (transformer for _, transformer in model.steps[:-1])
    return [one for one in steps if one is not None and one != "passthrough"]


def _is_scikit_learns(transformer: Any) -> bool:
    """Whether a transformer and all in it are scikit-learn's, and have a number as the seed, or none."""
    params = transformer.get_params()
    seeds = [value for name, value in params.items() if name.rpartition("__")[2] == _SEEDED]
    if not all(seed is None or isinstance(seed, numbers.Integral) for seed in seeds):
        return False
    return all(map(_holds_nothing_of_the_users, (transformer, *params.values())))


def _holds_nothing_of_the_users(value: Any) -> bool:
    """Whether a parameter's value is plain, or of scikit-learn or NumPy."""
    if isinstance(value, (list, tuple)):
        return all(map(_holds_nothing_of_the_users, value))
    if isinstance(value, Mapping):
        return all(map(_holds_nothing_of_the_users, value.values()))
    if isinstance(value, (type, np.ufunc)):
        return True
    if hasattr(value, "get_params") or isinstance(value, Callable):  # type: ignore[arg-type]
        where = value if isinstance(value, types.FunctionType) else type(value)
        return (where.__module__ or "").startswith("sklearn.")
    return True


def same(chance: Any, other: Any) -> bool:
    """Whether a generator is where it was."""
    return bool(chance[2:] == other[2:] and np.array_equal(chance[1], other[1]))


def _read_only(X: Any) -> Any:
    """An array or a compressed sparse matrix that shares the buffers of ``X`` and refuses to be changed; else None."""
    if type(X) is np.ndarray and X.ndim == 2 and not X.dtype.hasobject:
        X = X.view()
        X.flags.writeable = False
        return X
    if sparse.issparse(X) and X.format in ("csr", "csc"):
        X = X.copy()
        for buffer in (X.data, X.indices, X.indptr):
            buffer.flags.writeable = False
        return X
    return None
