"""Folders on this machine's disks: whole or not at all, whatever goes wrong."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from tune_core.errors import CheckpointError, StorageError
from tune_core.storage import local
from tune_core.storage.local import persist, sweep, write_bytes_atomic


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("one")
    (folder / "sub" / "b.txt").write_text("two")
    return folder


def parts(error):
    return all([error.asked, error.found, error.cause, error.fix])


def test_nothing_but_the_target_is_left(source, tmp_path):
    persist(str(source), str(tmp_path / "trial" / "c1"))
    persist(str(source), str(tmp_path / "trial" / "c1"))
    assert os.listdir(tmp_path / "trial") == ["c1"]
    assert (tmp_path / "trial" / "c1" / "sub" / "b.txt").read_text() == "two"
    assert source.exists()


def test_persisting_a_folder_onto_itself_changes_nothing(source):
    persist(str(source), str(source))
    assert (source / "a.txt").read_text() == "one"


def test_replaces_without_the_systems_exchange(source, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "_exchange", lambda a, b: False)
    target = tmp_path / "c1"
    persist(str(source), str(target))
    (source / "a.txt").write_text("new")
    persist(str(source), str(target))
    assert (target / "a.txt").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["c1", "source"]


def test_replaces_a_file_that_has_the_targets_name(source, tmp_path):
    (tmp_path / "c1").write_text("file")
    persist(str(source), str(tmp_path / "c1"))
    assert (tmp_path / "c1" / "a.txt").read_text() == "one"


def test_a_reader_never_sees_a_part_nor_nothing(tmp_path):
    target, stop, seen = tmp_path / "c", threading.Event(), set()
    versions = []
    for version in ("1", "2"):
        folder = tmp_path / f"v{version}"
        folder.mkdir()
        for i in range(20):
            (folder / f"{i}.txt").write_text(version)
        versions.append(str(folder))
    persist(versions[0], str(target))

    def read():
        while not stop.is_set():
            try:
                seen.add(target.is_dir())
            except OSError as error:
                seen.add(error.errno)

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(100):
        persist(versions[i % 2], str(target))
    stop.set()
    reader.join()
    assert seen == {True}
    assert len(os.listdir(target)) == 20


def test_missing_source_has_the_four_parts(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        persist(str(tmp_path / "nothing"), str(tmp_path / "c"))
    assert parts(caught.value)


def test_source_that_contains_the_target_is_refused(source):
    with pytest.raises(CheckpointError, match="contains the place"):
        persist(str(source), str(source / "sub" / "c"))


def test_dangling_link_is_unreadable(source, tmp_path):
    (source / "link").symlink_to("nowhere")
    with pytest.raises(CheckpointError) as caught:
        persist(str(source), str(tmp_path / "c"))
    assert parts(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["source"]


def test_links_are_followed(source, tmp_path):
    (source / "link.txt").symlink_to(source / "a.txt")
    persist(str(source), str(tmp_path / "c"))
    assert not (tmp_path / "c" / "link.txt").is_symlink()
    assert (tmp_path / "c" / "link.txt").read_text() == "one"


def test_target_below_a_file_has_the_four_parts(source, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError) as caught:
        persist(str(source), str(tmp_path / "file" / "c"))
    assert parts(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_refused_permission_has_the_four_parts(source, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="may not write") as caught:
        persist(str(source), str(tmp_path / "locked" / "c"))
    assert parts(caught.value)


def test_read_only_file_system_has_the_four_parts(source):
    with pytest.raises(StorageError) as caught:
        persist(str(source), "/proc/nothing/c")
    assert parts(caught.value)


def test_full_disk_has_the_four_parts_and_leaves_nothing(source, tmp_path):
    """A limit on the size of files stands in for the full disk: the system refuses the write in the same way."""
    (source / "a.txt").write_bytes(b"x" * 100_000)
    code = """
        import resource, signal, sys
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        from tune_core.errors import StorageError
        from tune_core.storage.local import persist
        try:
            persist(sys.argv[1], sys.argv[2])
        except StorageError as error:
            sys.exit(0 if "full" in error.cause and error.fix else 2)
        sys.exit(3)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(source), str(tmp_path / "trial" / "c")]
    assert subprocess.run(command, check=False).returncode == 0
    assert os.listdir(tmp_path / "trial") == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_no_space_is_said_to_be_a_full_disk(tmp_path):
    with pytest.raises(OSError) as refused, open("/dev/full", "wb") as file:
        file.write(b"x")
        file.flush()
    assert refused.value.errno == errno.ENOSPC
    with pytest.raises(StorageError, match="disk is full"):
        local.raise_unwritable(str(tmp_path), refused.value)


