"""A chart as plain data: panels with axes and marks, which several renderers draw.

One description gives an interactive page of our own (no library, no network), a Plotly figure and a Matplotlib
figure. Numbers are lists of floats, NaN where there is nothing; texts are plain text that each renderer escapes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tune_core.core.values import JsonObject
from tune_core.errors import InvalidArgumentError

__all__ = ["Axis", "Chart", "Marks", "Panel", "Scale", "Text"]


@dataclass
class Axis:
    """One axis.

    ``labels`` makes it categorical (0, 1, … stand for them), ``range`` fixes its ends, ``integer`` says that it counts.
    """

    title: str = ""
    log: bool = False
    labels: list[str] | None = None
    range: tuple[float, float] | None = None
    hidden: bool = False
    integer: bool = False


@dataclass
class Marks:
    """One group of marks.

    ``kind``: ``points``, ``line`` (NaN breaks it), ``steps`` (a line that changes at each point), ``bars`` (from 0 to
    ``x``, horizontal, at ``y``), ``spans`` (from ``x`` to ``x2`` at ``y``), ``columns`` (from ``y2`` to ``y`` at
    ``x``), ``heat`` (cells of a grid: ``x`` and ``y`` are the cells' centres, ``values`` row by row) or ``rug``
    (ticks at the bottom of the panel).

    ``color`` names a colour of the palette: ``c0`` … ``c7``, ``good``, ``bad``, ``muted``, ``best``, ``accent``; or it
    is a number from 0 to 1 on the sequential scale. ``values`` colours each mark by the chart's scale. ``ids`` are the
    trials that the marks stand for.
    """

    kind: str
    x: list[float]
    y: list[float]
    name: str = ""
    color: str | float = "c0"
    values: list[float] | None = None
    x2: list[float] | None = None
    y2: list[float] | None = None
    error: list[float] | None = None
    ids: list[int] | None = None
    hover: list[str] | None = None
    symbol: str = "circle"
    size: float = 5.0
    width: float = 1.5
    opacity: float = 1.0
    legend: bool = True


@dataclass
class Text:
    """A text inside a panel, at data coordinates. ``anchor``: left, center or right."""

    x: float
    y: float
    text: str
    anchor: str = "center"
    above: bool = False


@dataclass
class Scale:
    """What the colours of ``Marks.values`` mean."""

    title: str
    low: float
    high: float
    log: bool = False
    reverse: bool = False


@dataclass
class Panel:
    """One pair of axes with marks."""

    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=Axis)
    marks: list[Marks] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    title: str = ""
    rules: list[float] = field(default_factory=list)
    """Vertical lines at these values of x."""


@dataclass
class Chart:
    """A chart.

    Made by the functions of :mod:`tune_core.plots`. A notebook shows it by itself; :meth:`save` writes a page, a
    picture or its data; :meth:`plotly` and :meth:`matplotlib` give figures to go on with.

    Attributes
    ----------
    kind
        Name of the function that made it.
    title, note
        What it shows, and what a reader should know about it (what was left out, sampled or compared).
    panels
        Its panels, in reading order, ``columns`` in a row.
    """

    kind: str
    title: str
    panels: list[Panel]
    note: str = ""
    columns: int = 1
    scale: Scale | None = None
    height: int = 380
    legend: bool = True

    def marks(self, name: str | None = None) -> Iterator[Marks]:
        """All marks of all panels, or those of one name.

        Yields
        ------
        Marks
            Panel by panel.
        """
        for panel in self.panels:
            for marks in panel.marks:
                if name is None or marks.name == name:
                    yield marks

    @property
    def is_empty(self) -> bool:
        """Whether it has nothing to show; ``note`` says why."""
        return not any(marks.x for marks in self.marks())

    def matplotlib(self, theme: str = "light", width: float = 9.0) -> Any:
        """A Matplotlib figure, ``width`` inches wide; ``theme`` is ``"light"`` or ``"dark"``.

        Raises
        ------
        MissingDependencyError
            If Matplotlib is not installed.
        """
        from tune_core.plots.matplotlib import draw

        return draw(self, _theme(theme), width)

    def plotly(self, theme: str = "light") -> Any:
        """A Plotly figure; ``theme`` is ``"light"`` or ``"dark"``.

        Raises
        ------
        MissingDependencyError
            If Plotly is not installed.
        """
        from tune_core.plots.plotly import draw

        return draw(self, _theme(theme))

    def data(self) -> JsonObject:
        """The description as values that JSON can hold, NaN as None."""
        from tune_core.plots.page import chart_data

        return chart_data(self, packed=False)

    def html(self, theme: str | None = None) -> str:
        """A page that shows the chart, alone and without internet; None for ``theme`` follows the reader's system."""
        from tune_core.plots.page import chart_page

        return chart_page(self, theme if theme is None else _theme(theme))

    def save(self, path: str | os.PathLike[str], theme: str = "light") -> str:
        """Write it to a file and return the path.

        The name's ending chooses: ``.html`` an interactive page, ``.json`` the data, and what Matplotlib can write:
        ``.png``, ``.svg``, ``.pdf``.

        Raises
        ------
        InvalidArgumentError
            If the ending says nothing.
        """
        path = os.fspath(path)
        ending = os.path.splitext(path)[1].lower()
        if ending in (".html", ".htm", ".json"):
            if ending == ".json":
                import json

                text = json.dumps(self.data(), indent=1, ensure_ascii=False)
            else:
                text = self.html(None if theme == "light" else theme)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        elif ending in (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp"):
            figure = self.matplotlib(theme)
            figure.savefig(path, dpi=144, facecolor=figure.get_facecolor())
        else:
            raise InvalidArgumentError(
                f"Chart.save({path!r})",
                f"ends in {ending or 'nothing'}",
                "the ending chooses the format",
                "Use .html, .png, .svg, .pdf or .json.",
            )
        return path

    def show(self) -> None:
        """Show it: in a notebook below the cell, elsewhere in the browser."""
        import sys

        if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
            from IPython.display import HTML, display

            display(HTML(self._repr_html_()))
            return
        import tempfile
        import webbrowser

        with tempfile.NamedTemporaryFile("w", suffix=".html", delete=False, encoding="utf-8") as file:
            file.write(self.html())
        webbrowser.open(f"file://{file.name}")

    def _repr_html_(self) -> str:
        from html import escape

        rows = math.ceil(len(self.panels) / max(1, self.columns))
        height = self.height * rows + 110
        return (
            f'<iframe title="{escape(self.title)}" sandbox="allow-scripts" srcdoc="{escape(self.html(), quote=True)}" '
            f'style="width:100%;height:{height}px;border:0"></iframe>'
        )

    def __repr__(self) -> str:
        points = sum(len(marks.x) for marks in self.marks())
        return f"Chart({self.kind}: {self.title!r}, {len(self.panels)} panel(s), {points} points)"


def _theme(theme: str) -> str:
    if theme not in ("light", "dark"):
        raise InvalidArgumentError("theme", f"is {theme!r}", "there are two themes", 'Use "light" or "dark".')
    return theme
