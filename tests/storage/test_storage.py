"""What local folders and remote stores promise alike."""

import os
import uuid
from pathlib import Path

import fsspec
import pytest

from tune_core.errors import CheckpointError, MissingDependencyError, StorageError
from tune_core.storage import Storage, default_storage_path, is_remote, local_path, storage_from
from tune_core.storage.remote import COMMIT, RemoteStorage


@pytest.fixture(params=["local", "memory", "s3"])
def storage(request, tmp_path):
    if request.param == "local":
        return storage_from(tmp_path / "root")
    if request.param == "memory":
        return storage_from(f"memory://bucket-{uuid.uuid4().hex}/root")
    return storage_from(f"{request.getfixturevalue('s3_bucket')}/root-{uuid.uuid4().hex}")


@pytest.fixture
def source(tmp_path):
    return make_folder(tmp_path / "source", {"a.txt": "one", "sub/b.txt": "two", "sub/.hidden": "three"})


def make_folder(folder, files):
    for name, text in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder)


def read_folder(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in Path(folder).rglob("*") if path.is_file()}


def fetched(storage, path, tmp_path):
    target = tmp_path / uuid.uuid4().hex
    storage.fetch_dir(path, str(target))
    return read_folder(target)


def test_storage_has_the_protocol(storage):
    assert isinstance(storage, Storage)


def test_persisted_folder_comes_back(storage, source, tmp_path):
    path = storage.join("trial", "checkpoint_000001")
    assert not storage.exists(path)
    storage.persist_dir(source, path)
    assert storage.exists(path)
    assert fetched(storage, path, tmp_path) == read_folder(source)
    assert storage.read_bytes(storage.join("trial", "checkpoint_000001", "sub", "b.txt")) == b"two"


def test_persisting_again_replaces_the_whole(storage, source, tmp_path):
    path = storage.join("trial", "checkpoint_000001")
    storage.persist_dir(source, path)
    for text in ("second", "third"):
        other = make_folder(tmp_path / text, {"sub/a.txt": text, f"{text}.txt": text})
        storage.persist_dir(other, path)
        assert fetched(storage, path, tmp_path) == {"sub/a.txt": text, f"{text}.txt": text}
        assert storage.read_bytes(f"{path}/sub/a.txt") == text.encode()
    assert storage.list_dirs(storage.join("trial")) == ["checkpoint_000001"]


def test_list_dirs_shows_folders_only(storage, source):
    storage.persist_dir(source, storage.join("b"))
    storage.persist_dir(source, storage.join("a"))
    storage.write_bytes_atomic(storage.join("file.txt"), b"x")
    assert storage.list_dirs(storage.join()) == ["a", "b"]
    assert storage.list_dirs(storage.join("missing")) == []


def test_deleted_folder_is_gone(storage, source):
    path = storage.join("trial", "checkpoint_000001")
    storage.persist_dir(source, path)
    storage.delete_dir(path)
    storage.delete_dir(path)
    assert not storage.exists(path)
    assert storage.list_dirs(storage.join("trial")) == []


def test_file_is_written_and_overwritten(storage):
    path = storage.join("deep", "er", "file.json")
    storage.write_bytes_atomic(path, b"one")
    storage.write_bytes_atomic(path, b"two")
    assert storage.read_bytes(path) == b"two"
    assert storage.exists(path)


def test_missing_file_is_not_found(storage):
    with pytest.raises(FileNotFoundError):
        storage.read_bytes(storage.join("nothing.txt"))


def test_file_added_to_a_persisted_folder_belongs_to_it(storage, source, tmp_path):
    path = storage.join("checkpoint")
    storage.persist_dir(source, path)
    storage.write_bytes_atomic(f"{path}/extra.json", b"{}")
    assert fetched(storage, path, tmp_path) == {**read_folder(source), "extra.json": "{}"}
    storage.persist_dir(source, path)
    storage.write_bytes_atomic(f"{path}/extra.json", b"[]")
    assert fetched(storage, path, tmp_path) == {**read_folder(source), "extra.json": "[]"}


def test_missing_folders_have_the_four_parts(storage, tmp_path):
    for use in (
        lambda: storage.fetch_dir(storage.join("nothing"), str(tmp_path / "target")),
        lambda: storage.persist_dir(str(tmp_path / "nothing"), storage.join("x")),
    ):
        with pytest.raises(CheckpointError) as caught:
            use()
        assert all([caught.value.asked, caught.value.found, caught.value.cause, caught.value.fix])
    assert not storage.exists(storage.join("x"))


def test_makedirs_can_be_repeated(storage):
    storage.makedirs(storage.join("a", "b"))
    storage.makedirs(storage.join("a", "b"))
    assert storage.list_dirs(storage.join("a", "b")) == []


class Cut(Exception):
    pass


def cut_after(monkeypatch, filesystem, method, calls):
    """Let the file system's ``method`` work ``calls`` times and then fail as a lost network does."""
    real, left = getattr(filesystem, method), [calls]

    def limited(*args, **kwargs):
        if left[0] == 0:
            raise Cut("connection lost")
        left[0] -= 1
        return real(*args, **kwargs)

    monkeypatch.setattr(filesystem, method, limited)


