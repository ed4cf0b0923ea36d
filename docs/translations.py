"""Keeps the Chinese edition in step: ``python docs/translations.py`` takes new English text into docs/locale.

With ``--check``, nothing is written, and the command fails if a text of a page has changed since its Chinese was looked
at, or has none. Either way it prints what share of each page is translated, where that is not all.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import gallery
import polib
import searchers
import told

DOCS = Path(__file__).resolve().parent
LOCALE = DOCS / "locale" / "zh_CN" / "LC_MESSAGES"
# What one looks up stays in English, as the docstrings do.
ENGLISH_ONLY = {"architecture.md", "changelog.md", "reference-api.md", "versions.md"}
SETTINGS = """\
extensions = ["myst_parser", "sphinx_design"]
exclude_patterns = ["_generated"]
myst_enable_extensions = ["colon_fence", "deflist"]
gettext_compact = False
suppress_warnings = ["docutils", "image", "myst.xref_missing", "ref.doc", "toc"]
"""
HEADER = """\
msgid ""
msgstr ""
"Project-Id-Version: tune-core\\n"
"Language: zh_CN\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"""


def pages() -> list[Path]:
    """The pages that have a Chinese edition, relative to the folder of the documentation."""
    found = (
        page.relative_to(DOCS)
        for folder in ("", "guides", "migration")
        for page in (DOCS / folder).glob("*.md")
    )
    return sorted(page for page in found if page.as_posix() not in ENGLISH_ONLY)


def templates() -> dict[str, polib.POFile]:
    """The English texts of each page that has a Chinese edition."""
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "docs"), Path(folder, "made")
        source.mkdir()
        for name in ("images", "../examples"):
            (source / name).symlink_to((DOCS / name).resolve())
        gallery.make(
            source / "_examples", source / "_generated" / "examples.md", execute=False
        )
        (source / "_generated" / "searchers.md").write_text(
            searchers.table(), encoding="utf-8"
        )
        (source / "_generated" / "told.md").write_text(told.table(), encoding="utf-8")
        for page in pages():
            (source / page).parent.mkdir(parents=True, exist_ok=True)
            (source / page).write_text(
                (DOCS / page).read_text(encoding="utf-8"), encoding="utf-8"
            )
        for (
            page
        ) in ENGLISH_ONLY:  # their titles in the table of contents are in Chinese
            (source / page).write_text("# In English\n", encoding="utf-8")
        (source / "conf.py").write_text(SETTINGS, encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "sphinx",
            "-q",
            "-b",
            "gettext",
            str(source),
            str(made),
        ]
        subprocess.run(command, check=True)
        pots = {
            pot.relative_to(made).with_suffix("").as_posix(): pot
            for pot in made.rglob("*.pot")
        }
        found = {
            name: polib.pofile(str(pot))
            for name, pot in pots.items()
            if f"{name}.md" not in ENGLISH_ONLY
        }
    # The gallery's pages repeat each other's texts: they share one catalogue.
    shared, known = polib.POFile(), set()
    for name in sorted(
        name for name in found if name == "examples" or name.startswith("_examples/")
    ):
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
        *(
            f"to translate: {entry.msgid}"
            for entry in english
            if entry.msgid not in translated
        ),
        *(
            f"no longer there: {entry.msgid}"
            for entry in chinese
            if entry.msgid not in wanted
        ),
    ]


def update(english: polib.POFile, chinese: polib.POFile) -> None:
    """Take the texts of a page into its catalogue, in the page's order; what is gone goes.

    Code and figures without a word around them are the same in Chinese.
    """
    known = {entry.msgid: entry.msgstr for entry in chinese.translated_entries()}
    known |= {
        entry.msgid: entry.msgid.replace("`, `", "`、`")
        for entry in english
        if entry.msgid not in known
        and not re.search(r"[^\W\d_]", re.sub(r"`[^`]+`", "", entry.msgid))
    }
    chinese[:] = [
        polib.POEntry(msgid=entry.msgid, msgstr=known.get(entry.msgid, ""))
        for entry in english
    ]


def main(check: bool) -> int:
    """Check or update all catalogues; 1 if something is left to translate."""
    found = 0
    for page, english in sorted(templates().items()):
        path = LOCALE / f"{page}.po"
        chinese = polib.pofile(str(path) if path.exists() else HEADER, wrapwidth=110)
        if not check:
            update(english, chinese)
            path.parent.mkdir(parents=True, exist_ok=True)
            chinese.save(str(path))
        wrong = faults(english, chinese)
        for fault in wrong:
            print(f"{page}: {fault}")
        if wrong:
            left = sum(fault.startswith("to translate") for fault in wrong)
            share = 100 * (len(english) - left) // len(english)
            print(f"{page}: {share} % translated, {len(wrong) - left} stale")
        found += len(wrong)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
