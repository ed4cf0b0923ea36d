"""What the parts of a run must agree on before its first trial: metric, mode, space and seed."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import Any

from tune_core.config import TuneConfig
from tune_core.core.constraints import Constraint
from tune_core.core.objective import DEFAULT_METRIC
from tune_core.core.user_warnings import warn_user
from tune_core.engine.checkpoint_retention import CheckpointConfig
from tune_core.errors import InvalidArgumentError
from tune_core.schedulers.base import Scheduler
from tune_core.search.base import Searcher
from tune_core.search.properties import call_set_search_properties


def agreed_metric(tune: TuneConfig, scheduler: Scheduler, searcher: Searcher) -> tuple[str | None, str | None]:
    """Metric and mode on which configuration, scheduler and searcher agree."""
    found: dict[str, tuple[Any, Any]] = {
        "TuneConfig": (None, None) if tune.objectives else (tune.metric, tune.mode),
        type(scheduler).__name__: (scheduler.metric, scheduler.mode),
        type(searcher).__name__: (searcher.metric, searcher.mode),
    }
    agreed: list[Any] = [None, None]
    for position, what in enumerate(("metric", "mode")):
        for owner, values in found.items():
            value = values[position]
            if value is None or isinstance(value, (list, tuple)):
                continue
            if agreed[position] is not None and value != agreed[position]:
                raise InvalidArgumentError(
                    f"{owner}({what})",
                    f"is {value!r}, while the run's {what} is {agreed[position]!r}",
                    f"all parts of a run must agree on the {what}",
                    f"Give {what} once, in TuneConfig({what}=...).",
                )
            agreed[position] = value
    metric, mode = agreed
    if metric is None and mode is not None and scheduler.needs_metric:
        metric = DEFAULT_METRIC  # the name of a bare number that an objective returns
    if scheduler.needs_metric and metric is None and tune.objectives:
        first, way = tune.objectives[0]
        raise InvalidArgumentError(
            f"TuneConfig(scheduler={type(scheduler).__name__})",
            f"was given with {len(tune.objectives)} metrics",
            "it compares trials by one",
            f"Say by which: {type(scheduler).__name__}(metric={first!r}, mode={way!r}), or leave it out.",
        )
    if scheduler.needs_metric and metric is None:
        raise InvalidArgumentError(
            f"TuneConfig(scheduler={type(scheduler).__name__})",
            "was given without a metric",
            "it compares trials by one",
            'Give it: TuneConfig(metric="loss", mode="min", ...).',
        )
    if metric is not None and mode is None:
        warn_user(
            f'TuneConfig(metric={metric!r}) was given without a mode: "max" is taken, as in Ray Tune. '
            'Add mode="min" or mode="max" to say which.'
        )
        mode = "max"
    return metric, mode


def check_kept_checkpoints(kept: CheckpointConfig | None, metric: str | None, mode: str | None) -> None:
    """Warn where the checkpoints with the worst values of the run's metric would be kept."""
    if kept is None or kept.num_to_keep is None or metric is None or kept.checkpoint_score_attribute != metric:
        return
    order = kept.checkpoint_score_order
    if order == mode:
        return
    warn_user(
        f"CheckpointConfig(checkpoint_score_attribute={metric!r}) keeps the checkpoints with the "
        f"{'largest' if order == 'max' else 'smallest'} {metric}, while the run's mode is {mode!r}: the best ones go. "
        f'Add checkpoint_score_order={mode!r}; it is "max" unless it is given, as in Ray Tune.'
    )


def set_up_searcher(
    searcher: Searcher,
    space: dict[str, Any],
    tune: TuneConfig,
    agreed: tuple[str | None, str | None],
    constraints: Sequence[Constraint],
    seed: int,
) -> None:
    """Tell a searcher what it is to optimise, and where."""
    spec: dict[str, object] = {"seed": seed, "num_samples": tune.num_samples}
    if constraints:
        spec["constraints"] = constraints
    function = searcher.set_search_properties
    if not call_set_search_properties(function, *_searched(searcher, tune, agreed, constraints), space, spec):
        raise InvalidArgumentError(
            "Tuner(param_space)",
            f"was given, and {type(searcher).__name__} has a space or metric of its own already",
            "one of the two would be ignored",
            "Give the space either to the Tuner or to the searcher.",
        )


def _searched(
    searcher: Searcher, tune: TuneConfig, agreed: tuple[str | None, str | None], constraints: Sequence[Constraint]
) -> tuple[Any, Any]:
    """What the searcher is to optimise: one metric or a list, and the mode or modes."""
    inner: Any = searcher
    name = type(searcher).__name__
    while isinstance(getattr(inner, "searcher", None), Searcher):
        inner = inner.searcher
    if constraints and not getattr(inner, "handles_constraints", False):
        warn_user(
            f"{name} knows no constraints: it searches without them, and only the results are chosen by them. "
            'search_alg="auto", "optuna" and "ax" look where constraints are met.'
        )
    if not tune.objectives:
        return agreed
    if not getattr(inner, "multi_objective", False):
        raise InvalidArgumentError(
            f"TuneConfig(search_alg={name})",
            f"was given with {len(tune.objectives)} metrics",
            "it optimises one metric",
            'Use search_alg="auto", "optuna", "ax" or random search, or give one metric.',
        )
    return [metric for metric, _ in tune.objectives], [mode for _, mode in tune.objectives]


def check_unused(part: Searcher | Scheduler, argument: str) -> None:
    """Raise if another run has used a searcher or scheduler: it would mix what it learnt there with this one."""
    if getattr(part, "_belongs_to_a_run", False):
        raise InvalidArgumentError(
            f"TuneConfig({argument})",
            f"is a {type(part).__name__} that another run has used",
            "it keeps what it learnt, and would mix two runs",
            f"Make a new {type(part).__name__} for each Tuner.",
        )


def fresh_seed() -> int:
    """A seed for a run that was given none: drawn from NumPy's global generator where NumPy is loaded.

    So a script that calls ``np.random.seed`` before ``fit`` repeats its run, as people are used to; without that the
    generator is as random as the system's.
    """
    numpy = sys.modules.get("numpy")
    if numpy is not None and hasattr(numpy, "random"):
        return int(numpy.random.randint(0, 2**31 - 1))
    return random.SystemRandom().getrandbits(32)


def describe_searcher(searcher: Searcher) -> str:
    """A searcher in one line; those written for Ray Tune describe themselves by their class."""
    describe_it = getattr(searcher, "describe", None)
    return str(describe_it()) if describe_it is not None else type(searcher).__name__