@pytest.fixture
def remote(monkeypatch):
    monkeypatch.setenv("TUNE_CORE_STORAGE_TIMEOUT_S", "0.1")
    return RemoteStorage(f"memory://bucket-{uuid.uuid4().hex}")


@pytest.mark.parametrize(("method", "calls"), [("put_file", 0), ("put_file", 2), ("pipe_file", 1)])
def test_upload_that_was_cut_is_not_visible_and_can_be_repeated(remote, source, tmp_path, monkeypatch, method, calls):
    path = remote.join("trial", "checkpoint")
    with monkeypatch.context() as patch:
        cut_after(patch, remote.filesystem, method, calls)
        with pytest.raises(StorageError, match="connection lost"):
            remote.persist_dir(source, path)
    assert remote.filesystem.find(path)
    assert not remote.exists(path)
    assert remote.list_dirs(remote.join("trial")) == []
    with pytest.raises(CheckpointError):
        remote.fetch_dir(path, str(tmp_path / "target"))
    remote.persist_dir(source, path)
    assert fetched(remote, path, tmp_path) == read_folder(source)


@pytest.mark.parametrize(("method", "calls"), [("put_file", 0), ("put_file", 1), ("pipe_file", 0)])
def test_replacement_that_was_cut_leaves_the_old_visible(remote, source, tmp_path, monkeypatch, method, calls):
    path = remote.join("trial", "checkpoint")
    remote.persist_dir(source, path)
    other = make_folder(tmp_path / "other", {"a.txt": "new", "c.txt": "new"})
    with monkeypatch.context() as patch:
        cut_after(patch, remote.filesystem, method, calls)
        with pytest.raises(StorageError, match="connection lost"):
            remote.persist_dir(other, path)
    assert fetched(remote, path, tmp_path) == read_folder(source)
    remote.persist_dir(other, path)
    assert fetched(remote, path, tmp_path) == read_folder(other)


def test_deletion_that_was_cut_leaves_nothing_visible(remote, source, monkeypatch):
    path = remote.join("checkpoint")
    remote.persist_dir(source, path)
    with monkeypatch.context() as patch:
        cut_after(patch, remote.filesystem, "rm_file", 0)
        with pytest.raises(StorageError):
            remote.delete_dir(path)
    assert not remote.exists(path)
    remote.delete_dir(path)
    assert not remote.filesystem.exists(path)


def test_first_upload_has_the_plain_layout(remote, source):
    path = remote.join("checkpoint")
    remote.persist_dir(source, path)
    assert remote.filesystem.cat_file(f"{path}/sub/b.txt") == b"two"


def test_folder_put_there_by_others_is_taken_as_it_is(remote, source, tmp_path):
    path = remote.join("foreign")
    remote.filesystem.put(source, path, recursive=True)
    assert remote.exists(path)
    assert fetched(remote, path, tmp_path) == read_folder(source)
    remote.delete_dir(path)
    assert not remote.exists(path)


def test_fetched_folder_has_no_commit_file(remote, source, tmp_path):
    remote.persist_dir(source, remote.join("c"))
    assert COMMIT not in fetched(remote, remote.join("c"), tmp_path)


def test_unknown_scheme_has_the_four_parts():
    with pytest.raises(StorageError) as caught:
        storage_from("nosuchstore://bucket/x")
    assert all([caught.value.asked, caught.value.found, caught.value.cause, caught.value.fix])


def test_missing_package_is_named_with_its_extra():
    try:
        import gcsfs  # noqa: F401
    except ImportError:
        with pytest.raises(MissingDependencyError, match=r"tune-core\[gcs\]"):
            storage_from("gs://bucket/x")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/b", "/a/b"),
        ("/a/../b/", "/b"),
        ("file:///a/b", "/a/b"),
        ("~/x", os.path.expanduser("~/x")),
        (Path("/a"), "/a"),
        ("s3://bucket/x", None),
        ("memory://x", None),
        ("C:\\x", os.path.abspath("C:\\x")),
    ],
)
def test_local_path(path, expected):
    assert local_path(path) == expected
    assert is_remote(os.fspath(path)) is (expected is None)


def test_relative_local_path_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert local_path("x") == str(tmp_path / "x")


def test_default_storage_path(monkeypatch):
    monkeypatch.delenv("TUNE_CORE_STORAGE", raising=False)
    assert default_storage_path() == os.path.expanduser("~/tune_results")
    monkeypatch.setenv("TUNE_CORE_STORAGE", "s3://bucket/results")
    assert default_storage_path() == "s3://bucket/results"


def test_given_filesystem_is_used():
    storage = storage_from("/some/folder", fsspec.filesystem("memory"))
    storage.write_bytes_atomic(storage.join("x"), b"1")
    assert fsspec.filesystem("memory").cat_file("/some/folder/x") == b"1"
