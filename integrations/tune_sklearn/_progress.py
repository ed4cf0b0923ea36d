"""What a search shows while it runs: a bar on terminals and in notebooks, with ``verbose`` above 0."""

from __future__ import annotations

import html
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tune_core as tune
from tune_sklearn._task import SearchTask


@dataclass(frozen=True)
class Workload:
    """How much there is to do, in fits of one fold with everything.

    ``costs`` are those of each report of a trial, ``reports`` how many of each there will be, None where that depends
    on what comes out. ``full`` is the cost of one candidate with everything, ``trials_each`` into how many trials a
    candidate is divided.
    """

    candidates: int
    trials_each: int
    full: int
    costs: tuple[float, ...]
    reports: tuple[int | None, ...]
    metric: str

    def share(self, reports: int) -> float:
        """What part of a candidate's full evaluation its first ``reports`` take, as nearly as rows and trees tell."""
        return sum(self.costs[:reports]) / self.full if len(self.costs) > 1 else 1.0

    @property
    def total(self) -> float | None:
        """All of it; None if that is not known."""
        if None in self.reports:
            return None
        return sum(number * cost for number, cost in zip(self.reports, self.costs, strict=True) if number is not None)


def workload(work: SearchTask, scheduler: object, number: int) -> Workload:
    """That of a search of ``number`` candidates."""
    if work.budget_steps is None:
        if work.candidates is None:
            return Workload(number, 1, work.n_folds, (float(work.n_folds),), (number,), work.metric)
        return Workload(number, work.n_folds, work.n_folds, (1.0,), (number * work.n_folds,), work.metric)
    steps = work.budget_steps
    known = getattr(scheduler, "candidates_at", lambda position: None)
    reached, costs = 0.0, []
    for position, amount in enumerate(steps.steps):
        share = amount / steps.steps[-1] * (1 if steps.resource == "folds" else steps.folds_at(position, work.n_folds))
        cost = share * (work.n_folds if steps.resource == "folds" else 1)
        goes_on = steps.growth is not None or steps.resource == "folds"
        costs.append(max(0.0, cost - reached) if goes_on else cost)
        reached = 0.0 if steps.is_partial(position) else cost
    return Workload(number, 1, work.n_folds, tuple(costs), tuple(known(i) for i in range(len(costs))), work.metric)


@dataclass
class Standing:
    """Where a search stands: work done, candidates done, alive and dropped, and the best score of a whole candidate."""

    done: float = 0.0
    finished: int = 0
    alive: int = 0
    dropped: int = 0
    best: float | None = None


def standing_of(trials: Any, load: Workload, mode: str) -> Standing:
    """Sum up a controller's trials."""
    standing, cumulated = Standing(), [0.0]
    for cost in load.costs:
        cumulated.append(cumulated[-1] + cost)
    scores: dict[int, list[float]] = {}
    for trial in trials:
        done = trial.last_result
        iteration = min(int(done.get("training_iteration", 0)), len(load.costs))
        standing.done += cumulated[iteration]
        ended = trial.status in ("TERMINATED", "ERROR")
        whole = iteration == len(load.costs)
        if load.trials_each == 1:
            standing.finished += ended and whole
            standing.dropped += ended and not whole
            standing.alive += not ended
        value = done.get(load.metric)
        if whole and isinstance(value, float) and math.isfinite(value):
            scores.setdefault(trial.index // load.trials_each, []).append(value)
    means = [sum(values) / len(values) for values in scores.values() if len(values) == load.trials_each]
    if load.trials_each > 1:
        standing.finished = len(means)
    if means:
        standing.best = max(means) if mode == "max" else min(means)
    return standing


def words(standing: Standing, load: Workload, left_s: float | None) -> str:
    """For people: candidates done, alive and dropped, the best score, and the time left."""
    parts = [f"{standing.finished}/{load.candidates} candidates"]
    if standing.dropped or (len(load.costs) > 1 and standing.alive):
        parts = [
            f"{standing.finished} of {load.candidates} in full, {standing.alive} alive, {standing.dropped} dropped"
        ]
    if standing.best is not None:
        parts.append(f"best {standing.best:.4g}")
    if left_s is not None:
        parts.append(f"about {duration(left_s)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as ``4.2 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    if seconds < 60:
        return f"{max(seconds, 0.0):.1f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"


class Bar(tune.CLIReporter):
    """One line: a bar, how candidates stand, the best score so far, and the time left.

    Drawn on terminals and in notebooks, with ``verbose`` above 0; never under pytest, nor into files.
    """

    def __init__(self, verbose: int, load: Workload) -> None:
        super().__init__()
        self._load = load
        self._bar_verbose = verbose
        self._bar: object = None
        self.interrupted = False

    def finish(self, controller: Any, why: str, error: str) -> None:
        """The run is over: take the bar away, and remember whether the user ended it."""
        self.interrupted = bool(controller.interrupted)
        super().finish(controller, why, error)

    def _choose_style(self) -> str:
        asked = os.environ.get("TUNE_CORE_PROGRESS", "")
        if self._bar_verbose <= 0 or asked in ("off", "plain") or "PYTEST_CURRENT_TEST" in os.environ:
            return "off"
        if asked in ("terminal", "notebook"):
            return asked
        shell = sys.modules.get("IPython")
        if shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell":
            return "notebook"
        return "terminal" if sys.stdout is not None and sys.stdout.isatty() else "off"

    def _start(self) -> None:
        if self.style == "terminal":
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._live = Progress(
                BarColumn(24), TimeElapsedColumn(), TextColumn("{task.description}", markup=False), transient=True
            )
            self._task = self._live.add_task("", total=self._load.total)
            self._live.start()

    def _draw(self, controller: Any, now: float, waits_for: str | None) -> None:
        standing = standing_of(controller.trials, self._load, self._mode or "max")
        total, elapsed = self._load.total, self._clock() - self._began
        left = elapsed * (total - standing.done) / standing.done if total and standing.done else None
        text = words(standing, self._load, left)
        if self.style == "notebook":
            most = f' max="{total:.6g}"' if total else ""
            value = f' value="{standing.done:.6g}"' if total else ""
            self._show_html(f"<progress{value}{most}></progress> {duration(elapsed)}, {html.escape(text)}")
        elif self._live is not None:
            self._live.update(self._task, completed=standing.done, description=text)

    def _sum_up(self, controller: object, why: str, error: str) -> None:
        if self._handle is not None:
            self._show_html("")


def closing_words(search: object, facts: Mapping[str, Any]) -> str:
    """Two lines at the end of a search: the best candidate, and what the search took, saved and left behind."""
    lines = []
    if hasattr(search, "best_params_"):
        params = ", ".join(f"{name}={_short(value)}" for name, value in search.best_params_.items())
        score = f"score {search.best_score_:.6g} with " if hasattr(search, "best_score_") else "chosen by refit: "
        lines.append(f"Best: {score}{params or 'the estimator as it is'}")
    took = [f"Took {duration(facts['seconds'])}"]
    if facts["stopped"]:
        saved = f", which saved about {facts['saved']:.0%} of the fits' time" if facts["saved"] > 0 else ""
        took.append(f"{facts['stopped']} of {facts['candidates']} candidates were stopped early{saved}")
    if facts["folder"]:
        took.append(f"kept in {facts['folder']}")
    lines.append("; ".join(took))
    return "\n".join(lines)


def _short(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
