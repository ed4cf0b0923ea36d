"""Draws charts with Matplotlib: for papers, slides and files."""

from __future__ import annotations

import math
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tune_core.core.optional_imports import require
from tune_core.core.values import JsonObject
from tune_core.plots.palette import SEQUENTIAL, THEMES, color_of

if TYPE_CHECKING:
    from tune_core.plots.chart import Axis, Chart, Marks, Panel

_REACH = 1e200
"""Beyond such numbers, and nearer to 0 than their reciprocals, the powers that ticks are made of overflow."""


def draw(chart: Chart, theme: str, width: float) -> Any:
    """A figure of the chart."""
    chart = _within_reach(chart)
    figures = require("Chart.matplotlib", "matplotlib.figure", "plots")
    colors = THEMES[theme]
    columns = max(1, min(chart.columns, len(chart.panels)))
    rows = math.ceil(len(chart.panels) / columns)
    height = max(2.6, chart.height / 100) * rows + 0.9
    figure = figures.Figure(figsize=(width, height), facecolor=colors["ground"], layout="constrained")
    _canvas(figure)
    figure.suptitle(_plain("\n".join(textwrap.wrap(chart.title, int(width * 9)))), color=colors["text"], fontsize=12)
    axes = figure.subplots(rows, columns, squeeze=False)
    flat = [axes[r][c] for r in range(rows) for c in range(columns)]
    shown = None
    for ax, panel in zip(flat, chart.panels):
        shown = _draw_panel(chart, panel, ax, theme) or shown
    for ax in flat[len(chart.panels) :]:
        ax.set_visible(False)
    if chart.scale is not None and (shown is not None or chart.kind == "parallel_coordinates"):
        _color_bar(chart, figure, flat[: len(chart.panels)], theme)
    if chart.note:
        note = "\n".join(textwrap.wrap(chart.note + ".", int(width * 13)))
        figure.supxlabel(_plain(note), color=colors["soft"], fontsize=8)
    return figure


def _within_reach(chart: Chart) -> Chart:
    """The chart with numbers that Matplotlib's ticks can be computed for; its note says where that changes some."""
    changed = False

    def near(value: float) -> float:
        nonlocal changed
        size = abs(value)
        if math.isfinite(value) and size and not 1 / _REACH <= size <= _REACH:
            changed = True
            return math.copysign(_REACH if size > 1 else 1 / _REACH, value)
        return value

    def all_near(values: list[float] | None) -> list[float] | None:
        return [near(v) for v in values] if values is not None else None

    panels = []
    for panel in chart.panels:
        marks = [
            replace(
                m,
                x=list(map(near, m.x)),
                y=list(map(near, m.y)),
                x2=all_near(m.x2),
                y2=all_near(m.y2),
                values=all_near(m.values),
            )
            for m in panel.marks
        ]
        panels.append(replace(panel, marks=marks))
    scale = chart.scale
    if scale is not None:
        scale = replace(scale, low=near(scale.low), high=near(scale.high))
        if scale.low == scale.high:
            scale = replace(scale, low=0.0) if scale.high > 0 else replace(scale, high=0.0)
    if not changed:
        return chart
    note = f"numbers beyond {_REACH:g}, or nearer to 0 than {1 / _REACH:g}, are drawn there"
    return replace(chart, panels=panels, scale=scale, note=". ".join(filter(None, (chart.note, note))))


def _canvas(figure: object) -> None:
    backend = require("Chart.matplotlib", "matplotlib.backends.backend_agg", "plots")
    backend.FigureCanvasAgg(figure)  # no window, no display needed


def _plain(text: str) -> str:
    """Text in which Matplotlib sees no formula."""
    return text.replace("$", r"\$")


