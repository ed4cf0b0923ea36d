"""Replaying one schedule that PBT found: a single trial with the hyperparameters of a member and its ancestors."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from tune_core.core import events as ev
from tune_core.core.events import Lease
from tune_core.core.trial import TrialView
from tune_core.core.values import Config, Metrics
from tune_core.errors import InvalidArgumentError
from tune_core.schedulers.base import Continue, Decision, Exploit, Scheduler
from tune_core.schedulers.perturbation import show

Schedule = list[tuple[int, Config]]
"""(iteration from which on, configuration), the first from 0."""


class PopulationBasedTrainingReplay(Scheduler):
    """Train one trial with the schedule of hyperparameters that led to a member of an earlier population.

    Parameters
    ----------
    policy_file
        The folder of an experiment that ran PBT (or its journal), or a ``pbt_policy_….txt`` of Ray Tune.
    trial
        Whose schedule, as an index or an id; None takes the trial with the best last result. Only for our own journal.

    Attributes
    ----------
    schedule
        (iteration from which on, configuration), the first from 0.
    config
        The first configuration.

    Notes
    -----
    Run it with ``num_samples=1``; the first configuration overrides ``param_space``.
    """

    saves_at_lease_end = True
    needs_metric = False

    def __init__(self, policy_file: str | os.PathLike[str], trial: int | str | None = None) -> None:
        super().__init__()
        path = os.path.expanduser(os.fspath(policy_file))
        self.policy_file = path
        if os.path.isdir(path) or path.endswith(".jsonl"):
            self.schedule = _from_journal(path, trial)
        else:
            self.schedule = _from_ray(path)
        self.config = self.schedule[0][1]
        self._done = 0  # position in the schedule
        self._only: int | None = None

    def complete_space(self, space: Mapping[str, object]) -> Mapping[str, object]:
        """The schedule's first configuration, and what else the space has."""
        return {**space, **self.config}

    def on_add(self, trial: TrialView) -> None:
        if self._only is None:
            self._only = trial.index
            return
        raise InvalidArgumentError(
            "PopulationBasedTrainingReplay",
            "got a second trial",
            "it replays the schedule of one",
            "Use num_samples=1 and a param_space without grids.",
        )

    def lease(self, trial: TrialView) -> Lease:
        return Lease(self._next())

    def on_result(self, trial: TrialView, result: Metrics) -> Decision:
        iteration = result["training_iteration"]
        due = self._done
        while due + 1 < len(self.schedule) and self.schedule[due + 1][0] <= iteration:
            due += 1
        if due == self._done:
            return Continue(self._next())
        before, after = self.schedule[self._done][1], self.schedule[due][1]
        self._done = due
        changes = ", ".join(
            f"{name} {show(before.get(name))} → {show(value)}"
            for name, value in after.items()
            if before.get(name) != value
        )
        return Exploit(trial.index, {**trial.config, **after}, f"the schedule's step at {iteration}: {changes}")

    def describe(self) -> str:
        return f"PBT replay: {len(self.schedule)} configurations, changed at {[at for at, _ in self.schedule[1:]]}"

    def _next(self) -> int | None:
        return self.schedule[self._done + 1][0] if self._done + 1 < len(self.schedule) else None


def schedules(events: list[Any]) -> dict[int, Schedule]:
    """The schedule of each trial, from a run's events: its own course and, before each copy, that of its source."""
    found: dict[int, Schedule] = {}
    saved: dict[int, int] = {}  # iteration of the latest checkpoint
    for event in events:
        kind = type(event)
        if kind is ev.Suggested:
            found[event.trial] = [(0, event.config)]
        elif kind is ev.Reported and event.checkpoint is not None:
            saved[event.trial] = event.iteration
        elif kind is ev.Decided and event.do == "exploit" and event.config is not None:
            at = saved.get(event.source, 0)
            before = [step for step in found[event.source] if step[0] < at or step[0] == 0]
            found[event.trial] = [*before, (at, event.config)]
            saved[event.trial] = at
    return found


def _from_journal(path: str, trial: int | str | None) -> Schedule:
    from tune_core.core.objective import Objective
    from tune_core.journal.reader import read

    log = read(path if os.path.isdir(path) else os.path.dirname(path))
    found = schedules(log.events)
    if trial is None and log.header.metric is not None:
        objective = Objective(log.header.metric, log.header.mode or "max")
        last = {e.trial: objective.loss(e.metrics) for e in log.events if type(e) is ev.Reported}
        trial = min(last, key=lambda index: (last[index], index)) if last else None
    index = int(trial) if trial is not None and str(trial).isdecimal() else -1
    if index not in found:
        raise InvalidArgumentError(
            "PopulationBasedTrainingReplay(trial)",
            f"is {trial!r}",
            f"the experiment in {path} has {len(found)} trials and no such one",
            f"Use an index from 0 to {len(found) - 1}.",
        )
    return found[index]


def _from_ray(path: str) -> Schedule:
    """Lines of [target, source, target's iteration, source's iteration, old configuration, new configuration]."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file if line.strip()]
        steps = [(int(line[3]), line[4], line[5]) for line in lines]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InvalidArgumentError(
            "PopulationBasedTrainingReplay(policy_file)",
            f"is {path!r}, which cannot be read as a policy: {error}",
            "it is neither an experiment's folder nor a policy file",
            "Name the folder of the experiment that ran PBT.",
        ) from error
    if not steps:
        raise InvalidArgumentError(
            "PopulationBasedTrainingReplay(policy_file)",
            f"is {path!r}",
            "it has no steps: that trial copied nobody",
            "Name another trial's file.",
        )
    schedule: Schedule = [(0, steps[0][1])]
    for at, _, config in steps:
        schedule.append((at, config))
    return schedule
