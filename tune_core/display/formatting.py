"""How values, configurations and durations read in tables, summaries and messages."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tune_core.core.flatten import flatten
from tune_core.core.values import ConfigView

STATUSES = ("TERMINATED", "ERROR", "RUNNING", "PAUSED", "PENDING")
"""The order in which counts of trials are said."""

_LONGEST_S = 1e10  # three hundred years
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, marks that turn the direction of writing, and what no encoding can hold."""


def printable(text: str) -> str:
    r"""``text`` with everything escaped that a terminal would obey rather than show; line ends and tabs stay.

    Examples
    --------
    >>> print(printable("red: \x1b[31m"))
    red: \x1b[31m
    """
    if text.isprintable():
        return text
    return _UNPRINTABLE.sub(lambda found: _escape(ord(found[0])), text)


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def value_text(value: object, limit: int = 24) -> str:
    """One value, short: floats with five significant digits, long texts cut in the middle."""
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, str):
        text = value
    else:
        try:
            text = getattr(value, "__name__", "") if callable(value) else repr(value)
            text = text or repr(value)
        except Exception:  # a foreign object's repr may fail in any way
            text = f"<{type(value).__name__}>"
    text = printable(" ".join(text.split()))
    if len(text) <= limit:
        return text
    keep = (limit - 1) // 2
    return f"{text[: limit - 1 - keep]}…{text[-keep:] if keep else ''}"


def config_text(config: ConfigView, limit: int | None = None) -> str:
    """A configuration as ``lr=0.1, layers=3``; nested keys are joined by ``/``."""
    text = printable(", ".join(f"{key}={value_text(value)}" for key, value in flatten(config).items()))
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """The course of some numbers as a line of bars, the lowest to the highest; the newest ``width`` of them at most."""
    shown = [value for value in values if math.isfinite(value)][-width:]
    if len(shown) < 2:
        return ""
    low, high = min(shown), max(shown)
    return "".join(_BARS[int((v - low) / (high - low) * 7.999)] if high > low else _BARS[0] for v in shown)


def sparkline_svg(values: Sequence[float], width: int = 160, height: int = 28) -> str:
    """The same as a small drawing in HTML; the newest value is a point."""
    shown = [value for value in values if math.isfinite(value)]
    if len(shown) < 2:
        return ""
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    points = [
        (2 + k / (len(shown) - 1) * (width - 8), 3 + (high - v) / span * (height - 6)) for k, v in enumerate(shown)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    return (
        f"<svg width='{width}' height='{height}' role='img' aria-label='the best value over time'>"
        f"<polyline points='{line}' fill='none' stroke='#3b8ec4' stroke-width='1.5'/>"
        f"<circle cx='{x:.1f}' cy='{y:.1f}' r='2.5' fill='#c44e00'/></svg>"
    )


def duration_text(seconds: float) -> str:
    """Seconds as ``4.2 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    if not seconds < _LONGEST_S:
        return "?"  # a clock that was set, or a journal that was made up
    if seconds < 60:
        return f"{max(seconds, 0.0):.1f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"


def date_text(at: float) -> str:
    """A moment in local time: ``2026-01-31 17:05:09``; a question mark for what is none."""
    try:
        return datetime.datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "?"


def counts_text(counts: Mapping[Any, int]) -> str:
    """``"97 TERMINATED, 3 ERROR"``; what is none is left out."""
    numbers = {str(status): number for status, number in counts.items()}
    return ", ".join(f"{numbers[status]} {status}" for status in STATUSES if numbers.get(status)) or "no trials"


def plain_table(header: Sequence[str], rows: Iterable[Sequence[object]], width: int | None = None) -> str:
    """A table in plain text, columns padded; lines are cut at ``width``."""
    cells = [list(map(printable, header)), *([value_text(value, 40) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in cells]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(line if width is None or len(line) <= width else line[: width - 1] + "…" for line in lines)


def html_table(header: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """The same table in HTML, all text escaped."""
    from html import escape

    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(value_text(value, 60))}</td>" for value in row) + "</tr>" for row in rows
    )
    title = f"<caption style='text-align:left'>{caption}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