def _draw_panel(chart: Chart, panel: Panel, ax: Any, theme: str) -> Any:
    colors = THEMES[theme]
    ax.set_facecolor(colors["ground"])
    ax.tick_params(colors=colors["soft"], labelsize=8)
    for side in ax.spines.values():
        side.set_color(colors["axis"])
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    has_legend = chart.legend and any(m.name and m.legend and m.x for m in panel.marks)
    if panel.title:
        names = {m.name for m in panel.marks if m.name and m.legend}
        pad = 8 + 14 * math.ceil(len(names) / 4) if has_legend else 6
        ax.set_title(_plain(panel.title), color=colors["text"], fontsize=10, pad=pad)
    _set_axis(ax, "x", panel.x, colors)
    _set_axis(ax, "y", panel.y, colors)
    for at in panel.rules:
        ax.axvline(at, color=colors["axis"], linewidth=1)
    shown = None
    for marks in panel.marks:
        shown = _draw_marks(chart, marks, ax, theme) or shown
    _set_range(ax, "x", panel.x)
    _set_range(ax, "y", panel.y)
    box = {"boxstyle": "round,pad=0.12", "facecolor": colors["ground"], "edgecolor": "none", "alpha": 0.7}
    for text in panel.texts:
        ax.annotate(
            _plain(text.text),
            (text.x, text.y),
            xytext=(0 if text.above else 4 * (text.anchor == "left"), 0),
            textcoords="offset points",
            ha=text.anchor,
            va="center",
            fontsize=7.5,
            color=colors["text"],
            bbox=box,
            clip_on=False,
            fontweight="bold" if text.above else "normal",
        )
    if has_legend:
        legend = ax.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, frameon=False)
        for text in legend.get_texts():
            text.set_color(colors["text"])
        for handle in legend.legend_handles:
            handle.set_alpha(1)
    if not any(m.x for m in panel.marks):
        ax.text(0.5, 0.5, "nothing to show", transform=ax.transAxes, ha="center", color=colors["soft"])
    return shown


def _set_axis(ax: Any, which: str, axis: Axis, colors: dict[str, str]) -> None:
    if axis.hidden:
        (ax.get_xaxis if which == "x" else ax.get_yaxis)().set_visible(False)
        for side in ("left", "bottom"):
            ax.spines[side].set_visible(False)
        return
    getattr(ax, f"set_{which}label")(_plain(axis.title), color=colors["soft"], fontsize=9)
    ax.grid(True, axis=which, color=colors["grid"], linewidth=0.6)
    ax.set_axisbelow(True)
    if axis.log:
        getattr(ax, f"set_{which}scale")("log")
    if axis.integer:
        ticker = require("Chart.matplotlib", "matplotlib.ticker", "plots")
        (ax.xaxis if which == "x" else ax.yaxis).set_major_locator(ticker.MaxNLocator(integer=True))
    if axis.labels is not None:
        step = math.ceil(len(axis.labels) / 30) or 1
        places = range(0, len(axis.labels), step)
        labels = [_plain(axis.labels[k] if len(axis.labels[k]) < 26 else axis.labels[k][:25] + "…") for k in places]
        turned = which == "x" and sum(map(len, labels)) > 50
        getattr(ax, f"set_{which}ticks")(list(places), labels, rotation=35 if turned else 0)
        if turned:
            for label in ax.get_xticklabels():
                label.set_ha("right")


def _set_range(ax: object, which: str, axis: Axis) -> None:
    if axis.range is not None:
        getattr(ax, f"set_{which}lim")(*axis.range)
    elif axis.labels:
        getattr(ax, f"set_{which}lim")(-0.6, len(axis.labels) - 0.4)


