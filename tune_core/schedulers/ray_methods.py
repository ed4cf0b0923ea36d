"""Ray Tune's names for what a scheduler is told and asked, so that subclasses written for Ray Tune work here.

A subclass of ``ASHAScheduler`` may override ``on_trial_result(tune_controller, trial, result)`` and leave the decision
to ``super()``. :class:`RayTuneMethods` gives every scheduler here these methods in terms of its own; an instance whose
class overrides one of them is run by :class:`OverriddenScheduler`, which calls them as Ray Tune does.
"""

from __future__ import annotations

from typing import Any

from tune_core.core.values import Metrics

CONTINUE, PAUSE, STOP, NOOP = "CONTINUE", "PAUSE", "STOP", "NOOP"

_WORDS = {"Continue": CONTINUE, "Pause": PAUSE, "Stop": STOP, "Exploit": NOOP}


def word_of(decision: object) -> str:
    """Ray Tune's word for a decision."""
    return _WORDS[type(decision).__name__]


class RayTuneMethods:
    """The methods of Ray Tune's ``TrialScheduler``, each by way of this scheduler's own.

    ``trial`` is a :class:`~tune_core.schedulers.legacy.LegacyTrial`; ``tune_controller`` can be read and not changed.
    """

    CONTINUE, PAUSE, STOP, NOOP = CONTINUE, PAUSE, STOP, NOOP

    metric: str | None
    mode: str | None
    decided: object = None
    """The decision behind the last answer of :meth:`on_trial_result`, with its reason and lease."""

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: object) -> bool:
        """Whether the run's metric and mode can be taken: not if the scheduler has others of its own."""
        return not (self.metric and metric and self.metric != metric)

    def on_trial_add(self, tune_controller: object, trial: Any) -> None:
        """A trial was added."""
        self.on_add(trial.view)  # type: ignore[attr-defined]

    def on_trial_result(self, tune_controller: object, trial: Any, result: Metrics) -> str:
        """A result: CONTINUE, PAUSE, STOP, or NOOP if the trial goes on as a copy of another."""
        self.decided = self.on_result(trial.view, result)  # type: ignore[attr-defined]
        return word_of(self.decided)

    def on_trial_complete(self, tune_controller: object, trial: Any, result: Metrics) -> None:
        """A trial came to its end."""
        self.on_end(trial.view, trial.status)  # type: ignore[attr-defined]

    def on_trial_error(self, tune_controller: object, trial: Any) -> None:
        """A trial failed."""
        self.on_end(trial.view, trial.status)  # type: ignore[attr-defined]

    def on_trial_remove(self, tune_controller: object, trial: Any) -> None:
        """A trial was stopped before its end."""
        self.on_end(trial.view, trial.status)  # type: ignore[attr-defined]

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """The trial to start or resume next; None: the first that is pending."""
        index = self.choose(tune_controller.waiting)  # type: ignore[attr-defined]
        return None if index is None else tune_controller.trial_at(index)


NAMES = tuple(name for name in vars(RayTuneMethods) if name.startswith(("on_trial", "choose_trial", "set_search")))
"""The methods that a subclass may override in Ray Tune's manner."""


def overrides(scheduler: RayTuneMethods) -> bool:
    """Whether the scheduler's class overrides a method of Ray Tune's."""
    return any(getattr(type(scheduler), name) is not getattr(RayTuneMethods, name) for name in NAMES)
