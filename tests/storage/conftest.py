"""A real S3 server for the storage tests, where its packages are installed; machines and places of whole runs."""

import os
import uuid

import fsspec
import pytest


@pytest.fixture(scope="session")
def s3_server():
    pytest.importorskip("s3fs")
    server_module = pytest.importorskip("moto.server")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }
    before = {key: os.environ.get(key) for key in environment}
    os.environ.update(environment)
    yield environment["AWS_ENDPOINT_URL"]
    server.stop()
    for key, value in before.items():
        if value is None:
            del os.environ[key]
        else:
            os.environ[key] = value


@pytest.fixture
def s3_bucket(s3_server):
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"bucket-{uuid.uuid4().hex}"
    s3fs.S3FileSystem().mkdir(bucket)
    return f"s3://{bucket}"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """``machine("b")`` makes this process look like another machine: its cache is empty."""

    def become(name):
        monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / f"cache-{name}"))

    monkeypatch.setenv("TUNE_CORE_LEASE_EXPIRY_S", "1")
    become("a")
    return become


@pytest.fixture(params=["files", "s3"])
def place(request, tmp_path):
    """Base URL and file system: of any fsspec store, here one of files, or of S3."""
    if request.param == "files":
        return str(tmp_path / "store"), fsspec.filesystem("file")
    return request.getfixturevalue("s3_bucket") + "/experiments", None
