"""BOHB's model (hpbandster) as a searcher, for use beside a HyperBand scheduler."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from tune_core.core import validation
from tune_core.core.values import Metrics, ResultDict
from tune_core.search.encoding.configspace import Configurations
from tune_core.search.encoding.native_spaces import from_configspace
from tune_core.search.encoding.params import Values
from tune_core.search.library_searcher import ModelSearcher


class TuneBOHB(ModelSearcher):
    """Searches with BOHB's kernel density estimators, one for each budget that trials have reached.

    A budget is a number of results (``training_iteration``). Where a scheduler decides on a trial, its result there is
    learnt for that budget, whether the trial goes on or not.

    Parameters
    ----------
    space
        None (the Tuner's ``param_space``), a space of :mod:`tune_core.space`, or a ``ConfigurationSpace``
        without conditions.
    bohb_config
        Arguments of hpbandster's ``BOHB``: ``min_points_in_model``, ``top_n_percent``, ``num_samples``,
        ``random_fraction``, ``bandwidth_factor``, ``min_bandwidth``.
    metric, mode, seed
        What to optimise, and the seed of its random draws; None takes what the run has.
    points_to_evaluate, evaluated_rewards
        Configurations to try first, and the metric's values of those that need no trial, since theirs is known.
    max_concurrent
        How many suggestions may be unfinished; 0 for no limit.

    References
    ----------
    Falkner, Klein and Hutter, 2018, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale".
    """

    library, extra = "hpbandster", "bohb"
    native_conditions = True
    global_numpy = True
    results_wanted = "rungs"

    def __init__(
        self,
        space: object = None,
        bohb_config: Mapping[str, object] | None = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, object]] | None = None,
        seed: int | None = None,
        max_concurrent: int = 0,
        evaluated_rewards: Sequence[object] | None = None,
    ) -> None:
        self._options = dict(bohb_config or {})
        self._max_concurrent = validation.integer("TuneBOHB(max_concurrent)", max_concurrent, 0)
        self._largest = 0  # budget so far
        self._told: dict[str, int] = {}  # the last budget of each unfinished trial that was told
        self._results = 0
        if type(space).__name__ == "ConfigurationSpace":
            space = from_configspace(space)
        super().__init__(space, metric, mode, points_to_evaluate, evaluated_rewards, seed)

    @staticmethod
    def convert_search_space(spec: Mapping[str, object], join: bool = False) -> Any:
        """A search space as a ``ConfigurationSpace``, which ``space`` takes, too."""
        from tune_core.search.encoding.native_spaces import to_configspace

        return to_configspace(spec)

    def _setup(self) -> None:
        from hpbandster.optimizers.config_generators.bohb import BOHB

        assert self.encoding is not None
        self._configurations = Configurations(self.encoding, self.seed)
        quiet = logging.getLogger("tune_core.search.bohb")
        quiet.setLevel(logging.ERROR)
        with _unwarned():
            self._bohb = BOHB(self._configurations.space, logger=quiet, **self._options)

    def _ask(self, trial_id: str) -> Values | None:
        if self._max_concurrent and len(self._live) >= self._max_concurrent:
            return None
        with _unwarned():
            found, _ = self._bohb.get_config(None)  # the model of the largest budget that has one
        return self._configurations.values(found)

    def _new_result(self, values: Values, loss: float | None, budget: int) -> None:
        self._largest = max(self._largest, budget)
        self._results += 1
        job = SimpleNamespace(
            id=self._results,
            exception=None if loss is not None else "failed",
            result=None if loss is None else {"loss": loss},
            kwargs={"budget": float(budget), "config": self._configurations.as_dict(values)},
        )
        with _unwarned():
            self._bohb.new_result(job)

    def _facts(self, result: Metrics) -> ResultDict:
        return {"budget": int(result.get("training_iteration", 1))}

    def _rung(self, trial_id: str, values: Values, loss: float, step: int) -> None:
        """Each budget's model learns from all that have reached it, those that go on among them."""
        self._told[trial_id] = step
        self._new_result(values, loss, step)

    def _tell(self, trial_id: str, values: Values, loss: float) -> None:
        budget = self._budget()
        if self._told.pop(trial_id, 0) < budget:
            self._new_result(values, loss, budget)

    def _prune(self, trial_id: str, values: Values, loss: float, step: int) -> None:
        if self._told.pop(trial_id, 0) < step:
            self._new_result(values, loss, step)

    def _fail(self, trial_id: str, values: Values) -> None:
        self._told.pop(trial_id, None)
        self._new_result(values, None, self._budget())

    def _tell_before(self, values: Values, loss: float) -> None:
        self._new_result(values, loss, self._budget())

    def _prune_before(self, values: Values, loss: float, step: int) -> None:
        self._new_result(values, loss, step)

    def _budget(self) -> int:
        """How far the trial came that is being told; the largest so far for points that were evaluated elsewhere."""
        return int(self.facts.get("budget", self._largest or 1))


@contextmanager
def _unwarned() -> Iterator[None]:
    """The library calls ConfigSpace by names that are about to go, and divides by zero now and then."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
