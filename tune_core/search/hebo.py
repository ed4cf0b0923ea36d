"""HEBO's Bayesian optimisation as a searcher."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from tune_core.core import validation
from tune_core.search.encoding.native_spaces import from_hebo
from tune_core.search.encoding.notation import LOGS, Notation, keyed
from tune_core.search.encoding.params import Param, Values
from tune_core.search.library_searcher import ModelSearcher


class HEBOSearch(ModelSearcher):
    """Searches with HEBO: heteroscedastic evolutionary Bayesian optimisation.

    A suggestion takes seconds, so after a crash none is made again: the searcher is told what was tried.

    Parameters
    ----------
    space
        None (the Tuner's ``param_space``), a space of :mod:`tune_core.space`, or a ``DesignSpace`` of HEBO's.
    metric, mode
        What to optimise; None takes ``TuneConfig``'s.
    points_to_evaluate, evaluated_rewards
        Configurations to try first, and the metric's values of those that need no trial, since theirs is known.
    random_state_seed
        None takes the run's seed.
    max_concurrent
        How many suggestions may be unfinished; 0 for no limit. HEBO takes no account of unfinished ones.
    options
        Other arguments of ``hebo.optimizers.hebo.HEBO``, such as ``rand_sample`` and ``model_name``.

    References
    ----------
    Cowen-Rivers et al., 2022, "HEBO: Pushing the Limits of Sample-Efficient Hyperparameter Optimisation".
    """

    library = extra = "hebo"
    global_numpy = True
    replays = False

    def __init__(
        self,
        space: object = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, object]] | None = None,
        evaluated_rewards: Sequence[object] | None = None,
        random_state_seed: int | None = None,
        max_concurrent: int = 8,
        **options: Any,
    ) -> None:
        self._max_concurrent = validation.integer("HEBOSearch(max_concurrent)", max_concurrent, 0)
        self._options = options
        if type(space).__module__.startswith("hebo"):
            space = from_hebo(space)
        super().__init__(space, metric, mode, points_to_evaluate, evaluated_rewards, random_state_seed)

    @staticmethod
    def convert_search_space(spec: Mapping[str, object], join: bool = False) -> Any:
        """A search space as a ``DesignSpace``, which ``space`` takes, too."""
        from tune_core.search.encoding.native_spaces import to_hebo

        return to_hebo(spec)

    def _setup(self) -> None:
        from hebo.design_space.design_space import DesignSpace
        from hebo.optimizers.hebo import HEBO

        assert self.encoding is not None
        own = DesignSpace().parse([_parameter(param, key) for key, param in keyed(self.encoding).items()])
        self._hebo = HEBO(own, **{"scramble_seed": self.seed & 0x7FFFFFFF, **self._options})

    def _ask(self, trial_id: str) -> Values | None:
        assert self.encoding is not None
        if self._max_concurrent and len(self._live) + len(self._foreign) >= self._max_concurrent:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self._hebo.suggest(n_suggestions=1).iloc[0].to_dict()
        return _NOTATION.read_point(self.encoding, found)

    def _tell(self, trial_id: str, values: Values, loss: float) -> None:
        self._tell_before(values, loss)

    def _tell_before(self, values: Values, loss: float) -> None:
        import numpy
        import pandas

        assert self.encoding is not None
        row = _NOTATION.write_point(self.encoding, self._full(values))
        self._hebo.observe(pandas.DataFrame([row]), numpy.array([[loss]]))


def _parameter(param: Param, name: str) -> dict[str, Any]:
    if param.kind == "cat":
        return {"name": name, "type": "cat", "categories": _NOTATION.categories(param)}
    low, high = _NOTATION.bounds(param)
    kind = "int" if param.kind == "int" and not param.log else "num"
    return {"name": name, "type": kind, "lb": low, "ub": high}


_NOTATION = Notation(LOGS)
