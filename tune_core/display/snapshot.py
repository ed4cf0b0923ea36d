"""What the live view shows of a run, and how it looks: on a terminal, as plain lines, in a notebook, and at the end."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tune_core.core.best_trial import RankedTrials, least_broken
from tune_core.core.constraints import Constraint
from tune_core.core.events import error_line
from tune_core.core.flatten import flatten
from tune_core.core.objective import Objective, lookup
from tune_core.core.trial import ERROR, RUNNING, TERMINATED, Trial, known_value
from tune_core.display.formatting import (
    config_text,
    counts_text,
    date_text,
    duration_text,
    html_table,
    printable,
    sparkline,
    sparkline_svg,
    value_text,
)
from tune_core.display.tables import table_of

if TYPE_CHECKING:
    from tune_core.engine.controller import Controller
    from tune_core.results.experiment_reader import Experiment

RECENT = 50
"""How many of the newest trials are looked at for the table, beside the running and the best ones."""

_STYLES = {"RUNNING": "cyan", "TERMINATED": "green", "ERROR": "bold red", "PAUSED": "yellow", "PENDING": "dim"}


@dataclass
class TableColumns:
    """Which columns and rows the table has. Mappings go from a name to what stands above the column."""

    metrics: Mapping[str, str] | None = None
    parameters: Mapping[str, str] | None = None
    max_rows: int = 20
    sort_by_metric: bool = False


@dataclass
class Snapshot:
    """A run at one moment, in a form to draw."""

    name: str
    counts: Mapping[Any, int]
    total: int | None
    elapsed_s: float
    left_s: float | None
    best: str
    scheduler: str
    waits_for: str | None
    header: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    hidden: int = 0
    course: Sequence[float] = ()  # the best value, from the first look to this one

    @property
    def ended(self) -> int:
        """Trials that are over."""
        return self.counts.get(TERMINATED, 0) + self.counts.get(ERROR, 0)

    def line(self) -> str:
        """The run in one line."""
        total = f"/{self.total}" if self.total is not None else ""
        parts = [f"{self.ended}{total} trials ended"]
        others = {status: number for status, number in self.counts.items() if number and status is not TERMINATED}
        if others:
            parts.append(counts_text(others).lower())
        parts.append(duration_text(self.elapsed_s))
        if self.left_s is not None:
            parts.append(f"about {duration_text(self.left_s)} left")
        return ", ".join(parts)


@dataclass
class Selection:
    """Picks the trials to show without looking at all of them: running ones, the best so far, the newest."""

    columns: TableColumns = field(default_factory=TableColumns)
    _best: list[Any] = field(default_factory=list)

    def pick(self, controller: Controller, limit: int) -> list[Any]:
        """At most ``limit`` trials, running ones first."""
        running = list(itertools.islice(controller.running.values(), limit))
        recent = controller.trials[-RECENT:]
        known = {t.index: t for t in (*self._best, *running, *recent) if t.best is not None}
        if controller.best is not None:
            known[controller.best.index] = controller.best
        self._best = sorted(known.values(), key=lambda t: (t.best_loss, t.index))[: self.columns.max_rows]
        shown: dict[int, Any] = {}
        order = [*running, *self._best[: max(3, limit // 2)], *reversed(recent), *self._best]
        if self.columns.sort_by_metric:
            order = [*self._best, *order]
        for trial in order:
            if len(shown) >= limit:
                break
            shown.setdefault(trial.index, trial)
        chosen = list(shown.values())
        if not self.columns.sort_by_metric:
            chosen.sort(key=lambda t: (t.status is not RUNNING, t.best_loss if t.best else math.inf, -t.index))
        return chosen


def table_for(
    trials: Sequence[Any], metric: str | None, columns: TableColumns, now: float
) -> tuple[list[str], list[Any]]:
    """The table of some trials, with its columns' own headings."""
    parameters = list(columns.parameters) if columns.parameters is not None else None
    metrics = list(columns.metrics) if columns.metrics is not None else None
    header, rows = table_of(trials, metric, parameters, metrics, now)
    labels = {**(columns.parameters or {}), **(columns.metrics or {})}
    return [labels.get(name, name) for name in header], rows


