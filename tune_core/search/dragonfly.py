"""Dragonfly's Bayesian optimisation as a searcher."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tune_core.errors import InvalidArgumentError
from tune_core.search.encoding.notation import LOGS, Notation
from tune_core.search.encoding.params import Param, Values
from tune_core.search.library_searcher import ModelSearcher


class DragonflySearch(ModelSearcher):
    """Searches with Dragonfly's Gaussian processes. Needs NumPy 1.

    A suggestion takes seconds, so after a crash none is made again: the searcher is told what was tried.

    Parameters
    ----------
    optimizer
        ``"bandit"`` (Gaussian process), ``"random"`` or ``"genetic"``; None: ``"bandit"``.
    domain
        ``"euclidean"`` or ``"cartesian"``, as in Ray Tune; the space decides.
    space
        None (the Tuner's ``param_space``) or a space of :mod:`tune_core.space`.
    metric, mode
        What to optimise; None takes ``TuneConfig``'s.
    points_to_evaluate, evaluated_rewards
        Configurations to try first, and the metric's values of those that need no trial, since theirs is known.
    random_state_seed
        None takes the run's seed.

    References
    ----------
    Kandasamy et al., 2020, "Tuning Hyperparameters without Grad Students".
    """

    library, extra = "dragonfly", "dragonfly"
    global_numpy = True
    replays = False

    def __init__(
        self,
        optimizer: str | None = None,
        domain: str | None = None,
        space: object = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, object]] | None = None,
        evaluated_rewards: Sequence[object] | None = None,
        random_state_seed: int | None = None,
    ) -> None:
        if optimizer not in (None, *_OPTIMIZERS):
            raise InvalidArgumentError(
                "DragonflySearch(optimizer)", f"is {optimizer!r}", f"it is one of {list(_OPTIMIZERS)}", 'Use "bandit".'
            )
        if domain not in (None, "euclidean", "cartesian"):
            raise InvalidArgumentError(
                "DragonflySearch(domain)", f"is {domain!r}", "it is euclidean or cartesian", "Leave it out."
            )
        with _old_numpy():
            self._kind = optimizer or "bandit"
            super().__init__(space, metric, mode, points_to_evaluate, evaluated_rewards, random_state_seed)

    def _setup(self) -> None:
        assert self.encoding is not None
        with _old_numpy(), _silent():
            from dragonfly import load_config
            from dragonfly.exd.experiment_caller import CPFunctionCaller
            from dragonfly.opt import cp_ga_optimiser, gp_bandit, random_optimiser

            classes = {
                "bandit": gp_bandit.CPGPBandit,
                "random": random_optimiser.CPRandomOptimiser,
                "genetic": cp_ga_optimiser.CPGAOptimiser,
            }
            config = load_config({"domain": [_parameter(p, i) for i, p in enumerate(self.encoding.params)]})
            caller = CPFunctionCaller(None, config.domain, domain_orderings=config.domain_orderings)
            self._optimiser = classes[self._kind](caller, ask_tell_mode=True)
            self._optimiser.initialise()

    def _ask(self, trial_id: str) -> Values:
        assert self.encoding is not None
        with _silent():
            point = self._optimiser.ask()
        return {p.name: _NOTATION.read(p, value) for p, value in zip(self.encoding.params, point, strict=True)}

    def _tell(self, trial_id: str, values: Values, loss: float) -> None:
        self._tell_before(values, loss)

    def _tell_before(self, values: Values, loss: float) -> None:
        assert self.encoding is not None
        full = self._full(values)
        point = [_NOTATION.write(p, full[p.name]) for p in self.encoding.params]
        with _silent():
            self._optimiser.tell([(point, -loss)])


_OPTIMIZERS = ("bandit", "random", "genetic")


def _parameter(param: Param, index: int) -> dict[str, Any]:
    name = f"p{index:03d}"
    if param.kind == "cat":
        return {"name": name, "type": "discrete", "items": _NOTATION.categories(param)}
    low, high = _NOTATION.bounds(param)
    kind = "int" if param.kind == "int" and not param.log else "float"
    return {"name": name, "type": kind, "min": low, "max": high}


_NOTATION = Notation(LOGS)


@contextlib.contextmanager
def _old_numpy() -> Iterator[None]:
    """Names that NumPy has dropped and Dragonfly still uses."""
    import numpy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, kind in (("int", int), ("float", float), ("bool", bool), ("object", object)):
            if not hasattr(numpy, name):
                setattr(numpy, name, kind)
        yield


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
