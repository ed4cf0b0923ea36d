"""Charts as pages of HTML: the description as JSON, drawn by a small script of our own, without internet.

No string of an experiment becomes HTML: data travels as JSON in which ``<`` is escaped, and the script makes text of
it. A content security policy allows the page's own script and styles, by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import math
from array import array
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tune_core.core.values import JsonObject
from tune_core.plots.palette import DARK, LIGHT

if TYPE_CHECKING:
    from tune_core.plots.chart import Axis, Chart, Marks, Panel

PACK_ABOVE = 16
"""Longer lists travel as base64 of 32-bit floats, a fifth of their size as text."""

_PANEL_GROUND = {"light": "#f6f8fa", "dark": "#1c222b"}


def chart_data(chart: Chart, packed: bool = True) -> JsonObject:
    """A chart as values that JSON can hold."""
    scale = chart.scale
    return {
        "kind": chart.kind,
        "title": chart.title,
        "note": chart.note,
        "columns": chart.columns,
        "height": chart.height,
        "legend": chart.legend,
        "scale": None
        if scale is None
        else {
            "title": scale.title,
            "low": scale.low,
            "high": scale.high,
            "log": scale.log,
            "reverse": scale.reverse,
        },
        "panels": [_panel(panel, packed) for panel in chart.panels],
    }


def _panel(panel: Panel, packed: bool) -> JsonObject:
    return {
        "title": panel.title,
        "x": _axis(panel.x),
        "y": _axis(panel.y),
        "rules": panel.rules,
        "texts": [{"x": t.x, "y": t.y, "text": t.text, "anchor": t.anchor, "above": t.above} for t in panel.texts],
        "marks": [_marks(marks, packed) for marks in panel.marks],
    }


def _axis(axis: Axis) -> JsonObject:
    names = ("title", "log", "labels", "range", "hidden", "integer")
    return {name: getattr(axis, name) for name in names}


def _marks(marks: Marks, packed: bool) -> JsonObject:
    data: dict[str, object] = {
        "kind": marks.kind,
        "name": marks.name,
        "color": marks.color,
        "symbol": marks.symbol,
        "size": marks.size,
        "width": marks.width,
        "opacity": marks.opacity,
        "legend": marks.legend,
    }
    for name in ("x", "y", "x2", "y2", "values", "error"):
        values = getattr(marks, name)
        if values is not None:
            data[name] = floats(values, packed)
    if marks.ids is not None:
        data["ids"] = integers(marks.ids, packed)
    if marks.hover is not None:
        data["hover"] = marks.hover
    return data


def floats(values: Sequence[float], packed: bool = True) -> Any:
    """Numbers as a JSON value: a list, or many packed as floats of 32 bits, or of 64 where these say less."""
    if packed and len(values) > PACK_ABOVE:
        finite = [v for v in values if math.isfinite(v)]
        if _need_64_bits(finite):
            return {"d": _base64(array("d", [v if math.isfinite(v) else math.nan for v in values]))}
        return {"f": _base64(array("f", [v if math.isfinite(v) else math.nan for v in values]))}
    return [v if math.isfinite(v) else None for v in values]


def integers(values: Sequence[int], packed: bool = True) -> Any:
    """Integers as a JSON value, packed if there are many."""
    return {"i": _base64(array("i", values))} if packed and len(values) > PACK_ABOVE else list(values)


def _need_64_bits(finite: Sequence[float]) -> bool:
    """Whether 32 bits would lose numbers by their size, or make those equal that differ little."""
    if not finite:
        return False
    low, high = min(finite), max(finite)
    size = max(-low, high)
    if size > 3.4e38 or 0 < size < 1e-36:
        return True
    if low < high and high - low < size * 1e-4:
        return True
    return low > 0 and low < 1e-36  # on a logarithmic axis


def _base64(values: array[Any]) -> str:
    import sys

    if sys.byteorder == "big":
        values.byteswap()
    return base64.b64encode(values.tobytes()).decode()


@functools.cache
def asset(name: str, package: str = "tune_core.plots") -> str:
    """The text of a file of ours that pages contain."""
    return (files(package) / "assets" / name).read_text(encoding="utf-8")


def theme_css() -> str:
    """The palette as CSS variables: light, dark, and whatever the reader's system prefers."""

    def block(selector: str, colors: Mapping[str, str], ground: str) -> str:
        lines = "".join(f"--{name}:{value};" for name, value in colors.items())
        return f"{selector}{{{lines}--panel:{ground};}}"

    dark = block(":root:not([data-theme='light'])", DARK, _PANEL_GROUND["dark"])
    return (
        block(":root", LIGHT, _PANEL_GROUND["light"])
        + f"@media (prefers-color-scheme: dark){{{dark}}}"
        + block(":root[data-theme='dark']", DARK, _PANEL_GROUND["dark"])
    )


def embedded(value: object) -> str:
    """A value as JSON that is safe inside a ``script`` element."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def page_and_policy(
    title: str,
    body: str,
    data: Mapping[str, object],
    scripts: Sequence[str],
    theme: str | None = None,
    lang: str = "en",
    styles: str = "",
    connect: bool = False,
) -> tuple[str, str]:
    """A whole page, and the content security policy that it declares.

    Parameters
    ----------
    title
        Its title, plain text.
    body
        Its HTML.
    data
        Values for the scripts, by the id of the element that will hold each.
    scripts
        The scripts' texts, in order.
    theme
        ``"light"`` or ``"dark"``; None follows the reader's system.
    lang
        Language of the page.
    styles
        CSS beside what all pages share.
    connect
        Whether the page may ask the server that it came from.
    """
    style = theme_css() + asset("style.css") + styles
    script = "\n".join(scripts)
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    ) + ("; connect-src 'self'" if connect else "")
    pooled, pool = _pooled(dict(data))
    data = {**pooled, "array-pool": pool}
    blocks = "".join(f'<script type="application/json" id="{name}">{embedded(v)}</script>' for name, v in data.items())
    mark = f' data-theme="{theme}"' if theme is not None else ""
    html = (
        f'<!doctype html>\n<html lang="{lang}"{mark}><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_clean(title)}</title>"
        f'<link rel="icon" href="data:,"><style>{style}</style></head>'
        f"<body>{body}{blocks}<script>{script}</script></body></html>\n"
    )
    return html, policy


def _pooled(data: Mapping[str, object]) -> tuple[JsonObject, list[str]]:
    """The data with packed arrays replaced by their positions in one list, in which equal ones stand once."""
    position: dict[str, int] = {}

    def walk(value: object) -> object:
        if isinstance(value, dict):
            if len(value) == 1 and isinstance(packed := next(iter(value.values())), str) and next(iter(value)) in "fid":
                return {next(iter(value)): position.setdefault(packed, len(position))}
            return {key: walk(child) for key, child in value.items()}
        return [walk(child) for child in value] if isinstance(value, (list, tuple)) else value

    pooled = {name: walk(value) for name, value in data.items()}
    return pooled, list(position)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _clean(text: str) -> str:
    return escape(text.encode("utf-8", "replace").decode())


def chart_page(chart: Chart, theme: str | None = None) -> str:
    """A page with one chart."""
    body = '<main class="tc-page"><div id="chart"></div></main>'
    start = "TC.chart(document.getElementById('chart'), TC.data('chart-data'));"
    return page_and_policy(chart.title, body, {"chart-data": chart_data(chart)}, [asset("charts.js"), start], theme)[0]
