"""The live view of a run: on a terminal, as plain lines where there is none, in notebooks; and its summary."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tune_core.callback import Callback
from tune_core.core.automatic import AUTO_RESULT_KEYS
from tune_core.core.events import error_line
from tune_core.core.trial import ERROR, TERMINATED
from tune_core.core.values import ResultDict
from tune_core.display.formatting import config_text, duration_text, plain_table, printable, value_text
from tune_core.display.reporter import ReporterWatcher, TuneReporterBase, labelled
from tune_core.display.snapshot import (
    Selection,
    Snapshot,
    TableColumns,
    best_text,
    html_view,
    summary,
    table_for,
    terminal_view,
)

if TYPE_CHECKING:
    from tune_core.engine.controller import Controller

REDRAW_S = 0.2
LINE_S = 5.0
NOTEBOOK_S = 1.0
COURSE = 120
"""How many of the best values over time are kept for the sparkline, at least."""
SHARE = 25
"""The view takes at most one part in so many of the driver's time."""

ENVIRONMENT = "TUNE_CORE_PROGRESS"
"""Set to ``terminal``, ``plain``, ``notebook`` or ``off`` to choose the view; by default it fits the output."""


class Progress:
    """Shows a run to people.

    Parameters
    ----------
    verbose
        0 nothing; 1 the view and a summary at the end; 2 also each trial's end; 3 also each result.
    total
        Number of trials to come, if it is known.
    metric, mode
        What is optimised.
    name, folder
        The experiment's.
    console
        A rich console to draw on; None makes one for stdout.
    clock
        Gives seconds; decides when to draw.
    """

    def __init__(
        self,
        verbose: int = 1,
        total: int | None = None,
        metric: str | None = None,
        mode: str | None = None,
        name: str = "",
        folder: str = "",
        *,
        console: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.columns = TableColumns()
        self._console = console
        self._clock = clock
        self._line_s = LINE_S
        self._tables = False  # whether tables are printed where there is no terminal
        self._style: str | None = None
        self.bind(verbose, total, metric, mode, name, folder)

    def bind(
        self,
        verbose: int,
        total: int | None,
        metric: str | None,
        mode: str | None,
        name: str,
        folder: str,
        in_process: bool = False,
    ) -> None:
        """Take the facts of the run that is about to start; ``in_process`` says that trials run in this process."""
        self._verbose, self._total, self._name, self._folder = verbose, total, name, folder
        self._metric, self._mode = metric, mode
        self._in_process = in_process
        self._due = math.inf
        self._began = self._clock()
        self._over_at: float | None = None  # when the last trial had ended
        self._ended_before: int | None = None  # trials that an earlier driver ended
        self._live: Any = None
        self._handle: Any = None
        self._drawing = False
        self._course: list[float] = []
        self._waiting_notes: list[str] = []
        self._said = ""
        self._selection = Selection(self.columns)

    @property
    def callbacks(self) -> list[Callback]:
        """Callbacks that print each trial's end and each result, as ``verbose`` asks."""
        return [_Lines(self, self._verbose >= 3)] if self._verbose >= 2 and self.style != "off" else []

    @property
    def style(self) -> str:
        """How the run is shown: ``terminal``, ``plain``, ``notebook`` or ``off``."""
        if self._style is None:
            self._style = self._choose_style()
        return self._style

    def _choose_style(self) -> str:
        asked = os.environ.get(ENVIRONMENT, "")
        if self._verbose == 0 or asked == "off":
            return "off"
        if asked in ("terminal", "plain", "notebook"):
            return asked
        if self._console is not None:
            return "terminal" if self._console.is_terminal and not self._in_process else "plain"
        if "PYTEST_CURRENT_TEST" in os.environ:
            return "off"
        if _in_notebook():
            return "notebook"
        if self._in_process or not _is_terminal(sys.stdout):  # prints and debuggers need the terminal to themselves
            return "plain"
        return "terminal"

    # --- what the loop calls ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The run begins."""
        self._began = self._clock()
        if self.style == "off":
            return
        self._due = self._began + {"terminal": 0.05, "notebook": 0.2}.get(self.style, self._line_s)
        self._safely(self._start)

    def _start(self) -> None:
        if self.style == "terminal":
            from rich.live import Live

            if self._console is None:
                self._console = _make_console()
            self._live = Live(console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop")
            self._live.start()

    def update(self, controller: Controller, now: float, waits_for: str | None) -> None:
        """Draw, if it is time to."""
        if self._clock() < self._due:
            return
        began = self._clock()
        if self._ended_before is None:
            ended = controller.counts[TERMINATED] + controller.counts[ERROR]
            self._ended_before = ended if began - self._began < 1.0 else 0
        self._safely(self._draw, controller, now, waits_for)
        after = self._clock()
        if self._due < math.inf:
            least = {"terminal": REDRAW_S, "notebook": NOTEBOOK_S}.get(self.style, self._line_s)
            self._due = after + max(least, SHARE * (after - began))

    def note(self, text: str) -> None:
        """Say something worth knowing. Safe to call from a signal handler."""
        if self.style == "off":
            return
        if self._drawing:
            self._waiting_notes.append(text)
        else:
            self._safely(self._print, text)

    def over(self) -> None:
        """No trial runs any more: what follows is not the run's time."""
        self._over_at = self._clock()

    def finish(self, controller: Controller, why: str, error: str) -> None:
        """The run is over: take the view down and sum up."""
        self._due = math.inf
        live, self._live = self._live, None
        if live is not None:
            self._safely(live.stop)
        if self.style == "off":
            return
        self._safely(self._sum_up, controller, why, error)

    # --- drawing ------------------------------------------------------------------------------------------------------

    def _safely(self, action: Callable[..., Any], *args: Any) -> None:
        """Whatever goes wrong with the view, the run goes on without it."""
        self._drawing = True
        try:
            action(*args)
        except (Exception, SystemExit):  # a foreign repr, a full disk; at a closed pipe rich wants to exit
            self._due = math.inf
            live, self._live = self._live, None
            if live is not None:
                with contextlib.suppress(Exception, SystemExit):
                    live.stop()
        finally:
            self._drawing = False
        if self._waiting_notes and action != self._print:
            notes, self._waiting_notes = self._waiting_notes, []
            for text in notes:
                self._safely(self._print, text)

    def _snapshot(self, controller: Controller, now: float, waits_for: str | None, rows: int) -> Snapshot:
        elapsed = self._clock() - self._began
        snapshot = Snapshot(
            self._name,
            controller.counts,
            self._total,
            elapsed,
            None,
            best_text(controller, self._metric),
            controller.scheduler.debug_string(),
            waits_for,
        )
        snapshot.course = self._followed(controller)
        done = snapshot.ended - (self._ended_before or 0)
        if self._total is not None and done > 0 and self._total > snapshot.ended:
            snapshot.left_s = elapsed / done * (self._total - snapshot.ended)
        if rows > 0:
            chosen = self._selection.pick(controller, rows)
            snapshot.header, snapshot.rows = table_for(chosen, self._metric, self.columns, now)
            snapshot.hidden = len(controller.trials) - len(chosen)
        return snapshot

    def _followed(self, controller: Controller) -> list[float]:
        """The best value at each look so far; of many, every other one is forgotten."""
        best = controller.best
        if best is not None and controller.objective is not None and math.isfinite(best.best_loss):
            self._course.append(controller.objective.as_value(best.best_loss))
            if len(self._course) > 2 * COURSE:
                self._course = self._course[::2]
        return self._course

    def _draw(self, controller: Controller, now: float, waits_for: str | None) -> None:
        if self.style == "terminal" and self._live is not None:
            size = self._live.console.size
            snapshot = self._snapshot(controller, now, waits_for, min(self.columns.max_rows, max(0, size.height - 10)))
            self._live.update(terminal_view(snapshot, size.width), refresh=True)
        elif self.style == "notebook":
            snapshot = self._snapshot(controller, now, waits_for, self.columns.max_rows)
            self._show_html(html_view(snapshot))
        else:
            rows = self.columns.max_rows if self._tables else 0
            snapshot = self._snapshot(controller, now, waits_for, rows)
            best = f"; best {snapshot.best if len(snapshot.best) < 200 else snapshot.best[:199] + '…'}"
            best = best if snapshot.best else ""
            waiting = f"; waiting: {waits_for}" if waits_for else ""
            self._print(f"{self._name}: {snapshot.line()}{best}{waiting}")
            if self._tables and snapshot.rows:
                self._print(plain_table(snapshot.header, snapshot.rows, width=200))

    def _show_html(self, html: str) -> None:
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(html), display_id=True)
        else:
            self._handle.update(HTML(html))

    def _sum_up(self, controller: Controller, why: str, error: str) -> None:
        if self.style == "notebook":
            self._show_html(html_view(self._snapshot(controller, time.time(), None, self.columns.max_rows)))
        elapsed = (self._clock() if self._over_at is None else self._over_at) - self._began
        self._print(summary(controller, self._metric, self._mode, self._name, self._folder, elapsed, why))

    def _print(self, text: str) -> None:
        text = printable(text)
        if self._console is not None:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, flush=True)


