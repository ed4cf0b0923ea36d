"""The steps before a pipeline's last one, fitted once for all candidates where these differ in the last step alone.

Only for comparisons on a part of a fold, whose scores nobody is told as a candidate's: what is scored in full is always
fitted as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from tune_sklearn._rows import LARGE_BYTES, FoldX, Rows, size_bytes
from tune_sklearn._sklearn_private import looks_at_predictions_only, safe_indexing

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


def last_step_alone(estimator: BaseEstimator, names: Iterable[str], scorer: Any, rows: Rows) -> bool:
    """Whether candidates that set these parameters differ in the last step alone, and the scorer asks that step."""
    if type(estimator) is not Pipeline or len(estimator.steps) < 2 or getattr(estimator, "transform_input", None):
        return False
    last, model = estimator.steps[-1]
    if model is None or isinstance(model, str) or rows.fit_params or rows.score_params:
        return False
    return all(name.startswith(f"{last}__") for name in names) and looks_at_predictions_only(scorer)


def transformed(pipeline: Pipeline, rows: Rows) -> Rows | None:
    """The rows as they reach the last step, its transformers fitted on those to train on; None if they are large."""
    X, test = (safe_indexing(rows.X, part, axis=0) for part in (rows.train, rows.test))
    y, order = rows.y, np.concatenate([rows.train, rows.test])
    y_train = None if y is None else safe_indexing(y, rows.train)
    for _, transformer in pipeline.steps[:-1]:
        if transformer is None or (isinstance(transformer, str) and transformer == "passthrough"):
            continue
        transformer = clone(transformer)
        if hasattr(transformer, "fit_transform"):
            X = transformer.fit_transform(X, y_train)
        else:
            X = transformer.fit(X, y_train).transform(X)
        test = transformer.transform(test)
    if size_bytes(X) + size_bytes(test) > LARGE_BYTES:
        return None
    pieces, count = (X, test), len(rows.train)
    return Rows(
        FoldX(pieces.__getitem__, count, len(rows.test)),
        None if y is None else safe_indexing(y, order),
        {},
        {},
        np.arange(count),
        np.arange(count, len(order)),
    )


def of_last_step(pipeline: Pipeline, params: Mapping[str, object]) -> tuple[Any, dict[str, Any]]:
    """A pipeline's last step and parameters of the pipeline under the names that this step has for them."""
    name, model = pipeline.steps[-1]
    return model, {key.removeprefix(f"{name}__"): value for key, value in params.items()}
