"""Asks the user's stopper about results: while a run goes, and about those so far when one is restored."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from tune_core.core.automatic import Courses, experiment_tag
from tune_core.core.events import Reported
from tune_core.core.trial import Trial
from tune_core.core.values import containers_copied
from tune_core.errors import UserCodeError
from tune_core.stopper import Stopper


class Answer(NamedTuple):
    """What a stopper says of a result, and why."""

    stops: bool
    stops_all: bool
    why: str


class AskedStopper:
    """The stopper of a run.

    Parameters
    ----------
    stopper
        The user's.
    varied
        Names of what the search space varies.
    """

    def __init__(self, stopper: Stopper, varied: Collection[str] | None = None) -> None:
        self._stopper = stopper
        self._varied = varied
        self._courses = Courses()
        self._name = type(stopper).__name__

    def ask(self, trial: Trial, event: Reported) -> Answer:
        """Let it see a result, with the fields that callbacks and data frames have.

        Raises
        ------
        UserCodeError
            If the stopper raises.
        """
        stopper, config = self._stopper, trial.config
        result = self._courses.fields(event)
        result.setdefault("done", False)
        result.update(
            config=containers_copied(config), experiment_tag=experiment_tag(trial.index, config, self._varied)
        )
        try:
            stops, stops_all = bool(stopper(trial.trial_id, result)), bool(stopper.stop_all())
            reason = stopper.reason() if stops or stops_all else ""
        except Exception as error:
            raise UserCodeError(
                f"The stopper {self._name}",
                f"raised {type(error).__name__}: {error}",
                "the stopper is at fault, not the trials",
                "All results so far are kept: mend the stopper and restore the run with Tuner.restore.",
            ) from error
        what = "it stopped the whole run" if stops_all else "it stopped the trial"
        return Answer(stops, stops_all, f"{self._name}: {reason or what}")
