"""What integrations share: metrics chosen and renamed, checkpoints written and found, the import paths of Ray Tune."""

from __future__ import annotations

import doctest
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from imports import ROOT
from integrations.runs import exploit_at, go_on_at, pause_at, run

import tune_core as tune
from tune_core import integration as tc
from tune_core.errors import CheckpointError, InvalidArgumentError, MissingMetricError

THERE = {"train-loss": 1.0, "valid-loss": 2.0}


@pytest.mark.parametrize(
    ("metrics", "chosen"),
    [
        (None, THERE),
        ("valid-loss", {"valid-loss": 2.0}),
        (["valid-loss", "train-loss"], {"valid-loss": 2.0, "train-loss": 1.0}),
        ({"loss": "valid-loss"}, {"loss": 2.0}),
        ([], {}),
    ],
)
def test_metrics_are_chosen_and_renamed(metrics: Any, chosen: dict[str, float]) -> None:
    assert tc.choose_metrics(metrics, THERE, "Callback") == chosen


def test_missing_metric_is_named_with_those_that_are_there() -> None:
    with pytest.raises(MissingMetricError, match=r"Callback\(metrics\) names 'f1', .* 'train-loss', 'valid-loss'"):
        tc.choose_metrics({"score": "f1"}, THERE, "Callback")
    with pytest.raises(MissingMetricError, match=r"none at all[\s\S]*something to evaluate on"):
        tc.choose_metrics("f1", {}, "Callback")


def test_hooks_may_be_written_with_or_without_their_prefix() -> None:
    assert tc.check_hooks("Callback", "on_epoch_end", ["epoch_end"]) == ("epoch_end",)
    assert tc.check_hooks("Callback", ["epoch_end"], ["epoch_end"]) == ("epoch_end",)
    with pytest.raises(InvalidArgumentError, match=r"'batch_end'[\s\S]*epoch_end"):
        tc.check_hooks("Callback", "batch_end", ["epoch_end"])


def write(text: str) -> Any:
    return lambda folder: Path(folder, "state.txt").write_text(text)


def test_outside_of_a_trial_nothing_is_written() -> None:
    assert tc.report_metrics({"loss": 1}, None)
    tc.save_checkpoint(write("never"))
    assert tc.start() is None
    assert not tc.checkpoint_due({"loss": 1})
    tc.at_end(lambda: pytest.fail("there is no trial to end"))


def test_trial_goes_on_from_what_was_written_with_its_metadata(tmp_path: Path) -> None:
    starts: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        starts.append(tc.start())
        for step in range(starts[-1].metadata["step"] + 1 if starts[-1] else 0, 4):
            if not tc.report_metrics({"step": step}, write(str(step)), {"step": step}):
                return

    result = run(objective, tmp_path, scheduler=pause_at(2))
    assert result.metrics["step"] == 3
    assert starts[0] is None
    assert starts[1].same_config
    assert Path(starts[1].file("state.txt")).read_text() == "1"
    with pytest.raises(CheckpointError, match=r"no file 'model', it has state\.txt"):
        starts[1].file("model")


def test_what_is_written_for_a_report_lies_in_the_trials_own_folder_and_stays_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    places: list[Path] = []

    def objective(config: dict[str, Any]) -> None:
        tc.report_metrics({"step": 1}, lambda folder: places.append(Path(folder)))
        tc.save_checkpoint(lambda folder: places.append(Path(folder)), again=True)

    result = run(objective, tmp_path)
    assert [place.parent for place in places] == [Path(result.path)] * 2
    assert not any(place.exists() for place in places)
    assert not [name for name in os.listdir(result.path) if name.startswith(".draft")]
    with tc.draft() as outside:  # of a trial
        assert Path(outside).parent == tmp_path / "temporary"
    assert not os.listdir(tmp_path / "temporary")


def test_exploited_trial_is_told_that_its_configuration_is_another(tmp_path: Path) -> None:
    starts: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        starts.append(tc.start())
        for step in range(4):
            if not tc.report_metrics({"step": step}, write("")):
                return

    run(objective, tmp_path, {"lr": 1, "f": len}, scheduler=exploit_at(2, {"lr": 2, "f": len}))
    assert not starts[1].same_config


def test_checkpoint_is_due_where_the_scheduler_decides_and_nowhere_else(tmp_path: Path) -> None:
    due: list[bool] = []

    def objective(config: dict[str, Any]) -> None:
        for step in range(4):
            due.append(tc.checkpoint_due({"step": step}))
            tc.report_metrics({"step": step})

    run(objective, tmp_path, scheduler=go_on_at(3))
    assert due[:3] == [False, False, True]


def test_last_result_gets_a_checkpoint_once(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        tc.report_metrics({"step": 0})
        tc.save_checkpoint(write("first"))
        tc.save_checkpoint(write("second"))
        tc.report_metrics({"step": 1}, write("third"))
        tc.save_checkpoint(write("fourth"))
        tc.save_checkpoint(write("fifth"), again=True)

    result = run(objective, tmp_path)
    assert [Path(c.path, "state.txt").read_text() for c, _ in result.best_checkpoints] == ["first", "third", "fifth"]


def test_what_is_asked_for_at_the_end_is_done_when_the_objective_has_returned_or_was_stopped(tmp_path: Path) -> None:
    done: list[str] = []

    def objective(config: dict[str, Any]) -> None:
        tc.at_end(lambda: done.append("first asked"))
        tc.at_end(lambda: done.append("then asked"))
        for step in range(4):
            tune.report({"step": step})
        done.append("returned")

    run(objective, tmp_path, name="whole")
    run(objective, tmp_path, name="stopped", stop={"training_iteration": 2})
    assert done == ["returned", "then asked", "first asked", "then asked", "first asked"]


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "catboost", "keras", "pytorch_lightning", "transformers"])
def test_import_path_of_ray_tune_leads_to_the_package_or_says_what_to_install(name: str) -> None:
    module = importlib.import_module(f"tune_core.integration.{name}")
    try:
        home = module.TuneReportCheckpointCallback.__module__
        assert home.partition(".")[0] == f"tune_{name.removeprefix('pytorch_')}"
    except tune.TuneError as error:
        assert "pip install" in str(error)
    with pytest.raises(AttributeError):
        _ = module.__nothing__


@pytest.mark.parametrize("package", ["xgboost", "lightgbm", "catboost", "keras", "lightning", "transformers.callbacks"])
def test_examples_in_docstrings_hold(package: str) -> None:
    try:
        module = importlib.import_module(f"tune_{package}")
    except tune.TuneError as error:
        pytest.skip(str(error))
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("package", ["xgboost", "lightgbm", "catboost", "keras", "lightning", "transformers"])
def test_missing_framework_is_named_with_the_extra_that_brings_it(package: str) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['xgboost', 'lightgbm', 'catboost', 'keras', 'lightning', "
        f"'pytorch_lightning', 'transformers'])); import tune_{package}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT / "integrations")
    assert f'pip install "tune-core[{package}]"' in done.stderr, done.stderr
