"""Runs on a store with faults: a proxy before a real S3 server refuses, breaks, loses and cuts."""

import contextlib
import os
import random
import tempfile
import threading
import time
import warnings
from pathlib import Path

import pytest

import tune_core as tune
from storage.fault_proxy import Fault, FaultProxy, Faults
from tune_core.cli.main import main
from tune_core.errors import StorageError
from tune_core.journal.stored import experiments_below
from tune_core.storage.connect import object_store
from tune_core.storage.folders import COMMIT, read_commit
from tune_core.storage.retries import scrubbed, with_retries

SEEDS = int(os.environ.get("TUNE_CORE_FAULT_SEEDS", "3"))


@pytest.fixture
def proxy(s3_bucket, monkeypatch, tmp_path):
    """The proxy; what this test does goes through it, and ``proxy.bucket`` is there."""
    import s3fs

    host, _, port = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://").partition(":")
    direct = object_store(f"{s3_bucket}/experiments/run")
    proxy = FaultProxy((host, int(port)))
    proxy.direct = direct
    proxy.bucket = f"{s3_bucket}/experiments"
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TUNE_CORE_LEASE_EXPIRY_S", "2")
    yield proxy
    proxy.close()
    s3fs.S3FileSystem.clear_instance_cache()


def objective(config):
    for step in range(1, 6):
        time.sleep(config.get("pause", 0.0))
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step").write_text(str(step))
            Path(folder, "more").write_bytes(bytes(2000))
            tune.report({"loss": config["x"] / step}, checkpoint=tune.Checkpoint.from_directory(folder))


def run(proxy, samples=4, flush_s=60.0, pause=0.05, verbose=0, **settings):
    return tune.Tuner(
        objective,
        param_space={"x": tune.uniform(1, 2), "pause": pause},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=samples, seed=1),
        run_config=tune.RunConfig(
            name="run",
            storage_path=proxy.bucket,
            verbose=verbose,
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2),
            sync_config=tune.SyncConfig(mirror_interval_s=0.2, flush_timeout_s=flush_s, **settings),
        ),
    ).fit()


def check_whole(proxy, grid, monkeypatch, tmp_path):
    """Another machine reads the same results, and every checkpoint that they name is there, whole."""
    proxy.faults = Faults()
    monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / "another"))
    read = tune.ResultGrid.from_path(f"{proxy.bucket}/run")
    assert [r.metrics["loss"] for r in read] == [r.metrics["loss"] for r in grid]
    for result in read:
        assert [int(Path(c.to_directory(), "step").read_text()) for c, _ in result.best_checkpoints] == [4, 5]
    folders = {key.rpartition("/")[0] for key in proxy.direct.keys("") if "/checkpoint_" in key}
    assert len(folders) == 2 * len(read)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_faults_lose_nothing(proxy, monkeypatch, tmp_path, seed):
    chance = random.Random(seed)
    kinds = ["SlowDown", "InternalError", "reset", "lost", "ExpiredToken", "slow"]
    faults = [Fault(kind, "experiments", chance=chance.uniform(0.0, 0.15)) for kind in chance.sample(kinds, 3)]

    def begin():
        while "PUT" not in str(proxy.faults.log):  # the run has begun: refusals end nothing from here on
            time.sleep(0.01)
        proxy.faults = Faults(faults, seed)

    thread = threading.Thread(target=begin)
    thread.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grid = run(proxy)
    thread.join()
    assert proxy.faults.hits or not any(fault.chance > 0.05 for fault in faults)
    check_whole(proxy, grid, monkeypatch, tmp_path)


@contextlib.contextmanager
def leaving(proxy, away_s=None):
    """The store goes away once it has the journal's first segment, and comes back after ``away_s``; None: not."""

    def leave():
        while not any("PUT" in line and "journal/00000000" in line for line in proxy.faults.log):
            time.sleep(0.01)
        proxy.away = True
        if away_s is not None:
            time.sleep(away_s)
            proxy.away = False

    thread = threading.Thread(target=leave)
    thread.start()
    yield
    thread.join()


def test_store_that_is_away_for_a_while_delays_nothing(proxy, monkeypatch, tmp_path):
    away_s = float(os.environ.get("TUNE_CORE_AWAY_S", "3"))

    with leaving(proxy, away_s):
        grid = run(proxy, flush_s=away_s + 60)
    check_whole(proxy, grid, monkeypatch, tmp_path)


def test_run_that_waits_at_its_end_for_a_store_says_so(proxy, monkeypatch, capsys):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # in whose presence runs say nothing
    with leaving(proxy, 6.0):
        run(proxy, samples=1, pause=0.0, verbose=1)
    said = capsys.readouterr().out
    assert f"waits for its store, to write {proxy.bucket}/run/" in said
    assert said.index("waits for its store") < said.index("Results: ")


