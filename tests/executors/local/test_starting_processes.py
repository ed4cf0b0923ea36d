"""Processes that a trial starts find what the user's script, notebook or module defines, however they are started."""

from __future__ import annotations

from pathlib import Path

import pytest

from executors.starting_processes import PLACES, QUICK, TORCH, check


@pytest.mark.timeout(300)
@PLACES
def test_processes_of_the_standard_library_find_the_definitions(tmp_path: Path, where: str) -> None:
    check(where, QUICK, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("where", ["script", "module", "notebook"])
def test_processes_of_torch_find_the_definitions(tmp_path: Path, where: str) -> None:
    pytest.importorskip("torch")
    check(where, TORCH, tmp_path)
