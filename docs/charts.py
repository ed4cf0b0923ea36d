"""Draws the charts of guides: what a page's code shows is drawn by that code when the site is built.

A page's blocks of Python are run one after the other, as the cells of a notebook are. Where a block ends with a
chart, it is saved for light and dark pages as ``docs/_charts/PAGE-CHART-light.svg`` and ``-dark.svg``; a second one
of a kind is ``PAGE-CHART-2``. They are kept in ``docs/_gallery`` until the page's code or the packages change.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import gallery

DOCS = Path(__file__).resolve().parent
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHOW = """
def _show(value, drawn={}):
    from pathlib import Path
    from tune_core.plots import Chart
    if isinstance(value, Chart):
        drawn[value.kind] = drawn.get(value.kind, 0) + 1
        name = value.kind if drawn[value.kind] == 1 else f"{value.kind}-{drawn[value.kind]}"
        for theme in ("light", "dark"):
            value.save(str(Path(FOLDER, f"{PAGE}-{name}-{theme}.svg")), theme=theme)
"""


def as_notebook(blocks: list[str]) -> str:
    """A script of blocks of code that shows what each block ends with."""
    cells = []
    for block in blocks:
        body = ast.parse(block).body
        if body and isinstance(last := body[-1], ast.Expr):
            shown = ast.Call(ast.Name("_show", ast.Load()), [last.value], [])
            body[-1] = ast.Expr(shown)
        cells += body
    return ast.unparse(ast.fix_missing_locations(ast.Module(cells, [])))


def pages() -> list[Path]:
    """The pages that show charts of their own code."""
    found = (
        page
        for folder in ("guides", "migration")
        for page in (DOCS / folder).glob("*.md")
    )
    return sorted(
        page for page in found if "../_charts/" in page.read_text(encoding="utf-8")
    )


def draw(page: Path, folder: Path) -> None:
    """Run a page's code and save its charts into a folder. A failure is an error."""
    folder.mkdir(parents=True, exist_ok=True)
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="c") as work:
        places = [Path(work, name) for name in ("tune_results", "tmp", "here")]
        for place in places:
            place.mkdir()
        script = Path(work, "page.py")
        names = f"FOLDER, PAGE = {str(folder)!r}, {page.stem!r}\n"
        script.write_text(names + SHOW + as_notebook(blocks), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, str(script)],
            cwd=places[2],
            env=gallery.surroundings(places[0], places[1]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=gallery.LIMIT_S,
        )
    if done.returncode:
        raise RuntimeError(
            f"the code of {page.name} failed with {done.returncode}:\n{done.stdout}"
        )
    (folder / f"{page.stem}.txt").write_text(
        done.stdout, encoding="utf-8"
    )  # all is there


def make(folder: Path) -> None:
    """Draw the charts of all pages into a folder."""
    if not importlib.util.find_spec("matplotlib"):
        return
    written = set()
    for page in pages():
        code = "\n".join(BLOCK.findall(page.read_text(encoding="utf-8")))
        named = hashlib.sha256(code.encode()).hexdigest()[:16]
        kept = (
            gallery.CACHE / f"{named}-{gallery.packages_hash()}-{sys.version_info[1]}"
        )
        if not (kept / f"{page.stem}.txt").exists():
            draw(page, kept)
        for picture in kept.glob("*.svg"):
            written.add(
                gallery.write(
                    folder / picture.name, picture.read_text(encoding="utf-8")
                )
            )
    for old in {*folder.glob("*.svg")} - written:
        old.unlink()