def _draw_marks(chart: Chart, marks: Marks, ax: Any, theme: str) -> Any:
    color = color_of(marks.color, theme)
    label = _plain(marks.name) if marks.name and marks.legend and marks.x else None
    style: JsonObject = {"alpha": marks.opacity, "label": label}
    if marks.kind == "points":
        return _draw_points(chart, marks, ax, theme, color, style)
    if marks.kind in ("line", "steps"):
        where = {"drawstyle": "steps-post"} if marks.kind == "steps" else {}
        ax.plot(marks.x, marks.y, color=color, linewidth=marks.width, **where, **style)
    elif marks.kind == "bars":
        ax.barh(
            marks.y,
            marks.x,
            xerr=marks.error,
            color=color,
            height=0.65,
            ecolor=THEMES[theme]["text"],
            error_kw={"elinewidth": 1, "capsize": 3},
            **style,
        )
    elif marks.kind == "columns":
        base = marks.y2 or [0.0] * len(marks.x)
        ax.bar(marks.x, [t - b for t, b in zip(marks.y, base)], bottom=base, color=color, width=0.7, **style)
    elif marks.kind == "spans":
        ends = marks.x2 or marks.x
        widths = [e - s for s, e in zip(marks.x, ends)]
        ax.barh(
            marks.y,
            widths,
            left=marks.x,
            color=color,
            height=0.72,
            edgecolor=THEMES[theme]["ground"],
            linewidth=0.3,
            **style,
        )
    elif marks.kind == "rug":
        style["label"] = label
        ax.plot(
            marks.x,
            [0.015] * len(marks.x),
            "x",
            color=color,
            markersize=5,
            transform=ax.get_xaxis_transform(),
            clip_on=False,
            **style,
        )
    elif marks.kind == "heat" and chart.scale is not None:
        rows = len(marks.y)
        grid = [list((marks.values or [])[r * len(marks.x) : (r + 1) * len(marks.x)]) for r in range(rows)]
        return ax.pcolormesh(
            marks.x,
            marks.y,
            grid,
            cmap=_colormap(chart),
            norm=_norm(chart),
            alpha=marks.opacity,
            shading="nearest",
            linewidth=0,
            rasterized=True,
        )
    return None


def _draw_points(chart: Chart, marks: Marks, ax: Any, theme: str, color: str, style: JsonObject) -> Any:
    many = len(marks.x) > 2000
    size = (marks.size * (0.6 if many else 1.0)) ** 2
    symbol = {"circle": "o", "x": "x"}.get(marks.symbol, "o")
    if marks.values is not None and chart.scale is not None:
        return ax.scatter(
            marks.x,
            marks.y,
            c=marks.values,
            cmap=_colormap(chart),
            norm=_norm(chart),
            s=size,
            edgecolors=THEMES[theme]["soft"],
            linewidths=0.3,
            **style,
        )
    edge = {} if symbol == "x" else {"linewidths": 0}
    ax.scatter(marks.x, marks.y, color=color, s=size, marker=symbol, **edge, **style)
    return None


def _colormap(chart: Chart) -> Any:
    colors = require("Chart.matplotlib", "matplotlib.colors", "plots")
    stops = list(reversed(SEQUENTIAL)) if chart.scale is not None and chart.scale.reverse else list(SEQUENTIAL)
    return colors.LinearSegmentedColormap.from_list("tune_core", stops)


def _norm(chart: Chart) -> Any:
    colors = require("Chart.matplotlib", "matplotlib.colors", "plots")
    assert chart.scale is not None
    kind = colors.LogNorm if chart.scale.log else colors.Normalize
    return kind(chart.scale.low, chart.scale.high)


def _color_bar(chart: Chart, figure: Any, axes: list[Any], theme: str) -> None:
    cm = require("Chart.matplotlib", "matplotlib.cm", "plots")
    assert chart.scale is not None
    colors = THEMES[theme]
    bar = figure.colorbar(cm.ScalarMappable(_norm(chart), _colormap(chart)), ax=axes, fraction=0.04, pad=0.02)
    bar.set_label(_plain(chart.scale.title), color=colors["soft"], fontsize=9)
    bar.ax.tick_params(colors=colors["soft"], labelsize=8)
    bar.outline.set_edgecolor(colors["grid"])
