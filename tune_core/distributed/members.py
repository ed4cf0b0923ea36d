"""The ranks' views of their trial's session, and what keeps those in step."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tune_core.errors import InvalidArgumentError
from tune_core.trainable.protocol import Session

if TYPE_CHECKING:
    from tune_core.checkpoint import Checkpoint


class Answers:
    """What rank zero's reports were answered, in their order, for the other ranks to wait for."""

    def __init__(self) -> None:
        self._answers: list[bool] = []
        self._over = False
        self._changed = threading.Condition()

    def add(self, go_on: bool) -> None:
        """Rank zero's next report was answered."""
        with self._changed:
            self._answers.append(go_on)
            self._changed.notify_all()

    def close(self) -> None:
        """Rank zero reports nothing more."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def wait_for(self, number: int) -> bool:
        """The answer to rank zero's report ``number``, counted from 0; False if that never comes."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or len(self._answers) > number)
            return number < len(self._answers) and self._answers[number]


class Member:
    """One rank's view of the trial's session (see :class:`tune_core.trainable.protocol.Session`).

    Parameters
    ----------
    session
        The trial's session; None outside of a run, where reports go nowhere.
    answers
        Shared by all ranks of the trial.
    rank
        The rank, from 0.
    facts
        What ``get_context()`` is to say of the rank's place.
    """

    def __init__(self, session: Session | None, answers: Answers, rank: int, facts: Mapping[str, int]) -> None:
        self._session = session
        self._answers = answers
        self._rank = rank
        self._facts = facts
        self._reports = 0

    @property
    def info(self) -> Mapping[str, Any]:
        """The trial's facts, and the rank's own."""
        return {**(self._session.info if self._session is not None else {}), **self._facts}

    def report(self, metrics: Mapping[str, object], checkpoint: Checkpoint | None) -> bool:
        """Rank zero reports; another rank waits for that, and has the same answer."""
        if self._rank == 0:
            go_on = self._session is None or self._session.report(metrics, checkpoint)
            self._answers.add(go_on)
            return go_on
        if checkpoint is not None:
            raise InvalidArgumentError(
                "tune.report(checkpoint)",
                f"was given by rank {self._rank}",
                "a trial's checkpoint is rank zero's, and another one would be lost",
                "Pass it from rank zero alone. Let sharded states be written into one folder by all ranks "
                "(torch.distributed.checkpoint) or be gathered by rank zero first.",
            )
        number, self._reports = self._reports, self._reports + 1
        return self._answers.wait_for(number)

    def start_checkpoint(self) -> Checkpoint | None:
        """The checkpoint that all ranks go on from."""
        return None if self._session is None else self._session.start_checkpoint()

    def save(self, checkpoint: Checkpoint, again: bool = False, result: Any = None) -> None:
        """Rank zero keeps a checkpoint; that of another rank is the same model, and is not kept."""
        if self._rank == 0 and self._session is not None:
            self._session.save(checkpoint, again, result)

    def checkpoint_due(self, metrics: Mapping[str, object]) -> bool:
        """Whether the scheduler may pause or copy the trial at the next report."""
        return self._session is not None and self._session.checkpoint_due(metrics)

    def preempted(self) -> bool:
        """Whether the trial is asked to save what it has and to end soon."""
        return self._session is not None and self._session.preempted()

    def at_end(self, function: Callable[[], None]) -> None:
        """Not called: ranks keep such functions themselves (see :mod:`tune_core.distributed.rank`)."""
        raise NotImplementedError

    def write(self, text: str) -> None:
        """Take output of the rank's into the trial's log."""
        write_output(self._rank, text)


_output = threading.Lock()


def write_output(rank: int, text: str) -> None:
    """Print what a rank has printed, each line with the rank before it."""
    with _output:
        for line in text.splitlines():
            sys.stdout.write(f"[rank {rank}] {line}\n")
        sys.stdout.flush()
