"""What user code calls inside a trial: :func:`report`, :func:`get_checkpoint`, :func:`get_context`.

Outside of a trial these do nothing, so the same code trains alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tune_core.checkpoint import Checkpoint


class StopTrial(BaseException):
    """Raised by :func:`report` to end a trial. Not an ``Exception``, so that ``except Exception`` lets it pass."""


class Session(Protocol):
    """The trial that this process runs, as the functions below see it."""

    def report(self, metrics: Mapping[str, Any], checkpoint: Checkpoint | None) -> bool:
        """Pass on a result; False if the trial is to end."""

    def start_checkpoint(self) -> Checkpoint | None:
        """The checkpoint to go on from."""

    def save(
        self, checkpoint: Checkpoint, again: bool = False, result: tuple[int, Mapping[str, Any]] | None = None
    ) -> None:
        """Keep a checkpoint with the last result, or with the one of the given iteration, without a new one."""

    def checkpoint_due(self, metrics: Mapping[str, Any]) -> bool:
        """Whether the scheduler may pause or copy the trial at its next report."""

    def at_end(self, function: Callable[[], None]) -> None:
        """Call ``function`` when the objective has returned."""

    @property
    def info(self) -> Mapping[str, Any]:
        """The trial's id, name, folder, resources and configuration, and the experiment's name."""


SHARED = "TUNE_CORE_SESSION"
"""Environment variable in which a trial's process tells the processes that it starts how to reach its session."""

_current: Session | None = None
_close_shared: Callable[[], None] | None = None
_forked_from: Session | None = None


def set_session(session: Session | None) -> Session | None:
    """Install the session of this process; the one before is returned. For executors."""
    global _current, _close_shared
    if _close_shared is not None:
        _close_shared()
        _close_shared = None
    before, _current = _current, session
    return before


def _session() -> Session | None:
    """The session of this process, or of the trial that started it and shares its own."""
    global _current
    if _current is None and SHARED in os.environ:
        from tune_core.trainable.session_remote import connect

        _current = connect(os.environ[SHARED])
    elif _current is None and _forked_from is not None:
        from tune_core.trainable.session_remote import ForkedSession

        _current = ForkedSession(_forked_from.info)
    return _current


def in_session() -> bool:
    """Whether this code runs inside a trial."""
    return _session() is not None


def share() -> str | None:
    """Let the processes that this trial starts from now on report for it.

    They find the trial by the environment variable ``TUNE_CORE_SESSION``, so they must be started by it, on the same
    machine. Needed by trainings in several processes; ``tune_lightning`` calls it where Lightning starts them.

    Returns
    -------
    str or None
        What the variable holds, for a process that does not inherit it; None outside of a trial.
    """
    global _close_shared
    if _current is not None and _close_shared is None and not _current.info.get("remote"):
        from tune_core.trainable.session_remote import serve

        _close_shared = serve(_current)
    return os.environ.get(SHARED)


def join(shared: str) -> None:
    """Let this process report for the trial that has shared its session as ``shared`` (see :func:`share`)."""
    if _current is None:
        os.environ[SHARED] = shared


def _after_fork() -> None:
    """A forked child must not use its parent's connection to the driver."""
    global _current, _close_shared, _forked_from
    _current, _close_shared, _forked_from = None, None, _current or _forked_from


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def report(
    metrics: Mapping[str, Any],
    checkpoint: Checkpoint | None = None,
    *,
    checkpoint_dir_name: str | None = None,
    raise_on_stop: bool = True,
) -> bool:
    """Report a result of the running trial, and a checkpoint with it.

    Parameters
    ----------
    metrics
        Names and values. Numbers of numpy and 0-dimensional tensors are turned into plain ones.
    checkpoint
        A folder made with ``Checkpoint.from_directory``; it is copied into the experiment before this returns.
    checkpoint_dir_name
        Accepted for Ray Tune's sake; the folder in the experiment is named by tune-core.
    raise_on_stop
        When the trial is to end: True leaves the objective by an exception (which ``except Exception`` does not
        catch); False returns False and leaves the ending to the caller. Callbacks of frameworks use the latter.

    Returns
    -------
    bool
        Whether to go on. Outside of a trial always True.

    Raises
    ------
    MetricError
        If a metric that the run needs is missing, or a value cannot be reported.
    """
    session = _current or _session()
    if session is None:
        return True
    if checkpoint is not None and not hasattr(checkpoint, "as_directory"):
        from tune_core.errors import InvalidArgumentError

        raise InvalidArgumentError(
            "tune.report(checkpoint)",
            f"is {checkpoint!r} of type {type(checkpoint).__name__}",
            "it must be a Checkpoint",
            "Save what is needed to go on in a folder, and use tune.Checkpoint.from_directory(folder).",
        )
    go_on = session.report(metrics, checkpoint)
    if not go_on and raise_on_stop:
        raise StopTrial
    return go_on