def best_text(controller: Controller | Experiment, metric: str | None, limit: int = 300) -> str:
    """The best value so far with its trial and configuration; empty before the first."""
    best = controller.best_known
    if best is None or best.best is None or metric is None or not math.isfinite(best.best_loss):
        return ""
    value = value_text(lookup(best.best.metrics, metric))
    return f"{metric}={value} by trial {best.trial_id}: {config_text(best.config, limit)}"


# --- terminal ---------------------------------------------------------------------------------------------------------


def terminal_view(snapshot: Snapshot, width: int) -> Any:
    """A rich renderable that is at most ``width`` wide."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    head = Table.grid(padding=(0, 1))
    cells: list[Any] = [Text(printable(snapshot.name), style="bold", no_wrap=True, overflow="ellipsis")]
    if snapshot.total:
        cells.append(ProgressBar(total=snapshot.total, completed=min(snapshot.ended, snapshot.total), width=24))
    head.add_row(*cells)
    parts: list[Any] = [head, _line(snapshot.line(), "")]
    if snapshot.best:
        bars = sparkline(snapshot.course)
        parts.append(_line(f"Best {bars + '  ' if bars else ''}{snapshot.best}", "green"))
    if snapshot.scheduler:
        parts.append(_line(snapshot.scheduler, "dim"))
    if snapshot.waits_for:
        parts.append(_line(f"Waiting: {snapshot.waits_for}", "yellow"))
    if snapshot.rows:
        parts.append(_rich_table(snapshot, width))
    if snapshot.hidden:
        parts.append(_line(f"… and {snapshot.hidden} more trials", "dim"))
    return Group(*parts)


def _line(text: str, style: str) -> object:
    from rich.text import Text

    return Text(printable(" ".join(text.split())), style=style, no_wrap=True, overflow="ellipsis")


def _rich_table(snapshot: Snapshot, width: int) -> object:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    keep = fitting_columns(snapshot.header, snapshot.rows, width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for i in keep:
        values = [row[i] for row in snapshot.rows]
        numbers = all(isinstance(v, (int, float)) or v == "" for v in values)
        title, side = Text(printable(snapshot.header[i])), "right" if numbers else "left"
        table.add_column(title, justify=side, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
    for row in snapshot.rows:
        table.add_row(*(Text(value_text(row[i]), style=_STYLES.get(str(row[i]), "") if i == 1 else "") for i in keep))
    return table


def fitting_columns(header: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> list[int]:
    """Positions of the columns that fit: parameters are left out, the last first; all others stay."""
    widths = [max(len(value_text(v)) for v in (name, *(row[i] for row in rows))) + 3 for i, name in enumerate(header)]
    keep = list(range(len(header)))
    iteration = header.index("iter") if "iter" in header else 2
    while sum(widths[i] for i in keep) > width:
        parameters = [i for i in keep if 2 <= i < iteration]
        if not parameters:
            break
        keep.remove(parameters[-1])
    return keep


# --- notebook ---------------------------------------------------------------------------------------------------------


def html_view(snapshot: Snapshot) -> str:
    """The view as HTML."""
    from html import escape

    bar = ""
    if snapshot.total:
        bar = f"<progress value='{min(snapshot.ended, snapshot.total)}' max='{snapshot.total}'></progress> "
    lines = [f"<b>{escape(snapshot.name)}</b> {bar}{escape(snapshot.line())}"]
    if snapshot.best:
        lines.append(f"Best {escape(snapshot.best)}")
        drawing = sparkline_svg(snapshot.course)
        if drawing:
            lines.append(drawing)
    if snapshot.scheduler:
        lines.append(f"<small>{escape(snapshot.scheduler)}</small>")
    if snapshot.waits_for:
        lines.append(f"Waiting: {escape(snapshot.waits_for)}")
    table = html_table(snapshot.header, snapshot.rows) if snapshot.rows else ""
    more = f"<small>… and {snapshot.hidden} more trials</small>" if snapshot.hidden else ""
    return f"<div>{'<br>'.join(lines)}{table}{more}</div>"


# --- the end ----------------------------------------------------------------------------------------------------------


def summary(
    controller: Controller, metric: str | None, mode: str | None, name: str, folder: str, elapsed_s: float, why: str
) -> str:
    """What a run found and where it is, for its end."""
    trials = len(controller.trials)
    lines = [f"{name}: {trials} trial{'' if trials == 1 else 's'} in {duration_text(elapsed_s)}"]
    if trials:
        lines[0] += f" ({counts_text(controller.counts)})"
    if why and why != "all trials have ended":
        lines.append(f"Ended because: {why}")
    lines += _best_lines(controller, metric, mode)
    lines += _first_error(controller, folder)
    lines.append(f"Results: {folder}")
    lines.append(f"Look closer: tune-core show {_quoted(folder)}")
    if controller.interrupted or controller.finished is None:
        lines.append(f"Go on: Tuner.restore({folder!r}, trainable).fit()")
    return printable("\n".join(lines))


def experiment_summary(experiment: Experiment, state: str, path: str | None = None) -> str:
    """What an experiment's folder tells, for people who come to it later."""
    header = experiment.header
    lines = [f"{header.name}: {state}, {len(experiment.trials)} trials ({counts_text(experiment.counts)})"]
    lines.append(f"Started {date_text(header.at)}, took {duration_text(experiment.total_time_s)}")
    if experiment.finished and experiment.finished != "all trials have ended":
        lines.append(f"Ended because: {experiment.finished}")
    lines.append(f"Trainable {header.trainable or '?'}, {header.searcher or '?'}, {header.scheduler or '?'}")
    lines.append(f"Seed {header.seed}, tune-core {header.version}")
    lines += _best_lines(experiment, header.metric, header.mode)
    lines += _first_error(experiment, experiment.folder)
    lines += [f"Note: {note}" for note in experiment.notes[:5]]
    if experiment.damage:
        lines.append(f"Watch out: the journal {experiment.damage}.")
    lines.append(f"Folder: {path or experiment.folder}")
    return printable("\n".join(lines))


