"""The project's own files agree with each other: versions, extras, pins, commands, packaging."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from imports import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
CPU_WHEELS = {"xgboost": "xgboost-cpu", "tensorflow": "tensorflow-cpu"}  # what is tested is the same module's CPU build


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def version() -> str:
    found = re.search(r'__version__ = "(.+)"', read("tune_core/_version.py"))
    assert found
    return found[1]


def pins(name: str) -> dict[str, str]:
    lines = [line.partition("#")[0].strip() for line in read(name).splitlines()]
    return {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines if line}


def packages() -> list[Path]:
    return [ROOT / "tune_core", *(p.parent for p in (ROOT / "integrations").glob("*/__init__.py"))]


def requirements() -> list[Requirement]:
    listed = [*PROJECT["project"]["dependencies"], *(r for extra in EXTRAS.values() for r in extra)]
    return [r for r in map(Requirement, listed) if r.name != "tune-core"]


def test_newest_version_in_the_changelog_is_the_packages_version() -> None:
    versions = re.findall(r"^## \[?(\d[^\]\s]*)", read("CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == version()


def test_citation_names_the_version_and_its_date() -> None:
    released = re.search(rf"^## \[{re.escape(version())}\] - (\S+)", read("CHANGELOG.md"), re.MULTILINE)
    assert released
    assert f"\nversion: {version()}\ndate-released: {released[1]}\n" in read("CITATION.cff")


def test_installed_distribution_ships_types_and_has_the_version() -> None:
    try:
        distribution = importlib.metadata.distribution("tune-core")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("runs from the source tree")
    assert distribution.version == version()
    shipped = {str(file) for file in distribution.files or ()}
    if "tune_core/_version.py" in shipped:  # an editable install lists no files
        assert {f"{package.name}/py.typed" for package in packages()} <= shipped


def test_every_package_is_marked_as_typed() -> None:
    assert [p.name for p in packages() if not (p / "py.typed").exists()] == []


@pytest.mark.parametrize(
    ("readme", "sentence"),
    [("README.md", r"The core depends on ([^.]+), and imports no"), ("README.zh-CN.md", r"核心只依赖 ([^，]+)，")],
)
def test_readme_names_all_that_the_core_depends_on(readme: str, sentence: str) -> None:
    claimed = re.search(sentence, read(readme))
    assert claimed
    named = set(re.split(r"(?:,|、| and | 和 )\s*", claimed[1]))
    assert named == {Requirement(one).name for one in PROJECT["project"]["dependencies"]}


def test_ci_runs_the_test_command_of_the_readme() -> None:
    command = "python -m pip install tox && python -m tox"
    assert command in read("README.md")
    assert command in read(".ci/run").splitlines()


@pytest.mark.skipif(os.name != "posix", reason="needs bash")
def test_ci_script_is_executable_and_parses() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.skipif(os.name != "posix", reason="needs bash")
def test_ci_fails_when_the_tests_fail(tmp_path: Path) -> None:
    for name, status in (("python3", 1), ("python", 3)):  # python3 asks whether this is a virtual environment: yes
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {status}\n")
        (tmp_path / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run(["bash", str(ROOT / ".ci" / "run")], env=env).returncode == 3


def test_demo_command_of_the_readme_is_an_entry_point() -> None:
    assert 'python -m pip install ".[sklearn]" && tune-core demo' in read("README.md")
    assert PROJECT["project"]["scripts"] == {"tune-core": "tune_core.cli:main"}


@pytest.mark.parametrize("name", ["test", "docs"])
def test_extras_and_dependency_groups_of_one_name_are_the_same(name: str) -> None:
    assert EXTRAS[name] == PROJECT["dependency-groups"][name]


def test_every_requirement_is_pinned_in_a_constraints_file() -> None:
    names = {name for path in ROOT.glob("constraints/*.txt") for name in pins(f"constraints/{path.name}")}
    names |= set(pins("constraints.txt"))
    unpinned = {r.name for r in requirements() if canonicalize_name(r.name) not in names}
    assert unpinned <= {"tensorflow", "wandb"}  # tested with another wheel, or needs an account


def test_lower_bounds_are_the_versions_of_the_lowest_row() -> None:
    lowest = pins("constraints-lowest.txt")
    newest = pins("constraints.txt")
    for requirement in requirements():
        name = canonicalize_name(requirement.name)
        bound = next((s.version for s in requirement.specifier if s.operator == ">="), None)
        pinned = lowest.get(CPU_WHEELS.get(name, name))
        if bound is None or pinned is None or pinned == newest.get(CPU_WHEELS.get(name, name)):
            continue
        if name in CPU_WHEELS:  # the CPU wheel's first release is later than the module's
            assert Version(bound) <= Version(pinned), name
        else:
            assert Version(bound) == Version(pinned), name


def test_test_folders_are_packages_so_that_equal_file_names_do_not_clash() -> None:
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")} - {ROOT / "tests"}
    assert [str(f.relative_to(ROOT)) for f in sorted(folders) if not (f / "__init__.py").exists()] == []


def test_every_row_of_the_version_table_names_a_tested_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import matrix

    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in matrix.table().splitlines()[2:]]
    assert [row[1] for row in rows if row[3] == "–"] == []


def test_no_list_in_tox_ini_hides_several_names_in_one_conditional_line() -> None:
    """tox splits such a list at line ends alone, so that `boost: lightgbm, sklearn` would be one odd name."""
    matrix_lines = re.search(r"^extras =\n(.*?)^constraints =", read("tox.ini"), re.MULTILINE | re.DOTALL)
    assert matrix_lines
    assert [line for line in matrix_lines[1].splitlines() if "," in line.partition(": ")[2]] == []


@pytest.fixture
def hatch_build(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("hatchling")
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("hatch_build")


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'src(?:set)?="([^"]+)"', text)


def test_links_of_the_readme_are_absolute_on_a_package_index(hatch_build: Any) -> None:
    text = hatch_build.with_absolute_links(read("README.md"), "https://example.org/tune-core/")
    assert "](https://example.org/tune-core/blob/main/docs/getting-started.md)" in text
    assert 'src="https://example.org/tune-core/raw/main/docs/images/overview-light.svg"' in text
    assert "](https://docs.ray.io)" in text
    assert [link for link in links(text) if not link.startswith("https://")] == []


def test_readme_without_an_address_has_the_words_of_its_links_and_no_broken_picture(hatch_build: Any) -> None:
    text = hatch_build.without_relative_links(read("README.md"))
    assert "](https://docs.ray.io)" in text
    assert "Start with\ngetting started, or" in text
    assert [link for link in links(text) if not link.startswith("https://")] == []
    assert "<picture>" not in text
    assert "<img" not in text


@pytest.mark.parametrize("given", ["setting", "variable", "nothing"])
def test_addresses_of_the_project_follow_from_the_repositorys(
    hatch_build: Any, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_CORE_SOURCE", "https://example.org/fork" if given == "variable" else "")
    source = "https://example.org/tune-core" if given == "setting" else ""
    metadata: dict[str, Any] = {}
    hatch_build.Readme(str(ROOT), {"source": source}).update(metadata)
    wanted = {"setting": source, "variable": "https://example.org/fork", "nothing": None}[given]
    assert metadata["urls"].get("Source") == wanted
    assert (f"]({wanted}/blob/main/docs/" in metadata["readme"]["text"]) is (wanted is not None)
