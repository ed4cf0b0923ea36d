"""Makes the gallery: a page for each script in examples/ with its code, its output and a picture of its run.

The build runs each script whose libraries are installed, two at a time, and keeps what came out in ``docs/_gallery``
until the script or the packages change. A script that fails ends the build. What needs other libraries is taken
from ``docs/outputs``, which ``python docs/gallery.py NAME ...`` writes where those libraries are installed.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
SCRIPTS = ROOT / "examples"
CACHE = DOCS / "_gallery"
KEPT = DOCS / "outputs"
LIMIT_S = 300
WIDTH = 88  # characters of a line that a page shows without scrolling

# The newest experiment in a folder: its learning curves, or its trials' values where each reported once.
DRAW = """
import math, sys
from pathlib import Path
from tune_core import plots
runs = sorted((path.parent for path in Path(sys.argv[1]).rglob("journal.jsonl")), key=lambda run: run.stat().st_mtime)
if runs:
    chart = plots.learning_curves(str(runs[-1]))
    if not any(x > 1 for marks in chart.marks() for x in marks.x if not math.isnan(x)):
        chart = plots.history(str(runs[-1]))
    for theme in ("light", "dark"):
        chart.save(f"{sys.argv[2]}-{theme}.svg", theme=theme)
"""


class Shown(NamedTuple):
    """What a page shows of a run: the text that it printed, the picture's path without its ending, and who ran it."""

    text: str
    picture: Path | None
    built: bool


def scripts() -> list[Path]:
    """All scripts, those of the main folder first."""
    found = (path for path in SCRIPTS.rglob("*.py") if not path.name.startswith("_"))
    return sorted(found, key=lambda path: (len(path.relative_to(SCRIPTS).parts), path))


def stem(script: Path) -> str:
    """A script's name on the site."""
    return script.relative_to(SCRIPTS).with_suffix("").as_posix().replace("/", "-")


def code_hash(script: Path) -> str:
    """What changes when a script does something else: not with its comments, its docstrings, or how it is laid out."""
    tree, seen = ast.parse(script.read_text(encoding="utf-8")), []
    for node in list(ast.walk(tree)):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and ast.get_docstring(node) is not None
        ):
            del node.body[0]
    for node in ast.walk(
        tree
    ):  # by hand, as what `ast.dump` writes differs between releases of Python
        parts = [
            (name, value if isinstance(value, list) else [value])
            for name, value in ast.iter_fields(node)
        ]
        plain = [
            (name, [part for part in values if not isinstance(part, ast.AST)])
            for name, values in parts
        ]
        children = len(list(ast.iter_child_nodes(node)))
        seen.append(
            (
                type(node).__name__,
                children,
                [(name, got) for name, got in plain if got not in ([], [None])],
            )
        )
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def packages_hash() -> str:
    """What changes when the packages do."""
    files = sorted(
        path
        for room in ("tune_core", "integrations")
        for path in (ROOT / room).rglob("*.py")
    )
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[
        :16
    ]


def needs(script: Path) -> set[str]:
    """Modules that a script imports, and those of its `# needs:` line."""
    text = script.read_text(encoding="utf-8")
    needed: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            needed |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            needed.add(node.module)
    for line in re.findall(r"^# needs: (.+)$", text, re.MULTILINE):
        needed |= {module.strip() for module in line.split(",")}
    return needed


def missing(script: Path) -> list[str]:
    """Packages that a script needs and that are not installed."""
    packages = {module.partition(".")[0] for module in needs(script)}
    return sorted(
        package for package in packages if not importlib.util.find_spec(package)
    )


def surroundings(results: Path, scratch: Path) -> dict[str, str]:
    """The environment of a script whose results and temporary files go to given folders."""
    paths = [str(ROOT), str(ROOT / "integrations"), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "TUNE_CORE_STORAGE": str(results),
        "TMPDIR": str(scratch),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        "OMP_NUM_THREADS": "1",
        "KERAS_BACKEND": "torch",
        "COLUMNS": str(WIDTH),
    }


