"""An experiment read back from its journal alone: the real controller, shown what happened, decides nothing anew.

Kept is what the controller keeps of each trial (last and best result, checkpoints, error), never the reports in
between; :func:`history` and :func:`decisions` read those when somebody asks.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tune_core.core import events as ev
from tune_core.core.collecting import no_collection
from tune_core.core.trial import IllegalTransitionError, Trial
from tune_core.core.user_warnings import warn_user
from tune_core.engine.controller import Controller
from tune_core.engine.recorded_decisions import PassiveScheduler
from tune_core.engine.rules import Rules
from tune_core.engine.salvage import Salvage
from tune_core.engine.state import note_line
from tune_core.errors import JournalDamageWarning, JournalError
from tune_core.journal.format import Gap, does_not_follow
from tune_core.journal.lock import is_running
from tune_core.journal.reader import Reader, damage_text, reader_of
from tune_core.space.serialization import readable


class DecisionRecord(NamedTuple):
    """A decision on a trial, with the iteration and the time of the trial's last result before it."""

    do: str
    why: str
    iteration: int
    at: float


@dataclass
class Experiment:
    """A whole experiment as its journal tells it; configurations are in a form for people."""

    folder: str
    header: ev.Header
    controller: Controller = field(repr=False)
    notes: list[str] = field(default_factory=list)
    reports: int = 0
    last_at: float = 0.0
    damage: str = ""  # what is wrong with the journal, as the rest of a sentence; empty if nothing is

    @property
    def trials(self) -> list[Trial]:
        """All trials in the order of suggestion."""
        return self.controller.trials

    @property
    def best_known(self) -> Trial | None:
        """The trial with the best result by the run's metric, mode and constraints."""
        return self.controller.best_known

    @property
    def rules(self) -> Rules:
        """What the run's events are judged by."""
        return self.controller.rules

    @property
    def finished(self) -> str | None:
        """Why the run is over; None while it goes on or after its driver was killed."""
        return self.controller.finished

    @property
    def interrupted(self) -> str | None:
        """Why the run was interrupted, or None."""
        return self.controller.stopping if self.controller.interrupted else None

    @property
    def total_time_s(self) -> float:
        """Seconds from the start of the run to its last event; a restored run counts the pause in between."""
        return max(0.0, self.last_at - self.header.at)

    @property
    def counts(self) -> Counter[str]:
        """How many trials are in each status."""
        return +self.controller.counts


class TailReader:
    """Keeps an :class:`Experiment` up to date with a journal that may still grow. Runs no code of the experiment.

    Parameters
    ----------
    folder
        The experiment's folder.
    reader
        What reads its journal; None: what reads that folder.

    Raises
    ------
    JournalError
        If the folder holds no experiment, or one that a newer tune-core wrote.
    """

    def __init__(self, folder: str, reader: Reader | None = None) -> None:
        self._reader = reader_of(folder) if reader is None else reader
        header = self._reader.header
        with _clear_errors(self._reader):
            controller = Controller(Rules.of(header), PassiveScheduler(header.metric, header.mode))
        self._salvage = Salvage(controller)
        self.experiment = Experiment(folder, header, controller, last_at=header.at)

    def refresh(self) -> Experiment:
        """Take in what the journal has got since the last time."""
        reader, salvage = self._reader, self._salvage
        with no_collection(), _clear_errors(reader):
            for batch in reader.read():
                if type(batch[0]) is Gap:
                    salvage.open(batch[0])
                elif salvage.gaps:
                    for event in batch:
                        salvage.apply(event, self._take)
                elif type(self)._take is TailReader._take:
                    self._take_all(batch)
                else:  # who reads more looks at each event
                    for event in batch:
                        self._take(event)
        torn_bytes = reader.torn_bytes if reader.torn_bytes and not is_running(self.experiment.folder) else 0
        self.experiment.damage = damage_text(reader.gaps, torn_bytes, salvage.skipped)
        return self.experiment

    def _take_all(self, batch: list[Any]) -> None:
        experiment = self.experiment
        take_report, trials = experiment.controller.take_report, experiment.trials
        out: list[ev.Command] = []
        for event in batch:
            if type(event) is ev.Reported:
                take_report(event, out)
                if trials[event.trial].last is event:  # not one that came late
                    experiment.reports += 1
                    experiment.last_at = event.at
                if out:
                    out.clear()
            else:
                self._take(event)

    def _take(self, event: Any) -> None:
        experiment = self.experiment
        kind = type(event)
        if kind is ev.Reported:
            experiment.controller.apply(event)
            if experiment.trials[event.trial].last is event:  # not one that came late
                experiment.reports += 1
                experiment.last_at = event.at
            return
        made_readable(event)
        if kind is ev.Noted:
            experiment.notes.append(note_line(event))
        experiment.controller.apply(event)
        experiment.last_at = max(experiment.last_at, getattr(event, "at", 0.0))


def made_readable(event: Any) -> None:
    """Bring the configuration that an event may have into a form for people."""
    kind = type(event)
    if kind is ev.Suggested or (kind is ev.Decided and event.config is not None):
        event.config = {key: readable(value) for key, value in event.config.items()}


def read_experiment(folder: str) -> Experiment:
    """An experiment as its journal tells it now.

    Raises
    ------
    JournalError
        If the folder holds no experiment, or one that a newer tune-core wrote.

    Warns
    -----
    JournalDamageWarning
        If a part of the journal cannot be read.
    """
    experiment = TailReader(folder).refresh()
    warn_of_damage(folder, experiment.damage)
    return experiment


def warn_of_damage(folder: str, damage: str) -> None:
    """Report what is wrong with a journal, if anything is."""
    if damage:
        warn_user(JournalDamageWarning(f"The journal of {folder} {damage}."))


@contextlib.contextmanager
def _clear_errors(reader: Any) -> Iterator[None]:
    """Whatever a crafted or odd journal leads to is an error that names it."""
    try:
        yield
    except (IllegalTransitionError, LookupError, ValueError, TypeError, AttributeError, AssertionError) as error:
        if isinstance(error, JournalError):
            raise
        raise does_not_follow(reader.path, reader.header.version, error) from error


def decisions(folder: str, trial: int) -> list[DecisionRecord]:
    """The decisions on one trial, in order."""
    reader = reader_of(folder, trial)
    found = []
    iteration, at = 0, reader.header.at
    for batch in reader.read():
        for event in batch:
            if getattr(event, "trial", None) != trial:
                continue
            if type(event) is ev.Reported:
                iteration, at = event.iteration, event.at
            elif type(event) is ev.Decided:
                found.append(DecisionRecord(event.do, event.why, iteration, at))
    return found
