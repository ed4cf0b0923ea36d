"""The Chinese edition is in step with the English one, and the gate that says so closes."""

from __future__ import annotations

import importlib
import re
from types import ModuleType

import pytest
from imports import ROOT

polib = pytest.importorskip("polib")
LOCALE = ROOT / "docs" / "locale" / "zh_CN" / "LC_MESSAGES"


@pytest.fixture
def translations(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return importlib.import_module("translations")


def catalogue(*texts: tuple[str, str]) -> polib.POFile:
    made = polib.POFile()
    made.extend(polib.POEntry(msgid=english, msgstr=chinese) for english, chinese in texts)
    return made


def test_every_text_of_the_translated_pages_has_its_chinese(translations: ModuleType) -> None:
    pytest.importorskip("sphinx_design")
    pytest.importorskip("myst_parser")
    assert translations.main(check=True) == 0


def test_all_that_one_learns_from_has_a_chinese_edition(translations: ModuleType) -> None:
    whole = {page.as_posix() for page in translations.pages()}
    assert {"index.md", "faq.md", "glossary.md", "guides/search.md", "migration/ray-tune.md"} <= whole
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - whole == translations.ENGLISH_ONLY
    catalogues = {path.relative_to(LOCALE).with_suffix(".md").as_posix() for path in LOCALE.rglob("*.po")}
    assert whole - {"examples.md"} <= catalogues  # the gallery's texts share gallery.po


def test_changed_english_is_found_until_its_chinese_is_looked_at(translations: ModuleType) -> None:
    english, chinese = catalogue(("A trial ends.", "")), catalogue(("A trial stops.", "试验停止。"))
    assert translations.faults(english, chinese) == ["to translate: A trial ends.", "no longer there: A trial stops."]
    translations.update(english, chinese)
    assert translations.faults(english, chinese) == ["to translate: A trial ends."]
    chinese[0].msgstr = "试验结束。"
    assert translations.faults(english, chinese) == []


def test_code_and_figures_are_the_same_in_chinese(translations: ModuleType) -> None:
    texts = ("0.231 ±0.016", "28 % (0.015)", "`a`, `b`", "`n` trials", "σ")
    english, chinese = catalogue(*((text, "") for text in texts)), catalogue()
    translations.update(english, chinese)
    assert [entry.msgstr for entry in chinese] == ["0.231 ±0.016", "28 % (0.015)", "`a`、`b`", "", ""]


def test_fuzzy_entry_counts_as_not_translated(translations: ModuleType) -> None:
    english, chinese = catalogue(("A trial ends.", "")), catalogue(("A trial ends.", "试验停止。"))
    chinese[0].flags.append("fuzzy")
    assert translations.faults(english, chinese) == ["to translate: A trial ends."]


@pytest.mark.parametrize("path", sorted(LOCALE.rglob("*.po")), ids=lambda path: path.stem)
def test_chinese_keeps_the_code_and_the_links_of_the_english(path: object) -> None:
    marks = re.compile(r"`[^`]+`|\]\([^)]+\)")
    entries = polib.pofile(str(path))
    assert [e.msgid for e in entries if sorted(marks.findall(e.msgid)) != sorted(marks.findall(e.msgstr))] == []


def test_chinese_readme_has_all_that_the_english_one_has() -> None:
    def parts(name: str) -> dict[str, list[str]]:
        text = (ROOT / name).read_text(encoding="utf-8")
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        return {
            "code": re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL),
            "headings": re.findall(r"^#+ ", prose, re.MULTILINE),
            "links": sorted(set(re.findall(r"\]\(([^)]+)\)", prose)) - {"README.md", "README.zh-CN.md"}),
            "pictures": [name.replace(".zh_CN", "") for name in re.findall(r"docs/images/\S+\.svg", prose)],
            "points": re.findall(r"^- ", prose, re.MULTILINE),
            "figures": sorted(re.findall(r"\d+(?:\.\d+)?", prose)),
            "rows": re.findall(r"^\| `[^`]+`", prose, re.MULTILINE),
        }

    assert parts("README.zh-CN.md") == parts("README.md")
