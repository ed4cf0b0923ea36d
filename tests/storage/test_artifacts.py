"""What trials write into their folders is kept where that is asked for."""

import os
from pathlib import Path

import fsspec
import pytest

import tune_core as tune
from tune_core.storage.artifacts import ArtifactRules, artifacts_in
from tune_core.storage.connect import object_store


def writes(config):
    folder = Path(tune.get_context().get_trial_dir())
    (folder / "plots").mkdir(exist_ok=True)
    (folder / "plots" / "curve.png").write_bytes(b"png")
    (folder / "large.bin").write_bytes(bytes(5000))
    (folder / "notes.txt").write_text("a note")
    (folder / "secret").symlink_to("/etc/hostname")
    tune.report({"loss": 1.0})


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / "cache"))
    return str(tmp_path / "store"), fsspec.filesystem("file")


def kept(place, **sync):
    url, filesystem = place
    tune.Tuner(
        writes,
        run_config=tune.RunConfig(
            name="run",
            storage_path=url,
            storage_filesystem=filesystem,
            verbose=0,
            sync_config=tune.SyncConfig(mirror_interval_s=0.1, **sync),
        ),
    ).fit()
    keys = object_store(url, filesystem).keys("run/trial_00000")
    return {key.removeprefix("run/trial_00000/") for key in keys}


def test_artifacts_are_sent_where_asked(place):
    assert kept(place, sync_artifacts=True) == {"plots/curve.png", "large.bin", "notes.txt"}


def test_artifacts_are_not_sent_by_default(place):
    assert kept(place) == set()


def test_patterns_and_size_choose_artifacts(place):
    assert kept(place, sync_artifacts=True, artifact_patterns=("*.png", "*.bin"), max_artifact_bytes=1000) == {
        "plots/curve.png"
    }


def test_checkpoints_links_and_hidden_files_are_no_artifacts(tmp_path):
    (tmp_path / "checkpoint_000001").mkdir()
    (tmp_path / "checkpoint_000001" / "model").write_text("1")
    (tmp_path / ".hidden").write_text("1")
    os.symlink("/etc/hostname", tmp_path / "link")
    (tmp_path / "log.txt").write_text("1")
    assert list(artifacts_in(str(tmp_path), ArtifactRules())) == ["log.txt"]