class _Lines(Callback):
    """Prints a line at each trial's end and, if asked, at each result."""

    def __init__(self, progress: Progress, results: bool) -> None:
        self._progress = progress
        if results:
            self.on_trial_result = self._result  # type: ignore[method-assign]

    def _result(self, iteration: int, trials: Any, trial: Any, result: ResultDict, **info: object) -> None:
        automatic = {*AUTO_RESULT_KEYS, "trial_id", "done", "experiment_tag"}
        values = {key: value for key, value in result.items() if key not in automatic}
        self._progress.note(f"trial {trial.trial_id}, iteration {result['training_iteration']}: {config_text(values)}")

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: object) -> None:
        self._end(trial, f": {trial.reason}" if trial.reason else "")

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: object) -> None:
        self._end(trial, f": {error_line(trial.error or '')}")

    def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **info: object) -> None:
        self._progress.note(f"trial {trial.trial_id} failed and is tried again: {error_line(trial.error or '')}")

    def _end(self, trial: Any, why: str) -> None:
        last, metric = trial.last, self._progress._metric
        value = f", {metric}={value_text(last.metrics.get(metric))}" if last is not None and metric else ""
        took = f" after {last.iteration} iterations in {duration_text(last.seconds)}" if last is not None else ""
        self._progress.note(f"trial {trial.trial_id} {trial.status}{took}{value}{why}")


