"""The ``tune-core`` command: looks at experiments, without running any of their code, and runs the demonstration."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shlex
import sys
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tune_core._version import __version__
from tune_core.cli.finding import changed_at, experiments_in, find_experiment, find_place, state_of
from tune_core.cli.shell_words import in_words_of_the_shell
from tune_core.core.objective import SCOPES
from tune_core.display.formatting import printable
from tune_core.errors import InvalidArgumentError, JournalDamageWarning, TuneError
from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.place import Place, is_stored
from tune_core.journal.stored import experiments_below, open_place, refresh

if TYPE_CHECKING:
    from tune_core.results.experiment_reader import Experiment

OK, FAILED, INTERRUPTED = 0, 1, 130
TRACEBACK = "TUNE_CORE_TRACEBACK"
"""Environment variable: with a value, errors that nobody expected show where they happened."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 well, 1 an error (said in one line), 2 wrong usage."""
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", "") == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names that the terminal's encoding lacks are escaped
    arguments = _parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", JournalDamageWarning)
            warnings.showwarning = _show_warning
            code: int = arguments.run(arguments)
        sys.stdout.flush()
        if isinstance(sys.stdout, _Closed) and sys.stdout.asked_for and _is_an_answer(arguments):
            _complain("the standard output is closed: what was asked for could not be printed")
            return FAILED
        return code
    except TuneError as error:
        _complain(in_words_of_the_shell(error))
        return FAILED
    except BrokenPipeError:  # the reader, e.g. `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        _complain(str(error))
        return FAILED
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        _complain(
            f"{type(error).__name__}: {error}. This is a defect of tune-core, or the experiment was changed by hand; "
            f"with {TRACEBACK}=1 in the environment you see where it happens"
        )
        return FAILED


class _Closed(io.StringIO):
    """Stands for a stream that the caller has closed; it only remembers whether anything was to be printed."""

    asked_for = False

    def write(self, text: str) -> int:
        self.asked_for = self.asked_for or bool(text)
        return len(text)

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


def _replace_closed_streams() -> None:
    """Where the caller has closed a stream, as by ``>&-``, Python has None, and the next file would get its number."""
    while sys.stdin is None or sys.stdout is None or sys.stderr is None:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            break
    sys.stdin = sys.stdin if sys.stdin is not None else io.StringIO()
    sys.stdout = sys.stdout if sys.stdout is not None else _Closed()
    sys.stderr = sys.stderr if sys.stderr is not None else _Closed()


def _is_an_answer(arguments: argparse.Namespace) -> bool:
    """Whether a command prints what it was called for, rather than what it has done."""
    if arguments.run is _export:
        return arguments.output is None and arguments.to is None
    if arguments.run is _report:
        return arguments.output is None and arguments.format == "md"
    return arguments.run in (_ls, _show, _best, _explain, _watch)


def _complain(text: str) -> None:
    print(f"tune-core: {printable(' '.join(text.split()))}", file=sys.stderr)


def _show_warning(message: Any, *about: object, **more: object) -> None:
    _complain(f"warning: {message}")


