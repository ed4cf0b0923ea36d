"""What happened (events, journaled) and what to do about it (commands, carried out by the loop).

Events are the only input of the controller and the only content of the journal: one JSON line each, closed by a
checksum. A worker encodes its own reports into the very bytes that the journal keeps, so a report is encoded once.
JSON has no NaN and no infinity: such metric values travel as the strings ``"nan"``, ``"inf"``, ``"-inf"``, and
``nonfinite`` names the keys that hold them.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import msgspec

from tune_core.core.objective import lookup
from tune_core.core.values import Config, ResultDict

SCHEMA = 2
"""Version of the journal's format; a journal with a higher one is refused. 2 has ``lose`` events."""

Index = Annotated[int, msgspec.Meta(ge=0)]
"""Of a trial."""
FolderName = Annotated[str, msgspec.Meta(pattern=r"\A(?!\.{1,2}\Z)[^/\x00]{0,255}\Z")]
"""Name of a trial's folder in the experiment's; empty: as usual. It leads nowhere else."""
CheckpointName = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}\Z")]
"""Name of a checkpoint's folder in its trial's. Checked where it is decoded: it leads nowhere else."""
Moment = Annotated[float, msgspec.Meta(ge=-1e10, le=2.5e11)]
"""Seconds since the epoch, of a year that calendars have."""
Mode = Annotated[str, msgspec.Meta(pattern=r"\A(min|max)\Z")]
Count = Annotated[int, msgspec.Meta(ge=1)]

if TYPE_CHECKING:
    Settings = dict[str, Any]
else:

    class Settings(TypedDict, total=False):
        """What a header tells of a run beside its fields; checked where it is decoded."""

        max_failures: int
        max_worker_losses: int
        fail_fast: bool | str
        stop: dict[str, Any]
        num_to_keep: Count | None
        checkpoint_score_attribute: str | None
        checkpoint_score_order: Mode
        capacity: dict[str, Any]
        resources: Any
        varied: list[str] | None
        environment: dict[str, Any] | None


class Event(msgspec.Struct, tag_field="e", omit_defaults=True, gc=False):
    """Base of everything that enters the controller."""


class Header(Event, tag="run", kw_only=True):
    """First line of a journal: what the run was asked to do. ``seed`` is the one in force, drawn if none was given.

    ``objectives`` holds metrics and modes where there are several, ``metric`` and ``mode`` that of a run with one.
    """

    schema: int = SCHEMA
    version: str
    name: str
    seed: int
    at: Moment
    trainable: str = ""
    metric: str | None = None
    mode: Mode | None = None
    num_samples: int = 1
    scheduler: str = ""
    searcher: str = ""
    space: Any = None
    time_attr: str = "training_iteration"
    settings: Settings = {}
    objectives: list[tuple[str, Mode]] = []
    constraints: list[tuple[str, str, float]] = []


class Suggested(Event, tag="suggest"):
    """The searcher proposed a configuration; ``told`` results had reached it by then (for replaying in order).

    ``name`` and ``folder`` are what the user's functions called the trial and its folder, ``id`` what
    another system called it; empty: as usual. ``why`` says what speaks for the configuration.
    """

    trial: Index
    config: Config
    told: int = 0
    resources: Any = None
    name: str = ""
    folder: FolderName = ""
    id: str = ""
    why: str = ""


class Exhausted(Event, tag="exhausted"):
    """No further configuration will be proposed."""

    why: str = ""


class Launched(Event, tag="launch"):
    """A trial was given to a worker at ``at`` (seconds since the epoch)."""

    trial: Index
    worker: str
    at: Moment
    attempt: int = 1


class Reported(Event, tag="report"):
    """A result. ``seconds`` is the trial's training time so far.

    ``waiting``: 0 goes on by itself; ``WAITS_FOR_SCHEDULER`` is at its lease's end; ``WAITS_FOR_DRIVER`` only lets the
    driver test a stopper before it goes on. ``attempt``: the launch that it belongs to, so that one that comes late,
    after its trial was started again, is known for what it is. ``began``, in the first report of an attempt: where it
    runs (hostname, address, process id), and the training time and timesteps from which it went on.
    """

    trial: Index
    iteration: int
    at: Moment
    seconds: float
    metrics: ResultDict
    checkpoint: CheckpointName | None = None
    waiting: int = 0
    nonfinite: list[str] | None = None
    attempt: int = 1
    began: tuple[str, str, int, float, int | float | None] | None = None


WAITS_FOR_SCHEDULER = 1
WAITS_FOR_DRIVER = 2


class Saved(Event, tag="save"):
    """A checkpoint was written without a report, e.g. at a class trainable's end.

    ``metrics`` are those of the result that it belongs to, where that is not the trial's last one.
    """

    trial: Index
    iteration: int
    checkpoint: CheckpointName
    attempt: int = 1
    metrics: ResultDict | None = None


