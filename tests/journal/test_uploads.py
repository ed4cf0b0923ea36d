"""Checkpoints on their way to a store, and those that become superfluous there."""

import threading
import time

from tune_core.journal.uploads import Upload, Uploads
from tune_core.storage.local_objects import LocalObjects


class Slow(LocalObjects):
    """A store that takes a file only when it is let."""

    def __init__(self, url):
        super().__init__(url)
        self.asked, self.let = threading.Event(), threading.Event()

    def put_file(self, key, path):
        self.asked.set()
        assert self.let.wait(60)
        super().put_file(key, path)


def test_checkpoint_that_becomes_superfluous_while_it_is_sent_is_not_left_in_the_store(tmp_path):
    folder = tmp_path / "run" / "trial_00000" / "checkpoint_000001"
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        (folder / name).write_text(name)
    (tmp_path / "run" / "journal.jsonl").write_text("")
    store = Slow(str(tmp_path / "store"))
    uploads = Uploads(store, str(tmp_path / "run"), 1 << 30, lambda error: None)
    try:
        uploads.add(Upload(0, "checkpoint_000001", 0, 10))
        assert store.asked.wait(60)
        uploads.drop(0, "checkpoint_000001", 20)
        uploads.shown(20)
        deadline = time.monotonic() + 1.0
        while uploads._deletions and time.monotonic() < deadline:
            time.sleep(0.01)
        store.let.set()
        deadline = time.monotonic() + 60
        while not uploads.is_idle():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert store.keys("") == []
    finally:
        store.let.set()
        uploads.close()