def run(script: Path, folder: Path) -> None:
    """Run a script as a reader would; keep what it prints and draw its run. A failure is an error."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="g") as work:
        results, here, scratch = (
            Path(work, name) for name in ("tune_results", "here", "tmp")
        )
        for made in (results, here, scratch):
            made.mkdir()
        env = surroundings(results, scratch)
        done = subprocess.run(
            [sys.executable, str(script)],
            cwd=here,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
        )
        said = (
            done.stdout.replace(str(results), "~/tune_results")
            .replace(str(scratch), "/tmp")
            .replace(f"{ROOT}/", "")
        )
        said = re.sub(
            r"^(INFO 20|\x1b\[).*\n?", "", said, flags=re.MULTILINE
        )  # Ray's own log
        if done.returncode:
            raise RuntimeError(
                f"examples/{script.relative_to(SCRIPTS)} failed with {done.returncode}:\n{said}"
            )
        for old in folder.glob(f"{stem(script)}-*.svg"):
            old.unlink()
        drawn = [sys.executable, "-c", DRAW, work, str(folder / stem(script))]
        if importlib.util.find_spec("matplotlib"):
            subprocess.run(drawn, check=True, env=env)
        for picture in folder.glob(f"{stem(script)}-*.svg"):
            text = picture.read_text(encoding="utf-8")
            picture.write_text(
                "\n".join(line.rstrip() for line in text.splitlines()) + "\n",
                encoding="utf-8",
            )
    # the first line says from which script, so that an old output is found
    (folder / f"{stem(script)}.txt").write_text(
        f"{code_hash(script)}\n{said.strip()}\n", encoding="utf-8"
    )


def shown(script: Path) -> Shown:
    """What a script prints and its picture: run by this build, or kept from where its libraries are."""
    folder, built = KEPT, False
    if not missing(script):
        folder, built = (
            CACHE / f"{code_hash(script)}-{packages_hash()}-{sys.version_info[1]}",
            True,
        )
        if not (folder / f"{stem(script)}.txt").exists():
            run(script, folder)
    kept = folder / f"{stem(script)}.txt"
    if not kept.exists():
        return Shown("", None, False)
    of, _, text = kept.read_text(encoding="utf-8").partition("\n")
    if of != code_hash(script):
        raise RuntimeError(
            f"docs/outputs/{kept.name} is of another examples/{script.relative_to(SCRIPTS)}; "
            f"where {', '.join(missing(script))} is installed, run: python docs/gallery.py {stem(script)}"
        )
    picture = folder / stem(script)
    return Shown(
        text,
        picture if picture.with_name(f"{picture.name}-light.svg").exists() else None,
        built,
    )


def texts(script: Path) -> tuple[str, str]:
    """What a script says of itself: its first paragraph, and the others."""
    whole = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    first, _, rest = whole.partition("\n\n")
    return " ".join(first.split()), rest


def page(script: Path, what: Shown, images: str) -> str:
    """A script's page, in MyST Markdown."""
    path = script.relative_to(SCRIPTS).as_posix()
    summary, rest = texts(script)
    lines = [f"# {path}", "", summary, "", *([rest, ""] if rest else [])]
    lines += ["```bash", f"python examples/{path}", "```", "", "## Code", ""]
    lines += [
        f"```{{literalinclude}} ../../examples/{path}",
        ":language: python",
        "```",
        "",
    ]
    lines += [f"Download: {{download}}`{script.name} <../../examples/{path}>`", ""]
    if what.text:
        lines += ["## Output", "", "~~~text", what.text.rstrip(), "~~~", ""]
    if what.picture:
        for theme in ("light", "dark"):
            lines += [
                f"```{{image}} {images}/{what.picture.name}-{theme}.svg",
                f":class: only-{theme}",
            ]
            lines += [
                f":alt: What the trials of {path} reported, one line or point a trial.",
                "```",
                "",
            ]
    if what.built:
        lines += [
            "The build of this site ran the script; it took the output and drew the picture.",
            "",
        ]
    elif what.text:
        lines.append(
            "The script needs libraries that the build of this site does not install. Its output was kept from a run "
            "with them, and the project's tests run the script wherever they are."
        )
    return "\n".join([*lines, ""])


def cards(folder: str, found: dict[Path, Shown]) -> str:
    """The table of contents of the gallery: a card for each script, group by group."""
    lines = []
    for title, nested in (
        ("Train, stop early, keep, serve", False),
        ("A searcher each", True),
    ):
        lines += [f"## {title}", "", "::::{grid} 1 2 2 3", ":gutter: 3", ""]
        for script, what in found.items():
            if ("/" in script.relative_to(SCRIPTS).as_posix()) is nested:
                lines += [f":::{{grid-item-card}} {script.name}"]
                lines += [f":link: {folder}/{stem(script)}", ":link-type: doc", ""]
                if what.picture:
                    for theme in ("light", "dark"):
                        lines += [
                            f"```{{image}} {folder}/pictures/{what.picture.name}-{theme}.svg"
                        ]
                        lines += [f":class: only-{theme}", ":alt: Its run.", "```", ""]
                lines += [texts(script)[0], ":::", ""]
        lines += ["::::", ""]
    tree = [
        "```{toctree}",
        ":hidden:",
        "",
        *(f"{folder}/{stem(script)}" for script in found),
        "```",
    ]
    return "\n".join([*lines, *tree, ""])


def make(folder: Path, index: Path, execute: bool = True) -> None:
    """Write the pages of all scripts into a folder and their cards into a file; without ``execute``, the texts only."""
    found = {
        script: Shown("...", None, number % 2 == 0)
        for number, script in enumerate(scripts())
    }
    if execute:
        with ThreadPoolExecutor(2) as pool:
            found = dict(zip(found, pool.map(shown, found)))
    written = set()
    for script, what in found.items():
        if what.picture:
            for theme in ("light", "dark"):
                name = f"{what.picture.name}-{theme}.svg"
                drawn = what.picture.with_name(name).read_text(encoding="utf-8")
                written.add(write(folder / "pictures" / name, drawn))
        if what.text:
            write(folder / "pictures" / f"{stem(script)}.txt", what.text)
        written.add(
            write(folder / f"{stem(script)}.md", page(script, what, "pictures"))
        )
    for old in {*folder.glob("*.md"), *folder.glob("pictures/*.svg")} - written:
        old.unlink()
    write(index, cards(folder.name, found))
    if execute:
        translate(folder)


def translate(folder: Path) -> None:
    """Give each page a catalogue with the Chinese of all of them, which stands in one file."""
    chinese = DOCS / "locale" / "zh_CN" / "LC_MESSAGES" / "gallery.po"
    if chinese.exists():
        text = chinese.read_text(encoding="utf-8")
        write(chinese.parent / "examples.po", text)
        for made in folder.glob("*.md"):
            write(chinese.parent / folder.name / f"{made.stem}.po", text)


def write(path: Path, text: str) -> Path:
    """Write a file if its text has changed, so that an unchanged page is not built again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return path


if __name__ == "__main__":
    for wanted in scripts():
        if stem(wanted) in sys.argv[1:]:
            run(wanted, KEPT)
            print(f"docs/outputs/{stem(wanted)}.txt")
