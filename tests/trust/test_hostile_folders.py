"""Strangers' folders: nothing outside is touched, nothing reaches the terminal, nothing ends in a traceback."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import tune_core as tune
from trust import hostile
from tune_core.errors import JournalError


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = tmp_path_factory.mktemp("template")
    hostile.make(storage)
    return storage / "run"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def place(template: Path, tmp_path: Path, name: str) -> tuple[Path, Path]:
    """The hostile folder beside a healthy one, and what is outside."""
    outside = tmp_path / "outside"
    (outside / "checkpoint_000003").mkdir(parents=True)
    (outside / "secret.txt").write_text("secret")
    (outside / "checkpoint_000003" / "step").write_text("3")
    folder = tmp_path / "storage" / "evil"
    shutil.copytree(template, folder)
    shutil.copytree(template, tmp_path / "storage" / "healthy")
    hostile.FOLDERS[name](folder)
    return folder, outside


@pytest.mark.parametrize("name", hostile.FOLDERS)
def test_looking_at_a_strangers_folder_is_safe(name: str, template: Path, tmp_path: Path) -> None:
    folder, outside = place(template, tmp_path, name)
    before = hostile.tree(outside)
    for what, said in hostile.look(folder):
        assert "TRACEBACK" not in said, (what, said)
        assert "OUTSIDE" not in said, (what, said)
        assert "secret" not in said.replace("secret.txt", ""), (what, said)
        assert not hostile.UNPRINTABLE.search(said), (what, said)
        assert what != "ls" or "healthy" in said
    assert hostile.tree(outside) == before


@pytest.mark.parametrize("name", hostile.FOLDERS)
def test_restoring_a_strangers_folder_touches_nothing_outside(name: str, template: Path, tmp_path: Path) -> None:
    folder, outside = place(template, tmp_path, name)
    before = hostile.tree(outside)
    assert not hostile.restore(folder)
    assert hostile.tree(outside) == before


@pytest.mark.parametrize(
    "name",
    [
        "time is far away",
        "mode is none",
        "one of the modes is none",
        "keeps no checkpoint",
        "what varies is a number",
        "settings are odd",
        "settings of a restore are odd",
        "began nowhere",
        "reports in the year 10^300",
    ],
)
def test_what_no_run_writes_is_said_of_the_journal_when_it_is_read(name: str, template: Path, tmp_path: Path) -> None:
    folder, _ = place(template, tmp_path, name)
    with pytest.raises(JournalError) as raised:
        tune.ResultGrid.from_path(folder)
    assert raised.value.asked == str(folder / "journal.jsonl")
