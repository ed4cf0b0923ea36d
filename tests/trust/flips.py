"""Every byte of a journal flipped: ``python -m trust.flips 1 5`` flips each byte, and restores after every fifth.

Nothing may be lost without a word: a reader either reports the damage or gives what the whole journal gives, and a
restore keeps what it cuts off.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import sys
import tempfile
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tune_core as tune
from tune_core.cli.main import main as command
from tune_core.errors import TuneError
from tune_core.schedulers import ASHAScheduler

TRIALS = 40
MASKS = (0x01, 0x80, 0xFF)


def objective(config: dict[str, Any]) -> None:
    for step in range(2):
        tune.report({"loss": config["a"] + step})


def make(folder: Path) -> bytes:
    """A run of 40 trials; its journal."""
    _tuner(folder).fit()
    return (folder / "run" / "journal.jsonl").read_bytes()


def _tuner(folder: Path) -> tune.Tuner:
    return tune.Tuner(
        objective,
        param_space={"a": tune.grid_search(list(range(TRIALS)))},
        tune_config=tune.TuneConfig(metric="loss", mode="min", scheduler=ASHAScheduler(max_t=2, grace_period=2)),
        run_config=tune.RunConfig(name="run", storage_path=str(folder), verbose=0, executor="inline"),
    )


@dataclass
class Tally:
    """What was seen."""

    flips: int = 0
    restores: int = 0
    again: list[int] = field(default_factory=list)  # trials that a restore ran again
    silent: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.flips} flips: silent {len(self.silent)}, tracebacks {len(self.tracebacks)}; "
            f"{self.restores} restores: lost without a copy {len(self.lost)}, "
            f"trials run again at most {max(self.again, default=0)}"
        )


def facts(results: Any) -> list[Any]:
    return [(str(r.status), r.config, r.metrics.get("loss"), r.metrics.get("training_iteration")) for r in results]


def read(folder: str, expected: list[Any], where: str, tally: Tally) -> None:
    """``from_path`` looks at it, and the commands in turn."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            found: Any = facts(tune.ResultGrid.from_path(folder))
        except TuneError:
            found = None
        except Exception:
            tally.tracebacks.append(f"{where}: {traceback.format_exc()[-800:]}")
            return
    if found is not None and found != expected and not said:
        tally.silent.append(f"{where}: from_path")
    commands = ["show", folder], ["ls", os.path.dirname(folder)], ["explain", folder, "3"], ["export", folder]
    for arguments in (commands[tally.flips % len(commands)],):
        out, err = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                command(arguments)
        except BaseException:
            tally.tracebacks.append(f"{where}: {arguments[0]}: {traceback.format_exc()[-800:]}")
            continue
        if "defect of tune-core" in err.getvalue():
            tally.tracebacks.append(f"{where}: {arguments[0]}: {err.getvalue()}")
        if found != expected and not err.getvalue() and "unreadable" not in out.getvalue():
            tally.silent.append(f"{where}: {arguments[0]}")


def restore(folder: Path, damaged: bytes, where: str, tally: Tally) -> None:
    """Take the run up again: what was there stays there, or beside it."""
    tally.restores += 1
    started: list[int] = []

    def counted(config: dict[str, Any]) -> None:
        started.append(config.get("a", -1))
        objective(config)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run = tune.RunConfig(verbose=0, executor="inline")
            config = tune.TuneConfig(metric="loss", mode="min", scheduler=ASHAScheduler(max_t=2, grace_period=2))
            space = {"a": tune.grid_search(list(range(TRIALS)))}
            tune.Tuner.restore(
                str(folder / "run"), counted, param_space=space, tune_config=config, run_config=run
            ).fit()
        except TuneError:
            pass
        except Exception:
            tally.tracebacks.append(f"{where}: restore: {traceback.format_exc()[-800:]}")
    tally.again.append(len(started))
    now = (folder / "run" / "journal.jsonl").read_bytes()
    torn = folder / "run" / "journal.torn"
    cut = torn.read_bytes() if torn.exists() else b""
    if not now.startswith(damaged) and not (
        damaged.endswith(cut) and now.startswith(damaged[: len(damaged) - len(cut)])
    ):
        tally.lost.append(where)


def run(every: int, restores: int, masks: tuple[int, ...] = MASKS) -> Tally:
    """Flip every so many bytes; restore after every so many flips."""
    tally = Tally()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base)
        whole = make(folder)
        journal = folder / "run" / "journal.jsonl"
        expected = facts(tune.ResultGrid.from_path(str(folder / "run")))
        for at in range(0, len(whole), every):
            damaged = bytearray(whole)
            damaged[at] ^= masks[at % len(masks)]
            where = f"byte {at} of {len(whole)} ^ {masks[at % len(masks)]:#x}"
            journal.write_bytes(damaged)
            tally.flips += 1
            read(str(folder / "run"), expected, where, tally)
            if tally.flips % restores == 0:
                shutil.copytree(folder / "run", folder / "copy")
                restore(folder, bytes(damaged), where, tally)
                shutil.rmtree(folder / "run")
                os.rename(folder / "copy", folder / "run")
    logging.disable(logging.NOTSET)
    return tally


if __name__ == "__main__":
    seen = run(int(sys.argv[1]), int(sys.argv[2]))
    print(seen)
    for line in [*seen.silent[:10], *seen.tracebacks[:10], *seen.lost[:10]]:
        print(line)
