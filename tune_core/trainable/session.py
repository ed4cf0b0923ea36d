"""What user code calls inside a trial: :func:`report`, :func:`get_checkpoint`, :func:`get_context`.

Outside of a trial these do nothing, so the same code trains alone.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tune_core.core.values import ConfigView, Metrics
from tune_core.trainable.protocol import SHARED, Session, StopTrial
from tune_core.trainable.resources import as_held
from tune_core.trainable.scope import current_scope, in_context, other_open

if TYPE_CHECKING:
    from tune_core.checkpoint import Checkpoint

__all__ = [
    "SHARED",
    "Session",
    "StopTrial",
    "TrialContext",
    "advice",
    "at_end",
    "checkpoint_due",
    "draft",
    "get_checkpoint",
    "get_context",
    "get_trial_dir",
    "get_trial_id",
    "get_trial_name",
    "get_trial_resources",
    "in_session",
    "join",
    "report",
    "save",
    "share",
]

_joined: Session | None = None  # of the trial that started this process and shares its session with it


def _session() -> Session | None:
    """The session that the calling code belongs to: its own trial's, or that of the trial that started this process."""
    scope = current_scope()
    if scope is not None and scope.session is not None:
        return scope.session
    if _joined is not None or SHARED in os.environ:
        return _join_shared()
    if scope is not None and scope.forked:
        from tune_core.trainable.session_remote import ForkedSession

        return ForkedSession(scope.info)
    return None


def _join_shared() -> Session | None:
    global _joined
    if _joined is None:
        from tune_core.trainable.session_remote import RemoteSession, connect

        _joined = connect(os.environ[SHARED], RemoteSession)
    return _joined


