"""FLAML's BlendSearch and CFO as searchers."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

from tune_core.core.user_warnings import warn_user
from tune_core.core.values import Config, ConfigView, Metrics, ResultDict
from tune_core.search.encoding.notation import Notation, keyed
from tune_core.search.encoding.params import Param, Values, plain
from tune_core.search.library_searcher import ModelSearcher


class BlendSearch(ModelSearcher):
    """Searches with FLAML's blend of a local, cost-frugal search and a global one.

    Parameters
    ----------
    space, metric, mode, seed
        Where to search, what to optimise, and the seed of its random draws; None takes what the run has.
    points_to_evaluate, evaluated_rewards
        Configurations to try first, and the metric's values of those that need no trial, since theirs is known.
    low_cost_partial_config
        Values of parameters that make a trial cheap: the search begins there.
    options
        Other arguments of ``flaml.BlendSearch``, such as ``time_budget_s`` and ``cost_attr``: the reported metric that
        says what a trial has cost. FLAML is told it, and the seconds of ``time_total_s``.

    References
    ----------
    Wang, Wu, Huang and Saied, 2021, "Economic Hyperparameter Optimization with Blended Search Strategy".
    """

    library = extra = "flaml"
    results_wanted = "rungs"
    _class = "BlendSearch"

    def __init__(
        self,
        metric: str | None = None,
        mode: str | None = None,
        space: Any = None,
        low_cost_partial_config: ConfigView | None = None,
        points_to_evaluate: Sequence[ConfigView] | None = None,
        evaluated_rewards: Sequence[Any] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        self._low_cost = dict(low_cost_partial_config or {})
        self._options = options
        self._configs: Config = {}
        self._before = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # FLAML warns of parts of it that are not installed
            super().__init__(space, metric, mode, points_to_evaluate, evaluated_rewards, seed)

    def _setup(self) -> None:
        import flaml
        from flaml import tune

        assert self.encoding is not None

        def domain(param: Param) -> Any:
            if param.kind == "float":
                return (tune.loguniform if param.log else tune.uniform)(param.low, param.high)
            if param.kind == "int":
                return (tune.lograndint if param.log else tune.randint)(int(param.low), int(param.high) + 1)
            return tune.choice(_NOTATION.categories(param))

        cheap = self.encoding.encode_part(self._low_cost) if self._low_cost else {}
        with _silent():
            self._flaml = getattr(flaml, self._class)(
                metric=_LOSS,
                mode="min",
                space={key: domain(param) for key, param in keyed(self.encoding).items()},
                low_cost_partial_config=_NOTATION.write_point(self.encoding, cheap) or None,
                seed=self.seed & 0x7FFFFFFF,
                **self._options,
            )

    def _ask(self, trial_id: str) -> Values | str | None:
        assert self.encoding is not None
        with _silent():
            for _ in range(50):  # None means that it changed its state, and wants to be asked again
                config = self._flaml.suggest(trial_id)
                if config is not None:
                    self._configs[trial_id] = config
                    return _NOTATION.read_point(self.encoding, config)
        if self._live or self._foreign or any(param.size is None for param in self.encoding.params):
            return None
        size = self.encoding.size
        if size is None or self._asked < size:  # it finds nothing new in a finite space, and has no result to wait for
            warn_user(
                f"{self._class} finds no further point: the search ends after {self._asked} of "
                f'{"its" if size is None else size} points. Random search (search_alg="random") tries any of them.'
            )
        return self.FINISHED

    def _facts(self, result: Metrics) -> ResultDict:
        """What the trial has cost so far, and the metrics of FLAML's own constraints."""
        named = {"time_total_s", "training_iteration", self._options.get("cost_attr", "auto")}
        named.update(constraint[0] for constraint in self._options.get("metric_constraints") or ())
        return {name: plain(result[name]) for name in sorted(map(str, named)) if name in result}

    def _rung(self, trial_id: str, values: Values, loss: float, step: int) -> None:
        if trial_id in self._configs:
            with _silent():
                self._flaml.on_trial_result(trial_id, {**self.facts, _LOSS: loss, "config": self._configs[trial_id]})

    def _tell(self, trial_id: str, values: Values, loss: float) -> None:
        self._complete(trial_id, {**self.facts, _LOSS: loss, "config": self._configs.pop(trial_id)})

    def _complete(self, trial_id: str, result: ResultDict | None, error: bool = False) -> None:
        with _silent():
            self._flaml.on_trial_complete(trial_id, result, error)

    def _fail(self, trial_id: str, values: Values) -> None:
        del self._configs[trial_id]
        self._complete(trial_id, None, True)

    def _tell_before(self, values: Values, loss: float) -> None:
        """As FLAML itself takes evaluated points: as starting points whose result is known at once."""
        assert self.encoding is not None
        self._before += 1
        own = _NOTATION.write_point(self.encoding, self._full(values))
        with _silent():
            self._flaml._points_to_evaluate.insert(0, own)
            self._flaml._evaluated_rewards.insert(0, loss)
            self._flaml.suggest(f"before-{self._before}")


class CFO(BlendSearch):
    """Searches with FLAML's cost-frugal local search alone.

    Parameters
    ----------
    metric, mode, space, points_to_evaluate, evaluated_rewards, seed, low_cost_partial_config
        As for :class:`BlendSearch`: what to optimise where, what to try first, and where trials are cheap.
    options
        Other arguments of ``flaml.CFO``.

    References
    ----------
    Wu, Wang and Huang, 2021, "Frugal Optimization for Cost-related Hyperparameters".
    """

    _class = "CFO"


_LOSS = "loss"
_NOTATION = Notation()


class _silent:  # noqa: N801
    """Keeps FLAML's and Optuna's loggers quiet meanwhile."""

    def __enter__(self) -> None:
        names = ("flaml", "optuna", "ray.tune.search.optuna.optuna_search")  # it takes Ray's searcher if Ray is there
        self._levels = [(logger, logger.level) for logger in map(logging.getLogger, names)]
        for logger, _ in self._levels:
            logger.setLevel(logging.ERROR)

    def __exit__(self, *error: object) -> None:
        for logger, level in self._levels:
            logger.setLevel(level)
