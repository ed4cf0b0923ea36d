"""The report as Markdown: short enough for a pull request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tune_core.core.trial import ERROR
from tune_core.display.formatting import value_text
from tune_core.plots.basic import unnamed
from tune_core.reporting import content
from tune_core.results.recording import Recording

MAX_ROWS = 10
MAX_COLUMNS = 6
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#|~!&@])")


def markdown(recordings: Sequence[Recording]) -> str:
    """The whole text."""
    parts = []
    if len(recordings) > 1:
        parts.append(_comparison(recordings))
    parts += [_run(recording) for recording in recordings]
    return "\n".join(parts)


def plain(text: Any) -> str:
    """Text in which Markdown sees no markup, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(map(plain, header))} |", f"| {' | '.join('---' for _ in header)} |"]
    lines += [f"| {' | '.join(plain(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _comparison(recordings: Sequence[Recording]) -> str:
    rows = []
    for recording, name in zip(recordings, unnamed(recordings)):
        best = content.best_of(recording)
        value = f"{recording.metric} = {value_text(best.value)}" if best is not None else "none"
        rows.append([name, content.counts_text(recording), value, dict(content.facts(recording))["Took"]])
    return f"# {len(recordings)} experiments\n\n{_table(['experiment', 'trials', 'best', 'took'], rows)}"


def _run(recording: Recording) -> str:
    parts = [f"# {plain(recording.name)}\n", _table(["", ""], content.facts(recording))]
    best = content.best_of(recording)
    if best is not None:
        where = f"trial {best.trial.trial_id} at iteration {best.iteration}"
        parts.append(f"## Best: {plain(recording.metric)} = {value_text(best.value)} ({where})\n")
        parts.append(_fenced(content.best_config(best.trial)["YAML"], "yaml"))
        parts.append(f"## Trials: the best of {len(recording.trials)}\n")
        parts.append(_trials(recording))
    if recording.trials:
        parts.append("## Why trials ended\n")
        parts.append(_table(["trials", "reason"], [(n, text[:200]) for n, text in content.reasons(recording)[:8]]))
    failed = sum(trial.status is ERROR for trial in recording.trials)
    if failed:
        parts.append(f"## Failures: {failed}\n")
        for trial, line, text in content.failures(recording, 3):
            lines = "\n".join(text.splitlines()[-15:])
            parts.append(_folded(f"trial {trial.trial_id}: {line}", _fenced(lines, "")))
    parts.append(_folded("Environment", _table(["", ""], content.environment(recording))))
    return "\n".join(parts)


def _folded(title: str, text: str) -> str:
    from html import escape

    return f"<details><summary>{escape(' '.join(title.split()))}</summary>\n\n{text}\n</details>\n"


def _fenced(text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}\n"


def _trials(recording: Recording) -> str:
    sign = -1 if recording.mode == "max" else 1
    having = [(sign * v, t) for t in recording.trials if (v := recording.best_value(t)) is not None]
    having.sort(key=lambda pair: (pair[0], pair[1].index))
    top = [trial for _, trial in having[:MAX_ROWS]]
    cells = [content.config_cells(trial) for trial in top]
    names = list(dict.fromkeys(name for row in cells for name in row))[:MAX_COLUMNS]
    rows = [
        [
            trial.trial_id,
            recording.outcome(trial),
            value_text(recording.best_value(trial)),
            trial.last.iteration if trial.last is not None else 0,
            *(value_text(row.get(name, "")) for name in names),
        ]
        for trial, row in zip(top, cells)
    ]
    return _table(["trial", "outcome", str(recording.metric), "iterations", *names], rows)