def _print(text: str, flush: bool = False) -> None:
    """Print what may come from a stranger's folder: nothing in it reaches the terminal as a command."""
    print(printable(text), flush=flush)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tune-core",
        description="Look at experiments. EXP is an experiment's folder or URL, or its name in the storage path.",
    )
    parser.add_argument("--version", action="version", version=f"tune-core {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="tune a scikit-learn model on bundled data, in about 20 seconds")
    demo.add_argument("--num-samples", type=_positive, default=100, help="configurations to try (default: 100)")
    demo.add_argument("--storage-path", help="folder of experiments (default: $TUNE_CORE_STORAGE or ~/tune_results)")
    demo.add_argument("--verbose", type=int, choices=range(4), default=1)
    demo.set_defaults(run=_demo)

    ls = commands.add_parser("ls", help="list the experiments in a folder")
    ls.add_argument("folder", nargs="?", metavar="DIR", help="folder or URL; default: the default storage path")
    ls.set_defaults(run=_ls)

    show = commands.add_parser("show", help="an experiment's summary and its trials")
    show.add_argument("experiment", metavar="EXP")
    show.add_argument("-n", "--limit", type=_positive, default=20, help="most trials to list (default: 20)")
    show.set_defaults(run=_show)

    best = commands.add_parser("best", help="the best trial and its configuration")
    best.add_argument("experiment", metavar="EXP")
    best.add_argument("--metric", help="default: the run's")
    best.add_argument("--mode", choices=("min", "max"), help="default: the run's")
    best.add_argument(
        "--scope",
        default="all",
        choices=SCOPES,
        metavar="SCOPE",
        help=f"which of a trial's values counts: {', '.join(SCOPES[:-1])} or all, its best one (default); "
        "Python's get_best_result() has last",
    )
    best.add_argument("--json", action="store_true", help="print JSON")
    best.set_defaults(run=_best)

    explain = commands.add_parser("explain", help="why a trial was stopped, paused or went on")
    explain.add_argument("names", nargs="+", metavar="[EXP] TRIAL", help="without EXP: the newest experiment")
    explain.add_argument("--experiment", metavar="EXP")
    explain.set_defaults(run=_explain, parser=explain)

    export = commands.add_parser("export", help="write the trials as a table")
    export.add_argument("experiment", metavar="EXP")
    export.add_argument("--format", choices=("csv", "json", "parquet"), help="default: by the file's name, else csv")
    export.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
    export.add_argument("--results", action="store_true", help="one row for every report, not for every trial")
    export.add_argument(
        "--to",
        nargs=2,
        metavar=("optuna", "FILE"),
        help="a study of Optuna: study.journal, study.db or a database's URL",
    )
    export.add_argument("--study-name", help="with --to optuna: default: the experiment's name")
    export.add_argument("--metric", help="with --to optuna: default: the run's")
    export.add_argument("--mode", choices=("min", "max"), help="with --to optuna: default: the run's")
    export.set_defaults(run=_export, parser=export)

    report = commands.add_parser("report", help="one page, or Markdown, that shows everything; opens without internet")
    report.add_argument("experiments", metavar="EXP", nargs="*", help="default: the newest in the default storage path")
    report.add_argument("-o", "--output", metavar="FILE", help="default: report.html; Markdown goes to standard output")
    report.add_argument("--format", choices=("html", "md"), help="default: by the file's name, else html")
    report.add_argument("--metric", help="default: each run's")
    report.add_argument("--mode", choices=("min", "max"), help="default: each run's")
    report.add_argument("--theme", choices=("light", "dark"), help="default: as the reader's system")
    report.set_defaults(run=_report)

    dashboard = commands.add_parser("dashboard", help="a live page in the browser, on this machine only")
    dashboard.add_argument("folders", metavar="DIR", nargs="*", help="default: the default storage path")
    dashboard.add_argument("--port", type=_port, default=0, help="default: a free one")
    dashboard.add_argument("--control", action="store_true", help="let the page stop trials of runs that allow it")
    dashboard.add_argument("--open", action="store_true", help="open it in the browser")
    dashboard.set_defaults(run=_dashboard)

    watch = commands.add_parser("watch", help="follow a running experiment")
    watch.add_argument("experiment", metavar="EXP", nargs="?", help="default: the newest in the default storage path")
    watch.add_argument("--once", action="store_true", help="show it once and return")
    watch.add_argument("--interval", type=_seconds, default=1.0, help="seconds between looks (default: 1)")
    watch.set_defaults(run=_watch)

    migrate = commands.add_parser("migrate", help="change a script's imports from Ray Tune's to tune-core's")
    migrate.add_argument("paths", nargs="+", metavar="SCRIPT_OR_FOLDER")
    migrate.add_argument("--write", action="store_true", help="change the files (default: show what would change)")
    migrate.set_defaults(run=_migrate)

    sync = commands.add_parser("sync", help="send to their stores what runs could not send")
    sync.add_argument("folder", nargs="?", metavar="DIR", help="a run's working folder; default: all in the cache")
    sync.set_defaults(run=_sync)
    return parser


def _migrate(arguments: argparse.Namespace) -> int:
    from tune_core.cli.migrate import run

    run(arguments.paths, arguments.write)
    return OK


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a whole number from 0 (a free one) to 65535")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in seconds, from 0 to a million")
    return value


# --- commands ---------------------------------------------------------------------------------------------------------


def _demo(arguments: argparse.Namespace) -> int:
    from tune_core.cli import demo

    print("Tuning a classifier of handwritten digits with ASHA on local workers.", flush=True)
    results = demo.run(arguments.num_samples, arguments.storage_path, arguments.verbose)
    print(demo.verdict(results))
    return OK


def _ls(arguments: argparse.Namespace) -> int:
    from tune_core.display.formatting import date_text
    from tune_core.storage import default_storage_path

    folder = arguments.folder or default_storage_path()
    if is_stored(folder):
        return _ls_stored(folder)
    folder = os.path.abspath(os.path.expanduser(folder))
    if arguments.folder and not os.path.isdir(folder):
        raise InvalidArgumentError(
            f"The folder {folder}",
            "is a file" if os.path.exists(folder) else "does not exist",
            "ls lists what is in it",
            "Check the path.",
        )
    rows: list[list[object]] = []
    for path in experiments_in(folder):
        name = os.path.basename(path)
        if not os.path.getsize(os.path.join(path, JOURNAL_FILE)):
            rows.append([name, "empty", "", "its run ended before it began", date_text(changed_at(path))])
            continue
        rows.append(_ls_row(Place(path), name))
    return _ls_print(folder, rows)


