"""When a run is over, what readers of a large journal would make lies beside it: their first look costs no pass."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.cli.main import main
from tune_core.fit import experiment_run
from tune_core.journal import kept_index
from tune_core.journal.format import LineScanner
from tune_core.results import kept_row

DERIVED = {kept_index.INDEX_FILE, kept_row.ROW_FILE}


@pytest.fixture(autouse=True)
def every_journal_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (kept_index, kept_row, experiment_run):
        monkeypatch.setattr(module, "LEAST_BYTES", 0)


def objective(config: dict[str, Any]) -> None:
    tune.report({"loss": config["x"]})
    tune.report({"loss": config["x"] / 2})


def run(folder: Path, objective: Any = objective, **more: Any) -> str:
    tune.Tuner(
        objective,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=5, seed=1),
        run_config=tune.RunConfig(executor="inline", storage_path=str(folder), name="run", verbose=0, **more),
    ).fit()
    return str(folder / "run")


def output_of(*command: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(command) == 0
    return capsys.readouterr().out


def test_the_first_ls_and_explain_read_what_they_tell_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(LineScanner, "_judge", lambda *about: pytest.fail("the whole journal is read"))
        told = [output_of(*command, capsys=capsys) for command in (("ls", str(tmp_path)), ("explain", folder, "3"))]
    assert "finished" in told[0] and "loss=" in told[0]

    for name in DERIVED:
        os.unlink(os.path.join(folder, name))
    again = [output_of(*command, capsys=capsys) for command in (("ls", str(tmp_path)), ("explain", folder, "3"))]

    assert again == told


def test_a_restored_run_leaves_them_as_they_are_at_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(tmp_path)
    restored = tune.Tuner.restore(
        folder, objective, tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=8)
    )
    restored.fit()

    row = kept_row.load(folder)

    assert row is not None and row.trials == len(restored.get_results())
    assert "TERMINATED" not in output_of("explain", folder, "3", capsys=capsys)


def test_the_row_of_an_interrupted_run_says_so(tmp_path: Path) -> None:
    def failing(config: dict[str, Any]) -> None:
        raise RuntimeError("no")

    folder = run(tmp_path, failing, failure_config=tune.FailureConfig(fail_fast=True))

    row = kept_row.load(folder)
    assert row is not None and row.state == "interrupted"


def test_small_journals_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment_run, "LEAST_BYTES", kept_index.LEAST_BYTES + (1 << 20))
    assert not DERIVED & set(os.listdir(run(tmp_path)))