def get_checkpoint() -> Checkpoint | None:
    """The checkpoint that this trial is to go on from; None when it starts anew, and outside of a trial."""
    session = _session()
    return None if session is None else session.start_checkpoint()


def save(checkpoint: Checkpoint, again: bool = False, result: tuple[int, Mapping[str, Any]] | None = None) -> None:
    """Keep a checkpoint with a result that was reported before, e.g. the finished model, without reporting another one.

    Parameters
    ----------
    checkpoint
        The checkpoint.
    again
        Keep it even if the last result has a checkpoint already, since this one has more to it.
    result
        Iteration and metrics of the result that it belongs to, where that is not the last one: a model that early
        stopping has cut back to its best round.
    """
    session = _session()
    if session is not None:
        session.save(checkpoint, again, result)


def checkpoint_due(metrics: Mapping[str, Any]) -> bool:
    """Whether the next report should bring a checkpoint, because the scheduler may pause or copy the trial there."""
    session = _session()
    return session is not None and session.checkpoint_due(metrics)


def at_end(function: Callable[[], None]) -> None:
    """Call ``function`` in this process when the objective has returned, while it can still report and save.

    Of several functions the last is called first.
    """
    session = _session()
    if session is not None:
        session.at_end(function)


class TrialContext:
    """Facts about the running trial; None, 0 or ``{}`` outside of one."""

    def __init__(self, info: Mapping[str, Any]) -> None:
        self._info = info

    def get_experiment_name(self) -> str | None:
        """Name of the experiment."""
        return self._info.get("experiment_name")

    def get_trial_name(self) -> str | None:
        """The trainable's name and the trial's id."""
        return self._info.get("trial_name")

    def get_trial_id(self) -> str | None:
        """The trial's id."""
        return self._info.get("trial_id")

    def get_iteration(self) -> int:
        """How many results the trial has reported."""
        return int(self._info.get("iteration", 0))

    def get_trial_resources(self) -> Mapping[str, float] | None:
        """Resources that the trial was given."""
        return self._info.get("resources")

    def get_trial_dir(self) -> str | None:
        """The trial's folder in the experiment, made on first use."""
        folder = self._info.get("trial_dir")
        if folder is not None:
            os.makedirs(folder, exist_ok=True)
        return folder

    def get_storage(self) -> str | None:
        """The experiment's folder."""
        return self._info.get("experiment_dir")

    def get_config(self) -> Mapping[str, Any]:
        """The trial's configuration."""
        config: Mapping[str, Any] = self._info.get("config", {})
        return config

    def get_node_rank(self) -> int:
        """Always 0: a trial is one process unless it starts its own."""
        return 0

    def get_world_rank(self) -> int:
        """Always 0."""
        return 0

    def get_world_size(self) -> int:
        """Always 1."""
        return 1

    def get_local_rank(self) -> int:
        """Always 0."""
        return 0

    def get_local_world_size(self) -> int:
        """Always 1."""
        return 1


def get_context() -> TrialContext:
    """Facts about the running trial."""
    session = _session()
    return TrialContext({} if session is None else session.info)


def get_trial_id() -> str | None:
    """The running trial's id."""
    return get_context().get_trial_id()


def get_trial_name() -> str | None:
    """The running trial's name."""
    return get_context().get_trial_name()


def get_trial_dir() -> str | None:
    """The running trial's folder."""
    return get_context().get_trial_dir()


def get_trial_resources() -> Mapping[str, float] | None:
    """The running trial's resources."""
    return get_context().get_trial_resources()
