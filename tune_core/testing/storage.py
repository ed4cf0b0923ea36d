"""What every object store must do: the conformance suite for :class:`tune_core.storage.objects.ObjectStore`.

Derive from :class:`ObjectStoreContract` in a test module and say how to open a store; pytest finds the tests.
"""

from __future__ import annotations

import os
import threading
import uuid
from pathlib import Path

import pytest

from tune_core.errors import CheckpointError, ExperimentLockedError, JournalError
from tune_core.storage.folders import COMMIT, delete_folder, download_folder, is_whole, upload_folder
from tune_core.storage.lease import Head, head_key, take_lease
from tune_core.storage.objects import ObjectStore
from tune_core.storage.segments import (
    SegmentHead,
    SupersededError,
    has_journal,
    read_segments,
    segment_key,
    write_next_segment,
    write_segment,
)


class ObjectStoreContract:
    """Tests of one kind of store. Override :meth:`open_store`, which may use fixtures of the class's own."""

    rounds = 10
    """How often many writers compete for one object."""

    def open_store(self, name: str) -> ObjectStore:
        """An empty store, or a second client of the one that was opened under this name before."""
        raise NotImplementedError

    @pytest.fixture
    def name(self) -> str:
        """A name for a store of this test alone."""
        return f"store-{uuid.uuid4().hex[:12]}"

    @pytest.fixture
    def store(self, name: str) -> ObjectStore:
        """The store under test."""
        return self.open_store(name)

    # --- objects ------------------------------------------------------------------------------------------------------

    def test_object_comes_back(self, store: ObjectStore) -> None:
        store.put("a/b/c", b"one")
        assert store.get("a/b/c") == b"one"
        assert store.size("a/b/c") == 3

    def test_missing_object_is_not_found(self, store: ObjectStore) -> None:
        with pytest.raises(FileNotFoundError):
            store.get("nothing/here")
        assert store.size("nothing/here") is None
        assert store.keys("nothing") == []
        assert store.folders("nothing") == []

    def test_putting_again_replaces_the_object(self, store: ObjectStore) -> None:
        store.put("a", b"one, which was longer")
        store.put("a", b"two")
        assert store.get("a") == b"two"
        assert store.size("a") == 3

    def test_second_client_sees_what_the_first_wrote(self, store: ObjectStore, name: str) -> None:
        other = self.open_store(name)
        assert other.keys("x") == []
        assert other.size("x/1") is None
        store.put("x/1", b"one")
        assert other.keys("x") == ["x/1"]
        assert other.get("x/1") == b"one"
        store.put("x/1", b"two!")
        assert other.get("x/1") == b"two!"
        assert other.size("x/1") == 4
        other.delete(["x/1"])
        assert store.keys("x") == []

    def test_object_is_created_once(self, store: ObjectStore) -> None:
        assert store.create("lease/1", b"mine")
        assert not store.create("lease/1", b"yours")
        assert store.get("lease/1") == b"mine"

    def test_one_of_many_writers_creates_an_object(self, store: ObjectStore, name: str) -> None:
        stores = [store, *(self.open_store(name) for _ in range(7))]
        for round_ in range(self.rounds):
            won: list[int] = []
            gate = threading.Barrier(len(stores))

            args = [(one, f"race/{round_}", number, gate, won) for number, one in enumerate(stores)]
            threads = [threading.Thread(target=_compete, args=each) for each in args]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert [str(number).encode() for number in won] == [store.get(f"race/{round_}")]

    def test_keys_are_those_below_a_folder(self, store: ObjectStore) -> None:
        for key in ("run/1", "run/sub/2", "runner/3", "other"):
            store.put(key, b"x")
        assert store.keys("run") == ["run/1", "run/sub/2"]
        assert store.keys() == ["other", "run/1", "run/sub/2", "runner/3"]
        assert store.folders() == ["run", "runner"]
        assert store.folders("run") == ["sub"]

    def test_deleting_passes_over_what_is_missing(self, store: ObjectStore) -> None:
        store.put("a/1", b"x")
        store.delete(["a/1", "a/2"])
        store.delete([])
        assert store.keys() == []

    def test_files_travel_whole(self, store: ObjectStore, tmp_path: Path) -> None:
        data = os.urandom((5 << 20) + 17)
        Path(tmp_path, "source").write_bytes(data)
        store.put_file("large", str(tmp_path / "source"))
        assert store.size("large") == len(data)
        store.get_file("large", str(tmp_path / "target"))
        assert Path(tmp_path, "target").read_bytes() == data

    def test_object_is_copied_in_the_store(self, store: ObjectStore) -> None:
        store.put("a/1", b"content")
        store.copy("a/1", "b/2")
        assert store.get("b/2") == b"content"
        with pytest.raises(Exception):  # noqa: B017 - each client has its own
            store.copy("a/none", "b/3")

    # --- folders ------------------------------------------------------------------------------------------------------

    def test_folder_comes_back(self, store: ObjectStore, tmp_path: Path) -> None:
        source = _folder(tmp_path / "source", {"a": b"1", "sub/b": b"22", "sub/.c": b""})
        os.makedirs(source / "empty")
        upload_folder(store, str(source), "checkpoint")
        assert is_whole(store, "checkpoint")
        download_folder(store, "checkpoint", str(tmp_path / "target"))
        assert _content(tmp_path / "target") == _content(source)
        assert (tmp_path / "target" / "empty").is_dir()

    def test_unfinished_folder_is_not_visible(self, store: ObjectStore, tmp_path: Path) -> None:
        source = _folder(tmp_path / "source", {"a": b"1", "b": b"2"})
        upload_folder(store, str(source), "checkpoint")
        store.put(f"checkpoint/{COMMIT}", b"")
        assert not is_whole(store, "checkpoint")
        with pytest.raises(CheckpointError):
            download_folder(store, "checkpoint", str(tmp_path / "target"))

    def test_changed_file_is_refused(self, store: ObjectStore, tmp_path: Path) -> None:
        upload_folder(store, str(_folder(tmp_path / "source", {"a": b"1234"})), "checkpoint")
        store.put("checkpoint/a", b"1235")
        with pytest.raises(CheckpointError, match="SHA-256"):
            download_folder(store, "checkpoint", str(tmp_path / "target"))
        assert not (tmp_path / "target" / "a").exists()

    def test_same_files_are_not_sent_again(self, store: ObjectStore, tmp_path: Path) -> None:
        upload_folder(store, str(_folder(tmp_path / "one", {"same": b"1234", "other": b"1"})), "one")
        sent: list[str] = []
        real = store.put_file

        def put_file(key: str, path: str) -> None:
            sent.append(key)
            real(key, path)

        store.put_file = put_file  # type: ignore[method-assign]
        upload_folder(store, str(_folder(tmp_path / "two", {"same": b"1234", "other": b"2"})), "two", like="one")
        assert sent == ["two/other"]
        delete_folder(store, "one")
        download_folder(store, "two", str(tmp_path / "target"))
        assert _content(tmp_path / "target") == {"same": b"1234", "other": b"2"}

    def test_deleted_folder_is_gone(self, store: ObjectStore, tmp_path: Path) -> None:
        upload_folder(store, str(_folder(tmp_path / "source", {"a": b"1", "b": b"2"})), "x/checkpoint")
        delete_folder(store, "x/checkpoint")
        assert store.keys("x") == []

    # --- journals and leases ------------------------------------------------------------------------------------------

    def test_segments_make_a_journal(self, store: ObjectStore) -> None:
        write_segment(store, 0, SegmentHead(1, "t", 0, 4), b"one\n")
        write_segment(store, 1, SegmentHead(1, "t", 4, 4), b"two\n")
        first = read_segments(store)
        assert (first.data, first.segments) == (b"one\ntwo\n", 2)
        write_segment(store, 2, SegmentHead(2, "u", 4, 6), b"three\n")  # another driver had not seen the second
        assert read_segments(store, first).data == b"one\nthree\n"

    def test_journal_that_begins_anew_goes_on_behind_the_old_one(self, store: ObjectStore) -> None:
        write_segment(store, 0, SegmentHead(1, "t", 0, 4), b"one\n")
        write_segment(store, 1, SegmentHead(1, "t", 4, 4), b"two\n")
        first = read_segments(store)
        fenced = write_next_segment(store, lambda known: SegmentHead(2, "u", 0, 0))
        assert (fenced.data, fenced.segments) == (b"", 3) and not has_journal(store)
        write_segment(store, 3, SegmentHead(2, "u", 0, 6), b"three\n")
        store.delete([segment_key(0), segment_key(1)])
        assert read_segments(store).data == read_segments(store, first).data == b"three\n"
        assert has_journal(store)
        store.delete([segment_key(3)])
        write_segment(store, 4, SegmentHead(2, "u", 6, 5), b"four\n")
        with pytest.raises(JournalError, match="00000003"):
            read_segments(store)

    def test_segment_whose_answer_was_lost_is_recognised(self, store: ObjectStore) -> None:
        head = SegmentHead(1, "t", 0, 4)
        write_segment(store, 0, head, b"one\n")
        write_segment(store, 0, head, b"one\n")

    def test_second_writer_of_a_segment_is_told(self, store: ObjectStore) -> None:
        write_segment(store, 0, SegmentHead(2, "new", 0, 4), b"one\n")
        with pytest.raises(SupersededError):
            write_segment(store, 0, SegmentHead(1, "old", 0, 4), b"one\n")

    def test_living_holder_keeps_its_lease(self, store: ObjectStore, name: str) -> None:
        holder = take_lease(store)
        other = self.open_store(name)
        beats = iter(range(1, 1000))

        def wait(seconds: float) -> None:
            beat = Head(holder.epoch, holder.token, next(beats), 0, 0, 0.0)
            store.put(head_key(holder.epoch), _encode(beat))

        with pytest.raises(ExperimentLockedError, match=str(holder.pid)):
            take_lease(other, wait=wait)

    def test_silent_holder_loses_its_lease_after_its_expiry(self, store: ObjectStore, name: str) -> None:
        holder = take_lease(store)
        waited: list[float] = []
        taken = take_lease(self.open_store(name), wait=waited.append)
        assert taken.epoch == holder.epoch + 1
        assert holder.expiry_s <= sum(waited) < holder.expiry_s + 2

    def test_released_lease_is_taken_at_once(self, store: ObjectStore) -> None:
        holder = take_lease(store)
        store.put(head_key(holder.epoch), _encode(Head(holder.epoch, holder.token, 1, 0, 0, 0.0, True)))
        waited: list[float] = []
        take_lease(store, wait=waited.append)
        assert waited == []


def _compete(store: ObjectStore, key: str, number: int, gate: threading.Barrier, won: list[int]) -> None:
    gate.wait()
    if store.create(key, str(number).encode()):
        won.append(number)


def _encode(head: Head) -> bytes:
    import msgspec

    return msgspec.json.encode(head)


def _folder(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
