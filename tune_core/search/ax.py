"""Ax (BoTorch's Gaussian processes) as a searcher."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tune_core.search.encoding.params import Param, Values
from tune_core.search.library_searcher import ModelSearcher, draw_inactive


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
        self._reported: dict[str, Mapping[str, Any]] = {}
        super().__init__(
            space if ax_client is None else ax_client, metric, mode, points_to_evaluate, evaluated_rewards, seed
        )

    def _is_native(self, space: Any) -> bool:
        return space is self._client and space is not None

    def _setup(self) -> None:
        if self._client is not None:
            return
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
            labels = [f"c{i}" for i in range(param.size or 1)]
            return ChoiceParameterConfig(name=name, parameter_type="str", values=labels, is_ordered=False)
        bounds = (float(param.low), float(param.high)) if param.kind == "float" else (int(param.low), int(param.high))
        return RangeParameterConfig(
            name=name, parameter_type=param.kind, bounds=bounds, scaling="log" if param.log else "linear"
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
        return {p.name: _from_own(p, point[self._keys[p.name]]) for p in self.encoding.params}

    def _decode(self, values: Values) -> dict[str, Any]:
        return super()._decode(values) if self.encoding is not None else dict(values)

    def _encode(self, config: Mapping[str, Any], asked: str) -> Values:
        return super()._encode(config, asked) if self.encoding is not None else dict(config)

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """Pass on the metric, and what constraints need."""
        self._reported = {trial_id: result or {}}
        super().on_trial_complete(trial_id, result, error)

    def _tell(self, trial_id: str, values: Values, loss: Any) -> None:
        with _silent():
            self._client.complete_trial(self._indices.pop(trial_id), self._data(loss, self._reported.get(trial_id, {})))

    def _data(self, loss: float, result: Mapping[str, Any]) -> dict[str, float]:
        if self.encoding is None:  # the user's own client: the metric under its own name and sign
            data = {str(self._metric): self.objective.as_value(loss)}
        else:
            data = {_LOSS: loss}
        names = {constraint.split()[0] for constraint in self._outcomes}
        return {**data, **{name: float(result[name]) for name in names if name in result}}

    def _fail(self, trial_id: str, values: Values) -> None:
        with _silent():
            self._client.mark_trial_failed(self._indices.pop(trial_id))

    def _adopt(self, trial_id: str, point: Values) -> None:
        super()._adopt(trial_id, point)
        self._live[trial_id] = self._foreign.pop(trial_id)
        self._indices[trial_id] = self._attach(point)  # so that Ax knows what is unfinished, too

    def _tell_before(self, values: Values, loss: Any) -> None:
        index = self._attach(values)
        with _silent():
            self._client.complete_trial(index, self._data(loss, {}))

    def _attach(self, values: Values) -> int:
        if self.encoding is None:
            own = dict(values)
        else:
            full = draw_inactive(self.encoding, values, self.seed, self._asked)
            own = {self._keys[p.name]: _to_own(p, full[p.name]) for p in self.encoding.params}
        with _silent():
            index: int = self._client.attach_trial(own)
        return index


_LOSS = "tune_core_loss"


def _to_own(param: Param, value: Any) -> Any:
    return f"c{value}" if param.kind == "cat" else value


def _from_own(param: Param, value: Any) -> Any:
    return int(str(value)[1:]) if param.kind == "cat" else param.snap(value)


@contextmanager
def _silent() -> Iterator[None]:
    logger = logging.getLogger("ax")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
