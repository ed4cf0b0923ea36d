"""A picture of a search: each candidate's score over one of its parameters."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tune_core.errors import InvalidArgumentError, MissingDependencyError, TuneError
from tune_sklearn._spaces import domain_of

if TYPE_CHECKING:
    from tune_sklearn._base import TuneBaseSearchCV


def plot_search(search: TuneBaseSearchCV, parameter: str | None, metric: str | None, ax: Any) -> Any:
    """Draw ``cv_results_`` of a fitted search; see ``TuneSearchCV.plot``."""
    results = search.cv_results_
    names = [key.removeprefix("mean_test_") for key in results if key.startswith("mean_test_")]
    if metric is None:
        metric = search.refit if search.refit in names else names[0]
    parameters = [key.removeprefix("param_") for key in results if key.startswith("param_")]
    for what, value, known in (("metric", metric, names), ("parameter", parameter, [*parameters, None])):
        if value not in known:
            raise InvalidArgumentError(
                f"plot({what})",
                f"is {value!r}",
                "the search has none of that name",
                f"It has {', '.join(map(str, known))}.",
            )
    axes = ax if ax is not None else _new_axes()
    if parameter is None:
        parameter = next((p for p in parameters if _numbers(results[f"param_{p}"]) is not None), None)
    values = None if parameter is None else _numbers(results[f"param_{parameter}"])
    means, spreads = results[f"mean_test_{metric}"], results[f"std_test_{metric}"]
    if values is not None:
        x, label = values, parameter
    elif parameter is not None:
        shown = [str(v) for v in results[f"param_{parameter}"]]
        order = {text: i for i, text in enumerate(dict.fromkeys(shown))}
        x, label = np.array([order[text] for text in shown], dtype=float), parameter
        axes.set_xticks(range(len(order)), list(order))
    else:
        x, label = np.arange(len(means), dtype=float), "candidate"
    if values is not None and parameter is not None and _is_logarithmic(search, parameter, x):
        axes.set_xscale("log")
    stopped = np.array([bool(reason) for reason in results.get("stop_reason", [""] * len(means))])
    for group, style, name in ((~stopped, {"fmt": "o"}, "evaluated in full"), (stopped, {"fmt": "x"}, "stopped early")):
        if group.any():
            axes.errorbar(x[group], means[group], yerr=spreads[group], label=name, capsize=2, elinewidth=0.5, **style)
    axes.set_xlabel(str(label))
    axes.set_ylabel(f"mean test {metric}")
    if stopped.any():
        axes.legend()
    return axes


_WIDE = 50  # times the smallest value


def _is_logarithmic(search: object, parameter: str, values: Any) -> bool:
    """Whether a parameter was searched on a log scale: by its distribution, or by how its values are spaced."""
    values = np.unique(values[np.isfinite(values)])
    if not len(values) or values[0] <= 0:
        return False
    space = getattr(search, "param_distributions", None)
    searched = space.get(parameter) if isinstance(space, Mapping) else None
    with contextlib.suppress(TuneError):
        if searched is not None and not isinstance(searched, (list, np.ndarray)):
            return str(domain_of(parameter, searched)).startswith(("log", "qlog"))
    ratios = values[1:] / values[:-1]
    even = len(values) > 2 and ratios.min() > 1.5 and ratios.max() < 1.2 * ratios.min()
    return bool(even or values[-1] > _WIDE * values[0])


def _new_axes() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise MissingDependencyError("plot()", "matplotlib", "plots") from error
    return pyplot.subplots()[1]


def _numbers(column: Any) -> Any:
    """A column of parameter values as floats, NaN where masked; None if they are no numbers."""
    values = [np.nan if v is np.ma.masked else v for v in column]
    if any(isinstance(v, (bool, str)) or v is None for v in values):
        return None
    try:
        return np.array(values, dtype=float)
    except (TypeError, ValueError):
        return None