class Ended(Event, tag="end"):
    """A worker released a trial.

    ``how``: ``completed`` (returned), ``stopped`` (obeyed a verdict or met a stop condition), ``paused`` (obeyed),
    ``revoked`` (its lease was taken back), ``returned`` (handed back before it began),
    ``errored`` (user code raised), ``crashed`` (the worker process died), ``lost`` (node or actor lost, not the
    trial's fault), ``timeout``, ``unloadable`` (its checkpoint could not be read), ``unmeasured`` (it ended without
    ever having reported the metric), ``invalid`` (the objective cannot run at all: ends the experiment).
    ``attempt``: the launch that has ended; 0 means the present one.
    """

    trial: Index
    how: str
    at: Moment
    why: str = ""
    error: str = ""
    attempt: int = 0


class Decided(Event, tag="decide"):
    """A decision and its reason: kept for people and for replaying.

    ``source``, ``config``, ``resources`` and ``checkpoint`` are an exploit's; ``checkpoint`` is where ``source`` stood:
    its own, or, if it is a copy that has saved nothing since, the one that it started from. ``complete`` is a stop's:
    the trial has had all that it could get, so searchers are told of a complete trial, not of a pruned one.
    """

    trial: Index
    do: str
    why: str
    until: float | None = None
    source: Index | None = None
    config: Config | None = None
    resources: dict[str, float] | None = None
    checkpoint: CheckpointName | None = None
    complete: bool = False


class StopRequested(Event, tag="stop"):
    """A stopper, a budget or the user ends one trial, or with ``trial`` = -1 the whole run.

    ``resumable``: a failure ends the run; the trials that it cuts off stay unfinished.
    """

    trial: Annotated[int, msgspec.Meta(ge=-1)]
    why: str
    resumable: bool = False


class Interrupted(Event, tag="interrupt"):
    """The driver was asked to stop; unfinished trials stay resumable."""

    why: str
    at: Moment


class Restored(Event, tag="restore"):
    """A new driver took over. Trials that were running are requeued from their last checkpoints.

    ``settings``: the rules in force from here on, as in the header's; None: unchanged. ``finished``: whether trials
    that ended well go on too (``"resume"``), start over (``"restart"``) or stay as they are (``"skip"``).
    """

    at: Moment
    unfinished: bool = True
    errored: bool = False
    restart_errored: bool = False
    num_samples: int | None = None
    settings: Settings | None = None
    finished: str = "skip"
    restart_unfinished: bool = False


class Lost(Event, tag="lose"):
    """A checkpoint of ``trial`` is missing or cannot be read: trials that would resume from it resume from another."""

    trial: Index
    checkpoint: CheckpointName
    why: str


class Refused(Event, tag="refuse"):
    """A suggested trial asks for resources that can never be had."""

    trial: Index
    why: str


class Stalled(Event, tag="stall"):
    """No trial runs and the searcher has nothing to propose for now."""


class Noted(Event, tag="note"):
    """Something worth knowing that changes no state: a warning about a plug-in, a cut tail, a placement.

    ``clock_s``: by how many seconds the driver's clock was set forward (back: negative) since the event before.
    """

    what: str
    trial: int = -1
    clock_s: float = 0.0


class Finished(Event, tag="finish"):
    """The run is over."""

    at: Moment
    why: str


AnyEvent = (
    Header
    | Suggested
    | Exhausted
    | Launched
    | Reported
    | Saved
    | Ended
    | Decided
    | StopRequested
    | Interrupted
    | Restored
    | Lost
    | Refused
    | Stalled
    | Noted
    | Finished
)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyEvent)
_SEAL_LENGTH = len(b',"crc":"00000000"}')


def encode(event: Event) -> bytes:
    """An event as its journal line, checksum and newline included."""
    body = _encoder.encode(event)
    return b'%b,"crc":"%08x"}\n' % (body[:-1], zlib.crc32(body))


def is_whole(line: bytes) -> bool:
    """Whether a line (without its newline) carries the checksum of its own content."""
    body = line[:-_SEAL_LENGTH] + b"}"
    return line[-_SEAL_LENGTH:] == b',"crc":"%08x"}' % zlib.crc32(body)


def decode_lines(lines: bytes) -> list[Any]:
    """The events of whole journal lines, in order."""
    return [restore_nonfinite(e) if type(e) is Reported and e.nonfinite else e for e in _decoder.decode_lines(lines)]


def restore_nonfinite(event: Reported) -> Reported:
    """Turn the strings that stand for NaN and infinities back into floats."""
    for path in event.nonfinite or ():
        node: Any = event.metrics
        *parents, last = path.split("\x1f")
        for key in parents:
            node = node[int(key) if node.__class__ is list else key]
        place = int(last) if node.__class__ is list else last
        node[place] = float(node[place])
    return event


