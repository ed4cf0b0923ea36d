"""Spans of time in a run: its budget, how long trials may take to end, how long failed ones wait for their retry.

Spans are measured by a clock that nobody can set; the wall clock is for stamps alone. Where the two part, because the
wall clock was set, the journal gets a note, so that the time which a run has used is known after a restore too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tune_core.core.trial import Trial

JUMP_S = 2.0
"""A difference between the clocks of more than so many seconds is a clock that was set."""


def retry_delay_s(failures: int, first_s: float, most_s: float) -> float:
    """How long to wait before a trial is tried again: not at all after its first failure, then twice as long each time.

    Examples
    --------
    >>> [retry_delay_s(failures, 0.5, 60.0) for failures in (1, 2, 3, 4, 20)]
    [0.0, 0.5, 1.0, 2.0, 60.0]
    """
    return 0.0 if failures <= 1 else min(most_s, first_s * 2.0 ** min(failures - 2, 60))


@dataclass
class Leaving:
    """A trial that was told to end."""

    deadline: float
    how: str
    why: str


class Deadlines:
    """Knows what is due when. Times are of the clock that :class:`Loop` measures spans by.

    Parameters
    ----------
    now
        That clock.
    wall
        Seconds since the epoch.
    budget_s
        How long the run may take, over all its drivers; None: without end.
    used_s
        What earlier drivers used of that.
    """

    def __init__(
        self, now: Callable[[], float], wall: Callable[[], float], budget_s: float | None, used_s: float
    ) -> None:
        self.now = now
        self._wall = wall
        #: How long the run may take, over all its drivers; None: without end.
        self.budget_s = budget_s
        self._used_s = used_s
        self._began = now()
        self._offset = wall() - now()
        #: Trials that were told to end, by index.
        self.leaving: dict[int, Leaving] = {}
        self._held: dict[int, float] = {}

    def begin(self) -> None:
        """The run starts now."""
        self._began = self.now()

    # --- the budget ---------------------------------------------------------------------------------------------------

    def set_budget(self, seconds: float) -> None:
        """Another time budget, counted from the start of the run."""
        self.budget_s = seconds

    def budget_left_s(self) -> float | None:
        """What is left of the time budget; None without one."""
        if self.budget_s is None:
            return None
        return self.budget_s - self._used_s - (self.now() - self._began)

    def clock_change_s(self) -> float:
        """By how much the wall clock was set forward (back: negative) since the last call; 0: it was not."""
        change = self._wall() - self.now() - self._offset
        if abs(change) < JUMP_S:
            return 0.0
        self._offset += change
        return change

    # --- letting go ---------------------------------------------------------------------------------------------------

    def let_go(self, trial: int, within_s: float, how: str, why: str) -> None:
        """A trial was told to end, and is killed when ``within_s`` seconds are over."""
        self.leaving[trial] = Leaving(self.now() + within_s, how, why)

    def overdue(self, running: dict[int, Trial]) -> list[tuple[int, Leaving]]:
        """Trials that have not ended in time; each is named once."""
        found = []
        for trial, leaving in list(self.leaving.items()):
            if trial not in running:
                del self.leaving[trial]
            elif self.now() >= leaving.deadline:
                del self.leaving[trial]
                found.append((trial, leaving))
        return found

    # --- retries ------------------------------------------------------------------------------------------------------

    def hold(self, trial: int, for_s: float) -> None:
        """A trial is not to be launched for a while."""
        self._held[trial] = self.now() + for_s

    def release(self) -> list[int]:
        """Trials that have waited long enough; each is named once."""
        if not self._held:
            return []
        now = self.now()
        over = [trial for trial, until in self._held.items() if until <= now]
        for trial in over:
            del self._held[trial]
        return over
