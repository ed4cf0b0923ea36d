"""Ax (BoTorch's Gaussian processes) as a searcher."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tune_core.search.encoding.notation import Notation
from tune_core.search.encoding.params import Param, Values
from tune_core.search.library_searcher import ModelSearcher


class AxSearch(ModelSearcher):
    """Searches with Ax's Bayesian optimisation.

    A suggestion takes seconds once its model is in use, so suggestions are not repeated after a crash but told.

    Parameters
    ----------
    space, metric, mode, points_to_evaluate, evaluated_rewards, seed
        See :class:`~tune_core.search.library_searcher.ModelSearcher`.
    parameter_constraints
        Linear constraints between parameters, as Ax writes them: ``["x1 + x2 <= 2.0"]``.
    outcome_constraints
        Constraints on other metrics that the trials report: ``["size <= 100"]``.
    ax_client
        A ``Client`` of ``ax.api.client`` with an experiment and an objective configured: then its space is used.
    ax_kwargs
        For ``Client.configure_generation_strategy``, e.g. ``method="fast"``, ``initialization_budget=5``.
    """

    library, extra = "ax", "ax"
    replays = False

    def __init__(
        self,
        space: Any = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        parameter_constraints: Sequence[str] | None = None,
        outcome_constraints: Sequence[str] | None = None,
        ax_client: Any = None,
        evaluated_rewards: Sequence[Any] | None = None,
        seed: int | None = None,
        **ax_kwargs: Any,
    ) -> None:
        self._constraints = list(parameter_constraints or ())
        self._outcomes = list(outcome_constraints or ())
        self._client = ax_client
        self._options = ax_kwargs
        self._indices: dict[str, int] = {}
        given = space if ax_client is None else ax_client
        with _silent():  # it imports Ax
            super().__init__(given, metric, mode, points_to_evaluate, evaluated_rewards, seed)

    def _is_native(self, space: Any) -> bool:
        return space is self._client and space is not None

    def _setup(self) -> None:
        if self._client is not None:
            return
        with _silent():  # also while it is imported
            from ax.api.client import Client

        assert self.encoding is not None
        params = self.encoding.params
        self._keys = {p.name: p.name if p.name.isidentifier() else f"p{i:03d}" for i, p in enumerate(params)}
        with _silent():
            self._client = Client(random_seed=self.seed & 0x7FFFFFFF)
            self._client.configure_experiment(
                parameters=[self._parameter(p) for p in params], parameter_constraints=self._constraints
            )
            self._client.configure_optimization(objective=f"-{_LOSS}", outcome_constraints=self._outcomes or None)
            if self._options:
                self._client.configure_generation_strategy(**self._options)

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
                return None  # it wants results first
        if not found:
            return None
        self._indices[trial_id], point = next(iter(found.items()))
        if self.encoding is None:
            return dict(point)
        return {p.name: _NOTATION.read(p, point[self._keys[p.name]]) for p in self.encoding.params}

    def _decode(self, values: Values) -> dict[str, Any]:
        return super()._decode(values) if self.encoding is not None else dict(values)

    def _encode(self, config: Mapping[str, Any], asked: str) -> Values:
        return super()._encode(config, asked) if self.encoding is not None else dict(config)

    def _facts(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """What the outcome constraints are on."""
        names = {constraint.split()[0] for constraint in self._outcomes}
        return {name: float(result[name]) for name in sorted(names) if name in result}

    def _tell(self, trial_id: str, values: Values, loss: Any) -> None:
        with _silent():
            self._client.complete_trial(self._indices.pop(trial_id), self._data(loss))

    def _data(self, loss: float) -> dict[str, float]:
        if self.encoding is None:  # the user's own client: the metric under its own name and sign
            return {str(self._metric): self.objective.as_value(loss), **self.facts}
        return {_LOSS: loss, **self.facts}

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


_LOSS = "tune_core_loss"
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
