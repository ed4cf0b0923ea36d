"""First in, first out: every trial runs to its end."""

from __future__ import annotations

from tune_core.schedulers.base import Scheduler


class FIFOScheduler(Scheduler):
    """Run every trial to its end, in the order of suggestion.

    Leases have no end, so trials never wait for the driver.
    """

    needs_metric = False

    def __init__(self) -> None:
        super().__init__()
