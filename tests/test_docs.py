"""Pages tell the truth: their Python runs, their links lead somewhere, and the docstrings' examples hold."""

from __future__ import annotations

import doctest
import importlib
import math
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from imports import ROOT, modules

DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *(p for p in DOCS.rglob("*.md") if p.relative_to(DOCS).parts[0][0] != "_")])
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
# a block of code, and what it prints if that is shown directly behind it
SHOWN = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n(?:<!-- output: (?P<how>.+?) -->\n)?```text\n(?P<text>.*?)^```)?",
    re.MULTILINE | re.DOTALL,
)
FILE = re.compile(r"^<!-- file: (\S+) -->\n```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^<!-- run(?:: (.+?))? -->\n```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.]*\w)")
NEEDS = re.compile(r"<!-- needs: (.+?) -->")
# what the environments `core` and `search` of tox have not: pages that need it are run by `frameworks`
FRAMEWORKS = {"catboost", "keras", "lightgbm", "matplotlib", "pytorch_lightning", "torch", "transformers", "xgboost"}


def needs(page: Path) -> set[str]:
    """The modules that a page says it needs."""
    lists = NEEDS.findall(page.read_text(encoding="utf-8"))
    return {module.strip() for modules in lists for module in modules.split(",")}


WITH_CODE = [page for page in PAGES if BLOCK.search(page.read_text(encoding="utf-8"))]
OF_FRAMEWORKS = [page for page in WITH_CODE if needs(page) & FRAMEWORKS]
OTHERS = [
    pytest.param(page, marks=[pytest.mark.ray] if "ray" in needs(page) else [])  # run by `ray`
    for page in WITH_CODE
    if page not in OF_FRAMEWORKS
]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def plain(lines: str, home: Path) -> list[str]:
    """Lines of an output without what no two runs have in common: times, dates, workers, folders."""
    lines = re.sub(rf"{re.escape(str(home))}/(?!tune_results)", "", lines).replace(str(home), "~")
    lines = re.sub(r"_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(_\d+)?|\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", "_DATE", lines)
    lines = re.sub(r"\s*\b[0-9.]+ m?s\b", " TIME", lines)
    lines = re.sub(r"\bworker\d+", "WORKER", re.sub(r"\bline \d+", "line N", lines))
    return [line.rstrip() for line in lines.strip("\n").splitlines()]


def same(shown: str, printed: str, tolerance: float) -> bool:
    """Whether two lines are the same but for numbers that are nearly so."""
    if NUMBER.sub("0", shown) != NUMBER.sub("0", printed):
        return False
    pairs = zip(map(float, NUMBER.findall(shown)), map(float, NUMBER.findall(printed)))
    return all(a == b or abs(a - b) <= tolerance * max(abs(a), abs(b)) for a, b in pairs)


def agree(shown: list[str], printed: list[str], how: str = "") -> bool:
    """Whether an output is the shown one; a line of three dots stands for any lines.

    ``<!-- output: within 5 %, in any order -->`` before the shown one says that its numbers depend on a library, and
    its lines on which trial is first; ``any numbers``, that numbers depend on that.
    """
    percent = re.search(r"within ([\d.]+) %", how)
    tolerance = float(percent[1]) / 100 if percent else math.inf if "any numbers" in how else 1e-6
    if "in any order" in how:
        shown, printed = sorted(shown), sorted(printed)
    if not shown:
        return not printed
    if shown[0].strip() == "...":
        return any(agree(shown[1:], printed[skipped:], how) for skipped in range(len(printed) + 1))
    return bool(printed) and same(shown[0], printed[0], tolerance) and agree(shown[1:], printed[1:], how)


