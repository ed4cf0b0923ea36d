"""The executor's extension point: where trials run, and the messages that pass between driver and worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tune_core.core.events import Batch, Ended, Launch, Lease, Noted
from tune_core.trainable.resources import Request

if TYPE_CHECKING:
    from tune_core.storage.artifacts import ArtifactRules

END_GRACE_S = 600.0
"""How long a trial that was told to end may take to finish its step, save and clean up before it is killed."""


@dataclass(frozen=True)
class StoreAccess:
    """An experiment in an object store, for workers: its URL, and what reaches it if the user gave something.

    ``environment`` are the variables in which the driver's process has its credentials; they go to nodes that have
    none of their own, and nowhere else.
    """

    url: str
    filesystem: Any = field(default=None, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class RunSpec:
    """What every worker of a run needs to know, once.

    ``payload`` is what :meth:`Executor.pack` made of the trainable; ``folder`` is the experiment's folder.
    """

    name: str
    folder: str
    payload: Any
    time_attr: str = "training_iteration"
    stop: Mapping[str, float] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()  # a trial that ends without having reported them has failed
    lease_metrics: tuple[str, ...] = ()  # a result without them does not end a lease
    saves_at_lease_end: bool = False
    checkpoint_frequency: int = 0  # class trainables: save each so many iterations; 0 never
    checkpoint_at_end: bool = False
    trial_timeout_s: float | None = None
    reuse: bool = True  # processes, from trial to trial
    reuse_objects: bool = False  # of a class trainable, by reset_config
    chdir: bool = True  # each trial's own folder is its working directory, where it has a process to itself
    hands_on_folders: bool = False  # one in which a trial has left nothing may become the next one's
    env: Mapping[str, str] = field(default_factory=dict)
    needs_every_result: bool = False  # somebody in the driver tests each result before the trial goes on
    independent: bool = False  # no result changes which trials run, how far, or in which order
    trainable_name: str = "trainable"
    settings: Mapping[str, Any] = field(default_factory=dict)
    logging: Any = None  # how the driver's logging is set: tune_core.executors.worker.log_setup.LogSetup
    store: StoreAccess | None = None
    artifacts: ArtifactRules | None = None  # what else of the trials' folders is to be kept, from every node
    start_from: str | None = None  # a checkpoint's folder that trials start from, where they have none of their own
    export_formats: tuple[str, ...] = ()  # class trainables export their model when they end


FINAL = frozenset(("completed", "stopped"))
"""How an attempt ends behind which no other follows in this run."""


def ends_a_trial(events: Sequence[Any]) -> bool:
    """Whether a batch brings a trial's end: its last event, but for notes that may come at any time."""
    for event in reversed(events):
        if event.__class__ is not Noted:
            return event.__class__ is Ended
    return False


class Executor(Protocol):
    """Runs trials. All calls come from the loop's thread, except :meth:`wake`.

    A conforming executor passes ``tune_core.testing.executors``.
    """

    name: str

    def pack(self, prepared: Any) -> Any:
        """The trainable in the form in which this executor's workers take it: ``RunSpec.payload``.

        Called once, before :meth:`start` and before anything is written, so that what cannot travel is said early.
        """

    def start(self, run: RunSpec, pump: Callable[[list[Batch]], None]) -> None:
        """Get ready to run trials of ``run``. ``pump`` lets an executor that has no workers of its own hand events
        to the loop from inside :meth:`poll` and get their commands carried out before it returns."""

    def refuse(self, resources: Request | None) -> str | None:
        """None if a trial asking for ``resources`` can run some time; otherwise why it never can."""

    def room(self, resources: Request | None) -> bool:
        """Whether :meth:`reserve` would find a place now; None asks for any place at all."""

    def reserve(self, resources: Request | None) -> str | None:
        """Set a place aside for a trial and return the worker's name; None while all are taken."""

    def launch(self, worker: str, job: Launch) -> None:
        """Run a trial in the place that :meth:`reserve` gave. Its events come through :meth:`poll`."""

    def extend(self, trial: int, lease: Lease | None) -> None:
        """Answer a waiting trial: go on."""

    def halt(self, trial: int, how: str, why: str) -> None:
        """Answer a waiting trial: end. It answers with ``Ended(how)``."""

    def revoke(self, trial: int, why: str) -> None:
        """Ask a running trial to end at its next report."""

    def kill(self, trial: int, how: str, why: str) -> None:
        """End a trial at once, whatever it does. ``poll`` returns ``Ended(how)``."""

    def poll(self, timeout_s: float) -> list[Batch]:
        """Events of workers, in order for each worker; waits up to ``timeout_s`` for the first."""

    def wake(self) -> None:
        """Make a waiting :meth:`poll` return now; from any thread or a signal handler."""

    def clock(self) -> float:
        """Seconds since the epoch, for stamps: the driver's clock, or the simulator's."""

    def monotonic(self) -> float:
        """Seconds since some moment, for spans: by a clock that nobody can set, or the simulator's."""

    def waits_for(self) -> str | None:
        """What a pending trial waits for, if it isn't just a free slot."""

    def close(self, grace_s: float) -> None:
        """End all workers; leave no process behind."""


class Answering:
    """An executor's extend, halt and revoke as messages to the trial's worker.

    An executor that inherits from this class says in :meth:`_answer` how a message reaches its worker.
    """

    def extend(self, trial: int, lease: Lease | None) -> None:
        """Answer a waiting trial: go on."""
        self._answer(trial, "extend", lease)

    def halt(self, trial: int, how: str, why: str) -> None:
        """Answer a waiting trial: end. It answers with ``Ended(how)``."""
        self._answer(trial, "halt", how, why)

    def revoke(self, trial: int, why: str) -> None:
        """Ask a running trial to end at its next report."""
        self._answer(trial, "revoke", why)

    def _answer(self, trial: int, kind: str, *rest: object) -> None:
        raise NotImplementedError
