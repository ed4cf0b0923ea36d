"""Checkpoints that are not in the working folder any more: what retention dropped is no loss, all else is."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.uploads import Upload, Uploads
from tune_core.storage.connect import object_store

SIZE = 300


@pytest.fixture
def start(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Uploads]:
    """Starts uploads of a folder whose journal has three lines of 100 bytes, of which the store shows none."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / JOURNAL_FILE).write_bytes(bytes(SIZE))

    def make(is_kept: Callable[[int, str], bool] | None = None) -> Uploads:
        store = object_store((tmp_path / "store").as_uri(), None)
        uploads = Uploads(store, str(folder), 1 << 20, lambda error: None, is_kept)
        request.addfinalizer(uploads.close)
        return uploads

    return make


def add_one_that_is_not_there(uploads: Uploads) -> None:
    uploads.add(Upload(0, "checkpoint_000001", 100, 200))
    deadline = time.monotonic() + 30
    while not uploads.is_idle():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_dropped_checkpoint_is_no_loss_and_its_line_waits_for_those_that_tell_so(
    start: Callable[..., Uploads], caplog: pytest.LogCaptureFixture
) -> None:
    uploads = start(lambda trial, name: False)
    add_one_that_is_not_there(uploads)
    assert not caplog.records and not uploads.waiting()
    assert uploads.limit(250, 0) == 100
    assert uploads.limit(SIZE, 0) == SIZE
    uploads.shown(SIZE)
    assert not uploads._by_key


@pytest.mark.parametrize("is_kept", [None, lambda trial, name: True], ids=["unknown", "kept"])
def test_checkpoint_that_is_kept_and_not_there_is_a_loss(
    start: Callable[..., Uploads], caplog: pytest.LogCaptureFixture, is_kept: Callable[[int, str], bool] | None
) -> None:
    add_one_that_is_not_there(start(is_kept))
    assert "trial_00000/checkpoint_000001 was lost" in caplog.text