def _best_lines(run: Controller | Experiment, metric: str | None, mode: str | None) -> list[str]:
    best = run.best_known
    if metric is None or not run.trials:
        return []
    if best is None or best.best is None or not math.isfinite(best.best_loss):
        return [f"No trial has a usable value of {metric!r}."]
    value = value_text(lookup(best.best.metrics, metric))
    lines = [f"Best {metric}: {value} ({mode}), trial {best.trial_id} at iteration {best.best.iteration}"]
    lines += [f"    {key} = {value_text(v, 60)}" for key, v in flatten(best.config).items()]
    other = best_by_last_value(run.trials, metric, mode, run.rules.constraints)
    if other is not None and other[0] is not best:
        trial, last = other
        lines.append(
            f"By last values trial {trial.trial_id} is the best, with {value_text(last)}: get_best_result() compares "
            'those, and with scope="all" each trial\'s best.'
        )
    return lines


def best_by_last_value(
    trials: Sequence[Trial], metric: str, mode: str | None, constraints: Sequence[Constraint] = ()
) -> tuple[Trial, object] | None:
    """The trial whose last value of a metric is the best, and that value; None where none is finite.

    With ``constraints``, among those that break them least.
    """
    trials, _ = least_broken(trials, constraints)
    objective = Objective(metric, mode or "max")
    if isinstance(trials, RankedTrials):
        best = trials.first("last")
        return None if best is None else (best, known_value(best, metric))
    found: tuple[Trial, object] | None = None
    least = math.inf
    for trial in trials:
        value = known_value(trial, metric)
        loss = math.inf if value is None else objective.as_loss(value)
        if loss < least:
            found, least = (trial, value), loss
    return found


def _first_error(controller: Controller | Experiment, folder: str) -> list[str]:
    if not controller.counts.get(ERROR):
        return []
    trial: Any = next((t for t in controller.trials if t.status is ERROR), None)
    if trial is None:
        return []
    lines = [f"First error: trial {trial.trial_id}: {error_line(trial.error or trial.reason or '')}"]
    output = os.path.join(folder, f"trial_{trial.index:05d}", "output.log")
    if os.path.exists(output):
        lines.append(f"    its output: {output}")
    return lines


def _quoted(path: str) -> str:
    import shlex

    return shlex.quote(path)
