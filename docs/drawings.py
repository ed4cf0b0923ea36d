"""Draws the logo and the pictures of the documentation: ``python docs/drawings.py`` writes them into docs/images.

Each picture is drawn twice, for light and dark pages, from the same lines of text, and again with its words in Chinese;
Sphinx takes `NAME.zh_CN.svg` for the Chinese edition where it is there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

IMAGES = Path(__file__).resolve().parent / "images"
NAMES = ("ink", "soft", "line", "box", "hue", "warm")
THEMES = {
    "light": dict(
        zip(NAMES, ("#1d2733", "#5b6b7c", "#9aa7b5", "#f3f6f9", "#0b7285", "#c2410c"))
    ),
    "dark": dict(
        zip(NAMES, ("#e6edf3", "#a9b6c3", "#66788a", "#1e2832", "#4fc3d9", "#ff9d66"))
    ),
}
FONT = "font-family=\"system-ui,'Segoe UI','Noto Sans CJK SC',sans-serif\""

CHINESE = {
    "Training function\nyour code, as it is": "训练函数\n您的代码，原样使用",
    "Search space\nwhat may vary": "搜索空间\n哪些可以变化",
    "Searcher\nproposes configurations": "搜索器\n给出配置",
    "Trials, side by side": "并行运行的试验",
    "worker processes · Ray actors": "工作进程 · Ray actor",
    "Best configuration\nand its checkpoint": "最优配置\n及其检查点",
    "Every decision\nwith its reason": "每个决策\n及其理由",
    "Journal\nrestore, explain, plot": "日志\n恢复、解释、绘图",
    "PENDING\nwaits for a slot": "PENDING\n等待空位",
    "RUNNING\nreports results": "RUNNING\n报告结果",
    "PAUSED\nkeeps a checkpoint": "PAUSED\n保留检查点",
    "TERMINATED\nended well": "TERMINATED\n正常结束",
    "ERROR\nno retry is left": "ERROR\n重试次数用完",
    "launch": "启动",
    "try again": "重试",
    "complete, stop": "完成、停止",
    "fail": "失败",
    "pause": "暂停",
    "resume": "继续",
    "not promoted": "未被提升",
    "×": "×",
    "Trial": "试验",
    "Driver": "主进程",
    "verdict: go on": "裁决：继续",
    "lease until 4": "租约到 4",
    "lease until 10: reports do not wait": "租约到 10：报告无需等待",
    "rung 1": "第 1 级",
    "rung 3": "第 3 级",
    "rung 9": "第 9 级",
    "9 trials come": "9 个试验到达",
    "the best 3 go on": "最好的 3 个继续",
    "the best 1 goes on": "最好的 1 个继续",
    "Trial 1": "试验 1",
    "Trial 2": "试验 2",
    "Trial 3": "试验 3",
    "copies the checkpoint,": "复制检查点，",
    "changes the parameters": "改变参数",
    "train": "训练",
    "compare": "比较",
    "Event\na result arrives": "事件\n结果到达",
    "Journal\none line, synced": "日志\n一行，已落盘",
    "Decision\nstop, go on": "决策\n停止或继续",
    "You\nsee it": "您\n看到结果",
    "killed here, or anywhere?": "在这里或任何地方被杀掉？",
    "Restore\nreads the lines, goes on": "恢复\n读取这些行，继续",
    "the same decisions": "同样的决策",
    "From a function and a search space, over trials, to the best configuration": "从函数到最优配置",
    "The states of a trial and what leads from one to the other": "试验的状态以及状态之间的转换",
    "A trial reports without waiting until its lease ends": "租约到期之前，试验报告时无需等待",
    "ASHA lets the best third go on at each rung": "ASHA 在每一级让最好的三分之一继续",
    "Population-based training: the worse copy the better and change their parameters": (
        "基于种群的训练：较差的复制较好的，并改变参数"
    ),
    "An event is written to the journal before anything follows from it": "事件先写入日志，之后才引出其他动作",
}


class Sheet:
    """A drawing of a given size in the colours of one theme; lengths are pixels."""

    def __init__(
        self,
        width: int,
        height: int,
        title: str,
        theme: str,
        words: dict[str, str] | None = None,
    ) -> None:
        self.colour, self.words = THEMES[theme], words
        self.size, self.title = (width, height), self.said(title)
        self.parts: list[str] = []

    def said(self, text: str) -> str:
        """A text in the language of the drawing."""
        return text if self.words is None else self.words[text]

    def box(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        lines: str = "",
        edge: str = "line",
    ) -> None:
        c = self.colour
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="8" fill="{c["box"]}" '
            f'stroke="{c[edge]}" stroke-width="1.5"/>'
        )
        rows = self.said(lines).split("\n") if lines else []
        for i, row in enumerate(rows):
            middle = y + h / 2 + 5 + (i - (len(rows) - 1) / 2) * 19
            self.write(
                x + w / 2, middle, row, "soft" if i else "ink", "middle", bold=not i
            )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        colour: str = "soft",
        anchor: str = "start",
        bold: bool = False,
    ) -> None:
        self.write(x, y, self.said(words), colour, anchor, bold)

    def write(
        self,
        x: float,
        y: float,
        words: str,
        colour: str = "soft",
        anchor: str = "start",
        bold: bool = False,
    ) -> None:
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(
            f'<text x="{x}" y="{y}" font-size="14" text-anchor="{anchor}" fill="{self.colour[colour]}"{weight}>'
            f"{escape(words)}</text>"
        )

    def line(
        self,
        *points: tuple[float, float],
        colour: str = "line",
        width: float = 1.5,
        head: bool = False,
    ) -> None:
        path = " ".join(f"{x},{y}" for x, y in points)
        end = f' marker-end="url(#head-{colour})"' if head else ""
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{self.colour[colour]}" stroke-width="{width}"{end}/>'
        )

    def arrow(self, *points: tuple[float, float], colour: str = "line") -> None:
        self.line(*points, colour=colour, head=True)

    def dot(self, x: float, y: float, colour: str = "hue", radius: float = 5) -> None:
        self.parts.append(
            f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{self.colour[colour]}"/>'
        )

    def svg(self) -> str:
        w, h = self.size
        heads = "".join(
            f'<marker id="head-{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path d="M0 0L8 4L0 8z" fill="{value}"/></marker>'
            for name, value in self.colour.items()
        )
        body = "\n".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" '
            f'role="img" {FONT}>\n'
            f"<title>{escape(self.title)}</title>\n<defs>{heads}</defs>\n{body}\n</svg>\n"
        )


def logo(s: Sheet) -> None:
    """Trials as bars, the best of them let through to the end."""
    for i, (length, colour) in enumerate(
        [(16, "line"), (30, "line"), (52, "hue"), (22, "line")]
    ):
        s.line((6, 11 + 14 * i), (6 + length, 11 + 14 * i), colour=colour, width=7)
    s.dot(58, 39, "warm", 5)


INTO = (
    "Training function\nyour code, as it is",
    "Search space\nwhat may vary",
    "Searcher\nproposes configurations",
)
OUT = (
    "Best configuration\nand its checkpoint",
    "Every decision\nwith its reason",
    "Journal\nrestore, explain, plot",
)


def race(s: Sheet, left: float, top: float, unit: float) -> None:
    """Seven trials, of which five end on a rung; the best is in colour. ``unit``: how far a trial gets."""
    for rung in (0.26, 0.58):
        x = left - 2 + rung * unit
        s.line((x, top - 10), (x, top + 146), colour="line", width=1)
    for i, share in enumerate([0.27, 0.59, 1, 0.27, 0.59, 0.27, 0.86]):
        y = top + 22 * i
        end = left + round(share * unit)
        colour = "hue" if share == 1 else "line"
        s.line((left, y), (end - 4, y), colour=colour, width=8)
        if share < 0.6:
            s.text(end, y + 5, "×", "warm")


def overview(s: Sheet) -> None:
    for i, words in enumerate(INTO):
        s.box(12, 20 + 84 * i, 190, 64, words)
    s.line((202, 52), (226, 52), (226, 220), (202, 220))
    s.arrow((202, 136), (254, 136))
    s.box(258, 20, 290, 232, edge="hue")
    s.text(403, 46, "Trials, side by side", "ink", "middle", bold=True)
    s.text(403, 240, "worker processes · Ray actors", "soft", "middle")
    race(s, 276, 72, 250)
    s.arrow((548, 136), (594, 136))
    for i, words in enumerate(OUT):
        s.box(598, 20 + 84 * i, 190, 64, words, edge="line" if i else "hue")
    for y in (52, 220):
        s.arrow((572, 136), (572, y), (594, y))


def overview_phone(s: Sheet) -> None:
    for i, words in enumerate(INTO):
        s.box(40, 8 + 66 * i, 280, 56, words)
    s.arrow((180, 196), (180, 222))
    s.box(8, 226, 344, 232, edge="hue")
    s.text(180, 252, "Trials, side by side", "ink", "middle", bold=True)
    s.text(180, 446, "worker processes · Ray actors", "soft", "middle")
    race(s, 28, 278, 300)
    s.arrow((180, 458), (180, 484))
    for i, words in enumerate(OUT):
        s.box(40, 488 + 66 * i, 280, 56, words, edge="line" if i else "hue")


def trial_life(s: Sheet) -> None:
    s.box(20, 80, 130, 54, "PENDING\nwaits for a slot")
    s.box(270, 80, 150, 54, "RUNNING\nreports results", "hue")
    s.box(270, 220, 150, 54, "PAUSED\nkeeps a checkpoint")
    s.box(560, 40, 150, 54, "TERMINATED\nended well", "hue")
    s.box(560, 130, 150, 54, "ERROR\nno retry is left", "warm")
    s.arrow((150, 98), (266, 98))
    s.text(208, 90, "launch", anchor="middle")
    s.arrow((270, 122), (154, 122))
    s.text(208, 142, "try again", anchor="middle")
    s.arrow((420, 96), (556, 68))
    s.text(486, 70, "complete, stop", anchor="middle")
    s.arrow((420, 118), (556, 156))
    s.text(480, 158, "fail", anchor="middle")
    s.arrow((325, 134), (325, 216))
    s.text(318, 180, "pause", anchor="end")
    s.arrow((365, 220), (365, 138))
    s.text(372, 180, "resume")
    s.arrow((420, 247), (735, 247), (735, 67), (714, 67))
    s.text(580, 240, "not promoted", anchor="middle")


def leases(s: Sheet) -> None:
    s.text(20, 42, "Trial", "ink", bold=True)
    s.text(20, 132, "Driver", "ink", bold=True)
    s.line((90, 37), (720, 37))
    s.line((90, 127), (720, 127))
    for i in range(13):
        s.dot(120 + 45 * i, 37, "warm" if i in (3, 9) else "hue", 5)
    for x in (255, 525):
        s.arrow((x, 45), (x + 14, 121), colour="warm")
        s.arrow((x + 20, 121), (x + 40, 47))
        s.text(x + 34, 150, "verdict: go on", anchor="middle")
    s.text(180, 20, "lease until 4", anchor="middle")
    s.text(415, 20, "lease until 10: reports do not wait", anchor="middle")
    s.text(120, 90, "launch")
    s.arrow((105, 121), (116, 47))


def rungs(s: Sheet) -> None:
    ends = [1, 1, 3, 1, 9, 1, 3, 1, 1]
    place = {1: 170, 3: 340, 9: 680}
    for reach, x in place.items():
        s.line((x, 36), (x, 250), width=1)
        s.text(x, 26, f"rung {reach}", "ink", "middle", bold=True)
    for i, end in enumerate(ends):
        y = 54 + 22 * i
        s.line((50, y), (place[end], y), colour="hue" if end == 9 else "line", width=8)
        if end != 9:
            s.text(place[end] + 8, y + 5, "×", "warm")
    s.text(170, 274, "9 trials come", anchor="middle")
    s.text(340, 274, "the best 3 go on", anchor="middle")
    s.text(665, 274, "the best 1 goes on", anchor="middle")


def pbt(s: Sheet) -> None:
    for i, y in enumerate((50, 110, 170)):
        s.text(20, y + 5, f"Trial {i + 1}", "ink", bold=True)
        for j in range(3):
            x = 100 + 210 * j
            s.line(
                (x, y),
                (x + 180, y),
                colour="hue" if i == (0, 2, 2)[j] else "line",
                width=8,
            )
            if j < 2:
                s.dot(x + 195, y, "line", 4)
    s.arrow((295, 58), (295, 160), colour="warm")
    s.text(304, 92, "copies the checkpoint,", "warm")
    s.text(304, 144, "changes the parameters", "warm")
    s.arrow((505, 162), (505, 120), colour="warm")
    s.text(190, 206, "train", anchor="middle")
    s.text(295, 206, "compare", anchor="middle")
    s.text(400, 206, "train", anchor="middle")
    s.text(505, 206, "compare", anchor="middle")


def journal(s: Sheet) -> None:
    s.box(20, 70, 130, 54, "Event\na result arrives")
    s.box(210, 70, 150, 54, "Journal\none line, synced", "hue")
    s.box(420, 70, 130, 54, "Decision\nstop, go on")
    s.box(610, 70, 120, 54, "You\nsee it")
    for x in (150, 360, 550):
        s.arrow((x, 97), (x + 56, 97))
    s.text(250, 164, "killed here, or anywhere?", "warm", "middle")
    s.arrow((285, 172), (285, 205), colour="warm")
    s.box(170, 208, 230, 54, "Restore\nreads the lines, goes on", "hue")
    s.line((285, 124), (285, 148), colour="warm")
    s.arrow((400, 235), (485, 235), (485, 128))
    s.text(495, 200, "the same decisions")


PICTURES: dict[str, tuple[Callable[[Sheet], None], int, int, str]] = {
    "logo": (logo, 64, 64, "tune-core"),
    "overview": (
        overview,
        800,
        272,
        "From a function and a search space, over trials, to the best configuration",
    ),
    "overview-phone": (
        overview_phone,
        360,
        684,
        "From a function and a search space, over trials, to the best configuration",
    ),
    "trial-life": (
        trial_life,
        760,
        300,
        "The states of a trial and what leads from one to the other",
    ),
    "leases": (
        leases,
        740,
        165,
        "A trial reports without waiting until its lease ends",
    ),
    "rungs": (rungs, 760, 290, "ASHA lets the best third go on at each rung"),
    "pbt": (
        pbt,
        740,
        220,
        "Population-based training: the worse copy the better and change their parameters",
    ),
    "journal": (
        journal,
        750,
        275,
        "An event is written to the journal before anything follows from it",
    ),
}


def pictures() -> dict[str, str]:
    """The text of each file in docs/images that is drawn here, by name."""
    made: dict[str, str] = {}
    for name, (draw, width, height, title) in PICTURES.items():
        for theme in THEMES:
            for ending, words in (("", None), (".zh_CN", CHINESE)):
                if words is None or name != "logo":
                    sheet = Sheet(width, height, title, theme, words)
                    draw(sheet)
                    made[f"{name}-{theme}{ending}.svg"] = sheet.svg()
    return made


if __name__ == "__main__":
    for file, text in pictures().items():
        (IMAGES / file).write_text(text, encoding="utf-8")
