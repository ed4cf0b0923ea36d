"""bayes_opt's Gaussian process as a searcher."""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tune_core.core import validation
from tune_core.core.values import Config
from tune_core.errors import InvalidArgumentError
from tune_core.search.encoding.notation import LOGS, Notation
from tune_core.search.encoding.params import Param, Values
from tune_core.search.library_searcher import ModelSearcher
from tune_core.space.sampling import rng_for


class BayesOptSearch(ModelSearcher):
    """Searches with the Gaussian process of the package ``bayesian-optimization``.

    Suggestions take long after some hundred results, so after a crash none is made again: it is told what was tried.

    Parameters
    ----------
    space
        None (the Tuner's ``param_space``), a space of :mod:`tune_core.space`, or bayes_opt's own bounds:
        ``{"x": (0.0, 1.0)}``.
    metric, mode
        What to optimise; None takes ``TuneConfig``'s.
    points_to_evaluate, evaluated_rewards
        Configurations to try first, and the metric's values of those that need no trial, since theirs is known.
    utility_kwargs
        ``{"kind": "ucb", "kappa": 2.576}``, ``{"kind": "ei", "xi": 0.01}`` or ``{"kind": "poi", "xi": 0.01}``.
    random_state
        None takes the run's seed.
    random_search_steps
        How many random points come first.
    acquisition
        An acquisition function of ``bayes_opt.acquisition`` in place of ``utility_kwargs``.
    skip_duplicate
        In a finite space, whether a suggestion that was tried before is replaced by a point that was not, and the
        search ends when all points have been tried.
    patience
        The search ends when one point, to five decimals, has been proposed more often than this; None: it goes on.
    verbose, analysis
        Accepted and ignored; Ray Tune has them. Pending points are taken into account.
    """

    library, extra = "bayes_opt", "bayesopt"
    replays = False
    bears_endless_ranges = True

    def __init__(
        self,
        space: object = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, object]] | None = None,
        utility_kwargs: Mapping[str, object] | None = None,
        random_state: int | None = None,
        random_search_steps: int = 10,
        verbose: int = 0,
        patience: int | None = 5,
        skip_duplicate: bool = True,
        analysis: object = None,
        evaluated_rewards: Sequence[object] | None = None,
        acquisition: object = None,
    ) -> None:
        self._random_steps = validation.integer("BayesOptSearch(random_search_steps)", random_search_steps)
        self._utility = dict(utility_kwargs or {})
        self._acquisition = acquisition
        self._skips = skip_duplicate
        self._patience = None if patience is None else validation.integer("BayesOptSearch(patience)", patience, 1)
        self._proposed: Counter[tuple[object, ...]] = Counter()
        self._tried: set[tuple[object, ...]] = set()
        super().__init__(_own_bounds(space), metric, mode, points_to_evaluate, evaluated_rewards, random_state)

    @staticmethod
    def convert_search_space(spec: Mapping[str, object], join: bool = False) -> Any:
        """A search space as bounds; with ``join``, the constants as well."""
        from tune_core.search.encoding.native_spaces import to_bayesopt

        return {**spec, **to_bayesopt(spec)} if join else to_bayesopt(spec)

    def _setup(self) -> None:
        import bayes_opt
        import numpy

        assert self.encoding is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns that integers and categories are new features
            self._optimizer = bayes_opt.BayesianOptimization(
                f=None,
                acquisition_function=self._base_acquisition(),
                pbounds={p.name: _bounds(p) for p in self.encoding.params},
                random_state=numpy.random.RandomState(self.seed & 0xFFFFFFFF),
                verbose=0,
                allow_duplicate_points=True,
            )

    def _base_acquisition(self) -> object:
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

    def _ask(self, trial_id: str) -> Values | str:
        assert self.encoding is not None
        size = self.encoding.size
        if self._skips and size is not None and len(self._tried) >= size:
            return self.FINISHED
        if self._asked < self._random_steps or len(self._optimizer.space) == 0:
            return self._unless_tried(self._full(self.encoding.draw(rng_for(self.seed, self._asked))))
        with self._lies():
            point = self._optimizer.suggest()
        values = {p.name: _NOTATION.read(p, point[p.name]) for p in self.encoding.params}
        key = tuple(round(v, 5) if isinstance(v, float) else v for v in self._key(values))
        self._proposed[key] += 1
        if self._patience is not None and self._proposed[key] > self._patience:
            return self.FINISHED
        return self._unless_tried(values)

    def _unless_tried(self, values: Values) -> Values:
        """The suggestion, or one of the points not tried yet if it has been tried and there are any left."""
        assert self.encoding is not None
        size = self.encoding.size
        if not self._skips or self._key(values) not in self._tried or size is None or len(self._tried) >= size:
            return values
        rng = rng_for(self.seed, self._asked)
        if size <= _FEW:
            whole = itertools.product(*(range(int(p.low), int(p.high) + 1) for p in self.encoding.params))
            return self._values(rng.choice([point for point in whole if point not in self._tried]))
        drawn = (self.encoding.draw(rng) for _ in range(100))
        return next((point for point in drawn if self._key(point) not in self._tried), values)

    def _key(self, values: Values) -> tuple[object, ...]:
        assert self.encoding is not None
        return tuple(values.get(p.name) for p in self.encoding.params)

    def _values(self, key: tuple[Any, ...]) -> Values:
        assert self.encoding is not None
        return dict(zip((p.name for p in self.encoding.params), key, strict=True))

    def suggest(self, trial_id: str) -> Config | str | None:
        """Remember what is tried."""
        config = super().suggest(trial_id)
        values = self._live.get(trial_id, self._foreign.get(trial_id))
        if values is not None:
            self._tried.add(self._key(values))
        return config

    @contextmanager
    def _lies(self) -> Iterator[None]:
        """While asking, give pending points the worst value so far, so that none is suggested again.

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
        full = self._full(values)
        space = self._optimizer.space
        point = space.params_to_array({p.name: _NOTATION.write(p, full[p.name]) for p in self.encoding.params})
        if point not in space:  # it prints a message about a point that it knows already
            self._optimizer.register(point, value)

    def _tell(self, trial_id: str, values: Values, loss: float) -> None:
        self._register(values, -loss)

    def _tell_before(self, values: Values, loss: float) -> None:
        self._register(values, -loss)


_NOTATION = Notation(LOGS)
_FEW = 10_000  # points of a space that may be listed


def _bounds(param: Param) -> Any:
    if param.kind == "cat":
        return _NOTATION.categories(param)
    bounds = _NOTATION.bounds(param)
    return bounds if _NOTATION.is_scaled(param) or param.kind == "float" else (*bounds, int)


def _own_bounds(space: object) -> object:
    """bayes_opt's ``{"x": (low, high)}`` as uniform domains."""
    if not isinstance(space, Mapping) or not space:
        return space
    given = {key: tuple(map(validation.python_value, v)) if isinstance(v, tuple) else v for key, v in space.items()}
    if not all(
        isinstance(v, tuple) and len(v) == 2 and all(isinstance(b, (int, float)) for b in v) for v in given.values()
    ):
        return space
    from tune_core.space import uniform

    return {key: uniform(*bounds) for key, bounds in given.items()}
