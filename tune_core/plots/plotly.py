"""Draws charts with Plotly: to go on with in a notebook or an application. No WebGL, so any browser shows them."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

from tune_core.core.optional_imports import require
from tune_core.core.values import JsonObject
from tune_core.plots.palette import SEQUENTIAL, THEMES, color_of

if TYPE_CHECKING:
    from tune_core.plots.chart import Axis, Chart, Marks


def draw(chart: Chart, theme: str) -> Any:
    """A figure of the chart."""
    go = require("Chart.plotly", "plotly.graph_objects", "plotly")
    subplots = require("Chart.plotly", "plotly.subplots", "plotly")
    colors = THEMES[theme]
    columns = max(1, min(chart.columns, len(chart.panels)))
    rows = math.ceil(len(chart.panels) / columns)
    titles = [escape(panel.title) for panel in chart.panels]
    figure = subplots.make_subplots(rows, columns, subplot_titles=titles if any(titles) else None)
    named: set[str] = set()
    for position, panel in enumerate(chart.panels):
        place = {"row": position // columns + 1, "col": position % columns + 1}
        heights = [y for marks in panel.marks if marks.kind != "rug" for y in marks.y if math.isfinite(y)]
        bottom = min(heights, default=0.0)
        for marks in panel.marks:
            trace = _trace(go, chart, marks, theme, bottom)
            if trace is None:
                continue
            trace.showlegend = bool(chart.legend and marks.legend and marks.name and marks.name not in named)
            trace.legendgroup = marks.name or None
            named.add(marks.name)
            figure.add_trace(trace, **place)
        figure.update_xaxes(**_axis(panel.x, colors), **place)
        figure.update_yaxes(**_axis(panel.y, colors), **place)
        for at in panel.rules:
            figure.add_vline(at, line_color=colors["axis"], line_width=1, **place)
        for text in panel.texts:
            figure.add_annotation(
                x=text.x,
                y=text.y,
                text=escape(text.text),
                showarrow=False,
                font={"size": 11, "color": colors["text"]},
                xanchor=text.anchor,
                xshift=4 if text.anchor == "left" else 0,
                bgcolor=colors["ground"],
                opacity=0.85,
                **place,
            )
    note = f"<br><span style='font-size:11px;color:{colors['soft']}'>{escape(chart.note)}</span>" if chart.note else ""
    figure.update_layout(
        title={"text": escape(chart.title) + note, "font": {"size": 15, "color": colors["text"]}},
        height=chart.height * rows + 120,
        paper_bgcolor=colors["ground"],
        plot_bgcolor=colors["ground"],
        font={"color": colors["soft"]},
        hovermode="closest",
        barmode="overlay",
        bargap=0.3,
        margin={"l": 70, "r": 30, "t": 90, "b": 60},
        legend={"orientation": "h", "y": -0.15},
    )
    if chart.scale is not None:
        figure.update_layout(coloraxis=_color_axis(chart))
    return figure


def _axis(axis: Axis, colors: dict[str, str]) -> JsonObject:
    shown: dict[str, object] = {
        "title": {"text": escape(axis.title)},
        "gridcolor": colors["grid"],
        "linecolor": colors["axis"],
        "zeroline": False,
        "visible": not axis.hidden,
        "automargin": True,
    }
    if axis.log:
        shown.update(type="log", exponentformat="power", dtick=1)
    if axis.labels is not None:
        shown["tickvals"] = list(range(len(axis.labels)))
        shown["ticktext"] = [escape(label) for label in axis.labels]
        shown["range"] = [-0.6, len(axis.labels) - 0.4]
    if axis.range is not None:
        shown["range"] = list(axis.range)
    return shown


def _color_axis(chart: Chart) -> JsonObject:
    scale = chart.scale
    assert scale is not None
    stops = list(reversed(SEQUENTIAL)) if scale.reverse else list(SEQUENTIAL)
    low, high = (math.log10(scale.low), math.log10(scale.high)) if scale.log else (scale.low, scale.high)
    bar: JsonObject = {"title": {"text": escape(scale.title)}}
    if scale.log:
        bar["tickvals"] = [low + (high - low) * k / 4 for k in range(5)]
        bar["ticktext"] = [f"{10**v:.3g}" for v in bar["tickvals"]]
    return {"colorscale": stops, "cmin": low, "cmax": high, "colorbar": bar}


def _trace(go: Any, chart: Chart, marks: Marks, theme: str, bottom: float) -> Any:
    color = color_of(marks.color, theme)
    hover = _hover(marks)
    common: JsonObject = {"name": escape(marks.name), "opacity": marks.opacity}
    if hover is not None:
        common.update(text=hover, hovertemplate="%{text}<br>%{x}, %{y}<extra></extra>")
    if marks.kind == "points":
        marker: JsonObject = {"color": color, "size": marks.size + 2, "symbol": marks.symbol}
        if marks.values is not None and chart.scale is not None:
            values = [math.log10(v) if v > 0 else None for v in marks.values] if chart.scale.log else marks.values
            marker.update(color=values, coloraxis="coloraxis")
        return go.Scatter(x=marks.x, y=marks.y, mode="markers", marker=marker, **common)
    if marks.kind in ("line", "steps"):
        line = {"color": color, "width": marks.width, "shape": "hv" if marks.kind == "steps" else "linear"}
        x, y = (_gaps(marks.x), _gaps(marks.y))
        return go.Scatter(x=x, y=y, mode="lines", line=line, connectgaps=False, **common)
    if marks.kind == "bars":
        error = {"type": "data", "array": marks.error} if marks.error else None
        return go.Bar(
            x=marks.x, y=marks.y, textposition="none", orientation="h", marker_color=color, error_x=error, **common
        )
    if marks.kind == "columns":
        base = marks.y2 or [0.0] * len(marks.x)
        return go.Bar(
            x=marks.x,
            y=[t - b for t, b in zip(marks.y, base)],
            base=base,
            marker_color=color,
            textposition="none",
            **common,
        )
    if marks.kind == "spans":
        ends = marks.x2 or marks.x
        return go.Bar(
            x=[e - s for s, e in zip(marks.x, ends)],
            y=marks.y,
            base=marks.x,
            orientation="h",
            marker_color=color,
            width=0.72,
            textposition="none",
            **common,
        )
    if marks.kind == "rug":
        marker = {"color": color, "symbol": "x-thin-open", "size": 7}
        return go.Scatter(x=marks.x, y=[bottom] * len(marks.x), mode="markers", marker=marker, **common)
    if marks.kind == "heat" and chart.scale is not None:
        cells = marks.values or []
        if chart.scale.log:
            cells = [math.log10(v) if v > 0 else math.nan for v in cells]
        grid = [_gaps(cells[r * len(marks.x) : (r + 1) * len(marks.x)]) for r in range(len(marks.y))]
        return go.Heatmap(x=marks.x, y=marks.y, z=grid, coloraxis="coloraxis", hoverinfo="skip", opacity=marks.opacity)
    return None


def _gaps(values: list[float]) -> list[float | None]:
    return [None if math.isnan(v) else v for v in values]


def _hover(marks: Marks) -> list[str] | None:
    if marks.hover is not None:
        return [escape(text) for text in marks.hover]
    return [f"trial {index:05d}" for index in marks.ids] if marks.ids is not None else None
