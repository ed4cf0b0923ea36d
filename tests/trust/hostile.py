"""Forty folders that a stranger could have made, and what a look at them, or a restore of them, must not do."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tune_core as tune
from tune_core.cli.main import main as command

ESCAPE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
OUTSIDE = "../../outside"
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")


def objective(config: dict[str, Any]) -> None:
    import tempfile

    for step in range(1, 4):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step").write_text(str(step))
            tune.report({"loss": 1.0 * step}, checkpoint=tune.Checkpoint.from_directory(folder))


def make(storage: Path) -> None:
    """The run that each hostile folder is made from: one trial ended, one is not over."""
    run = tune.RunConfig(
        name="run",
        storage_path=str(storage),
        verbose=0,
        executor="inline",
        checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
    )
    tuning = tune.TuneConfig(metric="loss", mode="min")
    tune.Tuner(objective, param_space={"x": tune.grid_search([1, 2])}, tune_config=tuning, run_config=run).fit()
    journal = storage / "run" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    ends = [i for i, line in enumerate(lines) if line.startswith(b'{"e":"end"')]
    journal.write_bytes(b"".join(lines[: ends[-1]]))  # the driver was killed before the last end


def sealed(event: dict[str, Any]) -> bytes:
    """An event as a line with the right checksum, whatever it holds."""
    event.pop("crc", None)
    body = json.dumps(event, separators=(",", ":")).encode()
    return b'%b,"crc":"%08x"}\n' % (body[:-1], zlib.crc32(body))


def forged(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change each event of the journal."""
    journal = folder / "journal.jsonl"
    events = [json.loads(line) for line in journal.read_bytes().splitlines()]
    for event in events:
        change(event)
    journal.write_bytes(b"".join(map(sealed, events)))


def of_kind(kind: str, **fields: Any) -> Callable[[Path], None]:
    """Set fields of all events of a kind."""
    return lambda folder: forged(folder, lambda event: event.update(fields) if event["e"] == kind else None)


def more(*events: dict[str, Any]) -> Callable[[Path], None]:
    """Events behind the others."""

    def change(folder: Path) -> None:
        with open(folder / "journal.jsonl", "ab") as file:
            file.write(b"".join(map(sealed, events)))

    return change


def link(name: str, target: str) -> Callable[[Path], None]:
    """Put a link where a file or folder was."""

    def change(folder: Path) -> None:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    return change


def fifo(name: str) -> Callable[[Path], None]:
    """Put a FIFO where a file was: opening it waits for ever."""

    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return change


def content(name: str, data: bytes) -> Callable[[Path], None]:
    """Write a file."""
    return lambda folder: (folder / name).write_bytes(data)


def link_in_checkpoint(folder: Path) -> None:
    """A file of each checkpoint leads outside."""
    for checkpoint in folder.glob("trial_*/checkpoint_*"):
        (checkpoint / "step").unlink()
        (checkpoint / "step").symlink_to("../../../../outside/secret.txt")


def checkpoint_is_link(folder: Path) -> None:
    """Each checkpoint is a link to a folder outside."""
    for checkpoint in list(folder.glob("trial_*/checkpoint_*")):
        shutil.rmtree(checkpoint)
        checkpoint.symlink_to("../../../outside")


def mark_leads_outside(folder: Path) -> None:
    """The marks name files outside."""
    for mark in folder.glob("trial_*/.checkpoint_*"):
        mark.write_text(json.dumps({"files": {"../../../outside/secret.txt": 6, "/etc/passwd": 1, "step": "x"}}))


