"""An experiment as its readers know it: one record for each trial, filled from the journal by ``tune_core.fold``.

A record keeps what the controller would keep (last and best result, checkpoints, error, decisions), never the reports
in between; :func:`history` reads those when somebody asks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tune_core.engine import events as ev
from tune_core.engine.checkpoints import Kept
from tune_core.engine.reader import Reader
from tune_core.trial import PENDING, Status, result_of


class Decision(NamedTuple):
    """A decision on a trial, with the iteration and the time of the result that it was made on."""

    do: str
    why: str
    iteration: int
    at: float


class TrialRecord:
    """One trial as its experiment's journal tells it; attributes are those of :class:`tune_core.trial.Trial`."""

    __slots__ = (
        "_config",
        "attempt",
        "best",
        "best_loss",
        "checkpoints",
        "decisions",
        "ended_at",
        "error",
        "exploit",
        "failures",
        "index",
        "iteration",
        "last",
        "losses",
        "previous_s",
        "reason",
        "resources",
        "start",
        "start_copied",
        "started_at",
        "status",
        "verdict",
        "worker",
    )

    def __init__(self, index: int, config: dict[str, Any], resources: dict[str, float] | None = None) -> None:
        self.index = index
        self._config = config
        self.resources = resources
        self.status: Status = PENDING
        self.attempt = self.failures = self.losses = self.iteration = 0
        self.last: ev.Reported | None = None
        self.best: ev.Reported | None = None
        self.best_loss = math.inf
        self.previous_s = 0.0  # training time at the result before the last
        self.checkpoints: list[Kept] | None = None  # all that were made, oldest first, also those deleted since
        self.decisions: Sequence[Decision] = ()
        self.start: Kept | None = None  # the checkpoint that the next launch goes on from
        self.start_copied = False  # that checkpoint was taken over from another trial
        self.exploit: tuple[dict[str, Any] | None, Kept | None] | None = None  # the config and checkpoint to take over
        self.verdict = ""
        self.reason: str | None = None
        self.error: str | None = None
        self.worker: str | None = None
        self.started_at: float | None = None
        self.ended_at: float | None = None

    @property
    def trial_id(self) -> str:
        """The index as a string of at least five digits."""
        return f"{self.index:05d}"

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as plain values; objects that JSON cannot hold appear as their text."""
        return {key: readable(value) for key, value in self._config.items()}

    def add_decision(self, decision: Decision) -> None:
        """Note a decision that was made on the trial."""
        if not isinstance(self.decisions, list):  # most trials of a large run have none
            self.decisions = []
        self.decisions.append(decision)

    @property
    def attempts(self) -> int:
        """Launches so far."""
        return self.attempt

    @property
    def last_result(self) -> dict[str, Any]:
        """The last result with the automatic fields; empty before the first."""
        return {} if self.last is None else result_of(self.last)

    def __repr__(self) -> str:
        return f"TrialRecord({self.trial_id}, {self.status}, iteration={self.iteration})"


def readable(value: Any) -> Any:
    """A value as the journal holds it, in a form for people: see ``tune_core.space_json`` for the marks."""
    if value.__class__ is dict:
        if "__plain__" in value:
            return {key: readable(child) for key, child in value["__plain__"].items()}
        if "__tuple__" in value:
            return tuple(map(readable, value["__tuple__"]))
        if "__number__" in value:
            text = value["__number__"]
            return float(text) if text.lstrip("-") in ("nan", "inf") else int(text)
        if "__choice__" in value or "__const__" in value or "__value__" in value:
            return readable(value["value"]) if "value" in value else str(value.get("repr"))
        return {key: readable(child) for key, child in value.items()}
    return list(map(readable, value)) if value.__class__ is list else value


@dataclass
class Experiment:
    """A whole experiment as its journal tells it.

    ``best`` is the trial with the best result by the run's metric and mode; ``finished`` says why the run is over, and
    is None while it goes on or after its driver was killed.
    """

    folder: str
    header: ev.Header
    trials: list[TrialRecord] = field(default_factory=list)
    best: TrialRecord | None = None
    finished: str | None = None
    interrupted: str | None = None
    notes: list[str] = field(default_factory=list)
    reports: int = 0
    last_at: float = 0.0

    @property
    def total_time_s(self) -> float:
        """Seconds from the start of the run to its last event; a restored run counts the pause in between."""
        return max(0.0, self.last_at - self.header.at)

    @property
    def counts(self) -> Counter[Status]:
        """How many trials are in each status."""
        return Counter(trial.status for trial in self.trials)


def reports(folder: str, trial: int | None = None) -> Iterator[ev.Reported]:
    """Every report in the order of the journal, of one trial or of all.

    A trial that went back to a checkpoint reports some iterations again: see :func:`history`.
    """
    for batch in Reader(folder, trial).read():
        for event in batch:
            if type(event) is ev.Reported and (trial is None or event.trial == trial):
                yield event


def history(folder: str, trial: int | None = None) -> dict[int, list[dict[str, Any]]]:
    """The results of one trial, or of all, by trial index: flat dicts with the automatic fields.

    A trial that was retried, resumed or made a copy of another goes on from a checkpoint: what it had reported after
    that point is replaced by what it reported then, so iterations always increase.
    """
    found: dict[int, list[dict[str, Any]]] = {}
    for event in reports(folder, trial):
        results = found.setdefault(event.trial, [])
        while results and results[-1]["training_iteration"] >= event.iteration:
            results.pop()
        result = result_of(event)
        before = results[-1]["time_total_s"] if results else 0.0
        result.setdefault("time_this_iter_s", max(0.0, event.seconds - before))
        if event.checkpoint is not None:
            result["checkpoint_dir_name"] = event.checkpoint
        results.append(result)
    return found
