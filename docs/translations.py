"""Keeps the Chinese edition in step: ``python docs/translations.py`` takes new English text into docs/locale.

With ``--check``, nothing is written, and the command fails if a text of a translated page has changed since its Chinese
was looked at, or has none.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import gallery
import polib

DOCS = Path(__file__).resolve().parent
LOCALE = DOCS / "locale" / "zh_CN" / "LC_MESSAGES"
SETTINGS = """\
extensions = ["myst_parser", "sphinx_design"]
exclude_patterns = ["_generated"]
myst_enable_extensions = ["colon_fence", "deflist"]
gettext_compact = False
suppress_warnings = ["myst.xref_missing", "ref.doc", "toc.not_readable", "toc.no_title", "toc.excluded"]
"""


def templates() -> dict[str, polib.POFile]:
    """The English texts of each page that has a Chinese edition."""
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "docs"), Path(folder, "made")
        source.mkdir()
        for name in ("images", "../examples"):
            (source / name).symlink_to((DOCS / name).resolve())
        gallery.make(source / "_examples", source / "_generated" / "examples.md", execute=False)
        pages = [catalogue.relative_to(LOCALE).with_suffix(".md") for catalogue in LOCALE.rglob("*.po")]
        pages = [page for page in pages if page.parts[0] != "_examples" and page.name != "gallery.md"]
        for page in {*pages, Path("examples.md")}:
            (source / page).parent.mkdir(parents=True, exist_ok=True)
            (source / page).write_text((DOCS / page).read_text(encoding="utf-8"), encoding="utf-8")
        (source / "conf.py").write_text(SETTINGS, encoding="utf-8")
        command = [sys.executable, "-m", "sphinx", "-q", "-b", "gettext", str(source), str(made)]
        subprocess.run(command, check=True)
        found = {
            pot.relative_to(made).with_suffix("").as_posix(): polib.pofile(str(pot)) for pot in made.rglob("*.pot")
        }
    # The gallery's pages repeat each other's texts: they share one catalogue.
    shared, known = polib.POFile(), set()
    for name in sorted(name for name in found if name == "examples" or name.startswith("_examples/")):
        for entry in found.pop(name):
            if entry.msgid not in known:
                known.add(entry.msgid)
                shared.append(polib.POEntry(msgid=entry.msgid))
    return {**found, "gallery": shared}


def faults(english: polib.POFile, chinese: polib.POFile) -> list[str]:
    """What keeps a catalogue from being whole, a line for each text."""
    translated = {entry.msgid for entry in chinese.translated_entries()}
    wanted = {entry.msgid for entry in english}
    return [
        *(f"to translate: {entry.msgid}" for entry in english if entry.msgid not in translated),
        *(f"no longer there: {entry.msgid}" for entry in chinese if entry.msgid not in wanted),
    ]


def update(english: polib.POFile, chinese: polib.POFile) -> None:
    """Take the texts of a page into its catalogue, in the page's order; what is gone goes."""
    known = {entry.msgid: entry.msgstr for entry in chinese.translated_entries()}
    chinese[:] = [polib.POEntry(msgid=entry.msgid, msgstr=known.get(entry.msgid, "")) for entry in english]


def main(check: bool) -> int:
    """Check or update all catalogues; 1 if something is left to translate."""
    found = 0
    for page, english in sorted(templates().items()):
        path = LOCALE / f"{page}.po"
        chinese = polib.pofile(str(path), wrapwidth=110)
        if not check:
            update(english, chinese)
            chinese.save()
        for fault in faults(english, chinese):
            found += 1
            print(f"{page}: {fault}")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
