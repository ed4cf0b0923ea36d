"""The folder of a trial that leaves nothing in it becomes the next one's; what a trial leaves stays where it is."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.executors.worker.surroundings import Surroundings


def run(objective: Any, folder: Path, samples: int = 6, **more: Any) -> Any:
    return tune.Tuner(
        objective,
        tune_config=tune.TuneConfig(num_samples=samples),
        run_config=tune.RunConfig(
            name="run", storage_path=str(folder), verbose=0, executor=tune.LocalExecutor(num_cpus=1), **more
        ),
    ).fit()


def folders(base: Path) -> list[str]:
    return sorted(path.name for path in base.glob("run/trial_*"))


def test_each_trial_finds_an_empty_folder_of_its_own_name_and_nothing_is_kept_of_empty_ones(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        by_other = subprocess.run(["pwd"], capture_output=True, text=True).stdout.strip()
        return {"at": os.getcwd(), "own": tune.get_trial_dir(), "by_other": by_other, "holds": os.listdir(".")}

    results = run(objective, tmp_path)
    assert folders(tmp_path) == ["trial_00005"]
    for result in results:
        facts = result.metrics
        assert (facts["at"], facts["own"], facts["by_other"], facts["holds"]) == (*[result.path] * 3, [])


def test_what_some_trials_write_stays_and_others_leave_nothing(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        number = int(tune.get_trial_id())
        if number == 1:
            Path("mine").write_text("1")
        elif number == 2:
            print("hello")
        elif number == 4:
            os.makedirs("deep/deeper")
        return {"holds": os.listdir(".")}

    results = run(objective, tmp_path)

    assert folders(tmp_path) == ["trial_00001", "trial_00002", "trial_00004", "trial_00005"]
    assert [result.metrics["holds"] for result in results] == [[], ["mine"], [], [], ["deep"], []]
    assert Path(results[1].path, "mine").read_text() == "1"
    assert Path(results[2].path, "output.log").read_text() == "hello\n"


def test_the_folder_of_a_result_can_be_written_to_and_comparing_results_makes_none(tmp_path: Path) -> None:
    results = run(lambda config: {"loss": 1.0}, tmp_path)
    before = folders(tmp_path)
    assert {hash(trial) for trial in tune.ExperimentAnalysis(results.experiment_path).trials}
    assert folders(tmp_path) == before

    for number, result in enumerate(results):
        Path(result.path, "scores.txt").write_text(str(number))
    again = tune.ResultGrid.from_path(results.experiment_path)
    assert [Path(result.path, "scores.txt").read_text() for result in again] == ["0", "1", "2", "3", "4", "5"]


def test_the_path_of_a_result_does_not_bring_back_a_deleted_experiment(tmp_path: Path) -> None:
    results = run(lambda config: {"loss": 1.0}, tmp_path)
    shutil.rmtree(results.experiment_path)
    assert results[0].path.startswith(results.experiment_path)
    assert not os.path.exists(results.experiment_path)


def test_callbacks_find_the_folder_of_every_trial(tmp_path: Path) -> None:
    seen = []

    class Late(tune.Callback):
        def on_trial_complete(self, trial: Any, **info: Any) -> None:
            Path(trial.path, "late").touch()

        def on_experiment_end(self, trials: Any, **info: Any) -> None:
            seen.extend(os.listdir(trial.path) for trial in trials)

    run(lambda config: {"loss": 1}, tmp_path, callbacks=[Late()])

    assert seen == [["late"]] * 6


def test_a_trial_that_is_tried_again_has_its_folder_to_itself(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        mark = Path(config["marks"], tune.get_trial_id())
        if not mark.exists():
            mark.touch()
            raise ValueError("the first time")
        return {"at": os.getcwd()}

    marks = tmp_path / "marks"
    marks.mkdir()
    results = tune.Tuner(
        objective,
        param_space={"marks": str(marks)},
        tune_config=tune.TuneConfig(num_samples=5),
        run_config=tune.RunConfig(
            name="run",
            storage_path=str(tmp_path),
            verbose=0,
            executor=tune.LocalExecutor(num_cpus=2),
            failure_config=tune.FailureConfig(max_failures=1),
        ),
    ).fit()

    assert [result.metrics["at"] for result in results] == [result.path for result in results]
    assert folders(tmp_path) == [f"trial_{number:05d}" for number in range(5)]


# --- one after another in this process --------------------------------------------------------------------------------


@pytest.fixture
def surroundings() -> Surroundings:
    return Surroundings(chdir=True, owns_process=False, hands_on=True)


def trial(surroundings: Surroundings, folder: Path, does: Callable[[Path], object], is_final: bool = True) -> None:
    surroundings.enter(str(folder))
    try:
        does(folder)
    finally:
        surroundings.leave(is_final)


def nothing(folder: Path) -> None:
    assert Path.cwd() == folder and not os.listdir(folder)


def test_an_empty_folder_is_handed_on_again_and_again(tmp_path: Path, surroundings: Surroundings) -> None:
    made = []
    for number in range(4):
        trial(surroundings, tmp_path / str(number), lambda folder: made.append(os.stat(folder).st_ino))
    assert os.listdir(tmp_path) == ["3"] and len(set(made)) == 1


@pytest.mark.parametrize(
    "does",
    [
        lambda folder: folder.joinpath("file").touch(),
        lambda folder: folder.joinpath("folder").mkdir(),
        lambda folder: folder.joinpath("link").symlink_to("nowhere"),
        lambda folder: folder.chmod(0o500),
        lambda folder: os.utime(folder),
        lambda folder: folder.rmdir(),
        lambda folder: folder.rename(folder.with_name("elsewhere")),
        lambda folder: (folder.rmdir(), folder.mkdir()),
        lambda folder: (folder.rename(folder.with_name("elsewhere")), folder.symlink_to("elsewhere")),
    ],
    ids=["file", "folder", "link", "mode", "time", "deleted", "moved", "made anew", "replaced by a link"],
)
def test_a_folder_that_a_trial_has_changed_is_not_handed_on(
    tmp_path: Path, surroundings: Surroundings, does: Callable[[Path], object]
) -> None:
    trial(surroundings, tmp_path / "0", nothing)
    trial(surroundings, tmp_path / "1", does)
    before = {path.name: path.lstat().st_ino for path in tmp_path.iterdir()}

    trial(surroundings, tmp_path / "2", nothing)

    after = {path.name: path.lstat().st_ino for path in tmp_path.iterdir()}
    assert after.keys() == before.keys() | {"2"}
    assert all(after[name] == number for name, number in before.items())


def test_a_folder_is_kept_for_a_trial_that_may_go_on(tmp_path: Path, surroundings: Surroundings) -> None:
    trial(surroundings, tmp_path / "0", nothing, is_final=False)
    trial(surroundings, tmp_path / "1", nothing)
    assert sorted(os.listdir(tmp_path)) == ["0", "1"]


def test_a_folder_that_is_there_already_stays_and_is_used(tmp_path: Path, surroundings: Surroundings) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "file").touch()
    trial(surroundings, tmp_path / "0", nothing)
    trial(surroundings, tmp_path / "1", lambda folder: None)
    trial(surroundings, tmp_path / "2", nothing)
    assert sorted(os.listdir(tmp_path)) == ["0", "1", "2"] and os.listdir(tmp_path / "1") == ["file"]


def test_nothing_is_handed_on_where_folders_do_not_tell_of_changes(
    tmp_path: Path, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "mkdir", _quietly(os.mkdir))
    monkeypatch.setattr(os, "rmdir", _quietly(os.rmdir))
    for number in range(3):
        trial(surroundings, tmp_path / str(number), nothing)
    assert sorted(os.listdir(tmp_path)) == ["0", "1", "2"]


def _quietly(change: Any) -> Any:
    """The same, on a file system that does not change a folder's time with its content."""

    def changed(path: str, *more: Any) -> None:
        above = os.path.dirname(path)
        before = os.stat(above)
        change(path, *more)
        os.utime(above, ns=(before.st_atime_ns, before.st_mtime_ns))

    return changed
