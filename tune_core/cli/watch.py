"""Follows an experiment's folder while another process runs it, by its journal alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from tune_core.core.trial import PENDING, RUNNING
from tune_core.display.formatting import plain_table, printable
from tune_core.display.snapshot import Snapshot, best_text, terminal_view
from tune_core.display.tables import table_of
from tune_core.results import selection
from tune_core.results.experiment_reader import Experiment, TailReader, warn_of_damage


def snapshot_of(experiment: Experiment, state: str, rows: int, now: float) -> Snapshot:
    """An experiment's state as the live view shows it."""
    header = experiment.header
    chosen = selection.ranked(experiment.trials, header, rows)
    columns, table = table_of(chosen, header.metric, now=now)
    counts = experiment.counts
    if state != "running" and counts[RUNNING]:
        counts[PENDING] += counts.pop(RUNNING)  # nobody runs them any more
    elapsed = (now if state == "running" else experiment.last_at) - header.at
    return Snapshot(
        f"{header.name} ({state})",
        counts,
        None,
        max(0.0, elapsed),
        None,
        best_text(experiment, header.metric),
        header.scheduler,
        None,
        columns,
        table,
        len(experiment.trials) - len(chosen),
    )


def watch(folder: str, state_of: Callable[[Experiment], str], once: bool, interval_s: float) -> int:
    """Show an experiment until it is over; with ``once``, as it is now."""
    follower = TailReader(folder)
    experiment = follower.refresh()
    warn_of_damage(folder, experiment.damage)
    state = state_of(experiment)
    if once or not sys.stdout.isatty():
        print(_plain(snapshot_of(experiment, state, 20, time.time())), flush=True)
        before = ""
        while not once and state == "running":
            time.sleep(interval_s)
            state = state_of(follower.refresh())
            line = snapshot_of(experiment, state, 0, time.time()).line()
            if experiment.reports and line != before:
                before = line
                print(printable(line), flush=True)
        return 0
    _draw(follower, state_of, state, interval_s)
    return 0


def _plain(snapshot: Snapshot) -> str:
    lines = [snapshot.name, snapshot.line()]
    if snapshot.best:
        lines.append(f"Best {snapshot.best}")
    if snapshot.rows:
        lines.append(plain_table(snapshot.header, snapshot.rows))
    if snapshot.hidden:
        lines.append(f"… and {snapshot.hidden} more trials")
    return printable("\n".join(lines))


def _draw(follower: TailReader, state_of: Callable[[Experiment], str], state: str, interval_s: float) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console()

    def view() -> Any:
        snapshot = snapshot_of(follower.experiment, state, max(0, console.size.height - 10), time.time())
        return terminal_view(snapshot, console.size.width)

    with Live(view(), console=console, auto_refresh=False) as live:
        while state == "running":
            time.sleep(interval_s)
            state = state_of(follower.refresh())
            live.update(view(), refresh=True)
