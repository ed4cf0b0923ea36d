"""Reporters of one's own: :class:`ProgressReporter`, whose ``should_report`` and ``report`` the run calls."""

from __future__ import annotations

import time
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from tune_core.core.flatten import flatten
from tune_core.core.objective import lookup
from tune_core.core.trial import ERROR
from tune_core.display.formatting import counts_text, plain_table, value_text
from tune_core.display.tables import first_metrics, parameter_names
from tune_core.errors import InvalidArgumentError

Columns = Sequence[str] | Mapping[str, str] | None


class ProgressReporter:
    """Base of reporters: override :meth:`should_report` and :meth:`report`, and give an instance to ``RunConfig``.

    Both are called in the driver: after each turn of the run's loop, and once at the end with ``done``.

    Examples
    --------
    >>> class Counter(ProgressReporter):
    ...     def should_report(self, trials, done=False):
    ...         return done
    ...     def report(self, trials, done, *sys_info):
    ...         print(f"{len(trials)} trials")
    """

    def setup(
        self,
        start_time: float | None = None,
        total_samples: int | None = None,
        metric: str | None = None,
        mode: str | None = None,
        **kwargs: object,
    ) -> None:
        """Before the first trial: when the run began, how many trials there will be, and what is optimised."""

    def should_report(self, trials: Sequence[Any], done: bool = False) -> bool:
        """Whether to report now; ``done`` says that the run is over."""
        return True

    def report(self, trials: Sequence[Any], done: bool, *sys_info: str) -> None:
        """Report on the trials; ``sys_info`` are lines on the run, such as what trials wait for."""
        raise NotImplementedError(f"{type(self).__name__} has to define report(trials, done, *sys_info)")


class TuneReporterBase(ProgressReporter):
    """A reporter with the columns of Ray Tune's reporters, for subclasses: :meth:`progress_str` makes the table.

    Parameters
    ----------
    metric_columns, parameter_columns
        Names of the metrics and parameters to show, or a dict from names to headings; None chooses.
    total_samples
        How many trials there will be.
    max_progress_rows, max_error_rows
        Most rows of the tables of trials and of errors.
    max_column_length
        Most characters of a heading or a value.
    max_report_frequency
        Seconds between two reports.
    infer_limit
        How many metrics to choose.
    print_intermediate_tables
        Whether the table is printed before the end as well.
    metric, mode
        What is optimised; None takes the run's.
    sort_by_metric
        Best trials first.
    """

    def __init__(
        self,
        *,
        metric_columns: Columns = None,
        parameter_columns: Columns = None,
        total_samples: int | None = None,
        max_progress_rows: int = 20,
        max_error_rows: int = 20,
        max_column_length: int = 20,
        max_report_frequency: float = 5.0,
        infer_limit: int = 3,
        print_intermediate_tables: bool | None = None,
        metric: str | None = None,
        mode: str | None = None,
        sort_by_metric: bool = False,
    ) -> None:
        self._metric_columns, self._parameter_columns = copied(metric_columns), copied(parameter_columns)
        self._total_samples = total_samples
        self._max_progress_rows, self._max_error_rows = max_progress_rows, max_error_rows
        self._max_column_length, self._infer_limit = max_column_length, infer_limit
        self._max_report_frequency = max_report_frequency
        self._last_report_time = 0.0
        self._print_intermediate_tables = bool(print_intermediate_tables)
        self._metric, self._mode, self._sort_by_metric = metric, mode, sort_by_metric

    def setup(
        self,
        start_time: float | None = None,
        total_samples: int | None = None,
        metric: str | None = None,
        mode: str | None = None,
        **kwargs: object,
    ) -> None:
        """Take the run's facts, where the reporter was given none."""
        self._start_time = start_time if start_time is not None else time.time()
        self._total_samples = self._total_samples if self._total_samples is not None else total_samples
        self._metric, self._mode = self._metric or metric, self._mode or mode

    def should_report(self, trials: Sequence[Any], done: bool = False) -> bool:
        """Every ``max_report_frequency`` seconds, and at the end."""
        if time.time() - self._last_report_time > self._max_report_frequency:
            self._last_report_time = time.time()
            return True
        return done

    def add_metric_column(self, metric: str, representation: str | None = None) -> None:
        """Show a further metric, under a heading of its own if one is given."""
        self._metric_columns = add_column(self._metric_columns, metric, representation)

    def add_parameter_column(self, parameter: str, representation: str | None = None) -> None:
        """Show a further parameter, under a heading of its own if one is given."""
        self._parameter_columns = add_column(self._parameter_columns, parameter, representation)

    def progress_str(self, trials: Sequence[Any], done: bool, *sys_info: str) -> str:
        """The progress as text: counts, the lines of ``sys_info``, a table of trials and one of errors."""
        counts: dict[Any, int] = {}
        for trial in trials:
            counts[trial.status] = counts.get(trial.status, 0) + 1
        total = f"/{self._total_samples}" if self._total_samples else ""
        parts = [f"Number of trials: {len(trials)}{total} ({counts_text(counts)})", *sys_info]
        if trials and (done or self._print_intermediate_tables):
            parts.append(self._table(trials))
            errors = [[t.trial_id, t.num_failures, t.error_file or ""] for t in trials if t.status == ERROR]
            if errors:
                header = ["trial", "failures", "error file"]
                parts.append(plain_table(header, errors[: self._max_error_rows], width=200))
        return "\n".join(parts)

    def _table(self, trials: Sequence[Any]) -> str:
        shown = list(trials)
        metric = self._metric
        if self._sort_by_metric and metric is not None:
            sign = -1 if self._mode == "max" else 1
            found = {id(t): lookup(t.last_result, metric) for t in shown}
            shown.sort(key=lambda t: (found[id(t)] is None, sign * (found[id(t)] or 0)))
        shown = shown[: self._max_progress_rows]
        parameters = labelled(self._parameter_columns) or {name: name for name in parameter_names(shown)}
        metrics = labelled(self._metric_columns) or {n: n for n in self._inferred(shown)}
        header = ["Trial name", "status", *parameters.values(), *metrics.values()]
        rows = []
        for trial in shown:
            config = flatten(trial.config)
            values = [trial.last_result.get(name, lookup(trial.last_result, name)) for name in metrics]
            cells = [str(trial), str(trial.status), *(config.get(name, "") for name in parameters), *values]
            rows.append(["" if cell is None else self._cut(cell) for cell in cells])
        return plain_table([self._cut(title) for title in header], rows, width=200)

    def _inferred(self, trials: Sequence[Any]) -> list[str]:
        chosen = ["training_iteration", "time_total_s", *([self._metric] if self._metric else [])]
        return [*chosen, *(n for n in first_metrics(trials, self._infer_limit) if n not in chosen)]

    def _cut(self, cell: object) -> str:
        text = value_text(cell)
        return text if len(text) <= self._max_column_length else "…" + text[1 - self._max_column_length :]