def test_unsent_rest_is_named_with_the_command_that_sends_it(proxy, monkeypatch, tmp_path, capsys, caplog):
    with pytest.warns(UserWarning, match="tune-core sync") as caught, leaving(proxy):
        grid = run(proxy, flush_s=0.5)
    assert len(grid) == 4 and grid.num_errors == 0
    folder = next(str(w.message) for w in caught).rpartition("tune-core sync ")[2]
    proxy.away = False
    assert main(["sync", folder]) == 0
    assert "everything has been sent" in capsys.readouterr().out
    assert "was lost" not in caplog.text  # each trial keeps the last two of its five
    assert main(["sync"]) == 0
    assert "Everything has been sent" in capsys.readouterr().out
    check_whole(proxy, grid, monkeypatch, tmp_path)


def test_unsent_rest_goes_along_when_the_name_is_used_again(proxy, monkeypatch, tmp_path, capsys):
    with pytest.warns(UserWarning, match="tune-core sync"), leaving(proxy):
        first = run(proxy, flush_s=0.5)
    proxy.away = False
    run(proxy, samples=1)
    assert main(["sync"]) == 0
    assert "everything has been sent" in capsys.readouterr().out
    monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / "another"))
    aside, new = sorted(experiments_below(proxy.bucket), key=len, reverse=True)
    read = tune.ResultGrid.from_path(aside)
    assert [r.metrics["loss"] for r in read] == [r.metrics["loss"] for r in first]
    for result in read:
        assert [int(Path(c.to_directory(), "step").read_text()) for c, _ in result.best_checkpoints] == [4, 5]
    assert len(tune.ResultGrid.from_path(new)) == 1


def test_refused_checkpoints_are_named_and_nothing_is_shown_that_is_not_there(proxy, monkeypatch, tmp_path):
    proxy.faults = Faults([Fault("AccessDenied", "checkpoint_", "PUT")])
    with pytest.warns(UserWarning, match="PermissionError"):
        grid = run(proxy, flush_s=0.5)
    assert grid.num_errors == 0
    monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / "another"))
    read = tune.ResultGrid.from_path(f"{proxy.bucket}/run")
    assert all(result.checkpoint is None for result in read)


def test_credentials_that_do_not_work_end_the_run_before_it_begins(proxy):
    proxy.faults = Faults([Fault("AccessDenied")])
    with pytest.raises(StorageError, match="credentials") as caught:
        run(proxy)
    assert "experiments/run" in str(caught.value)


def test_missing_bucket_ends_the_run_before_it_begins(proxy):
    proxy.bucket = "s3://a-bucket-that-nobody-made/experiments"
    with pytest.raises(StorageError, match="bucket does not exist"):
        run(proxy)


def test_cut_answer_is_read_again(proxy, tmp_path):
    grid = run(proxy, samples=1)
    proxy.faults = Faults([Fault("cut", "more", "GET", times=1)])
    folder = grid[0].checkpoint.to_directory(tmp_path / "target")
    assert Path(folder, "more").read_bytes() == bytes(2000)
    assert proxy.faults.hits == 1


def test_checkpoint_that_was_not_sent_wholly_is_not_visible(proxy):
    store = object_store(f"{proxy.bucket}/x")
    proxy.faults = Faults([Fault("InternalError", "checkpoint/b", "PUT")])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a").write_text("1")
        Path(folder, "b").write_text("2")
        from tune_core.storage.folders import upload_folder

        with pytest.raises(StorageError, match="checkpoint/b"):
            upload_folder(store, folder, "checkpoint", deadline_s=0.0)
    assert not read_commit(store, "checkpoint").whole
    assert store.get(f"checkpoint/{COMMIT}") == b""


def test_trials_wait_when_too_much_is_to_be_sent(proxy, monkeypatch, tmp_path):
    proxy.faults = Faults([Fault("slow", "checkpoint_", "PUT", chance=0.3)], seed=1)
    grid = run(proxy, samples=2, pause=0.0, upload_queue_bytes=1)
    check_whole(proxy, grid, monkeypatch, tmp_path)


def test_secrets_of_the_environment_are_taken_out_of_errors(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "abcdefgh-secret")
    assert "secret" not in scrubbed("the key abcdefgh-secret is wrong")

    def refuse():
        raise PermissionError("no: abcdefgh-secret")

    with pytest.raises(StorageError) as caught:
        with_retries("read s3://bucket/x", refuse)
    assert "abcdefgh" not in str(caught.value)
