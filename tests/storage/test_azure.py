"""Azure Blob Storage, against Azurite: set ``TUNE_CORE_AZURITE`` to its command ``azurite-blob``."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
import uuid

import pytest

import tune_core as tune
from tune_core.storage.connect import object_store
from tune_core.testing.storage import ObjectStoreContract

pytest.importorskip("adlfs")
AZURITE = os.environ.get("TUNE_CORE_AZURITE") or shutil.which("azurite-blob")
if not AZURITE:
    pytest.skip("azurite-blob is not installed (npm install azurite)", allow_module_level=True)

KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # Azurite's own


@pytest.fixture(scope="session")
def azurite(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [AZURITE, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--skipApiVersionCheck"]
    command += ["--disableTelemetry", "--silent", "-l", str(tmp_path_factory.mktemp("azurite"))]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        assert time.monotonic() < deadline and server.poll() is None
        time.sleep(0.1)
    before = os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
    os.environ["AZURE_STORAGE_CONNECTION_STRING"] = (
        f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};"
        f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
    )
    yield port
    server.terminate()
    server.wait()
    if before is None:
        del os.environ["AZURE_STORAGE_CONNECTION_STRING"]
    else:
        os.environ["AZURE_STORAGE_CONNECTION_STRING"] = before


@pytest.fixture
def container(azurite):
    import adlfs

    name = f"container-{uuid.uuid4().hex[:12]}"
    adlfs.AzureBlobFileSystem.clear_instance_cache()
    adlfs.AzureBlobFileSystem().mkdir(name)
    return f"az://{name}"


class TestAzure(ObjectStoreContract):
    rounds = 3

    @pytest.fixture(autouse=True)
    def base(self, container):
        self.url = container

    def open_store(self, name):
        import adlfs

        adlfs.AzureBlobFileSystem.clear_instance_cache()
        return object_store(f"{self.url}/{name}")


def test_run_is_read_and_restored_elsewhere(container, tmp_path, monkeypatch):
    from storage.test_stored_runs import losses, objective, tuner

    monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / "a"))
    place = (f"{container}/experiments", None)
    grid = tuner(place).fit()
    monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / "b"))
    assert losses(tune.ResultGrid.from_path(f"{place[0]}/run")) == losses(grid)
    assert len(tune.Tuner.restore(f"{place[0]}/run", objective, num_samples=5).fit()) == 5


def test_name_can_be_used_again(container, tmp_path, monkeypatch):
    from storage.test_stored_aside import fit, read, whole

    place = (f"{container}/experiments", None)
    for run in (1, 2):
        monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / f"machine{run}"))
        fit(place, run)
    found = read(place)
    assert found.pop("x") == whole(2)
    assert list(found.values()) == [whole(1)]
