"""Nevergrad's optimizers as a searcher."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from tune_core.core.values import ConfigView
from tune_core.errors import InvalidArgumentError
from tune_core.search.encoding.native_spaces import from_nevergrad
from tune_core.search.encoding.notation import ALL, Notation, keyed
from tune_core.search.encoding.params import Param, Values
from tune_core.search.library_searcher import ModelSearcher


class NevergradSearch(ModelSearcher):
    """Searches with an optimizer of Nevergrad.

    Parameters
    ----------
    optimizer
        Its name (``"OnePlusOne"``, ``"NGOpt"``, ``"CMA"``, …), or a class or configured family of
        ``nevergrad.optimizers``; None: ``"OnePlusOne"``, the best of the cheap ones on small budgets.
    optimizer_kwargs
        Its arguments. ``budget`` is the run's ``num_samples`` unless given.
    space
        None (the Tuner's ``param_space``), a space of :mod:`tune_core.space`, or a ``nevergrad.p.Dict``.
    metric, mode
        What to optimise; None takes ``TuneConfig``'s.
    points_to_evaluate, evaluated_rewards
        Configurations to try first, and the metric's values of those that need no trial, since theirs is known.
    seed
        Of what the searcher draws at random; None takes the run's. Some of NGOpt's choices take no seed.
    """

    library = extra = "nevergrad"
    global_numpy = True  # some of its optimizers draw their initial state from it

    def __init__(
        self,
        optimizer: Any = None,
        optimizer_kwargs: Mapping[str, Any] | None = None,
        space: Any = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[ConfigView] | None = None,
        evaluated_rewards: Sequence[Any] | None = None,
        seed: int | None = None,
    ) -> None:
        self._optimizer = "OnePlusOne" if optimizer is None else optimizer
        self._options = dict(optimizer_kwargs or {})
        self._candidates: dict[str, Any] = {}
        self._worst = 0.0
        if type(space).__module__.startswith("nevergrad"):
            space = from_nevergrad(space)
        super().__init__(space, metric, mode, points_to_evaluate, evaluated_rewards, seed)

    @staticmethod
    def convert_search_space(spec: Mapping[str, Any], join: bool = False) -> Any:
        """A search space as a ``nevergrad.p.Dict``, which ``space`` takes, too."""
        from tune_core.search.encoding.native_spaces import to_nevergrad

        return to_nevergrad(spec)

    def _setup(self) -> None:
        import nevergrad as ng
        import numpy

        assert self.encoding is not None
        own = ng.p.Dict(**{key: _parameter(ng, param) for key, param in keyed(self.encoding).items()})
        own.random_state = numpy.random.RandomState(self.seed & 0xFFFFFFFF)
        make = self._optimizer
        if isinstance(make, str):
            if make not in ng.optimizers.registry:
                raise InvalidArgumentError(
                    "NevergradSearch(optimizer)",
                    f"is {make!r}",
                    "Nevergrad has no optimizer of that name",
                    "Use one of nevergrad.optimizers.registry, e.g. 'OnePlusOne'.",
                )
            make = ng.optimizers.registry[make]
        planned = self._spec.get("num_samples") or 100
        options = {"budget": planned if planned > 0 else 10_000, "num_workers": 1, **self._options}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._ng = make(parametrization=own, **options)

    def _ask(self, trial_id: str) -> Values:
        assert self.encoding is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            candidate = self._candidates[trial_id] = self._ng.ask()
        return _NOTATION.read_point(self.encoding, candidate.value)

    def _tell(self, trial_id: str, values: Values, loss: float) -> None:
        self._worst = max(self._worst, loss)
        self._pass_on(self._candidates.pop(trial_id), loss)

    def _fail(self, trial_id: str, values: Values) -> None:
        self._pass_on(self._candidates.pop(trial_id), self._worst + abs(self._worst) + 1.0)

    def _tell_before(self, values: Values, loss: float) -> None:
        assert self.encoding is not None
        self._worst = max(self._worst, loss)
        own = _NOTATION.write_point(self.encoding, self._full(values))
        self._pass_on(self._ng.parametrization.spawn_child(new_value=own), loss)

    def _pass_on(self, candidate: Any, loss: float) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._ng.tell(candidate, loss)


def _parameter(ng: Any, param: Param) -> Any:
    if param.kind == "cat":
        return ng.p.Choice(_NOTATION.categories(param))
    low, high = _NOTATION.bounds(param)
    return ng.p.Scalar(lower=low, upper=high)


_NOTATION = Notation(ALL)
