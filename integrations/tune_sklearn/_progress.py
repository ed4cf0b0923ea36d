"""A progress bar for a search: on terminals and in notebooks, with ``verbose`` above 0, and never under pytest."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Any

_INTERVAL_S = 0.2


def bar_for(verbose: int, total: int | None, whole: bool = True) -> Any:
    """A bar where there is somebody to see it, else a view that shows nothing.

    ``whole`` says that a trial is a candidate, not one of its folds, so that the best score is worth showing.
    """
    if verbose <= 0 or "PYTEST_CURRENT_TEST" in os.environ or os.environ.get("TUNE_CORE_PROGRESS") == "off":
        return NullProgress()
    if _in_notebook():
        return Bar(total, whole, notebook=True)
    return Bar(total, whole) if sys.stdout is not None and sys.stdout.isatty() else NullProgress()


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


class NullProgress:
    """A view that shows nothing, and knows whether the user interrupted the run."""

    interrupted = False

    def start(self) -> None:
        """The run begins."""

    def update(self, controller: Any, now: float, waits_for: str | None) -> None:
        """Called every turn."""

    def note(self, text: str) -> None:
        """Something worth knowing."""

    def finish(self, controller: Any, why: str, error: str) -> None:
        """The run is over."""
        self.interrupted = bool(controller.interrupted)


class Bar(NullProgress):
    """Fits done of all, and the best score so far. Whatever goes wrong with it, the search goes on."""

    def __init__(self, total: int | None, whole: bool = True, notebook: bool = False) -> None:
        self._total = total
        self._whole = whole
        self._notebook = notebook
        self._rich: Any = None
        self._handle: Any = None
        self._due = 0.0

    def start(self) -> None:
        """The run begins."""
        if self._notebook:
            return
        with contextlib.suppress(Exception):
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
            self._rich = Progress(*columns, transient=True)
            self._task = self._rich.add_task("", total=self._total)
            self._rich.start()

    def update(self, controller: Any, now: float, waits_for: str | None) -> None:
        """Draw, a few times a second."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _INTERVAL_S
        with contextlib.suppress(Exception):
            done = controller.counts["TERMINATED"] + controller.counts["ERROR"]
            best = _best(controller) if self._whole else ""
            if self._rich is not None:
                self._rich.update(self._task, completed=done, description=best)
            elif self._notebook:
                self._show(f"<progress value={done} max={self._total or done}></progress> {done} {best}")

    def note(self, text: str) -> None:
        """Something worth knowing, above the bar."""
        with contextlib.suppress(Exception):
            print(text) if self._rich is None else self._rich.console.print(text)

    def finish(self, controller: Any, why: str, error: str) -> None:
        """Take the bar away."""
        super().finish(controller, why, error)
        with contextlib.suppress(Exception):
            if self._rich is not None:
                self._rich.stop()
            elif self._notebook:
                self._show("")

    def _show(self, html: str) -> None:
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(html), display_id=True)
        else:
            self._handle.update(HTML(html))


def _best(controller: Any) -> str:
    trial = controller.best
    if trial is None or trial.best is None:
        return ""
    value = trial.best.metrics.get(controller.rules.metric)
    return f"best {value:.4g}" if isinstance(value, float) else ""
