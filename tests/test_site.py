"""The site is whole: drawings are the drawn ones, code fits the page, each public object has its page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from imports import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *(page for page in sorted(DOCS.rglob("*.md")) if page.parent.name[0] != "_")]
START = sorted((ROOT / "examples").glob("start_*.py"))
WIDTH = 88  # characters of code that a page shows without scrolling


@pytest.fixture(autouse=True)
def docs_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))


def test_pictures_are_those_that_the_script_draws() -> None:
    import drawings

    drawn = drawings.pictures()
    assert {name: (DOCS / "images" / name).read_text(encoding="utf-8") for name in drawn} == drawn


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_on_a_page_is_not_cut(page: Path) -> None:
    blocks = re.findall(r"^(```|~~~)(\w[^\n]*)\n(.*?)^\1$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    code = [line for _, language, block in blocks if language != "text" for line in block.splitlines()]
    assert [line for line in code if len(line) > WIDTH] == []  # text is wrapped by the page; code would have to scroll


def test_pages_and_examples_are_formatted_for_the_width_of_a_page() -> None:
    for folder in ("docs", "examples"):
        assert f"line-length = {WIDTH}\n" in (ROOT / folder / "ruff.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", START, ids=lambda path: path.stem)
def test_each_mark_in_code_of_the_landing_page_has_its_note(script: Path) -> None:
    marks = re.findall(r"# \((\d)\)$", script.read_text(encoding="utf-8"), re.MULTILINE)
    page = (DOCS / "index.md").read_text(encoding="utf-8")
    tab = page.partition(f"../examples/{script.name}\n")[2].partition(":::\n")[0]
    assert marks == re.findall(r"^(\d)\. ", tab, re.MULTILINE)


def test_pictures_on_pages_have_a_text_in_their_place() -> None:
    for page in DOCS.rglob("*.md"):
        for options in re.findall(r"^```\{image\} \S+\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
            assert re.search(r"^:alt: \S", options, re.M), page


def test_each_public_object_has_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import reference

    import tune_core

    ours = [section for section in reference.SECTIONS if section[0] != "Integrations"]  # those need their frameworks
    monkeypatch.setattr(reference, "SECTIONS", ours)
    reference.pages(tmp_path)
    pages = {path.stem for path in tmp_path.glob("*.md")}
    listed = {f"tune_core.{name}" for name in tune_core.__all__ if name != "__version__"}
    assert listed <= pages
    assert (tmp_path / "tune_core.Tuner.md").read_text(encoding="utf-8").startswith("# Tuner\n")


def test_each_guide_is_in_the_list_of_guides() -> None:
    guides = DOCS / "guides"
    listed = (guides / "index.md").read_text(encoding="utf-8").splitlines()
    there = {path.stem for path in guides.glob("*.md")} - {"index"}
    assert {line for line in listed if line in there} == there


def test_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    import links

    (tmp_path / "a.html").write_text('<a href="zh/b.html#here">b</a> <a href="https://example.org">out</a>')
    (tmp_path / "zh").mkdir()
    (tmp_path / "zh" / "b.html").write_text('<p id="here"></p> <a href="../a.html">a</a>')
    assert links.broken(tmp_path) == ([], 2)
    (tmp_path / "zh" / "b.html").write_text('<p id="there"></p> <a href="zh/a.html">a</a>')
    assert links.broken(tmp_path) == (["a.html: zh/b.html#here", "zh/b.html: zh/a.html"], 2)
