"""What the loop is given beside its parts, and what it asks of those who write, watch and mirror a run."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

from tune_core.core.values import Config
from tune_core.engine.asked_stopper import AskedStopper
from tune_core.engine.checkpoint_files import CheckpointFiles
from tune_core.engine.controller import Controller
from tune_core.engine.expected_names import ExpectedNames
from tune_core.engine.naming import TrialNames
from tune_core.engine.remote_control import RemoteControl
from tune_core.executors.base import END_GRACE_S, RunSpec
from tune_core.journal.kept_search import Moment
from tune_core.trainable.resources import Request

RETRY_S = 0.5
"""How long a trial that has failed twice waits before it is tried again."""


class Writer(Protocol):
    """Where events go: a journal, or a list in memory."""

    def append(self, lines: bytes, trials: Collection[int] = ()) -> None:
        """Take lines in; ``trials``: those of single trials that they all are of, empty where nobody knows."""

    def write(self) -> None:
        """Make them last."""


class Watcher(Protocol):
    """Whoever shows the run to people."""

    def update(self, controller: Controller, now: float, waits_for: str | None) -> None:
        """Called every turn; draws when it is time to."""

    def note(self, text: str) -> None:
        """Something worth knowing."""


class RunWatcher(Watcher, Protocol):
    """A watcher that is told of the run's beginning and end, too."""

    def start(self) -> None:
        """The run begins."""

    def over(self) -> None:
        """No trial runs any more: the run's time ends here. Callbacks and stores may still be waited for."""

    def finish(self, controller: Controller, why: str, error: str) -> None:
        """The run is over."""


class Mirror(Protocol):
    """Whoever keeps a copy of the journal and its checkpoints elsewhere."""

    @property
    def waits_for(self) -> str | None:
        """Why the copy is not up to date, for the live view."""

    def drop(self, trial: int, name: str) -> None:
        """A checkpoint has become superfluous by what is in the journal now."""


@dataclass
class LoopSettings:
    """What the loop needs beside its parts."""

    spec: RunSpec
    resources: Callable[[Config], Any] | None = None  # by configuration; None: the same for all
    default_resources: Request | None = None
    encode_config: Callable[[Config], dict[str, object]] = field(default=lambda config: config)
    stopper: AskedStopper | None = None
    names: TrialNames | None = None  # what the user calls trials and their folders
    time_budget_s: float | None = None
    used_s: float = 0.0  # of the time budget, by earlier drivers
    end_grace_s: float = END_GRACE_S
    retry_s: float = RETRY_S  # 0: failed trials are tried again at once
    total: int | None = None  # trials that there will be, where that is known
    handle_signals: bool = True
    mirror: Mirror | None = None
    checkpoints: CheckpointFiles | None = None  # None: checkpoints are no files
    look_after: Callable[[], str] | None = None  # sees to the folder; what happened to it, if anything
    expected: ExpectedNames | None = None  # names in the configuration that results should have
    keep_moment: Callable[[Moment], object] | None = None  # keeps where the searcher stood beside the journal
    control: RemoteControl | None = None  # commands from outside, if the run takes them