def value_of(event: Reported, name: str) -> Any:
    """A metric of a result, the automatic ones too; ``"a/b"`` reaches into nested dicts. None if it is not there."""
    if name == "training_iteration":
        return event.iteration
    if name == "time_total_s":
        return event.seconds
    return lookup(event.metrics, name)


class Batch(msgspec.Struct, gc=False):
    """Events together with the journal lines that hold them."""

    lines: bytes
    events: list[Any]


def batch(*events: Event) -> Batch:
    """A batch of events made by the driver itself."""
    return Batch(b"".join(map(encode, events)), list(events))


_OUTPUT_HEADING = "\nLast lines of output:\n"


def with_output(error: str, tail: str) -> str:
    """A trial's error followed by the last lines of what the trial printed."""
    return f"{error}{_OUTPUT_HEADING}{tail}" if tail else error


def error_line(error: str) -> str:
    """The one line of a trial's error that says most: the exception with the first line of its message.

    Of exceptions that follow from one another it is the last one, of a group that of the group.
    """
    lines = [line.rstrip() for line in error.split(_OUTPUT_HEADING)[0].splitlines() if line.strip()]
    if not lines:
        return ""
    if not _IN_GROUP.sub("", lines[0]).startswith(_TRACEBACKS):
        return lines[0].strip()
    last = max((n for n, line in enumerate(lines) if line.startswith(_CHAINED)), default=-1)
    begin = min(last + 1, len(lines) - 1)
    if "Exception Group" in lines[begin]:
        lines = [_IN_GROUP.sub("", line) for line in lines]
    said = [line for line in lines[begin + 1 :] if not line[0].isspace()]
    if not said:
        return lines[-1].strip()
    is_name_alone = said[0].endswith(":") and len(said) > 1
    return f"{said[0]} {said[1]}" if is_name_alone else said[0]


_TRACEBACKS = ("Traceback", "Exception Group Traceback")
_CHAINED = ("During handling of the above exception, another", "The above exception was the direct cause")
_IN_GROUP = re.compile(r"^ *[|+] ?")


# --- commands ---------------------------------------------------------------------------------------------------------


class Lease(msgspec.Struct, frozen=True, gc=False):
    """How far a trial may run without asking: until the time attribute reaches ``until``, or for ``steps`` reports.

    ``advice`` is what the scheduler has to say to the objective, which may ask for it.
    """

    until: float | None = None
    steps: int | None = None
    advice: str = ""


class Command(msgspec.Struct, frozen=True, gc=False):
    """Base of everything that the controller asks the loop to do."""


class Launch(Command, frozen=True, gc=False):
    """Run a trial on the worker that was reserved for it; ``checkpoint`` is (trial index, checkpoint name) or None."""

    trial: int
    config: Config
    lease: Lease
    resources: Any = None
    checkpoint: tuple[int, str] | None = None
    iteration: int = 0
    seconds: float = 0.0
    attempt: int = 1
    totals: dict[str, float] | None = None  # timesteps and episodes so far, where they are counted
    name: str = ""
    folder: str = ""


def parts_of(job: Launch) -> tuple[Any, ...]:
    """A launch as plain values: pickled, they are half as long, and read without looking for classes."""
    trial, config, lease, *rest = msgspec.structs.astuple(job)
    return trial, config, msgspec.structs.astuple(lease), *rest


def launch_of(parts: tuple[Any, ...]) -> Launch:
    """The launch that :func:`parts_of` took apart."""
    trial, config, lease, *rest = parts
    return Launch(trial, config, Lease(*lease), *rest)


class Extend(Command, frozen=True, gc=False):
    """Answer a waiting worker: go on under a new lease, or with None under the present one."""

    trial: int
    lease: Lease | None


class Halt(Command, frozen=True, gc=False):
    """Answer a waiting worker: release the trial. ``how`` is ``stopped`` or ``paused``."""

    trial: int
    how: str
    why: str


class Revoke(Command, frozen=True, gc=False):
    """Take back a running lease: the worker stops at its next report, and is killed after the grace period."""

    trial: int
    why: str


class Warn(Command, frozen=True, gc=False):
    """Warn the user of something that costs time and can be changed."""

    text: str


class KeepCheckpoint(Command, frozen=True, gc=False):
    """A checkpoint is referred to from now on: it must be on the disk before the line that names it."""

    trial: int
    name: str


class DropCheckpoint(Command, frozen=True, gc=False):
    """Delete a checkpoint that nothing refers to any more."""

    trial: int
    name: str


class Record(Command, frozen=True, gc=False):
    """Journal a decision, on one trial or to end the whole run."""

    event: Decided | StopRequested


class TellComplete(Command, frozen=True, gc=False):
    """Tell the searcher how a trial ended; ``error`` covers failures and results without a usable metric.

    ``pruned``: a scheduler ended it before it had its full budget.
    """

    trial: int
    error: bool
    pruned: bool = False


class Finish(Command, frozen=True, gc=False):
    """Nothing is left to do."""

    why: str
    error: str = ""
