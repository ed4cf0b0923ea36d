"""Pages tell the truth: their Python runs, their links lead somewhere, and the docstrings' examples hold."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from imports import ROOT, modules

import tune_core

DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *(p for p in DOCS.rglob("*.md") if p.relative_to(DOCS).parts[0][0] != "_")])
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
NEEDS = re.compile(r"<!-- needs: (.+?) -->")
WITH_CODE = [page for page in PAGES if BLOCK.search(page.read_text(encoding="utf-8"))]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.real
@pytest.mark.timeout(600)  # pages of frameworks train models
@pytest.mark.skipif(not hasattr(tune_core, "Tuner"), reason="the tuner is not there")
@pytest.mark.parametrize("page", WITH_CODE, ids=name)
def test_python_on_a_page_runs(page: Path, tmp_path: Path) -> None:
    """All blocks of a page are one script; `<!-- needs: module, ... -->` on the page names what it imports."""
    text = page.read_text(encoding="utf-8")
    for needed in NEEDS.findall(text):
        for module in needed.split(","):
            pytest.importorskip(module.strip())
    script = tmp_path / "page.py"
    script.write_text("\n".join(BLOCK.findall(text)), encoding="utf-8")
    env = {**os.environ, "HOME": str(tmp_path), "TUNE_CORE_STORAGE": str(tmp_path / "results")}
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.real
def test_readme_shows_what_its_example_prints(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"It ends with:\n\n```text\n(.*?)```", text, re.DOTALL)
    assert shown
    script = tmp_path / "example.py"
    script.write_text(BLOCK.findall(text)[0], encoding="utf-8")
    env = {**os.environ, "HOME": str(tmp_path), "TUNE_CORE_STORAGE": str(tmp_path / "tune_results")}
    del env["PYTEST_CURRENT_TEST"]  # in whose presence runs say nothing
    command = [sys.executable, "-u", str(script)]
    done = subprocess.run(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def without_time_and_place(lines: str) -> list[str]:
        lines = lines.replace(str(tmp_path), "~")
        lines = re.sub(r"objective_[-_0-9]+", "objective", re.sub(r"in [0-9.]+ s", "in some time", lines))
        return lines.splitlines()

    printed = without_time_and_place(done.stdout)
    expected = without_time_and_place(shown[1])
    assert printed[-len(expected) :] == expected


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_on_a_page_lead_to_files(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = [t for t in re.findall(r"\]\(([^)#\s]+)", prose) if "://" not in t]
    assert [t for t in targets if not (page.parent / t).exists()] == []


EXAMPLES_NEED = {
    "tune_core.models.gaussian_process": ["numpy"],
    "tune_core.models.lbfgs": ["numpy"],
    "tune_core.models.target_transform": ["numpy"],
    "tune_core.search.auto": ["numpy"],
    "tune_core.search.optuna": ["optuna"],
}


@pytest.mark.parametrize("module", [m for m in modules(ROOT, "tune_core") if not m.endswith("__main__")])
def test_examples_in_docstrings_hold(module: str) -> None:
    for library in EXAMPLES_NEED.get(module, ()):
        pytest.importorskip(library)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, _ = doctest.testmod(importlib.import_module(module), optionflags=flags)
    assert failed == 0


def test_table_of_trial_states_is_the_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    import reference

    from tune_core.core.trial import TRANSITIONS

    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in reference.states().splitlines()[2:]]
    assert [(row[0], row[1], row[2]) for row in rows] == [
        (str(before), change.value, str(after)) for (before, change), after in TRANSITIONS.items()
    ]
    assert all(row[3] for row in rows)