def surroundings(home: Path) -> dict[str, str]:
    """The environment of a reader whose home is a given folder."""
    env = {**os.environ, "HOME": str(home), "TUNE_CORE_STORAGE": str(home / "tune_results")}
    env.pop("PYTEST_CURRENT_TEST", None)  # in whose presence runs say nothing
    return {**env, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore", "COLUMNS": "88"}


def run(command: list[str], home: Path) -> str:
    done = subprocess.run(
        command, cwd=home, env=surroundings(home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.real
@pytest.mark.parametrize("page", OTHERS, ids=name)
def test_python_on_a_page_runs_and_prints_what_is_shown(page: Path, tmp_path: Path) -> None:
    assert differences(page, tmp_path) == []


@pytest.mark.real
@pytest.mark.timeout(600)  # they train models
@pytest.mark.parametrize("page", OF_FRAMEWORKS, ids=name)
def test_python_on_a_frameworks_page_runs_and_prints_what_is_shown(page: Path, tmp_path: Path) -> None:
    assert differences(page, tmp_path) == []


def differences(page: Path, tmp_path: Path) -> list[str]:
    """Outputs on a page that are not what its code and its commands print.

    All blocks of a page are one script; `<!-- needs: module, ... -->` on the page names what it imports. A block of
    text directly behind a block of code is what that prints. Commands in a `console` block after `<!-- run -->` are
    run when the script has ended; what stands after `<!-- file: NAME -->` is a file for them.
    """
    text = page.read_text(encoding="utf-8")
    for module in needs(page):
        pytest.importorskip(module)
    blocks = list(SHOWN.finditer(text))
    assert [block["code"] for block in blocks] == BLOCK.findall(text)
    script = tmp_path / "script.py"
    begin = 'print("\\x1e", flush=True)\n'
    script.write_text("\n".join(begin + block["code"] for block in blocks), encoding="utf-8")
    _, *outputs = run([sys.executable, str(script)], tmp_path).split("\x1e\n")
    wrong = [
        f"shown:\n{block['text']}\nprinted:\n{printed}"
        for block, printed in zip(blocks, outputs, strict=True)
        if block["text"] and not agree(plain(block["text"], tmp_path), plain(printed, tmp_path), block["how"] or "")
    ]
    for file, content in FILE.findall(text):
        (tmp_path / file).write_text(content, encoding="utf-8")
    for how, session in COMMANDS.findall(text):
        for command, shown in re.findall(r"^\$ tune-core (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE):
            arguments = shlex.split(command)
            printed = run([sys.executable, "-m", "tune_core.cli", *arguments], tmp_path)
            if not agree(plain(shown, tmp_path), plain(printed, tmp_path), how):
                wrong.append(f"shown for {command}:\n{shown}\nprinted:\n{printed}")
    return wrong


def test_shown_output_that_is_not_printed_is_found(tmp_path: Path) -> None:
    printed = [
        f"objective_2026-11-26_15-02-26: 2 trials in 2.4 s in {tmp_path}/tune_results/a",
        "x=1 loss 0.5",
        "b",
    ]
    shown = [f"objective_2026-11-27_11-12-26: 2 trials in 12.4 s in {tmp_path}/tune_results/a", "x=1 loss 0.51", "b"]
    printed, shown = (plain("\n".join(lines), tmp_path) for lines in (printed, shown))
    assert agree(shown, printed, "within 5 %")
    assert agree(shown[::-1], printed, "within 5 %, in any order")
    assert agree([shown[0], "..."], printed)
    assert agree(["...", "b"], printed)
    assert not agree(shown, printed)
    assert agree(["x=8 loss 5.5"], ["x=1 loss 0.5"], "any numbers")
    assert not agree(shown[::-1], printed, "within 5 %")
    assert not agree(["...", "c"], printed)
    assert not agree(printed[:2], printed)
    assert not agree(["x=2 loss 0.5"], ["x=1 loss 0.5"])
    assert not agree(["y=1 loss 0.5"], ["x=1 loss 0.5"])


@pytest.mark.real
def test_readme_shows_what_its_example_prints(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"It ends with:\n\n```text\n(.*?)```", text, re.DOTALL)
    assert shown
    script = tmp_path / "example.py"
    script.write_text(BLOCK.findall(text)[0], encoding="utf-8")
    printed = plain(run([sys.executable, str(script)], tmp_path), tmp_path)
    assert agree(["...", *plain(shown[1], tmp_path)], printed)


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
