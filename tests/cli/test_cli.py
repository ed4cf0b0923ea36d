"""The ``tune-core`` command, called as people call it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from imports import ROOT
from journals import Run

from tune_core.cli import demo
from tune_core.cli.main import SCOPES, main
from tune_core.cli.shell_words import in_words_of_the_shell
from tune_core.core import events as ev
from tune_core.errors import InvalidArgumentError, MetricError, TuneError
from tune_core.journal.lock import Lock
from tune_core.results import ResultGrid, experiment_reader, kept_row, selection

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A default storage path with a finished experiment ``good`` and one cut off, ``cut``."""
    folder = tmp_path / "storage"
    monkeypatch.setenv("TUNE_CORE_STORAGE", str(folder))
    monkeypatch.chdir(tmp_path)
    run = Run(folder / "good", name="good")
    run.trial([0.5, 0.25], lr=0.1, deep={"layers": 3})
    run.trial([0.75, float("nan")], lr=0.2, deep={"layers": 4})
    run.launch(run.suggest(lr=0.3, deep={"layers": 5}))
    run.end(2, "errored", error="Traceback\nValueError: bad lr")
    run.exhaust()
    os.utime(Path(run.save(), "journal.jsonl"), (1, 1))
    cut = Run(folder / "cut", name="cut")
    cut.launch(cut.suggest(lr=0.1))
    cut.report(0, loss=3.0)
    cut.save()
    return folder


