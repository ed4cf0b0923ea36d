"""What a simulated run leaves: its trials, its times, its journal."""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from tune_core.core import events as ev
from tune_core.journal.format import Log
from tune_core.journal.reader import parse

if TYPE_CHECKING:
    from tune_core.core.trial import Trial
    from tune_core.engine.controller import Controller
    from tune_core.simulation.objective import Store


class DriverDied(Exception):
    """The simulated driver was killed while it wrote its journal."""


class SimulatedJournal:
    """A journal in memory, whose writer may be killed half-way through a line.

    Parameters
    ----------
    keep
        Whether to keep the bytes; otherwise lines are only counted.
    """

    def __init__(self, keep: bool = True) -> None:
        self.data = bytearray()
        self.size = 0
        self.lines = 0
        self._keep = keep
        self._pending: list[bytes] = []
        self._lines_left: int | None = None

    def mortal(self, lines: int | None, seed: str = "") -> None:
        """Kill the driver in the write that makes ``lines`` more of them; None: let it live."""
        self._lines_left = lines
        self._tear = random.Random(seed)

    def append(self, lines: bytes, trials: Collection[int] = ()) -> None:
        """Take lines in."""
        self._pending.append(lines)

    def write(self) -> None:
        """Keep what was taken in, or die while doing so."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        data = b"".join(pending)
        if self._lines_left is not None:
            self._lines_left -= data.count(b"\n")
            if self._lines_left <= 0:
                cut = self._tear.randrange(len(data) + 1)
                self.data += data[:cut]
                self.size += cut
                raise DriverDied
        self.size += len(data)
        self.lines += data.count(b"\n")
        if self._keep:
            self.data += data

    def recover(self) -> Log | None:
        """Read what is whole, and cut off what is torn; None if not even the first line is whole."""
        self._pending.clear()
        if b"\n" not in self.data:
            self.data.clear()
            self.size = self.lines = 0
            return None
        log = parse(bytes(self.data))
        del self.data[log.size_bytes :]
        self.size = log.size_bytes
        self.lines = self.data.count(b"\n")
        return log


class Simulation:
    """A simulated run's outcome. Printing it gives a summary.

    Attributes
    ----------
    trials
        All trials, with status, last and best result.
    time_s
        Virtual seconds that the run took.
    working_s
        Seconds that workers spent in steps, all workers together.
    reports
        Results that trials reported, those of lost attempts included.
    journal
        The journal's bytes.
    """

    def __init__(
        self,
        controller: Controller,
        journal: SimulatedJournal,
        *,
        time_s: float,
        workers: int,
        working_s: float,
        occupied_s: float,
        reports: int,
        driver_deaths: int,
        checkpoints: Store,
        target: float | None,
        target_at: float | None,
    ) -> None:
        self.controller = controller
        self.trials: list[Trial] = controller.trials
        self.time_s = time_s
        self.workers = workers
        self.working_s = working_s
        self.occupied_s = occupied_s
        self.reports = reports
        self.driver_deaths = driver_deaths
        self.checkpoints = checkpoints
        self.target = target
        self.time_to_target_s = target_at
        self._journal = journal

    @property
    def journal(self) -> bytes:
        """The journal; empty if it was not kept."""
        return bytes(self._journal.data)

    @property
    def events(self) -> int:
        """Lines in the journal."""
        return self._journal.lines

    @property
    def utilisation(self) -> float:
        """Share of the workers' time that was spent in steps."""
        return self.working_s / (self.workers * self.time_s) if self.time_s > 0 else 0.0

    @property
    def best(self) -> Trial | None:
        """The trial with the best result."""
        return self.controller.best

    @property
    def best_value(self) -> float | None:
        """The best value of the metric."""
        best, objective = self.controller.best, self.controller.objective
        return None if best is None or objective is None else objective.as_value(best.best_loss)

    def decisions(self) -> list[ev.Decided]:
        """All decisions with their reasons, in order."""
        return [e for e in parse(self.journal).events if type(e) is ev.Decided]

    def trained_to(self, iteration: int) -> int:
        """How many configurations were trained at least so far."""
        return sum(t.last is not None and t.last.iteration >= iteration for t in self.trials)

    def summary(self) -> dict[str, Any]:
        """The figures as a dict."""
        counts = {str(status): number for status, number in self.controller.counts.items() if number}
        best = self.best_value
        figures: dict[str, object] = {
            "workers": self.workers,
            "virtual time, s": round(self.time_s, 3),
            "configurations": len(self.trials),
            "results": self.reports,
            "utilisation": f"{100 * self.utilisation:.1f} %",
            "best " + (self.controller.rules.metric or ""): None if best is None else float(f"{best:.6g}"),
        }
        if self.target is not None:
            reached = self.time_to_target_s
            figures[f"time to {self.target:g}, s"] = "not reached" if reached is None else round(reached, 3)
        if self.driver_deaths:
            figures["driver restarts"] = self.driver_deaths
        for status, number in sorted(counts.items()):
            figures[status.lower()] = number
        return figures

    def __str__(self) -> str:
        figures = self.summary()
        width = max(map(len, figures))
        return "\n".join(f"{name:<{width}}  {value}" for name, value in figures.items())