def _ls_stored(url: str) -> int:
    from tune_core.storage.objects import redacted

    rows: list[list[object]] = []
    for found in experiments_below(url):
        name = found.rpartition("/")[2]
        try:
            rows.append(_ls_row(open_place(found), name))
        except TuneError as error:
            rows.append([name, "unreadable", "", error.found, ""])
    return _ls_print(redacted(url), rows)


def _ls_row(place: Place, name: str) -> list[object]:
    from tune_core.display.formatting import date_text
    from tune_core.results import kept_row

    kept = kept_row.load(place.folder) if place.url is None else None
    if kept is not None:
        return [name, kept.state, kept.trials, kept.best, date_text(kept.started)]
    try:
        from tune_core.results.experiment_reader import read_experiment

        stamp = kept_row.stamp_of(place.folder)
        experiment = read_experiment(place.folder)
        state = state_of(experiment, place) + (", damaged" if experiment.damage else "")
        row = kept_row.row_of(experiment.header, experiment.controller, state)
    except TuneError as error:
        return [name, "unreadable", "", error.found, ""]
    except Exception as error:  # one bad folder does not hide the others
        return [name, "unreadable", "", f"{type(error).__name__}: {error}", ""]
    if place.url is None:
        kept_row.keep(place.folder, row, stamp)
    return [name, row.state, row.trials, row.best, date_text(row.started)]


def _ls_print(folder: str, rows: list[list[object]]) -> int:
    from tune_core.display.formatting import plain_table

    if not rows:
        _print(f"No experiments in {folder}.")
        return OK
    _print(plain_table(["experiment", "state", "trials", "best", "started"], rows))
    return OK


def _show(arguments: argparse.Namespace) -> int:
    from tune_core.display.formatting import plain_table
    from tune_core.display.snapshot import experiment_summary
    from tune_core.display.tables import table_of
    from tune_core.results import selection
    from tune_core.results.kept_trials import read_by_need

    place = find_place(arguments.experiment)
    experiment = read_by_need(place.folder)
    _print(experiment_summary(experiment, state_of(experiment, place), place.path))
    if experiment.trials:
        shown = selection.ranked(experiment.trials, experiment.header, arguments.limit)
        now = experiment.last_at if experiment.finished is not None else time.time()
        _print("\n" + plain_table(*table_of(shown, experiment.header.metric, now=now), width=_width()))
        if len(experiment.trials) > len(shown):
            print(f"… and {len(experiment.trials) - len(shown)} more (-n {len(experiment.trials)} shows all)")
    return OK


def _width() -> int | None:
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _best(arguments: argparse.Namespace) -> int:
    from tune_core.core.flatten import flatten
    from tune_core.display.formatting import value_text
    from tune_core.results import ResultGrid

    grid = ResultGrid.from_place(find_place(arguments.experiment))
    metric, value, result = grid.best_value(arguments.metric, arguments.mode, arguments.scope)
    if arguments.json:
        from tune_core.results.export import to_json_text

        _print(to_json_text({"trial_id": result.trial_id, metric: value, "config": result.config}))
        return OK
    _print(f"trial {result.trial_id}: {metric}={value_text(value)} ({arguments.scope})")
    for name, setting in flatten(result.config).items():
        _print(f"    {name} = {value_text(setting, 100)}")
    _print(f"folder: {result.path}")
    return OK


def _explain(arguments: argparse.Namespace) -> int:
    from tune_core.results.explain import explain_by_number

    names = list(arguments.names)
    if len(names) > 2 or (len(names) == 2 and arguments.experiment):
        arguments.parser.error("give a trial, and at most one experiment")
    name = names[0] if len(names) == 2 else arguments.experiment
    place = find_place(name)
    story = explain_by_number(place.folder, names[-1])
    if story is None:
        from tune_core.results import ResultGrid

        grid = ResultGrid.from_place(place)
        try:
            story = grid.explain(names[-1])
        except InvalidArgumentError as error:
            raise _unknown_trial(names[-1], os.path.basename(place.path), name is None, error) from None
    _print(story)
    return OK


