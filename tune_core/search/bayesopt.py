"""bayes_opt's Gaussian process as a searcher."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tune_core.core import validation
from tune_core.errors import InvalidArgumentError
from tune_core.search.encoding.params import Param, Values
from tune_core.search.library_searcher import ModelSearcher, draw_inactive
from tune_core.space.sampling import rng_for


class BayesOptSearch(ModelSearcher):
    """Searches with the Gaussian process of the package ``bayesian-optimization``.

    Suggestions take long once some hundred results are in, so after a crash they are not repeated but told.

    Parameters
    ----------
    space
        None (the Tuner's ``param_space``), a space of :mod:`tune_core.space`, or bayes_opt's own bounds:
        ``{"x": (0.0, 1.0)}``.
    metric, mode, points_to_evaluate, evaluated_rewards
        See :class:`~tune_core.search.library_searcher.ModelSearcher`.
    utility_kwargs
        ``{"kind": "ucb", "kappa": 2.576}``, ``{"kind": "ei", "xi": 0.01}`` or ``{"kind": "poi", "xi": 0.01}``.
    random_state
        None takes the run's seed.
    random_search_steps
        How many random points come first.
    acquisition
        An acquisition function of ``bayes_opt.acquisition`` in place of ``utility_kwargs``.
    verbose, patience, skip_duplicate, analysis
        Accepted for Ray Tune's sake. Pending points are taken into account, so that none is suggested twice.
    """

    library, extra = "bayes_opt", "bayesopt"
    replays = False

    def __init__(
        self,
        space: Any = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        utility_kwargs: Mapping[str, Any] | None = None,
        random_state: int | None = None,
        random_search_steps: int = 10,
        verbose: int = 0,
        patience: int = 5,
        skip_duplicate: bool = True,
        analysis: Any = None,
        evaluated_rewards: Sequence[Any] | None = None,
        acquisition: Any = None,
    ) -> None:
        self._steps = validation.integer("BayesOptSearch(random_search_steps)", random_search_steps)
        self._utility = dict(utility_kwargs or {})
        self._acquisition = acquisition
        super().__init__(_own_bounds(space), metric, mode, points_to_evaluate, evaluated_rewards, random_state)

    def _setup(self) -> None:
        import bayes_opt
        import numpy

        assert self.encoding is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that whole numbers and categories are new to it
            self._optimizer = bayes_opt.BayesianOptimization(
                f=None,
                acquisition_function=self._base_acquisition(),
                pbounds={p.name: _bounds(p) for p in self.encoding.params},
                random_state=numpy.random.RandomState(self.seed & 0xFFFFFFFF),
                verbose=0,
                allow_duplicate_points=True,
            )

    def _base_acquisition(self) -> Any:
        from bayes_opt import acquisition

        if self._acquisition is not None:
            return self._acquisition
        options = dict(self._utility)
        kind = options.pop("kind", "ucb")
        kinds = {
            "ucb": (acquisition.UpperConfidenceBound, {"kappa": 2.576}),
            "ei": (acquisition.ExpectedImprovement, {"xi": 0.01}),
            "poi": (acquisition.ProbabilityOfImprovement, {"xi": 0.01}),
        }
        if kind not in kinds:
            raise InvalidArgumentError(
                "BayesOptSearch(utility_kwargs)", f"has kind={kind!r}", "it is ucb, ei or poi", 'Use {"kind": "ucb"}.'
            )
        cls, defaults = kinds[kind]
        return cls(**{key: options.get(key, value) for key, value in defaults.items()})

    def _ask(self, trial_id: str) -> Values:
        assert self.encoding is not None
        if self._asked < self._steps or len(self._optimizer.space) == 0:
            values = self.encoding.draw(rng_for(self.seed, self._asked))
            return draw_inactive(self.encoding, values, self.seed, self._asked)
        with self._lies():
            point = self._optimizer.suggest()
        return {p.name: _from_bounds(p, point[p.name]) for p in self.encoding.params}

    @contextmanager
    def _lies(self) -> Iterator[None]:
        """Let pending points have the worst value so far meanwhile, so that none is suggested again.

        bayes_opt's own ``ConstantLiar`` cannot copy spaces that hold categories.
        """
        space = self._optimizer.space
        kept = space._params, space._target, space._cache
        for values in [*self._live.values(), *self._foreign.values()]:
            self._register(values, float(kept[1].min()))
        try:
            yield
        finally:
            space._params, space._target, space._cache = kept

    def _register(self, values: Values, value: float) -> None:
        assert self.encoding is not None
        full = draw_inactive(self.encoding, values, self.seed, self._asked)
        space = self._optimizer.space
        point = space.params_to_array({p.name: _to_bounds(p, full[p.name]) for p in self.encoding.params})
        if point not in space:  # a point that is told twice is announced on the console
            self._optimizer.register(point, value)

    def _tell(self, trial_id: str, values: Values, loss: Any) -> None:
        self._register(values, -loss)

    def _tell_before(self, values: Values, loss: Any) -> None:
        self._register(values, -loss)


def _bounds(param: Param) -> Any:
    if param.kind == "cat":
        return [str(i) for i in range(param.size or 1)]
    if param.kind == "int" and not param.log:
        return (int(param.low), int(param.high), int)
    return param.scaled_bounds


def _to_bounds(param: Param, value: Any) -> Any:
    if param.kind == "cat":
        return str(value)
    return value if param.kind == "int" and not param.log else param.to_scaled(value)


def _from_bounds(param: Param, value: Any) -> Any:
    if param.kind == "cat":
        return int(value)
    return param.snap(value) if param.kind == "int" and not param.log else param.from_scaled(value)


def _own_bounds(space: Any) -> Any:
    """bayes_opt's ``{"x": (low, high)}`` as uniform domains."""
    if not isinstance(space, Mapping) or not space:
        return space
    if not all(
        isinstance(v, tuple) and len(v) == 2 and all(isinstance(b, (int, float)) for b in v) for v in space.values()
    ):
        return space
    from tune_core.space import uniform

    return {key: uniform(*bounds) for key, bounds in space.items()}