class CLIReporter(TuneReporterBase, Progress):
    """The view with columns of your choice: ``RunConfig(progress_reporter=CLIReporter(metric_columns=["loss"]))``.

    Where the output is no terminal it prints tables. A subclass may override ``should_report`` and ``report``, which
    are then called in place of the view.

    Parameters
    ----------
    metric_columns, parameter_columns
        Names of the metrics and parameters to show, or a dict from names to headings; None chooses.
    total_samples
        How many trials there will be; None: as the run knows.
    max_progress_rows, max_error_rows
        Most rows of the tables of trials and of errors.
    max_column_length
        Most characters of a heading or value in printed tables.
    max_report_frequency
        Seconds between reports where output is no terminal.
    infer_limit
        How many metrics to choose.
    print_intermediate_tables
        Whether tables are printed before the end as well; None: they are.
    metric, mode
        What is optimised; None takes the run's.
    sort_by_metric
        Best trials first, in place of running ones first.
    """

    def __init__(
        self,
        *,
        metric_columns: Sequence[str] | Mapping[str, str] | None = None,
        parameter_columns: Sequence[str] | Mapping[str, str] | None = None,
        total_samples: int | None = None,
        max_progress_rows: int = 20,
        max_error_rows: int = 20,
        max_column_length: int = 20,
        max_report_frequency: float = LINE_S,
        infer_limit: int = 3,
        print_intermediate_tables: bool | None = None,
        metric: str | None = None,
        mode: str | None = None,
        sort_by_metric: bool = False,
    ) -> None:
        Progress.__init__(self, total=total_samples, metric=metric, mode=mode)
        TuneReporterBase.__init__(
            self,
            metric_columns=metric_columns,
            parameter_columns=parameter_columns,
            total_samples=total_samples,
            max_progress_rows=max_progress_rows,
            max_error_rows=max_error_rows,
            max_column_length=max_column_length,
            max_report_frequency=max_report_frequency,
            infer_limit=infer_limit,
            print_intermediate_tables=print_intermediate_tables is not False,
            metric=metric,
            mode=mode,
            sort_by_metric=sort_by_metric,
        )
        self._line_s = max_report_frequency
        self._tables = self._print_intermediate_tables
        self._take_columns()

    def report(self, trials: Sequence[Any], done: bool, *sys_info: str) -> None:
        """Print the progress and its tables."""
        print(self.progress_str(trials, done, *sys_info), flush=True)

    def add_metric_column(self, metric: str, representation: str | None = None) -> None:
        """Show a further metric, under a heading of its own if one is given."""
        super().add_metric_column(metric, representation)
        self._take_columns()

    def add_parameter_column(self, parameter: str, representation: str | None = None) -> None:
        """Show a further parameter, under a heading of its own if one is given."""
        super().add_parameter_column(parameter, representation)
        self._take_columns()

    def _take_columns(self) -> None:
        metrics, parameters = labelled(self._metric_columns), labelled(self._parameter_columns)
        self.columns = TableColumns(metrics, parameters, self._max_progress_rows, self._sort_by_metric)
        self._selection = Selection(self.columns)


class JupyterNotebookReporter(CLIReporter):
    """The notebook's view with columns of your choice; see :class:`CLIReporter`.

    Parameters
    ----------
    overwrite
        Accepted and ignored: the table is always updated in its place.
    **columns
        As for :class:`CLIReporter`.
    """

    def __init__(self, overwrite: bool = True, **columns: Any) -> None:
        super().__init__(**columns)
        self._style = "notebook" if _in_notebook() else None


def watcher_for(reporter: Any) -> Any:
    """What watches a run for a reporter: itself if it draws the view, else whoever calls its ``report``.

    Raises
    ------
    InvalidArgumentError
        If it is no reporter.
    """
    kind = type(reporter)
    own = [getattr(kind, name, None) is not getattr(CLIReporter, name) for name in ("should_report", "report")]
    if (isinstance(reporter, Progress) and not any(own)) or not any(hasattr(kind, n) for n in ("report", "update")):
        return reporter
    return ReporterWatcher(reporter) if hasattr(kind, "report") else reporter


def _make_console() -> Any:
    from rich.console import Console

    class PatientConsole(Console):
        """A console that leaves the process and its stdout alone when nobody listens any more."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError("the output was closed")

    return PatientConsole()


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):  # closed, or no real stream
        return False


def _in_notebook() -> bool:
    """Whether this runs in a kernel whose front end shows HTML. Imports nothing."""
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python is not None and hasattr(python, "get_ipython") else None
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)  # hosted notebooks derive theirs
