"""The contract of object stores, on every kind that can run here."""

import os
import time

import fsspec
import pytest

from tune_core.errors import InvalidArgumentError
from tune_core.storage import retries
from tune_core.storage.connect import object_store
from tune_core.storage.objects import ObjectStoreError, part_bytes, redacted
from tune_core.testing.storage import ObjectStoreContract


class TestLocalFolder(ObjectStoreContract):
    @pytest.fixture(autouse=True)
    def base(self, tmp_path):
        self.folder = tmp_path / "stores"

    def open_store(self, name):
        return object_store(self.folder / name)


class TestFolderWithoutLinks(TestLocalFolder):
    """A file system that has no hard links, as some FUSE layers."""

    @pytest.fixture(autouse=True)
    def no_links(self, monkeypatch):
        def link(*args, **kwargs):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)


class TestMemory(ObjectStoreContract):
    rounds = 0  # its create-only mode looks first and writes then

    def open_store(self, name):
        return object_store(f"memory://{name}/folder")


class TestGivenFilesystem(ObjectStoreContract):
    rounds = 0

    @pytest.fixture(autouse=True)
    def base(self, tmp_path):
        self.folder = tmp_path / "stores"

    def open_store(self, name):
        return object_store(str(self.folder / name), fsspec.filesystem("file"))


class TestS3(ObjectStoreContract):
    @pytest.fixture(autouse=True)
    def base(self, s3_bucket):
        self.url = s3_bucket

    def open_store(self, name):
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        return object_store(f"{self.url}/{name}")


class TestObstore(ObjectStoreContract):
    @pytest.fixture(autouse=True)
    def base(self, s3_bucket):
        pytest.importorskip("obstore")
        self.url = s3_bucket

    def open_store(self, name):
        from obstore.store import S3Store

        options = {"endpoint": os.environ["AWS_ENDPOINT_URL"], "client_options": {"allow_http": True}}
        return object_store(f"{self.url}/{name}", S3Store(self.url.removeprefix("s3://"), **options))

    def test_object_that_is_too_large_for_one_request_is_copied(self, store, tmp_path, monkeypatch):
        monkeypatch.setattr("tune_core.storage.obstore_objects._COPY_BYTES", 1 << 20)
        (tmp_path / "large").write_bytes(os.urandom(40 << 20))
        store.put_file("large", str(tmp_path / "large"))
        store.copy("large", "copy")
        store.get_file("copy", str(tmp_path / "copy"))
        assert (tmp_path / "copy").read_bytes() == (tmp_path / "large").read_bytes()


@pytest.mark.parametrize("size", [0, 1, 8 << 20, 5 << 30, 80 << 30, 200 << 30, (5 << 40)])
def test_parts_of_an_upload_are_short_and_never_more_than_s3_takes(size):
    length = part_bytes(size)
    assert length >= 5 << 20  # no part but the last may be shorter
    assert -(-size // length) <= 10_000
    assert length <= max(8 << 20, size // 9_999 + 1)


def test_password_in_a_url_is_refused_without_showing_it():
    with pytest.raises(InvalidArgumentError) as caught:
        object_store("sftp://user:hidden-word@host/folder")
    assert "hidden-word" not in str(caught.value)
    assert redacted("s3://key:hidden-word@bucket/x?X-Amz-Signature=1") == "s3://key:***@bucket/x"


def test_a_missing_bucket_is_said_and_no_empty_list(s3_bucket, capsys):
    from tune_core.cli.main import main

    assert main(["ls", s3_bucket]) == 0
    assert "No experiments in" in capsys.readouterr().out
    for command in ("ls", "show"):
        assert main([command, f"{s3_bucket}-missing/e"]) == 1
        assert f"the bucket {s3_bucket.removeprefix('s3://')}-missing does not exist" in capsys.readouterr().err


def test_what_is_waited_for_is_said_with_its_cause(monkeypatch, caplog):
    monkeypatch.setattr(retries, "ANNOUNCE_S", 0.05)
    monkeypatch.setattr(retries._Announcement, "_last_at", -1e9)
    until = time.monotonic() + 30

    def action():
        if not caplog.messages and time.monotonic() < until:
            raise ConnectionError("nobody listens")

    retries.with_retries("list s3://bucket", action)
    (said,) = caplog.messages
    assert said.startswith(
        "Still trying to list s3://bucket: ConnectionError: nobody listens. It is tried for about 60 s"
    )


def test_only_a_failed_write_says_that_everything_so_far_is_kept():
    def fail():
        raise PermissionError("no")

    for what, kept in (("list s3://b", False), ("read s3://b/k", False), ("write s3://b/k", True)):
        with pytest.raises(ObjectStoreError) as raised:
            retries.with_retries(what, fail)
        assert ("Everything so far is kept" in str(raised.value)) is kept
