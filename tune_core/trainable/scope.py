"""Which trial the running code belongs to: found by context, then by thread, never by process alone.

A :class:`Scope` stands for one attempt at one trial. The thread that calls the objective enters it, and everything
that this thread starts carries it on: context variables (asyncio tasks, ``contextvars.copy_context``), threads, and
calls that are handed to a pool of threads. Several scopes can be open in one process, in threads side by side.

When the attempt is over its scope is closed: whoever still holds it, such as a thread that the objective left behind,
reaches a session that takes nothing more. In a forked child every scope is marked as its parent's.
"""

from __future__ import annotations

import _thread
import contextlib
import contextvars
import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tune_core.trainable.protocol import Session, StopTrial

_ATTRIBUTE = "_tune_core_scope"


class Scope:
    """One attempt at one trial, as the code that belongs to it finds it."""

    __slots__ = ("__weakref__", "close_shared", "forked", "info", "session")

    def __init__(self, session: Session) -> None:
        self.session: Session | None = session  #: None in a forked child
        self.info: Mapping[str, object] = {}  #: what a forked child still knows of it
        self.forked = False  #: whether this process is a forked child of the trial's
        self.close_shared: Callable[[], None] | None = None  #: ends the sharing with other processes


_scope: contextvars.ContextVar[Scope | None] = contextvars.ContextVar("tune_core_scope", default=None)
_open: set[Scope] = set()
_of_process: Scope | None = None  # for threads of unknown origin, in a process that runs one trial at a time
in_context = _scope.get
"""The scope of the present context, which is most often the current one."""


def current_scope() -> Scope | None:
    """The scope that the calling code belongs to; None outside of a trial."""
    scope = _scope.get()
    if scope is None:
        scope = getattr(threading.current_thread(), _ATTRIBUTE, None) or _of_process
    return scope


class _Entered:
    """What :func:`entered` returns: a generator would cost each trial as much as all else here."""

    __slots__ = ("_owns_process", "_scope", "_token")

    def __init__(self, scope: Scope, owns_process: bool) -> None:
        self._scope = scope
        self._owns_process = owns_process

    def __enter__(self) -> Scope:
        global _of_process
        _open.add(self._scope)
        self._token = _scope.set(self._scope)
        if self._owns_process:
            _of_process = self._scope
        return self._scope

    def __exit__(self, *raised: object) -> None:
        global _of_process
        scope = self._scope
        _scope.reset(self._token)
        _open.discard(scope)
        if self._owns_process:
            _of_process = None
        if scope.close_shared is not None:
            scope.close_shared()
            scope.close_shared = None


def entered(session: Session, owns_process: bool = False) -> contextlib.AbstractContextManager[Scope]:
    """Let the calling thread, and what it starts, belong to ``session`` until the context ends.

    Parameters
    ----------
    session
        The attempt at a trial.
    owns_process
        Whether this process runs nothing but trials, one at a time. Then threads whose origin is unknown (those that
        compiled code has started) belong to the present trial too.
    """
    _carry_over()
    return _Entered(Scope(session), owns_process)


@contextlib.contextmanager
def outside() -> Iterator[None]:
    """Let the calling thread belong to no trial for a while: the driver's own code that a trial's report calls."""
    token = _scope.set(None)
    try:
        yield
    finally:
        _scope.reset(token)


def any_open() -> bool:
    """Whether a trial runs in this process."""
    return bool(_open)


def other_open(scope: Scope) -> bool:
    """Whether another trial runs in this process too."""
    return any(other is not scope for other in list(_open))


def _after_fork() -> None:
    """A forked child must not use its parent's connection to the driver."""
    for scope in list(_open):
        session, scope.session, scope.close_shared = scope.session, None, None
        if session is not None:
            scope.info, scope.forked = session.info, True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# --- what a trial starts belongs to it -------------------------------------------------------------------------------


@functools.cache
def _carry_over() -> None:
    """From now on threads, and calls handed to pools of threads, belong to the trial that starts them.

    Done once in a process, before its first trial. Outside of trials the wrapped functions do what they always did.
    """
    import concurrent.futures

    start = threading.Thread.start
    submit = concurrent.futures.ThreadPoolExecutor.submit
    start_new_thread = _thread.start_new_thread
    excepthook = threading.excepthook

    @functools.wraps(start)
    def start_in_scope(self: threading.Thread) -> None:
        scope = current_scope()
        if scope is not None:
            setattr(self, _ATTRIBUTE, scope)
        start(self)

    @functools.wraps(submit)  # type: ignore[arg-type]
    def submit_in_scope(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        scope = current_scope()
        if scope is None:
            return submit(self, fn, *args, **kwargs)
        return submit(self, _call_in_scope, scope, fn, *args, **kwargs)

    @functools.wraps(start_new_thread)
    def start_new_thread_in_scope(function: Any, args: Any, *kwargs: Any) -> int:
        scope = current_scope()
        if scope is None:
            return start_new_thread(function, args, *kwargs)
        return start_new_thread(functools.partial(_call_in_scope, scope, function), args, *kwargs)

    def quiet_excepthook(args: Any, /) -> None:
        if args.exc_type is None or not issubclass(args.exc_type, StopTrial):
            excepthook(args)  # a thread that a stopped trial's report has ended is no failure

    threading.Thread.start = start_in_scope  # type: ignore[method-assign]
    concurrent.futures.ThreadPoolExecutor.submit = submit_in_scope  # type: ignore[method-assign]
    _thread.start_new_thread = start_new_thread_in_scope
    threading.excepthook = quiet_excepthook


def _call_in_scope(scope: Scope, function: Any, /, *args: Any, **kwargs: Any) -> object:
    token = _scope.set(scope)
    try:
        return function(*args, **kwargs)
    finally:
        _scope.reset(token)
