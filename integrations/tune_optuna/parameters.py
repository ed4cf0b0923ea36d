"""A trial's parameters as plain values, for the way between worker, driver and journal.

What Optuna writes as JSON has lists in place of tuples, and a list is no category of a distribution over tuples. So
distributions are written with their choices as Python writes them where JSON would change them, and a category goes by
its number.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tune_core import integration as tc

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


optuna: Any = tc.require("tune_optuna", "optuna", "optuna")


def to_text(distribution: BaseDistribution) -> str:
    """A distribution as JSON of Optuna's, with its choices beside where JSON would change them."""
    text: str = optuna.distributions.distribution_to_json(distribution)
    if not isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return text
    literal = repr(distribution.choices)
    if repr(optuna.distributions.json_to_distribution(text).choices) == literal:
        return text
    try:
        ast.literal_eval(literal)
    except (ValueError, SyntaxError):  # no tuples of plain values: JSON is the best there is
        return text
    return json.dumps({**json.loads(text), "choices": literal})


@lru_cache(maxsize=512)
def from_text(text: str) -> BaseDistribution:
    """The distribution that :func:`to_text` wrote."""
    found = json.loads(text)
    if "choices" in found:
        return optuna.distributions.CategoricalDistribution(ast.literal_eval(found["choices"]))
    return optuna.distributions.json_to_distribution(text)


def described(params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """Parameters for a result: their values, their distributions, and the numbers of categories."""
    categorical = optuna.distributions.CategoricalDistribution
    return {
        "params": dict(params),
        "distributions": {name: to_text(d) for name, d in distributions.items()},
        "categories": {
            name: int(d.to_internal_repr(params[name]))
            for name, d in distributions.items()
            if isinstance(d, categorical)
        },
    }


def internal_values(result: Mapping[str, Any]) -> dict[str, float]:
    """The parameters of a result as Optuna's storages keep them."""
    params, categories = result.get("params") or {}, result.get("categories") or {}
    return {
        name: categories[name] if name in categories else from_text(text).to_internal_repr(params[name])
        for name, text in (result.get("distributions") or {}).items()
    }
