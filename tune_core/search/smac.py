"""SMAC's random forests and Gaussian processes as a searcher."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from tune_core.core.values import Metrics, ResultDict
from tune_core.errors import InvalidArgumentError
from tune_core.search.encoding.configspace import Configurations
from tune_core.search.encoding.params import Values
from tune_core.search.library_searcher import ModelSearcher
from tune_core.storage.scratch import Scratch


class SMACSearch(ModelSearcher):
    """Searches with a facade of SMAC3.

    Parameters
    ----------
    space, metric, mode, seed
        Where to search, what to optimise, and the seed of its random draws; None takes what the run has.
    points_to_evaluate, evaluated_rewards
        Configurations to try first, and the metric's values of those that need no trial, since theirs is known.
    facade
        ``"hpo"`` (random forest, any space) or ``"blackbox"`` (Gaussian process, small continuous spaces).
    n_trials
        How many trials SMAC plans for; None: the run's ``num_samples``.

    References
    ----------
    Lindauer et al., 2022, "SMAC3: A Versatile Bayesian Optimization Package for Hyperparameter Optimization".
    """

    library = extra = "smac"
    native_conditions = True
    replays = False

    def __init__(
        self,
        space: object = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, object]] | None = None,
        evaluated_rewards: Sequence[object] | None = None,
        seed: int | None = None,
        facade: str = "hpo",
        n_trials: int | None = None,
    ) -> None:
        if facade not in _FACADES:
            raise InvalidArgumentError(
                "SMACSearch(facade)", f"is {facade!r}", f"there are {', '.join(_FACADES)}", 'Use "hpo".'
            )
        self._facade, self._n_trials = facade, n_trials
        self._infos: dict[str, object] = {}
        self._worst = 0.0
        super().__init__(space, metric, mode, points_to_evaluate, evaluated_rewards, seed)

    def _setup(self) -> None:
        import smac

        assert self.encoding is not None
        self._configurations = Configurations(self.encoding, self.seed)
        folder = Scratch("tune-core-smac")  # SMAC always writes files
        self._cleaner = weakref.finalize(self, folder.remove)
        planned = self._n_trials or self._spec.get("num_samples") or 100
        scenario = smac.Scenario(
            self._configurations.space,
            deterministic=True,
            n_trials=planned if planned > 0 else 10_000,
            output_directory=folder.path,
            seed=self.seed & 0x7FFFFFFF,
        )
        cls = getattr(smac, _FACADES[self._facade])
        levels = logging.root.manager.disable
        self._smac = cls(scenario, _never_called, overwrite=True, logging_level=logging.ERROR)
        logging.disable(levels)

    def _ask(self, trial_id: str) -> Values | str:
        try:
            info = self._smac.ask()
        except StopIteration:
            return self.FINISHED
        except Exception as error:
            if type(error).__name__ != "ConfigurationSpaceExhaustedException":  # its module is not in all versions
                raise
            return self.FINISHED  # all that it drew from a finite space had been tried
        self._infos[trial_id] = info
        return self._configurations.values(info.config)

    def _tell(self, trial_id: str, values: Values, loss: float) -> None:
        from smac.runhistory import TrialValue

        self._worst = max(self._worst, loss)
        self._smac.tell(self._infos.pop(trial_id), TrialValue(cost=loss, time=self._seconds()), save=False)

    def _facts(self, result: Metrics) -> ResultDict:
        return {"seconds": float(result.get("time_total_s", 0.0))}

    def _seconds(self) -> float:
        """How long the trial ran."""
        return float(self.facts.get("seconds", 0.0))

    def _fail(self, trial_id: str, values: Values) -> None:
        from smac.runhistory import StatusType, TrialValue

        cost = self._worst + abs(self._worst) + 1.0  # an infinite one would spoil its model
        self._smac.tell(
            self._infos.pop(trial_id),
            TrialValue(cost=cost, time=self._seconds(), status=StatusType.CRASHED),
            save=False,
        )

    def _tell_before(self, values: Values, loss: float) -> None:
        from smac.runhistory import TrialInfo, TrialValue

        self._worst = max(self._worst, loss)
        info = TrialInfo(self._configurations.configuration(values), seed=0)
        self._smac.tell(info, TrialValue(cost=loss, time=self._seconds()), save=False)


_FACADES = {"hpo": "HyperparameterOptimizationFacade", "blackbox": "BlackBoxFacade"}


def _never_called(config: Any, seed: int = 0) -> float:
    """The target function that SMAC requires. It is never called: SMAC is only asked and told."""
    raise NotImplementedError
