"""Checkpoints as users hold them: folders here and in a remote store."""

import inspect
import os
import pickle
import uuid
from pathlib import Path

import fsspec
import pytest

from tune_core.checkpoint import METADATA, Checkpoint
from tune_core.errors import CheckpointError


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "mine"
    (folder / "sub").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"\x00\x01")
    (folder / "sub" / "notes.txt").write_text("hello")
    return folder


@pytest.fixture(params=["local", "file", "memory", "filesystem"])
def checkpoint(request, folder):
    """The same checkpoint by each kind of path."""
    if request.param == "local":
        return Checkpoint(str(folder))
    if request.param == "file":
        return Checkpoint(f"file://{folder}")
    path = f"memory://bucket-{uuid.uuid4().hex}/mine"
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), path, recursive=True)
    if request.param == "memory":
        return Checkpoint(path)
    return Checkpoint(path.removeprefix("memory:/"), filesystem=memory)


def test_to_directory_copies_the_files(checkpoint, tmp_path):
    target = checkpoint.to_directory(tmp_path / "copy")
    assert target == str(tmp_path / "copy")
    assert Path(target, "weights.bin").read_bytes() == b"\x00\x01"
    assert Path(target, "sub", "notes.txt").read_text() == "hello"


def test_to_directory_makes_a_temporary_folder(checkpoint):
    first, second = checkpoint.to_directory(), checkpoint.to_directory()
    assert first != second
    assert Path(first, "sub", "notes.txt").read_text() == "hello"


def test_to_directory_adds_to_a_folder_that_is_there(checkpoint, tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "other.txt").write_text("stays")
    checkpoint.to_directory(tmp_path / "copy")
    assert sorted(os.listdir(tmp_path / "copy")) == ["other.txt", "sub", "weights.bin"]


def test_as_directory_of_a_local_checkpoint_is_its_own_folder(folder):
    with Checkpoint.from_directory(folder).as_directory() as path:
        assert path == str(folder)
    assert folder.exists()


def test_as_directory_of_a_remote_checkpoint_is_deleted_after(folder):
    path = f"memory://bucket-{uuid.uuid4().hex}/mine"
    fsspec.filesystem("memory").put(str(folder), path, recursive=True)
    with pytest.raises(ZeroDivisionError), Checkpoint(path).as_directory() as here:
        assert Path(here, "weights.bin").read_bytes() == b"\x00\x01"
        raise ZeroDivisionError
    assert not os.path.exists(here)


def test_metadata_takes_the_numbers_of_numpy(checkpoint):
    numpy = pytest.importorskip("numpy")
    checkpoint.set_metadata(
        {"loss": numpy.float32(0.5), "deep": [{"epoch": numpy.int64(3), "best": numpy.bool_(True)}]}
    )
    assert checkpoint.get_metadata() == {"loss": 0.5, "deep": [{"epoch": 3, "best": True}]}
    with pytest.raises(CheckpointError, match=r"a set\) is no value that JSON can hold"):
        checkpoint.set_metadata({"names": {"a"}})


def test_metadata_is_set_updated_and_replaced(checkpoint):
    assert checkpoint.get_metadata() == {}
    checkpoint.set_metadata({"epoch": 1, "name": "a"})
    checkpoint.update_metadata({"epoch": 2})
    assert checkpoint.get_metadata() == {"epoch": 2, "name": "a"}
    checkpoint.set_metadata({"x": [1, 2]})
    assert checkpoint.get_metadata() == {"x": [1, 2]}


def test_metadata_travels_with_the_files(checkpoint, tmp_path):
    checkpoint.set_metadata({"epoch": 1})
    copy = Checkpoint.from_directory(checkpoint.to_directory(tmp_path / "copy"))
    assert copy.get_metadata() == {"epoch": 1}


def test_metadata_leaves_no_other_file(folder):
    Checkpoint(folder).set_metadata({"epoch": 1})
    assert sorted(os.listdir(folder)) == [METADATA, "sub", "weights.bin"]


def test_metadata_that_is_no_json_is_refused_and_the_old_stays(checkpoint):
    checkpoint.set_metadata({"epoch": 1})
    with pytest.raises(CheckpointError, match="kept as JSON"):
        checkpoint.set_metadata({"model": object()})
    assert checkpoint.get_metadata() == {"epoch": 1}


def test_damaged_metadata_says_so(folder):
    (folder / METADATA).write_text("{")
    with pytest.raises(CheckpointError, match="set_metadata"):
        Checkpoint(folder).get_metadata()


@pytest.mark.parametrize(
    "use",
    [
        lambda path: Checkpoint.from_directory(path),
        lambda path: Checkpoint(path).to_directory(),
        lambda path: Checkpoint(path).as_directory().__enter__(),
        lambda path: Checkpoint(path).get_metadata(),
        lambda path: Checkpoint(path).set_metadata({}),
    ],
)
@pytest.mark.parametrize("path", ["/nowhere/at/all", "memory://nowhere/at-all", __file__])
def test_missing_folder_has_the_four_parts(use, path):
    with pytest.raises(CheckpointError) as caught:
        use(path)
    error = caught.value
    assert all([error.asked, error.found, error.cause, error.fix])
    assert path in error.asked


@pytest.mark.parametrize("path", ["", None, 3])
def test_no_path_has_the_four_parts(path):
    with pytest.raises(CheckpointError) as caught:
        Checkpoint(path)
    assert all([caught.value.asked, caught.value.found, caught.value.cause, caught.value.fix])


def test_checkpoints_of_one_folder_are_equal(folder):
    assert Checkpoint(folder) == Checkpoint(str(folder)) == Checkpoint.from_directory(f"file://{folder}")
    assert hash(Checkpoint(folder)) == hash(Checkpoint(str(folder)))
    assert Checkpoint(folder) != Checkpoint(folder / "sub")
    assert Checkpoint(folder) != str(folder)


def test_relative_paths_become_absolute(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert Checkpoint("mine").path == str(folder)


def test_repr_names_the_path(folder):
    assert repr(Checkpoint(folder)) == f"Checkpoint({str(folder)!r})"


def test_checkpoints_can_be_pickled(checkpoint):
    again = pickle.loads(pickle.dumps(checkpoint))
    assert again == checkpoint
    with again.as_directory() as path:
        assert Path(path, "sub", "notes.txt").read_text() == "hello"


def test_filesystem_reaches_the_path(checkpoint):
    assert "weights.bin" in [os.path.basename(name) for name in checkpoint.filesystem.ls(checkpoint.path, detail=False)]


def test_pyarrow_filesystem(folder):
    fs = pytest.importorskip("pyarrow.fs")
    checkpoint = Checkpoint(str(folder), filesystem=fs.LocalFileSystem())
    with checkpoint.as_directory() as path:
        assert Path(path, "sub", "notes.txt").read_text() == "hello"


def test_documented_signatures():
    assert list(inspect.signature(Checkpoint).parameters) == ["path", "filesystem"]
    assert list(inspect.signature(Checkpoint.to_directory).parameters) == ["self", "path"]