@pytest.fixture
def command(storage: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(arguments)
        except SystemExit as exit:
            code = int(exit.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_ls_lists_the_experiments_with_state_and_best(command: Command) -> None:
    code, out, _ = command("ls")
    assert code == 0
    rows = {line.split()[0]: line for line in out.splitlines()[2:]}
    assert "finished" in rows["good"]
    assert "loss=0.25" in rows["good"]
    assert "cut off" in rows["cut"]


def test_ls_goes_on_past_a_journal_that_cannot_be_read(command: Command, storage: Path) -> None:
    (storage / "bad").mkdir()
    (storage / "bad" / "journal.jsonl").write_text("no journal")
    code, out, _ = command("ls", str(storage))
    assert code == 0
    assert "unreadable" in out
    assert "good" in out


def test_ls_keeps_the_row_of_a_large_experiment_until_its_journal_changes(
    command: Command, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_row, "LEAST_BYTES", 0)
    read: list[str] = []
    whole = experiment_reader.read_experiment
    monkeypatch.setattr(experiment_reader, "read_experiment", lambda folder: read.append(folder) or whole(folder))
    journal = storage / "good" / "journal.jsonl"

    first, again = command("ls"), command("ls")
    assert first == again
    assert [os.path.basename(folder) for folder in read] == ["cut", "good", "cut"]

    (storage / "good" / kept_row.ROW_FILE).write_bytes(b"{}\n0")
    assert command("ls") == first
    journal.write_bytes(journal.read_bytes().replace(b'"name":"good"', b'"name":"good"'))
    assert command("ls") == first
    assert [os.path.basename(folder) for folder in read].count("good") == 3


def test_ls_of_an_empty_folder_says_so(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, out, _ = command("ls", "empty")
    assert (code, out) == (0, f"No experiments in {tmp_path / 'empty'}.\n")


@pytest.mark.parametrize("by", ["name", "path"])
def test_show_tells_the_run_and_its_trials(command: Command, storage: Path, by: str) -> None:
    code, out, _ = command("show", "good" if by == "name" else str(storage / "good"))
    assert code == 0
    assert "good: finished, 3 trials (2 TERMINATED, 1 ERROR)" in out
    assert "Best loss: 0.25 (min), trial 00000 at iteration 2" in out
    assert "First error: trial 00002: ValueError: bad lr" in out
    assert "deep/layers" in out
    assert out.index("00000  TERMINATED") < out.index("00002  ERROR")


def test_show_lists_as_many_trials_as_asked(command: Command) -> None:
    _, out, _ = command("show", "good", "-n", "1")
    assert "and 2 more" in out
    assert "00002  ERROR" not in out


def test_ls_says_that_an_experiment_is_empty_whose_run_ended_before_it_began(command: Command, storage: Path) -> None:
    (storage / "stillborn").mkdir()
    (storage / "stillborn" / "journal.jsonl").touch()

    code, out, _ = command("ls")

    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith("stillborn"))
    assert line.split()[:2] == ["stillborn", "empty"]
    assert "its run ended before it began" in line
    assert "good" in out


def test_best_prints_value_and_config(command: Command) -> None:
    code, out, _ = command("best", "good")
    assert code == 0
    assert out.startswith("trial 00000: loss=0.25")
    assert "deep/layers = 3" in out


def test_best_by_another_metric_in_json(command: Command) -> None:
    code, out, _ = command("best", "good", "--metric", "loss", "--mode", "max", "--json")
    assert code == 0
    assert json.loads(out) == {"trial_id": "00001", "loss": 0.75, "config": {"lr": 0.2, "deep": {"layers": 4}}}


def test_explain_takes_experiment_and_trial_in_three_ways(command: Command, storage: Path) -> None:
    texts = {command("explain", "good", "2")[1], command("explain", "2", "--experiment", "good")[1]}
    os.utime(storage / "good" / "journal.jsonl")
    os.utime(storage / "cut" / "journal.jsonl", (1, 1))
    texts.add(command("explain", "2")[1])
    assert len(texts) == 1
    assert "failed: ValueError: bad lr" in texts.pop()


def test_export_writes_csv_with_one_row_a_trial(command: Command) -> None:
    code, out, _ = command("export", "good", "--format", "csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["trial_id"] for row in rows] == ["00000", "00001", "00002"]
    assert [row["config/deep/layers"] for row in rows] == ["3", "4", "5"]
    assert rows[0]["loss"] == "0.25"
    assert rows[2]["status"] == "ERROR"
    assert "bad lr" in rows[2]["error"]


def test_export_of_every_report(command: Command, tmp_path: Path) -> None:
    code, out, _ = command("export", "good", "-o", "out.json", "--results")
    assert (code, out) == (0, "4 rows in out.json\n")
    rows = json.loads((tmp_path / "out.json").read_text())
    assert [(row["trial_id"], row["training_iteration"]) for row in rows] == [
        ("00000", 1),
        ("00000", 2),
        ("00001", 1),
        ("00001", 2),
    ]
    assert rows[3]["loss"] is None  # JSON has no NaN
    assert rows[0]["config"] == {"lr": 0.1, "deep": {"layers": 3}}


def test_export_to_parquet_keeps_numbers(command: Command, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    code, _, _ = command("export", "good", "-o", "out.parquet")
    assert code == 0
    table = parquet.read_table(tmp_path / "out.parquet").to_pydict()
    assert table["config/lr"] == [0.1, 0.2, 0.3]
    assert table["loss"][0] == 0.25


def test_parquet_takes_columns_of_several_types(command: Command, storage: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    run = Run(storage / "mixed")
    run.trial([1.0], x="a")
    run.trial([2.0], x=1)
    run.save()
    assert command("export", "mixed", "-o", "out.parquet")[0] == 0
    assert parquet.read_table(tmp_path / "out.parquet").to_pydict()["config/x"] == ["a", "1"]


def test_watch_once_shows_the_run_as_it_is(command: Command) -> None:
    code, out, _ = command("watch", "cut", "--once")
    assert code == 0
    assert "cut (cut off)" in out
    assert "1 pending" in out
    assert "Best loss=3 by trial 00000" in out


@contextlib.contextmanager
def watching(storage: Path) -> Iterator[tuple[Any, Run, Lock]]:
    """``tune-core watch`` in a process of its own that has shown a run, the run, and the lock of its driver."""
    run = Run(storage / "live", name="live")
    run.launch(run.suggest(lr=1))
    run.save()
    lock = Lock(str(storage / "live"))
    command = [sys.executable, "-u", "-m", "tune_core.cli", "watch", "live", "--interval", "0.1"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "live (running)\n"
        yield process, run, lock


def test_watch_follows_until_the_run_is_over(storage: Path) -> None:
    with watching(storage) as (process, run, lock):
        run.report(0, loss=1.0)
        run.end(0)
        run.exhaust()
        with open(storage / "live" / "journal.jsonl", "ab") as file:  # as the driver does: append
            file.write(b"".join(run.lines)[file.tell() :])
        rest = process.stdout.read()
        lock.release()
    assert process.returncode == 0
    assert "1 trials ended" in rest


def test_watch_ends_when_the_driver_is_gone(storage: Path) -> None:
    with watching(storage) as (process, _, lock):
        lock.release()  # as the system does when a driver dies, whatever the file says
        process.stdout.read()
    assert process.returncode == 0


def test_watch_draws_on_a_terminal(storage: Path) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    command = [sys.executable, "-m", "tune_core.cli", "watch", "good"]
    process = subprocess.Popen(command, stdout=theirs, env=env)
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 65536):
            seen += part
    except OSError:  # the other end was closed
        pass
    os.close(ours)
    assert process.wait() == 0
    text = seen.decode()
    assert "good (finished)" in text
    assert "TERMINATED" in text
    assert "\x1b[?25h" in text  # the cursor is back


ERRORS = [
    (("show", "nothing"), "was not found"),
    (("show", "goo"), "Did you mean good?"),
    (("show", "."), "is no experiment"),
    (("show", "storage"), "experiments inside: cut, good"),
    (("ls", "nowhere"), "does not exist"),
    (("best", "good", "--metric", "acc", "--mode", "max"), "what was reported: loss"),
    (("explain", "good", "77"), "00000 to 00002"),
    (("explain", "good", "x"), "00000 to 00002"),
    (("export", "good", "-o", "no/such/folder.csv"), "cannot be written"),
    pytest.param(
        ("export", "good", "-o", "no/such/folder.parquet"),
        "cannot be written",
        marks=pytest.mark.skipif(find_spec("pyarrow") is None, reason="needs pyarrow"),
    ),
    (("watch", "nothing", "--once"), "was not found"),
]


@pytest.mark.parametrize(("arguments", "says"), ERRORS, ids=lambda value: " ".join(value) if len(value) < 9 else "")
def test_errors_are_one_clear_line_and_exit_code_1(command: Command, arguments: tuple[str, ...], says: str) -> None:
    code, out, err = command(*arguments)
    assert code == 1
    assert out == ""
    assert err.startswith("tune-core: ")
    assert says in err
    assert err.count("\n") == 1


USAGE = [
    (),
    ("dance",),
    ("show",),
    ("show", "good", "-n", "0"),
    ("best", "good", "--mode", "median"),
    ("explain", "good", "1", "--experiment", "good"),
    ("explain", "a", "b", "c"),
    ("export", "good", "--format", "xls"),
    ("export", "good", "-o", "out.xls"),
    ("export", "good", "--format", "parquet"),
    ("demo", "--num-samples", "many"),
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_wrong_usage_is_exit_code_2(command: Command, arguments: tuple[str, ...]) -> None:
    code, out, err = command(*arguments)
    assert code == 2
    assert out == ""
    assert "usage: tune-core" in err


def test_newest_experiment_where_there_is_none(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_CORE_STORAGE", str(tmp_path / "elsewhere"))
    code, _, err = command("explain", "0")
    assert code == 1
    assert "has none; no run has begun there" in err


def test_reading_runs_no_code_of_the_experiment(command: Command, storage: Path) -> None:
    (storage / "good" / "tuner.pkl").write_bytes(b"cbuiltins\nexit\n(S'executed'\ntR.")
    for arguments in (("ls",), ("show", "good"), ("best", "good"), ("explain", "good", "0"), ("export", "good")):
        assert command(*arguments)[0] == 0


def test_reader_that_has_seen_enough_is_no_error(storage: Path) -> None:
    run = Run(storage / "large")
    for i in range(3000):
        run.trial([float(i)], x=i)
    run.save()
    line = f"{sys.executable} -m tune_core.cli export large | head -1; exit ${{PIPESTATUS[0]}}"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("trial_id,")


def test_version_is_printed(command: Command) -> None:
    from tune_core import __version__

    assert command("--version")[1] == f"tune-core {__version__}\n"


def test_decisions_of_an_experiment_that_still_runs_are_explained(command: Command, storage: Path) -> None:
    run = Run(storage / "cut")
    run.launch(run.suggest(x=0))
    run.apply(ev.StopRequested(0, "the user said so"))
    run.save()
    assert "asked to stop: the user said so" in command("explain", "cut", "0")[1]


def test_demo_tunes_a_real_model_and_says_where_the_results_are(
    command: Command, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setenv("TUNE_CORE_PROGRESS", "plain")
    monkeypatch.setattr(demo, "EPOCHS", 9)
    code, out, err = command("demo", "--num-samples", "6")
    assert code == 0, err
    assert "Best accuracy: 0.9" in out
    assert f"Results: {storage}/train_digits_" in out
    assert "test digits" in out
    code, shown, _ = command("show", out.split("Look closer: tune-core show ")[1].split()[0])
    assert code == 0
    assert "ASHA" in shown


def test_demo_without_scikit_learn_names_what_brings_it(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = command("demo")
    assert code == 1
    assert 'pip install "tune-core[sklearn]"' in err


@pytest.mark.parametrize("trial", ["0", "00001", "trial_00002"])
def test_explain_reads_one_trial_and_tells_what_the_whole_journal_tells(
    command: Command, storage: Path, trial: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ResultGrid.from_path(storage / "good").explain(trial)
    monkeypatch.setattr(experiment_reader, "TailReader", None)
    assert command("explain", "good", trial)[1] == f"{whole}\n"


def test_explain_by_a_number_that_is_anothers_name(command: Command, storage: Path) -> None:
    run = Run(storage / "named", name="named")
    for index, name in enumerate(("1", "0")):
        run.apply(ev.Suggested(index, {"lr": 0.1}, folder=name))
        run.launch(index)
    run.save()
    assert command("explain", "named", "0")[1].startswith("Trial 00001")


def test_a_large_experiment_is_exported_trial_by_trial_with_the_same_rows(
    command: Command, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = command("export", "good", "--results")[1]
    monkeypatch.setattr("tune_core.results.export.LEAST_BYTES", 0)
    monkeypatch.setattr("tune_core.results.export.report_rows", None)
    assert command("export", "good", "--results")[1] == whole
    assert whole.count("\n") > 4


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "good"],
        ["ls"],
        ["best", "good"],
        ["explain", "good", "0"],
        ["export", "good"],
        ["export", "good", "--format", "json"],
        ["report", "good", "--format", "md"],
        ["watch", "good", "--once"],
    ],
)
def test_a_closed_standard_output_is_said(
    storage: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # as Python has it for a stream that the caller closed
    assert main(arguments) == 1
    assert capsys.readouterr().err == (
        "tune-core: the standard output is closed: what was asked for could not be printed\n"
    )


@pytest.mark.real
def test_what_writes_a_file_needs_no_standard_output(storage: Path, tmp_path: Path) -> None:
    run = f"{sys.executable} -m tune_core.cli"
    table = tmp_path / "table.csv"
    done = subprocess.run(
        ["bash", "-c", f"{run} export good -o {table} >&- && {run} report good -o {tmp_path}/report.html >&-"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert table.read_text().startswith("trial_id,")
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_errors_are_not_printed_where_standard_error_is_closed(
    storage: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["show", "nowhere"]) == 1
    assert capsys.readouterr().out == ""


@pytest.fixture
def without_metric(storage: Path) -> Path:
    run = Run(storage / "plain", name="plain")
    run.header.metric = run.header.mode = None
    run.lines[0] = ev.encode(run.header)
    run.trial([0.5], lr=0.1)
    run.exhaust()
    run.save()
    return storage / "plain"


def test_advice_is_for_the_shell(command: Command, without_metric: Path) -> None:
    code, out, err = command("best", "plain")
    assert (code, out) == (1, "")
    assert err == (
        "tune-core: --metric is missing; the run was not given a metric either. Add --metric loss --mode min.\n"
    )
    assert "--metric nowhere was never reported" in command("best", "good", "--metric", "nowhere")[2]


PYTHON_ADVICE = [
    MetricError("f(metric='x')", "found only NaN", "", "Look at get_dataframe(), or pass filter_nan_and_inf=False to."),
    InvalidArgumentError("plots.history(metric)", "is None", "", 'Give one: metric="loss", mode="min".'),
    InvalidArgumentError("f(metric)", "is None", "", "Take a compromise from pareto_front(), or name one: f(mode='a')"),
    InvalidArgumentError("f(mode)", "is None", "", 'Call f(metric="loss", mode="min"), or set both in TuneConfig.'),
]


@pytest.mark.parametrize("error", PYTHON_ADVICE, ids=range(4))
def test_no_python_is_left_in_what_the_command_says(error: TuneError) -> None:
    said = in_words_of_the_shell(error)
    assert not re.search(r"\w\(|\w=|TuneConfig", said), said


def test_scopes_are_those_of_the_library(command: Command) -> None:
    assert SCOPES == selection.SCOPES
    code, _, err = command("best", "good", "--scope", "bogus")
    assert code == 2
    assert "choose from" in err and "get_best_result" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "good", "-n", "0"], "'0' is not a whole number from 1"),
        (["demo", "--num-samples", "x"], "'x' is not a whole number from 1"),
        (["dashboard", "--port", "70000"], "'70000' is not a port"),
        (["watch", "good", "--interval", "nan"], "'nan' is not a time in seconds"),
    ],
)
def test_a_wrong_number_is_refused_in_words(command: Command, arguments: list[str], said: str) -> None:
    code, _, err = command(*arguments)
    assert code == 2
    assert said in err and "_positive" not in err


def test_a_path_that_does_not_exist_is_named_once_and_nothing_unlike_is_proposed(
    command: Command, storage: Path
) -> None:
    Run(storage / "inflist", name="inflist").save()
    _, _, err = command("show", "/nonexistent")
    assert err.count("/nonexistent") == 1
    assert "neither" not in err and "Did you mean" not in err
    assert "Did you mean inflist?" in command("show", "inflsit")[2]
    assert "the dashboard shows the experiments in a folder" in command("dashboard", "/nonexistent")[2]


def test_an_unknown_trial_is_said_to_be_of_the_newest_experiment_by_its_name(command: Command, storage: Path) -> None:
    _, _, err = command("explain", "q1")
    assert "The trial 'q1' is not in cut, the newest experiment; it has 00000 to 00000." in err
    assert "'good' is not in cut" in command("explain", "good")[2]
    assert "good is an experiment: tune-core explain good TRIAL." in command("explain", "good")[2]
    assert "is not in good; it has 00000 to 00002." in command("explain", "good", "77")[2]


@pytest.mark.parametrize("url", ["s3://", "gs://", "az:///"])
def test_a_url_without_a_bucket_is_refused(command: Command, url: str) -> None:
    code, out, err = command("ls", url)
    assert (code, out) == (1, "")
    assert "names no bucket" in err


def test_names_that_the_terminals_encoding_lacks_are_escaped(storage: Path) -> None:
    run = Run(storage / "größe", name="größe")
    run.trial([0.5], lr=0.1)
    run.save()
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    shown = subprocess.run(
        [sys.executable, "-m", "tune_core.cli", "show", str(storage / "größe")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("gr\\xf6\\xdfe: ")


def test_ls_of_a_file_says_that_it_is_one(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, err = command("ls", str(tmp_path / "file"))
    assert code == 1 and "is a file" in err


@pytest.mark.parametrize("is_terminal", [True, False])
def test_export_shows_control_characters_on_a_terminal_and_keeps_them_elsewhere(
    storage: Path, is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(storage / "odd", name="odd")
    run.launch(run.suggest(lr=0.1))
    run.report(0, loss=1.0, text="\x1b[31mred")
    run.save()

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return is_terminal

    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    assert main(["export", "odd"]) == 0
    assert ("\x1b" not in screen.getvalue()) == is_terminal
    assert "[31mred" in screen.getvalue()
