"""progress.csv: one header, one row a result, through new columns and restores."""

import csv
import os

from views import View, run

from tune_core.logger import CSVLoggerCallback
from tune_core.logger.files import MAX_OPEN


def rows(trial):
    with open(os.path.join(trial.path, "progress.csv"), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_one_row_a_result_with_flat_columns(tmp_path):
    trial = View(str(tmp_path / "trial"))
    run(CSVLoggerCallback(), trial, [{"loss": 1.0, "val": {"acc": 0.5}}, {"loss": 0.5, "val": {"acc": 0.75}}])
    found = rows(trial)
    assert [row["loss"] for row in found] == ["1.0", "0.5"]
    assert [row["val/acc"] for row in found] == ["0.5", "0.75"]
    assert found[0]["config/lr"] == "0.1"
    assert found[0]["config/net/layers"] == "2"


def test_new_column_gets_into_the_header(tmp_path):
    trial = View(str(tmp_path))
    run(CSVLoggerCallback(), trial, [{"loss": 1.0}, {"loss": 0.5, "acc": 0.9}, {"loss": 0.25}])
    found = rows(trial)
    assert [row["acc"] for row in found] == ["", "0.9", ""]
    assert [row["loss"] for row in found] == ["1.0", "0.5", "0.25"]
    assert os.listdir(tmp_path) == ["progress.csv"]


def test_restored_run_appends_under_the_one_header(tmp_path):
    trial = View(str(tmp_path))
    run(CSVLoggerCallback(), trial, [{"loss": 1.0, "acc": 0.1}], end=None)
    run(CSVLoggerCallback(), trial, [{"acc": 0.2, "loss": 0.5}])
    assert [(row["loss"], row["acc"]) for row in rows(trial)] == [("1.0", "0.1"), ("0.5", "0.2")]


def test_torn_row_of_a_killed_run_is_cut(tmp_path):
    trial = View(str(tmp_path))
    run(CSVLoggerCallback(), trial, [{"loss": 1.0}, {"loss": 0.5}], end=None)
    path = tmp_path / "progress.csv"
    path.write_bytes(path.read_bytes()[:-3])
    run(CSVLoggerCallback(), trial, [{"loss": 0.25}])
    assert [row["loss"] for row in rows(trial)] == ["1.0", "0.25"]


def test_torn_header_of_a_killed_run_is_written_anew(tmp_path):
    trial = View(str(tmp_path))
    (tmp_path / "progress.csv").write_text("lo")
    run(CSVLoggerCallback(), trial, [{"loss": 1.0}])
    assert [row["loss"] for row in rows(trial)] == ["1.0"]


def test_text_with_commas_quotes_and_newlines_comes_back(tmp_path):
    trial, text = View(str(tmp_path)), 'a, "b"\nc'
    run(CSVLoggerCallback(), trial, [{"note": text}, {"note": text, "more": 1}])
    assert [row["note"] for row in rows(trial)] == [text, text]


def test_row_is_in_the_file_at_once(tmp_path):
    logger, trial = CSVLoggerCallback(), View(str(tmp_path))
    logger.on_trial_result(iteration=1, trials=[trial], trial=trial, result={"loss": 1.0})
    assert [row["loss"] for row in rows(trial)] == ["1.0"]


def test_more_trials_than_files_may_be_open(tmp_path):
    logger = CSVLoggerCallback()
    trials = [View(str(tmp_path / str(i)), index=i) for i in range(MAX_OPEN + 10)]
    for loss in (1.0, 0.5):
        for trial in trials:
            logger.on_trial_result(iteration=1, trials=trials, trial=trial, result={"loss": loss})
    assert len(logger._files._open) == MAX_OPEN
    logger.on_experiment_end(trials=trials)
    assert all([row["loss"] for row in rows(trial)] == ["1.0", "0.5"] for trial in trials)
    assert not logger._files._open


def test_columns_that_come_again_and_again_are_all_there_in_the_end(tmp_path):
    trial = View(str(tmp_path))
    results = [{"loss": float(i), **{f"column{j}": j for j in range(i)}} for i in range(50)]
    run(CSVLoggerCallback(), trial, results)
    found = rows(trial)
    assert [row["loss"] for row in found] == [str(float(i)) for i in range(50)]
    assert [[name for name in row if name.startswith("column") and row[name]] for row in found] == [
        [f"column{j}" for j in range(i)] for i in range(50)
    ]


def test_a_column_that_comes_late_in_a_long_file_is_there_at_once(tmp_path):
    trial = View(str(tmp_path))
    run(CSVLoggerCallback(), trial, [*({"loss": 1.0} for _ in range(300)), {"loss": 0.5, "acc": 0.9}], end=None)
    assert rows(trial)[-1]["acc"] == "0.9"
