"""The live view: what it shows, where, and that it never hurts a run."""

from __future__ import annotations

import io
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from journals import Run
from rich.console import Console

import tune_core as tune
from tune_core.core import events as ev
from tune_core.display.progress import CLIReporter, JupyterNotebookReporter, Progress
from tune_core.errors import InvalidArgumentError
from tune_core.results import ResultGrid


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def console(terminal: bool = True, width: int = 80, height: int = 30) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, height=height, color_system=None)


def shown(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def view(run: Run, console: Console, clock: Clock, verbose: int = 1, total: int | None = 10) -> Progress:
    return Progress(verbose, total, "loss", "min", "my_run", run.folder, console=console, clock=clock)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path)
    run.trial([0.5, 0.25], lr=0.1, layers=3)
    run.trial([0.75], lr=0.2, layers=4)
    run.launch(run.suggest(lr=0.3, layers=5))
    run.report(2, loss=0.6)
    run.suggest(lr=0.4, layers=6)
    return run


def draw(run: Run, out: Console, **options: Any) -> str:
    clock = Clock()
    progress = view(run, out, clock, **options)
    progress.start()
    clock.now += 20
    progress.update(run.controller, run.now, None)
    text = shown(out)
    progress.finish(run.controller, "all trials have ended", "")
    return text


def test_terminal_shows_counts_time_left_best_and_the_running_trial_first(run: Run) -> None:
    text = draw(run, console())
    assert "2/10 trials ended, 1 running, 1 pending" in text
    assert "about" in text
    assert "Best loss=0.25 by trial 00000: lr=0.1, layers=3" in text
    assert "Scheduler" in text
    rows = [line.split()[:2] for line in text.splitlines() if line.startswith("0000")]
    assert rows[0] == ["00002", "RUNNING"]
    assert ["00000", "TERMINATED"] in rows


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_view_fits_the_terminal(tmp_path: Path, width: int) -> None:
    run = Run(tmp_path, name="a_rather_long_name_of_an_experiment_that_somebody_chose")
    for i in range(100):
        run.trial([i / 7], **{f"parameter_{k}": "x" * 30 + str(i) for k in range(12)})
    out = console(width=width, height=24)
    lines = draw(run, out).splitlines()
    assert all(len(line) <= width for line in lines if "\x1b" not in line)
    assert sum(line.startswith("000") for line in lines) <= 14
    assert any("more trials" in line for line in lines)
    assert any("TERM" in line for line in lines)


def test_time_left_does_not_count_trials_of_an_earlier_driver(run: Run) -> None:
    clock = Clock()
    out = console()
    progress = view(run, out, clock, total=10)
    progress.start()
    clock.now += 0.5
    progress.update(run.controller, run.now, None)  # two trials had ended before
    run.report(2, loss=0.1)
    run.end(2)
    clock.now += 9.5
    progress.update(run.controller, run.now, None)
    assert "about 1 min 10 s left" in shown(out)  # 10 s for one trial, seven to go


def test_what_a_pending_trial_waits_for_is_shown(run: Run) -> None:
    clock, out = Clock(), console()
    progress = view(run, out, clock)
    progress.start()
    clock.now += 1
    progress.update(run.controller, run.now, "a GPU")
    assert "Waiting: a GPU" in shown(out)


def test_nothing_is_drawn_before_it_is_due(run: Run) -> None:
    clock, out = Clock(), console(terminal=False)
    progress = view(run, out, clock)
    progress.start()
    for _ in range(1000):
        progress.update(run.controller, run.now, None)
    assert shown(out) == ""


def test_plain_lines_come_at_most_every_five_seconds(run: Run) -> None:
    clock, out = Clock(), console(terminal=False)
    progress = view(run, out, clock)
    progress.start()
    for _ in range(300):
        clock.now += 0.1
        progress.update(run.controller, run.now, None)
    lines = shown(out).splitlines()
    assert 4 <= len(lines) <= 6
    assert all(line.startswith("my_run: 2/10 trials ended") for line in lines)
    assert "best loss=0.25 by trial 00000" in lines[0]


def test_summary_tells_best_config_counts_error_folder_and_command(run: Run) -> None:
    run.end(2, "errored", error="Traceback (most recent call last):\n  File\nValueError: bad lr")
    folder = Path(run.folder, "trial_00002")
    folder.mkdir(parents=True)
    (folder / "output.log").write_text("last words")
    out = console(terminal=False)
    draw(run, out)
    text = shown(out)
    for part in (
        "my_run: 4 trials in 20.0 s (2 TERMINATED, 1 ERROR, 1 PENDING)",
        "Best loss: 0.25 (min), trial 00000 at iteration 2",
        "    lr = 0.1",
        "    layers = 3",
        "First error: trial 00002: ValueError: bad lr",
        f"    its output: {folder / 'output.log'}",
        f"Results: {run.folder}",
        f"Look closer: tune-core show {run.folder}",
    ):
        assert f"{part}\n" in text


