"""Several drivers that begin an experiment of one name: each is told what is so, and none writes over another's."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import fsspec
import pytest

import tune_core as tune
from tune_core.errors import ExperimentLockedError, RestoreError
from tune_core.fit import experiment_run
from tune_core.journal.lock import Lock


def objective(config: dict[str, Any]) -> None:
    tune.report({"loss": config["x"]})


def tuner(folder: Path, trainable: Any = objective, name: str | None = "same", **more: Any) -> tune.Tuner:
    space = more.pop("space", {"x": tune.uniform(0, 1)})
    run = tune.RunConfig(storage_path=str(folder), name=name, verbose=0, executor="inline", **more)
    return tune.Tuner(
        trainable, param_space=space, tune_config=tune.TuneConfig(metric="loss", mode="min", seed=1), run_config=run
    )


def test_a_second_driver_of_the_name_is_told_that_it_is_being_run(tmp_path: Path) -> None:
    second: list[BaseException] = []

    def starts_another(config: dict[str, Any]) -> None:
        def begin() -> None:
            try:
                tuner(tmp_path).fit()
            except Exception as error:
                second.append(error)

        thread = threading.Thread(target=begin)
        thread.start()
        thread.join(60)
        objective(config)

    assert tuner(tmp_path, starts_another).fit().num_errors == 0
    (error,) = second
    assert isinstance(error, ExperimentLockedError)
    assert ", this one)" in str(error)


def test_an_experiment_that_came_and_went_while_the_folder_was_made_is_moved_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_for, made = experiment_run.folder_for, []

    def overtaken(*arguments: Any) -> Any:
        found = folder_for(*arguments)
        made.append(found)
        if len(made) == 1:
            tuner(tmp_path).fit()  # another driver, between the folder and its lock
        return found

    monkeypatch.setattr(experiment_run, "folder_for", overtaken)
    results = tuner(tmp_path).fit()
    assert results.experiment_path == str(tmp_path / "same")
    assert len(list(tmp_path.glob("same*/journal.jsonl"))) == 2
    assert (tmp_path / "same" / "tuner.pkl").exists()


def test_a_lock_names_the_url_and_not_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / "cache"))
    from tune_core.fit.stored import StoredExperiment

    stored = StoredExperiment(f"{tmp_path}/store/x", fsspec.filesystem("file"))
    Path(stored.folder).mkdir(parents=True)
    lock = Lock(stored.folder)
    with pytest.raises(ExperimentLockedError) as raised:
        stored.claim_new(move_aside=True)
    lock.release()
    assert f"The experiment in {tmp_path}/store/x is being run" in str(raised.value)
    assert "cache" not in str(raised.value)


def test_a_configuration_that_is_missing_may_have_been_deleted(tmp_path: Path) -> None:
    tuner(tmp_path).fit()
    (tmp_path / "same" / "tuner.pkl").unlink()
    with pytest.raises(RestoreError, match="it was deleted or not copied, or could not be pickled"):
        tune.Tuner.restore(str(tmp_path / "same"), objective)
