"""Colours that people with colour-blindness tell apart, on light and on dark ground."""

from __future__ import annotations

import bisect

LIGHT = {
    "ground": "#ffffff",
    "text": "#1c2430",
    "soft": "#4f5b69",
    "grid": "#e3e7ec",
    "axis": "#8a95a3",
    "c0": "#0072b2",
    "c1": "#c44e00",
    "c2": "#007f5f",
    "c3": "#a8447f",
    "c4": "#7a6000",
    "c5": "#3b8ec4",
    "c6": "#5b4bb0",
    "c7": "#6b6b6b",
    "good": "#007f5f",
    "bad": "#c8102e",
    "muted": "#8b96a5",
    "best": "#c44e00",
    "accent": "#0072b2",
}
DARK = {
    "ground": "#14181f",
    "text": "#e8ecf1",
    "soft": "#a9b4c1",
    "grid": "#2b323c",
    "axis": "#6d7886",
    "c0": "#56b4e9",
    "c1": "#ff9a4d",
    "c2": "#3fcf9f",
    "c3": "#ee9fcb",
    "c4": "#f0e05a",
    "c5": "#8fb8ff",
    "c6": "#b7a8ff",
    "c7": "#b8b8b8",
    "good": "#3fcf9f",
    "bad": "#ff6b7a",
    "muted": "#8390a0",
    "best": "#ff9a4d",
    "accent": "#56b4e9",
}
THEMES = {"light": LIGHT, "dark": DARK}

SEQUENTIAL = ("#440154", "#472f7d", "#39568c", "#2a788e", "#1f988b", "#22a884", "#54c568", "#a5db36", "#fde725")
"""Viridis at nine places: dark to bright, even in lightness."""

OUTCOME_COLORS = {
    "completed": "good",
    "stopped early": "c0",
    "stopped": "c4",
    "failed": "bad",
    "running": "c3",
    "paused": "c6",
    "pending": "muted",
}


def sequential(at: float) -> str:
    """The colour at ``at``, from 0 to 1, of the sequential scale, as ``#rrggbb``."""
    at = min(1.0, max(0.0, at)) * (len(SEQUENTIAL) - 1)
    low = min(int(at), len(SEQUENTIAL) - 2)
    parts = []
    for k in (1, 3, 5):
        a, b = (int(SEQUENTIAL[low + j][k : k + 2], 16) for j in (0, 1))
        parts.append(f"{round(a + (b - a) * (at - low)):02x}")
    return "#" + "".join(parts)


def color_of(color: str | float, theme: str) -> str:
    """A mark's colour in a theme, as ``#rrggbb``."""
    return sequential(color) if isinstance(color, (int, float)) else THEMES[theme].get(color, color)


def bucket(value: float, edges: list[float]) -> int:
    """Index of the bucket that ``value`` falls into."""
    return bisect.bisect_right(edges, value)