def test_killed_while_copying_shows_nothing_and_is_swept(source, tmp_path):
    trial = tmp_path / "trial"
    code = """
        import os, shutil, signal, sys
        from tune_core.storage.local import persist
        real, copied = shutil.copy, []
        def copy(source, target):
            if copied:
                os.kill(os.getpid(), signal.SIGKILL)
            copied.append(source)
            return real(source, target)
        shutil.copy = copy
        persist(sys.argv[1], sys.argv[2])
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(source), str(trial / "c1")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not (trial / "c1").exists()
    (left,) = os.listdir(trial)
    assert left.startswith(".c1.")
    assert sweep(str(trial)) == 1
    assert os.listdir(trial) == []


def test_pipe_among_the_files_is_an_error_and_no_hang(source, tmp_path):
    os.mkfifo(source / "pipe")
    with pytest.raises(CheckpointError) as caught:
        persist(str(source), str(tmp_path / "c"))
    assert parts(caught.value)


def test_draft_is_moved_into_place_and_nothing_else_is_left(tmp_path):
    trial = tmp_path / "trial"
    with local.draft(str(trial)) as folder:
        (Path(folder) / "a.txt").write_text("one")
        number = os.stat(os.path.join(folder, "a.txt")).st_ino
        persist(folder, str(trial / "c1"))
        assert not os.path.exists(folder)
    assert os.listdir(trial) == ["c1"]
    assert os.stat(trial / "c1" / "a.txt").st_ino == number


def test_draft_on_another_file_system_is_copied(tmp_path, monkeypatch):
    rename = os.rename

    def refuse(source, target):
        if ".draft." in source:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    with local.draft(str(tmp_path / "here")) as folder:
        (Path(folder) / "a.txt").write_text("one")
        persist(folder, str(tmp_path / "there" / "c1"))
        assert os.listdir(folder) == ["a.txt"]
    assert (tmp_path / "there" / "c1" / "a.txt").read_text() == "one"
    assert os.listdir(tmp_path / "here") == []


def test_draft_of_a_killed_process_is_swept(tmp_path):
    draft = local.draft(str(tmp_path))
    (Path(draft.__enter__()) / "a.txt").write_text("one")
    assert sweep(str(tmp_path)) == 1
    assert os.listdir(tmp_path) == []
    draft.__exit__(None, None, None)


def test_sweep_gives_an_old_folder_its_name_back(tmp_path):
    (tmp_path / f".c1.{'0' * 32}.old").mkdir()
    (tmp_path / f".c1.{'0' * 32}.old" / "a.txt").write_text("one")
    sweep(str(tmp_path))
    assert (tmp_path / "c1" / "a.txt").read_text() == "one"


def test_sweep_leaves_all_else(tmp_path):
    for name in ("c1", ".hidden", f".c2.{'0' * 31}.new", "x.new"):
        (tmp_path / name).mkdir()
    (tmp_path / f".file.{'0' * 32}.new").write_text("torn")
    (tmp_path / f".c1.{'1' * 32}.old").mkdir()
    assert sweep(str(tmp_path)) == 2
    assert sorted(os.listdir(tmp_path)) == sorted(["c1", ".hidden", f".c2.{'0' * 31}.new", "x.new"])
    assert sweep(str(tmp_path / "missing")) == 0


def test_file_is_replaced_and_nothing_else_is_left(tmp_path):
    write_bytes_atomic(str(tmp_path / "deep" / "x"), b"1")
    write_bytes_atomic(str(tmp_path / "deep" / "x"), b"2")
    assert Path(tmp_path, "deep", "x").read_bytes() == b"2"
    assert os.listdir(tmp_path / "deep") == ["x"]


def test_file_in_the_way_has_the_four_parts(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(StorageError) as caught:
        write_bytes_atomic(str(tmp_path / "x"), b"1")
    assert parts(caught.value)
    assert os.listdir(tmp_path) == ["x"]