SUGGEST = {"e": "suggest", "config": {"x": 1}}
FOLDERS: dict[str, Callable[[Path], None]] = {
    "checkpoint climbs out": of_kind("report", checkpoint=OUTSIDE),
    "checkpoint is absolute": of_kind("report", checkpoint="/etc"),
    "checkpoint is a dot": of_kind("report", checkpoint=".."),
    "checkpoint is empty": of_kind("report", checkpoint=""),
    "checkpoint with a line end": of_kind("report", checkpoint="checkpoint_000001\n"),
    "checkpoint has the user's name": of_kind("report", checkpoint="my_model"),
    "trial's folder climbs out": of_kind("suggest", folder=OUTSIDE),
    "trial's folder is two dots": of_kind("suggest", folder=".."),
    "trial's folder is absolute": of_kind("suggest", folder="/etc"),
    "trial's name is escapes": of_kind("suggest", name=ESCAPE),
    "lock is a link": link(".lock", "../../outside/secret.txt"),
    "lock is a FIFO": fifo(".lock"),
    "lock is garbage": content(".lock", b"\xff{" * 40),
    "journal is a link": link("journal.jsonl", "../../outside/secret.txt"),
    "journal is a FIFO": fifo("journal.jsonl"),
    "journal is empty": content("journal.jsonl", b""),
    "journal is zeros": content("journal.jsonl", b"\0" * 5000),
    "journal is one long line": content("journal.jsonl", b"x" * 3_000_000),
    "torn file is a link": link("journal.torn", "../../outside/secret.txt"),
    "trial folder is a link": link("trial_00001", "../../outside"),
    "output is a link": link("trial_00001/output.log", "../../../outside/secret.txt"),
    "checkpoint is a link": checkpoint_is_link,
    "checkpoint holds a link": link_in_checkpoint,
    "marks lead outside": mark_leads_outside,
    "callbacks' states are garbage": content("callbacks.json", b'{"0": 7}'),
    "name of another type": of_kind("run", name=7),
    "metric of another type": of_kind("run", metric=[]),
    "name is escapes": of_kind("run", name=ESCAPE, trainable=ESCAPE, searcher=ESCAPE, scheduler=ESCAPE),
    "time is far away": of_kind("run", at=1e300),
    "time is long ago": of_kind("run", at=-1e18),
    "settings are odd": of_kind("run", settings={"num_to_keep": "x", "stop": 3, "checkpoint_score_order": "up"}),
    "mode is none": of_kind("run", mode="up"),
    "one of the modes is none": of_kind("run", objectives=[["loss", "min"], ["size", "up"]]),
    "order of checkpoints is none": of_kind("run", settings={"checkpoint_score_order": "up"}),
    "keeps no checkpoint": of_kind("run", settings={"num_to_keep": 0}),
    "what varies is a number": of_kind("run", settings={"varied": 3}),
    "environment is a number": of_kind("run", settings={"environment": 3}),
    "settings of a restore are odd": more({"e": "restore", "at": 2e9, "settings": {"num_to_keep": "x"}}),
    "began nowhere": of_kind("report", began=["h"]),
    "began in words": of_kind("report", began=["h", "h", 1, 0.0, "x"]),
    "reports in the year 10^300": of_kind("report", at=1e300),
    "configuration is escapes": of_kind("suggest", config={ESCAPE: ESCAPE, "x": 1}),
    "metrics are escapes": of_kind("report", metrics={"loss": 1.0, ESCAPE: ESCAPE}),
    "nonfinite names nothing": of_kind("report", nonfinite=["loss\x1fdeep", "none"]),
    "error is escapes": more({"e": "end", "trial": 1, "how": "errored", "at": 2e9, "error": ESCAPE, "attempt": 1}),
    "note is escapes": more({"e": "note", "what": ESCAPE}, {"e": "stop", "trial": -1, "why": ESCAPE}),
    "trial of a high number": more({**SUGGEST, "trial": 10**15}),
    "trial of a negative number": more({"e": "launch", "trial": -1, "worker": "w", "at": 1.0}),
    "trial that was not suggested": more(
        {"e": "report", "trial": 9, "iteration": 1, "at": 1.0, "seconds": 1.0, "metrics": {}}
    ),
    "copies nobody": more({"e": "decide", "trial": 1, "do": "exploit", "why": "", "source": 99, "config": {}}),
    "deep nesting": more({**SUGGEST, "trial": 2, "config": json.loads("[" * 500 + "]" * 500) and {"x": [[[[[[]]]]]]}}),
    "surrogates": content(
        "journal.jsonl",
        sealed({"e": "run", "version": "1", "name": "x", "seed": 0, "at": 0.0})
        + b'{"e":"note","what":"\\ud800"'
        + b',"crc":"%08x"}\n' % zlib.crc32(b'{"e":"note","what":"\\ud800"}'),
    ),
}


def look(folder: Path) -> list[tuple[str, str]]:
    """What each command and reader says; a traceback is named "TRACEBACK"."""
    said = []
    place, parent = str(folder), str(folder.parent)
    table, page = (str(folder.parent.parent / name) for name in ("table.csv", "report.html"))
    for arguments in (
        ["ls", parent],
        ["show", place],
        ["best", place],
        ["best", place, "--json"],
        ["explain", place, "1"],
        ["export", place, "-o", table],
        ["export", place, "--results", "-o", table],
        ["watch", place, "--once"],
        ["report", place, "-o", page],
    ):
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                command(arguments)
        except BaseException as error:
            out.write(f"TRACEBACK {error!r}")
        said.append((arguments[0], out.getvalue().replace("This is a defect of tune-core", "TRACEBACK")))
    for name, reader in {
        "from_path": lambda: repr(tune.ResultGrid.from_path(place)),
        "metrics": lambda: [r.metrics for r in tune.ResultGrid.from_path(place)],
        "best": lambda: tune.ResultGrid.from_path(place).get_best_result(),
        "frame": lambda: tune.ResultGrid.from_path(place).get_dataframe(),
        "checkpoints": lambda: [outside(r.checkpoint, folder) for r in tune.ResultGrid.from_path(place)],
        "can_restore": lambda: tune.Tuner.can_restore(place),
    }.items():
        try:
            answer = str(reader())
        except tune.TuneError:
            answer = ""
        except Exception as error:
            answer = f"TRACEBACK {error!r}"
        said.append((name, answer if name == "checkpoints" or "TRACEBACK" in answer else ""))
    return said


def outside(checkpoint: Any, folder: Path) -> str:
    """Names a checkpoint that leads out of the experiment's folder."""
    if checkpoint is None or os.path.realpath(checkpoint.path).startswith(os.path.realpath(folder) + os.sep):
        return ""
    return f"OUTSIDE {checkpoint.path}"


def restore(folder: Path) -> str:
    """Take it up again with one's own arguments; what went wrong in a way that it must not."""
    run = tune.RunConfig(verbose=0, executor="inline", checkpoint_config=tune.CheckpointConfig(num_to_keep=1))
    tuning = tune.TuneConfig(metric="loss", mode="min")
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            tune.Tuner.restore(
                str(folder), objective, param_space={"x": tune.grid_search([1, 2])}, tune_config=tuning, run_config=run
            ).fit()
    except tune.TuneError:
        return ""
    except Exception as error:
        return f"TRACEBACK {error!r}"
    return ""


def tree(folder: Path) -> dict[str, Any]:
    """All below a folder, to compare."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