@contextlib.contextmanager
def draft() -> Iterator[str]:
    """An empty folder for the files of a checkpoint that is about to be reported.

    In a trial it is in the trial's own folder: reporting it moves the files instead of copying them, and what a
    killed process leaves is not scattered over the machine. It goes at the end of the context.

    Yields
    ------
    str
        The folder's path.
    """
    where = getattr(_session(), "draft_folder", None)
    if where is None:  # no trial, or one of its other processes, which may run on another machine
        import tempfile

        with tempfile.TemporaryDirectory(prefix="tune-core-") as folder:
            yield folder
        return
    from tune_core.storage import local

    with local.draft(where) as folder:
        yield folder


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

    Raises
    ------
    TuneError
        If another trial of this very process shares its session already: the two have one environment.
    """
    scope = current_scope()
    if scope is not None and scope.session is not None and scope.close_shared is None:
        if SHARED in os.environ and other_open(scope):
            from tune_core.errors import TuneError

            raise TuneError(
                "tune_core.trainable.session.share",
                "was called by a second trial of this process",
                "processes find their trial by an environment variable, and this process has only one",
                'Run the trials in processes of their own: RunConfig(executor="local").',
            )
        from tune_core.trainable import session_remote

        scope.close_shared = session_remote.share(scope.session)
    return os.environ.get(SHARED)


def join(shared: str) -> None:
    """Let this process report for a trial that runs in another process of this machine.

    Parameters
    ----------
    shared
        What :func:`share` returned in the trial's process.
    """
    scope = current_scope()
    if _joined is None and (scope is None or scope.session is None):
        os.environ[SHARED] = shared


def adopt(session: Session, shared: str) -> None:
    """Let this whole process report through ``session``, and those that it starts through what ``shared`` names."""
    global _joined
    _joined = session
    os.environ[SHARED] = shared


def _after_fork() -> None:
    """A forked child cannot use its parent's connection to the trial's process either."""
    global _joined
    _joined = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def report(
    metrics: Metrics | None = None,
    checkpoint: Checkpoint | None = None,
    *,
    checkpoint_dir_name: str | None = None,
    raise_on_stop: bool = True,
    **named_metrics: Any,
) -> bool:
    """Report a result of the running trial, and a checkpoint with it.

    Parameters
    ----------
    metrics
        Names and values. Numbers of numpy and 0-dimensional tensors are turned into plain ones.
    checkpoint
        A folder made with ``Checkpoint.from_directory``; it is copied into the experiment before this returns.
    checkpoint_dir_name
        Accepted and ignored: the folder in the experiment is named by tune-core.
    raise_on_stop
        When the trial is to end: True leaves the objective by an exception (which ``except Exception`` does not
        catch); False returns False and leaves the ending to the caller. Callbacks of frameworks use the latter.
    **named_metrics
        Not taken: metrics are a dict.

    Returns
    -------
    bool
        Whether to go on. Outside of a trial always True.

    Raises
    ------
    MetricError
        If a metric that the run needs is missing, or a value cannot be reported.
    """
    if named_metrics or metrics is None:
        raise _no_metrics(metrics, named_metrics)
    scope = in_context() or current_scope()
    session = (scope.session if scope is not None else None) or _session()
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


def advice() -> str:
    """What the scheduler had to say to the last report, as :class:`tune_core.schedulers.Continue` holds it.

    Returns
    -------
    str
        Empty if it had nothing to say, outside of a trial, and in processes that a trial has started.
    """
    scope = current_scope()
    return str(getattr(scope.session if scope is not None else None, "advice", ""))


def _no_metrics(metrics: Any, named: Mapping[str, Any]) -> Exception:
    """The error for the older form of a report, with metrics as keywords, and for one without any."""
    from tune_core.errors import InvalidArgumentError

    example = ", ".join(f'"{name}": {name}' for name in list(named)[:3]) or '"loss": loss'
    return InvalidArgumentError(
        f"tune.report({', '.join(f'{name}=...' for name in named)})",
        "was called with metrics as keywords" if named else f"got {metrics!r}",
        "metrics are one dict, as in Ray Tune since 2.0",
        f"Use tune.report({{{example}}}).",
    )


def get_checkpoint() -> Checkpoint | None:
    """The checkpoint that this trial is to go on from; None when it starts anew, and outside of a trial."""
    session = _session()
    return None if session is None else session.start_checkpoint()


def save(checkpoint: Checkpoint, again: bool = False, result: tuple[int, Metrics] | None = None) -> None:
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


def checkpoint_due(metrics: Metrics) -> bool:
    """Whether the next report should bring a checkpoint, because the scheduler may pause or copy the trial there.

    Parameters
    ----------
    metrics
        What is about to be reported; a scheduler may measure progress by one of them.

    Returns
    -------
    bool
        Outside of a trial always False.
    """
    session = _session()
    return session is not None and session.checkpoint_due(metrics)


def at_end(function: Callable[[], None]) -> None:
    """Call ``function`` in this process when the objective has returned, while it can still report and save.

    Parameters
    ----------
    function
        Called without arguments. Of several functions the last is called first. Outside of a trial it is not called.
    """
    session = _session()
    if session is not None:
        session.at_end(function)


class TrialContext:
    """Facts about the running trial; None, 0 or ``{}`` outside of one."""

    def __init__(self, info: Mapping[str, Any], preempted: Callable[[], bool] = lambda: False) -> None:
        self._info = info
        self._preempted = preempted

    @property
    def preempted(self) -> bool:
        """Whether the trial is asked to end soon: its driver got SIGTERM (a spot instance that is taken back, a job's
        time limit), Ctrl-C, or has used up its time.

        The trial may still make one report, with a checkpoint, and ends behind it; a restored run goes on from there.
        Ask once in a while between two reports that are far apart: it costs some microseconds.
        """
        return self._preempted()

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

    def get_trial_resources(self) -> Any:
        """Resources that the trial was given, as a dict; it has the attributes of a ``PlacementGroupFactory``, too."""
        return as_held(self._info.get("resources"))

    def get_trial_dir(self) -> str | None:
        """The trial's folder in the experiment, made on first use."""
        folder = self._info.get("trial_dir")
        if folder is not None:
            os.makedirs(folder, exist_ok=True)
        return folder

    def get_storage(self) -> str | None:
        """The experiment's folder."""
        return self._info.get("experiment_dir")

    def get_config(self) -> ConfigView:
        """The trial's configuration."""
        config: ConfigView = self._info.get("config", {})
        return config

    def get_node_rank(self) -> int:
        """Number of this process's machine among those of the trial, from 0."""
        return int(self._info.get("node_rank", 0))

    def get_world_rank(self) -> int:
        """Number of this process among those of the trial, from 0 (see :func:`tune_core.with_workers`)."""
        return int(self._info.get("world_rank", 0))

    def get_world_size(self) -> int:
        """How many processes train this trial together."""
        return int(self._info.get("world_size", 1))

    def get_local_rank(self) -> int:
        """Number of this process among those of the trial on this machine, from 0."""
        return int(self._info.get("local_rank", 0))

    def get_local_world_size(self) -> int:
        """How many of the trial's processes run on this machine."""
        return int(self._info.get("local_world_size", 1))


TuneContext = TrialContext
"""Ray Tune's name for it."""


def get_context() -> TrialContext:
    """Facts about the running trial."""
    session = _session()
    if session is None:
        return TrialContext({})
    return TrialContext(session.info, getattr(session, "preempted", lambda: False))


def get_trial_id() -> str | None:
    """The running trial's id."""
    return get_context().get_trial_id()


def get_trial_name() -> str | None:
    """The running trial's name."""
    return get_context().get_trial_name()


def get_trial_dir() -> str | None:
    """The running trial's folder."""
    return get_context().get_trial_dir()


def get_trial_resources() -> Any:
    """The running trial's resources."""
    return get_context().get_trial_resources()