def copied(columns: Columns) -> object:
    """Columns that may be added to, without changing the user's list."""
    return dict(columns) if isinstance(columns, Mapping) else None if columns is None else list(columns)


def add_column(columns: Any, name: str, representation: str | None) -> object:
    """Columns with a further one.

    Raises
    ------
    InvalidArgumentError
        If it is there already, or columns without headings are to get one.
    """
    columns = {} if columns is None else columns
    if name in columns:
        raise InvalidArgumentError(f"The column {name!r}", "exists already", "each is shown once", "Add it once.")
    if isinstance(columns, MutableMapping):
        columns[name] = representation or name
    elif representation is not None and representation != name:
        raise InvalidArgumentError(
            f"The column {name!r}",
            f"is to have the heading {representation!r}",
            "the reporter was made with a list of columns, which have none",
            "Make it with a dict from names to headings.",
        )
    else:
        columns.append(name)
    return columns


def labelled(columns: Any) -> dict[str, str] | None:
    """Columns as a dict from names to headings; None if there are none."""
    if not columns:
        return None
    return dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}


class ReporterWatcher:
    """Lets a :class:`ProgressReporter` watch a run: the loop's watcher, which asks it at each turn."""

    def __init__(self, reporter: Any, views: Any = None) -> None:
        self.reporter = reporter
        self.views: Sequence[Any] = views if views is not None else ()
        self._facts: tuple[Any, ...] = ()

    def bind(self, verbose: int, total: int | None, metric: str | None, mode: str | None, *_: str, **__: bool) -> None:
        """Take the facts of the run that is about to start."""
        self._total, self._metric, self._mode = total, metric, mode

    def start(self) -> None:
        """The run begins."""
        setup = getattr(self.reporter, "setup", None)
        if setup is not None:
            setup(start_time=time.time(), total_samples=self._total, metric=self._metric, mode=self._mode)

    def update(self, controller: Any, now: float, waits_for: str | None) -> None:
        """Ask the reporter whether to report."""
        if self.reporter.should_report(self.views, done=False):
            self.reporter.report(self.views, False, *([f"Waiting: {waits_for}"] if waits_for else []))

    def note(self, text: str) -> None:
        """Something worth knowing."""
        print(text, flush=True)

    def over(self) -> None:
        """No trial runs any more."""

    def finish(self, controller: Any, why: str, error: str) -> None:
        """The run is over: the last report."""
        if self.reporter.should_report(self.views, done=True):
            self.reporter.report(self.views, True, why, *([error] if error else []))
