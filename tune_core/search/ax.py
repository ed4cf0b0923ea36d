"""Ax (BoTorch's Gaussian processes) as a searcher."""

from __future__ import annotations

import inspect
import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

from tune_core.core.constraints import Constraint
from tune_core.core.flatten import flatten
from tune_core.core.near_names import nearest
from tune_core.core.objective import Objective
from tune_core.core.user_warnings import warn_user
from tune_core.core.values import Config, ConfigView, Metrics, ResultDict
from tune_core.errors import InvalidArgumentError
from tune_core.search.encoding.linear_constraints import expressions, metrics_of, names_in, on_encoded
from tune_core.search.encoding.native_spaces import from_ax
from tune_core.search.encoding.notation import Notation
from tune_core.search.encoding.params import Param, Values
from tune_core.search.library_searcher import ModelSearcher


class AxSearch(ModelSearcher):
    """Searches with Ax's Bayesian optimisation.

    A suggestion takes seconds once its model is in use, so after a crash none is made again: Ax is told what was tried.

    Parameters
    ----------
    space
        None (the Tuner's ``param_space``), a space of :mod:`tune_core.space`, or a list of Ax's parameter dicts.
    metric, mode
        What to optimise, lists for several objectives; None takes ``TuneConfig``'s, whose constraints become Ax's
        outcome constraints.
    points_to_evaluate, evaluated_rewards
        Configurations to try first, and the metric's values of those that need no trial, since theirs is known.
    seed
        Of what the searcher draws at random; None takes the run's.
    parameter_constraints
        Linear constraints between the values of parameters, as Ax writes them: ``["x1 + x2 <= 2.0"]``. They may be on
        whole numbers and multiples, too, and not on choices, log scales and normal distributions.
    outcome_constraints
        Linear constraints on metrics that the trials report, as Ax writes them: ``["size <= 100"]``, ``["net/size +
        2*cost <= 9"]``.
    ax_client
        A ``Client`` of ``ax.api.client`` with an experiment and an objective configured: then its space and its own
        outcome constraints are used.
    ax_kwargs
        For ``Client.configure_generation_strategy``, e.g. ``method="fast"``, ``initialization_budget=5``. Of those of
        Ray Tune, ``random_seed`` is ``seed``, and ``verbose_logging`` and ``enforce_sequential_optimization`` have no
        effect: Ax is kept silent, and tells by itself when it needs results first.

    Raises
    ------
    InvalidArgumentError
        If ``ax_kwargs`` has something that Ax does not take, a constraint is none, or constraints are given beside
        ``ax_client``.
    """

    library, extra = "ax", "ax"
    replays = False
    multi_objective = bears_endless_ranges = True

    def __init__(
        self,
        space: Any = None,
        metric: Any = None,
        mode: Any = None,
        points_to_evaluate: Sequence[ConfigView] | None = None,
        parameter_constraints: Sequence[str] | None = None,
        outcome_constraints: Sequence[str] | None = None,
        ax_client: Any = None,
        evaluated_rewards: Sequence[Any] | None = None,
        seed: int | None = None,
        **ax_kwargs: Any,
    ) -> None:
        self._constraints = expressions("AxSearch(parameter_constraints)", parameter_constraints)
        self._outcomes = expressions("AxSearch(outcome_constraints)", outcome_constraints)
        if ax_client is not None and (self._constraints or self._outcomes):
            raise InvalidArgumentError(
                "AxSearch(ax_client)",
                "is given together with constraints",
                "an experiment of Ax's has its own constraints, which its client was given",
                "Give them to Client.configure_experiment and Client.configure_optimization instead.",
            )
        self._client = ax_client
        self._is_users = ax_client is not None
        seed = ax_kwargs.pop("random_seed", None) if seed is None else seed
        for ignored in ("random_seed", "verbose_logging", "enforce_sequential_optimization"):
            ax_kwargs.pop(ignored, None)
        self._options = ax_kwargs
        if isinstance(space, list):
            space = from_ax(space)
        self._indices: dict[str, int] = {}
        given = space if ax_client is None else ax_client
        with _silent():  # it imports Ax
            super().__init__(given, metric, mode, points_to_evaluate, evaluated_rewards, seed)
            _check_options(ax_kwargs)
            self._constrained = metrics_of("AxSearch(outcome_constraints)", self._outcomes)
        self._unseen = set(self._constrained)  # no result has had them

    @staticmethod
    def convert_search_space(spec: Mapping[str, Any], join: bool = False) -> Any:
        """A search space as Ax's parameter dicts, which ``space`` takes, too."""
        from tune_core.search.encoding.native_spaces import to_ax

        return to_ax(spec)

    def _is_native(self, space: Any) -> bool:
        return space is self._client and space is not None

    @property
    def handles_constraints(self) -> bool:  # type: ignore[override]
        """Whether ``TuneConfig``'s constraints are Ax's, too; a client of the user's has its own."""
        return not self._is_users

    def _setup(self) -> None:
        metrics = [self._metric] if isinstance(self._metric, str) else list(self._metric or ())
        modes = [self._mode] * len(metrics) if isinstance(self._mode, str) else list(self._mode or ())
        self._objectives = [Objective(metric, mode) for metric, mode in zip(metrics, modes, strict=True)]
        self._bounds: tuple[Constraint, ...] = () if self._is_users else tuple(self._spec.get("constraints") or ())
        if self._client is not None:
            config = self._own_optimization()
            named = [*config.objective.metric_names, *chain.from_iterable(map(names_in, config.outcome_constraints))]
            self._constrained = list(dict.fromkeys(name for name in named if name not in metrics))
            self._unseen = set(self._constrained)
            return
        with _silent():  # also while it is imported
            from ax.api.client import Client

        assert self.encoding is not None
        params = self.encoding.params
        self._keys = {p.name: p.name if p.name.isidentifier() else f"p{i:03d}" for i, p in enumerate(params)}
        with _silent():
            constraints = on_encoded("AxSearch(parameter_constraints)", self._constraints, params, self._keys)
            self._client = Client(random_seed=self.seed & 0x7FFFFFFF)
            self._client.configure_experiment(
                parameters=[self._parameter(p) for p in params], parameter_constraints=constraints
            )
            outcomes = [*self._outcomes, *(f"{_EXCESS}{i} <= 0" for i in range(len(self._bounds)))]
            objective = ", ".join(f"-{name}" for name in self._names())
            self._client.configure_optimization(objective=objective, outcome_constraints=outcomes or None)
            if self._options:
                self._client.configure_generation_strategy(**self._options)

    def _own_optimization(self) -> Any:
        """What the user's client optimises; it must be what this run does."""
        experiment = getattr(self._client, "_maybe_experiment", None)
        config = experiment.optimization_config if experiment is not None else None
        if config is None:
            lacks = "parameters" if experiment is None else "objective"
            raise InvalidArgumentError(
                "AxSearch(ax_client)",
                f"is a client without {'an ' if lacks == 'objective' else ''}{lacks}",
                "Ax must know what to optimise over which parameters",
                "Call Client.configure_experiment and Client.configure_optimization first, or leave ax_client out.",
            )
        objective = config.objective
        if not objective.is_scalarized_objective:  # else a sum of metrics is optimised, each of which Ax is told
            asked = {name: "max" if weight > 0 else "min" for name, weight in objective.metric_weights}
            mine = {each.metric: each.mode for each in self._objectives}
            if asked != mine:
                said = " and ".join(f"{name} ({mode})" for name, mode in mine.items())
                raise InvalidArgumentError(
                    "AxSearch(ax_client)",
                    f"is a client that optimises {objective.expression!r}, while this run's metric is {said}",
                    "both must optimise the same",
                    f"Call Client.configure_optimization({_expression(mine)!r}), or change the run's metric and mode.",
                )
        return config

    def _parameter(self, param: Param) -> Any:
        from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

        name = self._keys[param.name]
        if param.kind == "cat":
            labels = _NOTATION.categories(param)
            return ChoiceParameterConfig(name=name, parameter_type="str", values=labels, is_ordered=False)
        scaling = "log" if param.log else "linear"
        return RangeParameterConfig(
            name=name, parameter_type=param.kind, bounds=_NOTATION.bounds(param), scaling=scaling
        )

    def _ask(self, trial_id: str) -> Values | None:
        from ax.exceptions.core import DataRequiredError
        from ax.exceptions.generation_strategy import MaxParallelismReachedException

        with _silent():
            try:
                found = self._client.get_next_trials(max_trials=1)
            except (DataRequiredError, MaxParallelismReachedException):
                return None  # it needs results first
        if not found:
            return None
        self._indices[trial_id], point = next(iter(found.items()))
        if self.encoding is None:
            return dict(point)
        return {p.name: _NOTATION.read(p, point[self._keys[p.name]]) for p in self.encoding.params}

    def _decode(self, values: Values) -> Config:
        return super()._decode(values) if self.encoding is not None else dict(values)

    def _encode(self, config: ConfigView, asked: str) -> Values:
        return super()._encode(config, asked) if self.encoding is not None else dict(config)

    def _facts(self, result: Metrics) -> ResultDict:
        """The metrics of the outcome constraints."""
        values = {name: Objective(name, "min").loss(result) for name in self._constrained}
        found = {name: value for name, value in values.items() if math.isfinite(value)}
        self._unseen.difference_update(found)
        return {**found, **{f"{_EXCESS}{i}": bound.excess(result) for i, bound in enumerate(self._bounds)}}

    def on_trial_complete(self, trial_id: str, result: Metrics | None = None, error: bool = False) -> None:
        """Tell Ax all metrics; say once which metrics of outcome constraints no result has had so far."""
        super().on_trial_complete(trial_id, result, error)
        if result is None or error or not self._unseen:
            return
        missing, self._unseen = sorted(self._unseen), set()
        near = {name: nearest(name, flatten(result)) for name in missing}
        meant = "".join(f" Is {other!r} meant for {name!r}?" for name, other in near.items() if other)
        warn_user(
            f"AxSearch(outcome_constraints): no result so far has a finite number {', '.join(map(repr, missing))}, so "
            f"Ax does not know whether the constraint is met.{meant}"
        )

    def _names(self) -> list[str]:
        """What the objectives are called in Ax."""
        return [_LOSS] if len(self._objectives) == 1 else [f"{_LOSS}{i}" for i in range(len(self._objectives))]

    def _loss(self, result: Metrics) -> Any:
        """The loss, or a list of losses; None if one of them or a metric of a constraint is missing."""
        losses = [objective.loss(result) for objective in self._objectives]
        known = all(map(math.isfinite, losses)) and not any(math.isnan(bound.excess(result)) for bound in self._bounds)
        return (losses[0] if len(losses) == 1 else losses) if known else None

    def _loss_of_value(self, value: Any) -> Any:
        values = value if isinstance(value, (list, tuple)) else [value]
        if len(values) != len(self._objectives) or self._bounds:
            raise InvalidArgumentError(
                "AxSearch(evaluated_rewards)",
                f"holds {value!r}, for {len(self._objectives)} metrics and {len(self._bounds)} constraints",
                "a point that was evaluated elsewhere needs the value of each",
                "Give a list with one value for each metric; with constraints use warm_start(experiment).",
            )
        losses = [objective.as_loss(one) for objective, one in zip(self._objectives, values, strict=True)]
        return (losses[0] if len(losses) == 1 else losses) if all(map(math.isfinite, losses)) else None

    def _tell(self, trial_id: str, values: Values, loss: Any) -> None:
        with _silent():
            self._client.complete_trial(self._indices.pop(trial_id), self._data(loss))

    def _data(self, loss: Any) -> dict[str, float]:
        losses = loss if isinstance(loss, list) else [loss]
        if self._is_users:  # the metrics under their own names and signs
            own = zip(self._objectives, losses, strict=True)
            return {**{objective.metric: objective.as_value(one) for objective, one in own}, **self.facts}
        return {**dict(zip(self._names(), losses, strict=True)), **self.facts}

    def _fail(self, trial_id: str, values: Values) -> None:
        with _silent():
            self._client.mark_trial_failed(self._indices.pop(trial_id))

    def _begin_foreign(self, trial_id: str, values: Values) -> None:
        self._live[trial_id] = values
        self._indices[trial_id] = self._attach(values)  # so that Ax knows what is unfinished, too

    def _tell_before(self, values: Values, loss: Any) -> None:
        index = self._attach(values)
        with _silent():
            self._client.complete_trial(index, self._data(loss))

    def _attach(self, values: Values) -> int:
        if self.encoding is None:
            own = dict(values)
        else:
            full = self._full(values)
            own = {self._keys[p.name]: _NOTATION.write(p, full[p.name]) for p in self.encoding.params}
        with _silent():
            index: int = self._client.attach_trial(own)
        return index


def _expression(modes: Mapping[str, str]) -> str:
    """Objectives as Ax writes them: what is minimised has a minus."""
    return ", ".join(name if mode == "max" else f"-{name}" for name, mode in modes.items())


def _check_options(options: Mapping[str, Any]) -> None:
    if not options:
        return
    from ax.api.client import Client

    known = [name for name in inspect.signature(Client.configure_generation_strategy).parameters if name != "self"]
    for name in options:
        if name not in known:
            raise InvalidArgumentError(
                f"AxSearch({name})",
                f"is {options[name]!r}",
                "neither AxSearch nor Ax's configure_generation_strategy takes it",
                f"They take random_seed and {', '.join(known)}.",
            )


_LOSS = "tune_core_loss"
_EXCESS = "tune_core_excess"
_NOTATION = Notation(category="c")


@contextmanager
def _silent() -> Iterator[None]:
    """Keep Ax from writing below the level of errors; its loggers are made as its modules are imported."""
    with _no_logging_below_errors(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _no_logging_below_errors() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)