def test_summary_of_an_interrupted_run_says_how_to_go_on(run: Run) -> None:
    run.apply(ev.Interrupted("interrupted by the user", run.tick()))
    out = console(terminal=False)
    draw(run, out)
    assert f"Tuner.restore({run.folder!r}, trainable).fit()" in shown(out)


def test_summary_says_when_no_value_is_usable(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.trial([float("nan")], lr=1)
    out = console(terminal=False)
    draw(run, out)
    assert "No trial has a usable value of 'loss'" in shown(out)


def test_view_is_taken_down_before_the_summary(run: Run) -> None:
    out = console()
    draw(run, out)
    text = shown(out)
    assert "\x1b[?25h" in text  # the cursor is back
    assert text.rstrip().endswith("trainable).fit()")


def test_notes_are_shown_at_once_and_kept_while_drawing(run: Run) -> None:
    clock, out = Clock(), console(terminal=False)
    progress = view(run, out, clock)
    progress.note("before the start")
    progress.start()

    said: list[str] = []

    class Interrupting:
        """A configuration value whose text is asked for while the view is drawn, when a signal arrives."""

        def __repr__(self) -> str:
            if not said:
                said.append("Stopping")
                progress.note("Stopping")
            return "value"

    run.trials[0].config = {"x": Interrupting()}
    clock.now += 10
    progress.update(run.controller, run.now, None)
    lines = shown(out).splitlines()
    assert lines[0] == "before the start"
    assert lines[-1] == "Stopping"
    assert len(lines) == 3


def test_error_in_drawing_ends_the_view_and_not_the_run(run: Run) -> None:
    class Breaks(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    clock = Clock()
    broken = Console(file=Breaks(), force_terminal=True, width=80)
    progress = view(run, broken, clock)
    progress.start()
    clock.now += 10
    progress.update(run.controller, run.now, None)
    progress.note("nobody hears this")
    progress.finish(run.controller, "", "")


def test_scheduler_that_fails_to_describe_itself_does_not_hurt(run: Run) -> None:
    def fails() -> str:
        raise RuntimeError("no words")

    run.scheduler.debug_string = fails  # type: ignore[method-assign]
    out = console(terminal=False)
    assert draw(run, out) == ""
    assert "Best loss" in shown(out)  # the summary is still said


def test_a_view_looks_at_few_trials_however_many_there_are(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for i in range(3000):
        run.trial([float(i)], lr=i)

    class Counting(list[Any]):
        looked = 0

        def __iter__(self) -> Any:
            raise AssertionError("all trials were looked at")

        def __getitem__(self, at: Any) -> Any:
            found = super().__getitem__(at)
            Counting.looked += len(found) if isinstance(at, slice) else 1
            return found

    run.controller.trials = Counting(run.controller.trials)
    clock, out = Clock(), console()
    progress = view(run, out, clock)
    progress.start()
    clock.now += 1
    progress.update(run.controller, run.now, None)
    assert "Best loss=0" in shown(out)
    assert Counting.looked <= 100


def test_silent_view_prints_nothing(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    out = console()
    draw(run, out, verbose=0)
    assert shown(out) == ""
    assert capsys.readouterr().out == ""


def test_view_is_off_under_pytest_unless_asked(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Progress(1, 1, "loss", "min", "x", run.folder).finish(run.controller, "", "")
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("TUNE_CORE_PROGRESS", "plain")
    Progress(1, 1, "loss", "min", "x", run.folder).finish(run.controller, "", "")
    assert "Best loss: 0.25" in capsys.readouterr().out


def test_trials_in_this_process_leave_the_terminal_to_debuggers(run: Run) -> None:
    out = console(terminal=True)
    progress = view(run, out, Clock())
    progress.bind(1, 10, "loss", "min", "x", run.folder, in_process=True)
    assert progress.style == "plain"


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A kernel's display, as far as the view uses it; the pages shown, each update replacing the last."""
    pages: list[str] = []

    class Handle:
        def update(self, html: Any) -> None:
            pages[-1] = html.data

    class ZMQInteractiveShell:
        pass

    def display(html: Any, display_id: bool = False) -> Handle:
        pages.append(html.data)
        return Handle()

    python: Any = types.ModuleType("IPython")
    python.get_ipython = ZMQInteractiveShell
    shows: Any = types.ModuleType("IPython.display")
    shows.HTML = lambda data: types.SimpleNamespace(data=data)
    shows.display = display
    monkeypatch.setitem(sys.modules, "IPython", python)
    monkeypatch.setitem(sys.modules, "IPython.display", shows)
    return pages


def test_notebook_has_one_table_that_is_updated(
    run: Run, notebook: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    clock = Clock()
    progress = Progress(1, 10, "loss", "min", "<run>", run.folder, clock=clock)
    assert progress.style == "notebook"
    progress.start()
    for _ in range(3):
        clock.now += 2
        progress.update(run.controller, run.now, None)
    progress.finish(run.controller, "all trials have ended", "")

    assert len(notebook) == 1
    assert "&lt;run&gt;" in notebook[0]
    assert "<progress value='2' max='10'>" in notebook[0]
    assert "<td>00002</td><td>RUNNING</td>" in notebook[0]
    assert "Best loss: 0.25" in capsys.readouterr().out


def test_reporters_show_the_columns_asked_for(run: Run) -> None:
    reporter = CLIReporter(
        metric_columns={"loss": "L", "training_iteration": "epochs"}, parameter_columns=["lr"], max_progress_rows=2
    )
    out, clock = console(), Clock()
    reporter._console, reporter._clock = out, clock
    reporter.bind(1, 10, "loss", "min", "x", run.folder)
    reporter.start()
    clock.now += 1
    reporter.update(run.controller, run.now, None)
    text = shown(out)
    header = next(line for line in text.splitlines() if "status" in line)
    assert header.split() == ["trial", "status", "lr", "iter", "L", "epochs", "time", "(s)"]
    assert "layers" not in header
    assert sum(line.startswith("0000") for line in text.splitlines()) == 2


def test_reporter_columns_can_be_added() -> None:
    reporter = JupyterNotebookReporter(metric_columns={"loss": "loss"})
    reporter.add_metric_column("acc", "accuracy")
    reporter.add_parameter_column("lr")
    assert reporter.columns.metrics == {"loss": "loss", "acc": "accuracy"}
    assert reporter.columns.parameters == {"lr": "lr"}
    with pytest.raises(InvalidArgumentError, match="exists already"):
        reporter.add_metric_column("acc")
    with pytest.raises(InvalidArgumentError, match="heading"):
        CLIReporter(metric_columns=["loss"]).add_metric_column("acc", "accuracy")


# --- real runs --------------------------------------------------------------------------------------------------------


def objective(config: dict[str, Any]) -> None:
    for step in range(2):
        if config["x"] == 2:
            raise ValueError("two is refused")
        tune.report({"loss": config["x"] + step})


def fit(tmp_path: Path, verbose: int, **run_options: Any) -> ResultGrid:
    return tune.Tuner(
        objective,
        param_space={"x": tune.grid_search([1, 2, 3])},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        run_config=tune.RunConfig(storage_path=str(tmp_path), executor="inline", verbose=verbose, **run_options),
    ).fit()


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_CORE_PROGRESS", "plain")


@pytest.mark.usefixtures("plain")
def test_run_ends_with_its_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = fit(tmp_path, 1)
    text = capsys.readouterr().out
    assert "3 trials in" in text
    assert "First error: trial 00001: ValueError: two is refused" in text
    assert f"Results: {grid.experiment_path}" in text
    assert "iteration 1:" not in text


@pytest.mark.usefixtures("plain")
def test_verbose_2_says_each_trials_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(tmp_path, 2)
    text = capsys.readouterr().out
    assert "trial 00000 TERMINATED after 2 iterations in" in text
    assert "trial 00001 ERROR: ValueError: two is refused" in text
    assert "iteration 1:" not in text


@pytest.mark.usefixtures("plain")
def test_verbose_3_says_each_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(tmp_path, 3)
    text = capsys.readouterr().out
    assert "trial 00000, iteration 1: loss=1\n" in text
    assert "trial 00002, iteration 2: loss=4\n" in text


@pytest.mark.usefixtures("plain")
def test_reporter_of_the_run_config_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(tmp_path, 1, progress_reporter=CLIReporter(metric_columns=["loss"]))
    assert "Best loss: 1 (min)" in capsys.readouterr().out


def test_run_on_a_broken_stdout_still_gives_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setenv("TUNE_CORE_PROGRESS", "plain")
    monkeypatch.setattr(sys, "stdout", Broken())
    assert len(fit(tmp_path, 3)) == 3


@pytest.mark.parametrize(("other", "is_said"), [([5, 4, 3], True), ([5, 4, 9], False)])
def test_another_best_by_last_values_is_said_at_the_end(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    other: list[int],
    is_said: bool,
) -> None:
    monkeypatch.setenv("TUNE_CORE_PROGRESS", "plain")

    def objective(config: dict[str, Any]) -> None:
        for loss in [5, 1, 9 - is_said] if config["x"] == 1 else other:
            tune.report({"loss": loss})

    results = tune.Tuner(
        objective,
        param_space={"x": tune.grid_search([1, 2])},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        run_config=tune.RunConfig(storage_path=str(tmp_path), executor="inline", verbose=1),
    ).fit()
    said, shown = capsys.readouterr().out, repr(results)
    assert "Best loss: 1 (min), trial 00000" in said and "best loss=1 (min) by trial 00000" in shown
    assert ("By last values trial 00001 is the best, with 3" in said) == is_said
    assert ("by last values trial 00001 with 3" in shown) == is_said
    assert results.get_best_result().config["x"] == 1 + is_said
