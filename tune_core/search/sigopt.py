"""The SigOpt client as a searcher, for servers that speak its interface. SigOpt's own service has been shut down."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from tune_core.core import validation
from tune_core.core.values import Config, ConfigView
from tune_core.errors import InvalidArgumentError
from tune_core.search.encoding.notation import Notation, keyed
from tune_core.search.encoding.params import Param, Values, plain
from tune_core.search.library_searcher import ModelSearcher


class SigOptSearch(ModelSearcher):
    """Searches with a server that speaks SigOpt's HTTP interface.

    Parameters
    ----------
    space
        None (the Tuner's ``param_space``), a space of :mod:`tune_core.space`, or SigOpt's own list of parameters.
    name
        The experiment's name.
    max_concurrent
        How many suggestions may be unfinished.
    connection
        A ``sigopt.Connection``; None makes one with the token in ``$SIGOPT_KEY`` or ``$SIGOPT_API_TOKEN``.
    experiment_id
        An experiment to go on with.
    observation_budget, project
        Arguments of a new experiment.
    metric, mode
        What to optimise; None takes ``TuneConfig``'s. Lists for several metrics are not supported.
    points_to_evaluate, evaluated_rewards
        Configurations to try first, and the metric's values of those that need no trial, since theirs is known.
    api_url
        The server's address; None leaves it to the client.
    """

    library = extra = "sigopt"
    replays = False  # the server keeps what it was told

    def __init__(
        self,
        space: object = None,
        name: str = "Default Tune Experiment",
        max_concurrent: int = 1,
        connection: object = None,
        experiment_id: str | None = None,
        observation_budget: int | None = None,
        project: str | None = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, object]] | None = None,
        evaluated_rewards: Sequence[object] | None = None,
        api_url: str | None = None,
    ) -> None:
        self._name, self._project, self._api_url = name, project, api_url
        self._max_concurrent = validation.integer("SigOptSearch(max_concurrent)", max_concurrent)
        self._connection, self._experiment_id, self._budget = connection, experiment_id, observation_budget
        self._suggestions: dict[str, str] = {}
        super().__init__(space, metric, mode, points_to_evaluate, evaluated_rewards)

    def _is_native(self, space: object) -> bool:
        return isinstance(space, Sequence)

    def _setup(self) -> None:
        self._experiments = self._connect().experiments
        if self._experiment_id is None:
            if self.encoding is not None:
                parameters = [_parameter(param, key) for key, param in keyed(self.encoding).items()]
            else:
                parameters = list(self._space_given)
            more = {"observation_budget": self._budget} if self._budget else {}
            experiment = self._experiments().create(
                name=self._name,
                parameters=parameters,
                parallel_bandwidth=self._max_concurrent,
                metrics=[{"name": str(self._metric), "objective": "minimize" if self._mode == "min" else "maximize"}],
                **({"project": self._project} if self._project else {}),
                **more,
            )
            self._experiment_id = str(experiment.id)

    def _connect(self) -> Any:
        if self._connection is not None:
            return self._connection
        import sigopt

        token = os.environ.get("SIGOPT_KEY") or os.environ.get("SIGOPT_API_TOKEN")
        if not token:
            raise InvalidArgumentError(
                "SigOptSearch",
                "found no token",
                "the client sends one with each request",
                "Set SIGOPT_KEY (any text if your server ignores it), or pass connection=sigopt.Connection(...).",
            )
        connection = sigopt.Connection(client_token=token)
        if self._api_url is not None:
            connection.set_api_url(self._api_url)
        return connection

    def _ask(self, trial_id: str) -> Values | None:
        if len(self._live) + len(self._foreign) >= self._max_concurrent:
            return None
        suggestion = self._experiments(self._experiment_id).suggestions().create()
        self._suggestions[trial_id] = suggestion.id
        found = plain(dict(suggestion.assignments))
        if self.encoding is None:
            return found  # type: ignore[no-any-return]
        return _NOTATION.read_point(self.encoding, found)

    def _decode(self, values: Values) -> Config:
        return super()._decode(values) if self.encoding is not None else dict(values)

    def _encode(self, config: ConfigView, asked: str) -> Values:
        return super()._encode(config, asked) if self.encoding is not None else dict(config)

    def _observe(self, **what: Any) -> None:
        self._experiments(self._experiment_id).observations().create(**what)

    def _values(self, loss: float) -> list[dict[str, Any]]:
        return [{"name": str(self._metric), "value": self.objective.as_value(loss)}]

    def _tell(self, trial_id: str, values: Values, loss: float) -> None:
        self._observe(suggestion=self._suggestions.pop(trial_id), values=self._values(loss))

    def _fail(self, trial_id: str, values: Values) -> None:
        self._observe(suggestion=self._suggestions.pop(trial_id), failed=True)

    def _assignments(self, values: Values) -> dict[str, object]:
        if self.encoding is None:
            return dict(values)
        return _NOTATION.write_point(self.encoding, self._full(values))

    def _tell_before(self, values: Values, loss: float) -> None:
        self._observe(assignments=self._assignments(values), values=self._values(loss))

    def _fail_before(self, values: Values) -> None:
        self._observe(assignments=self._assignments(values), failed=True)


def _parameter(param: Param, name: str) -> dict[str, Any]:
    if param.kind == "cat":
        return {"name": name, "type": "categorical", "categorical_values": _NOTATION.categories(param)}
    bounds = {"min": param.low, "max": param.high}
    if param.kind == "int":
        return {"name": name, "type": "int", "bounds": bounds}
    transformation = {"transformation": "log"} if param.log else {}
    return {"name": name, "type": "double", "bounds": bounds, **transformation}


_NOTATION = Notation(category="c")
