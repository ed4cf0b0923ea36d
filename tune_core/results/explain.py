"""Tells one trial's life in the order of events, with the reason of every decision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tune_core.core import events as ev
from tune_core.core.events import error_line
from tune_core.display.formatting import config_text, printable, value_text
from tune_core.journal.format import Gap
from tune_core.journal.reader import Reader, reader_of
from tune_core.space.serialization import readable

_HOW = {
    "completed": "completed: the objective returned",
    "stopped": "stopped",
    "paused": "let go of its worker",
    "revoked": "stopped at its next report, as asked",
    "returned": "handed back before it began",
    "errored": "failed",
    "crashed": "failed: its worker process died",
    "lost": "its worker or node was lost",
    "timeout": "failed: it took longer than allowed",
    "unloadable": "could not start: its checkpoint cannot be read",
    "unmeasured": "failed: it never reported the metric",
    "invalid": "failed: the objective cannot run",
}
_DO = {"stop": "stop", "pause": "pause", "continue": "go on", "exploit": "become a copy of trial"}


def explain(folder: str, trial: int) -> str:
    """A trial's story, one line an event, from the journal in ``folder``; times count from the run's start."""
    reader = reader_of(folder, trial)
    story = _Story(trial, reader.header)
    for batch in reader.read():
        for event in batch:
            story.take(event)
    return printable("\n".join(story.lines()))


def explain_by_number(folder: str, trial_id: str) -> str | None:
    """As :func:`explain`, for an id such as ``"00003"`` or ``"3"``, by reading that trial's lines alone.

    None where only the whole journal can tell: trials have names of their own, there is none of that number, or the
    journal is damaged.
    """
    text = trial_id.removeprefix("trial_")
    if not (text.isascii() and text.isdigit()):
        return None
    trial = int(text)
    reader = reader_of(folder, trial)
    if not isinstance(reader, Reader):
        return None
    story, known = _Story(trial, reader.header), False
    for batch in reader.read():
        for event in batch:
            story.take(event)
            if type(event) is ev.Suggested and event.trial == trial:
                known = not (event.folder or event.id)
    if not known or reader.gaps or reader.torn_bytes:
        return None
    return "\n".join(story.lines())


class _Story:
    def __init__(self, trial: int, header: ev.Header) -> None:
        self._trial = trial
        self._header = header
        self._at = header.at
        self._last: ev.Reported | None = None
        self._unsaid = 0  # reports since the last line
        self._lines: list[str] = []
        self._runs = False  # it is on a worker
        self._over = False  # the trial has ended, or not begun: what concerns the whole run is not its story

    def lines(self) -> Iterator[str]:
        yield f"Trial {self._trial:05d} of {self._header.name}"
        self._say_reports()
        yield from self._lines

    def _say(self, text: str, timed: bool = True) -> None:
        """A line; without a time where the journal has none that is the event's own."""
        self._say_reports()
        time = f"{self._at - self._header.at:9.1f} s" if timed else " " * 11
        self._lines.append(f"{time}  {text}")

    def _say_reports(self) -> None:
        last, number = self._last, self._unsaid
        if last is None or not number:
            return
        self._unsaid = 0
        metric = self._header.metric
        value = f", {metric}={value_text(last.metrics[metric])}" if metric and metric in last.metrics else ""
        saved = f", checkpoint {last.checkpoint}" if last.checkpoint else ""
        results = "1 result" if number == 1 else f"{number} results"
        self._lines.append(
            f"{last.at - self._header.at:9.1f} s  reported {results}; iteration {last.iteration}{value}{saved}"
        )

    def take(self, event: Any) -> None:
        kind = type(event)
        if kind is Gap:
            self._say(f"{event.size} bytes of the journal are damaged here: something may be missing", timed=False)
            return
        if hasattr(event, "at") and kind is not ev.Header:
            self._at = event.at
        if kind is ev.Reported:
            self._last = event
            self._unsaid += 1
        elif kind is ev.Suggested:
            why = f" ({event.why})" if event.why else ""
            what = config_text(readable(event.config)) or "an empty configuration"
            self._say(f"suggested: {what}{why}", timed=False)
        elif kind is ev.Launched:
            again = f", attempt {event.attempt}" if event.attempt > 1 else ""
            self._over, self._runs = False, True
            self._say(f"launched on {event.worker}{again}")
        elif kind is ev.Decided:
            self._decided(event)
        elif kind is ev.Ended:
            self._ended(event)
        elif kind is ev.Saved:
            self._say(f"saved {event.checkpoint}")
        elif kind is ev.Lost:
            self._say(f"lost {event.checkpoint}: it {event.why}", timed=False)
        elif kind is ev.Noted and event.trial == self._trial:
            self._say(f"note: {event.what}")
        elif not self._over:
            self._concerning_all(event, kind)

    def _concerning_all(self, event: Any, kind: type) -> None:
        if kind is ev.StopRequested:
            self._say(f"asked to stop: {event.why}")
        elif kind is ev.Interrupted:
            self._say(f"the run was interrupted: {event.why}")
        elif kind is ev.Restored:
            self._say("the run was restored")
        elif kind is ev.Finished:
            self._say(f"the run finished: {event.why}")

    def _decided(self, event: ev.Decided) -> None:
        what = _DO.get(event.do, event.do)
        if event.source is not None:
            what += f" {event.source:05d}"
        if event.config is not None:
            what += f" with {config_text(readable(event.config))}"
        if event.until is not None:
            what += f" until {event.until:g}"
        self._say(f"{what}: {event.why}", timed=self._runs)  # else it follows from another trial's event

    def _ended(self, event: ev.Ended) -> None:
        self._runs = False
        self._over = event.how in ("completed", "stopped")
        text = _HOW.get(event.how, event.how)
        said = bool(self._lines) and bool(event.why) and event.why in self._lines[-1]
        if event.why and not said:
            text += f": {event.why}"
        elif event.error and not event.why:
            text += f": {error_line(event.error)}"
        self._say(text)