def _unknown_trial(trial: str, experiment: str, is_newest: bool, error: InvalidArgumentError) -> InvalidArgumentError:
    where = f"is not in {experiment}" + (", the newest experiment" if is_newest else "")
    fix = "Give a trial's id, e.g. 00003 or 3."
    if is_newest:
        fix = f"{fix} For a trial of another experiment: tune-core explain EXP TRIAL."
        with contextlib.suppress(TuneError):
            find_place(trial)
            fix = f"{trial} is an experiment: tune-core explain {shlex.quote(trial)} TRIAL."
    return InvalidArgumentError(f"The trial {trial!r}", where, error.cause, fix)


def _export(arguments: argparse.Namespace) -> int:
    if arguments.to is not None:
        return _export_study(arguments)
    if arguments.metric or arguments.mode:
        arguments.parser.error("--metric and --mode are of --to optuna FILE; a table has all metrics")
    from tune_core.results.export import export

    kind = arguments.format or os.path.splitext(arguments.output or "")[1].removeprefix(".") or "csv"
    if kind not in ("csv", "json", "parquet"):
        arguments.parser.error(f"cannot tell the format from {arguments.output}: add --format csv, json or parquet")
    if kind == "parquet" and not arguments.output:
        arguments.parser.error("parquet is no text: name a file with -o FILE")
    rows = export(find_place(arguments.experiment), kind, arguments.output, arguments.results)
    if arguments.output:
        print(f"{rows} rows in {arguments.output}")
    return OK


def _export_study(arguments: argparse.Namespace) -> int:
    what, where = arguments.to
    if what != "optuna":
        arguments.parser.error(f"cannot export to {what!r}: --to optuna FILE")
    from tune_core.logger.optuna import export_study

    count = export_study(
        find_experiment(arguments.experiment), where, arguments.study_name, arguments.metric, arguments.mode
    )
    print(f"{count} trials in {where}; optuna-dashboard {where} shows them")
    return OK


def _report(arguments: argparse.Namespace) -> int:
    from tune_core.reporting import report, write_report

    folders = [find_experiment(name) for name in arguments.experiments] or [find_experiment(None)]
    ending = os.path.splitext(arguments.output or "")[1].lower()
    kind = arguments.format or ("md" if ending in (".md", ".markdown") else "html")
    options = {"format": kind, "metric": arguments.metric, "mode": arguments.mode, "theme": arguments.theme}
    if kind == "md" and not arguments.output:
        print(report(*folders, **options))
        return OK
    path = arguments.output or "report.html"
    size = write_report(folders, path, **options)
    print(f"{path}: {size / 1e6:.1f} MB" if size > 1e5 else f"{path}: {size / 1e3:.0f} kB")
    return OK


def _dashboard(arguments: argparse.Namespace) -> int:
    from tune_core.dashboard import Dashboard
    from tune_core.results.recording import folder_of
    from tune_core.storage import default_storage_path

    folders = [folder_of(name) for name in arguments.folders] or [os.path.expanduser(default_storage_path())]
    for folder in folders:
        if not os.path.isdir(folder):
            cause = "the dashboard shows the experiments in a folder"
            raise InvalidArgumentError(f"The folder {folder}", "does not exist", cause, "Check the path.")
    try:
        served = Dashboard(folders, arguments.port, arguments.control)
    except OSError as error:
        raise InvalidArgumentError(
            f"dashboard --port {arguments.port}", "cannot be served", str(error.strerror or error), "Choose another."
        ) from error
    print(f"Dashboard of {', '.join(folders)}; Ctrl-C ends it. The address holds a secret:\n{served.url}", flush=True)
    if arguments.open:
        import webbrowser

        webbrowser.open(served.url)
    try:
        served.serve()
    finally:
        served.closing.set()
    return OK


def _watch(arguments: argparse.Namespace) -> int:
    from tune_core.cli.watch import watch

    place = find_place(arguments.experiment)

    def look(experiment: Experiment) -> str:
        refresh(place)  # what is new is seen at the next look
        return state_of(experiment, place)

    return watch(place.folder, look, arguments.once, max(0.1, arguments.interval))


def _sync(arguments: argparse.Namespace) -> int:
    from tune_core.fit.sync import is_behind, send_rest, working_folders

    folders = [arguments.folder] if arguments.folder else [folder for folder in working_folders() if is_behind(folder)]
    if not folders:
        print("Everything has been sent.")
    code = OK
    for folder in folders:
        try:
            unsent = send_rest(folder, note=print)
            text = "everything has been sent." if unsent is None else str(unsent)
            code = code if unsent is None else FAILED
        except TuneError as error:  # the others are tried all the same
            text, code = " ".join(str(error).split()), FAILED
        print(f"{folder}: {text}")
    return code
