"""Where trials run: this process, local worker processes, or Ray.

Theory of operation
-------------------

An executor gives trials places. The loop reserves a place (``reserve``), journals the launch, and hands over the trial
(``launch``); from then on the executor is a pair of one-way streams. Events come back through ``poll``, as the very
lines that the journal keeps; verdicts go out (``extend``, ``halt``, ``revoke``). All calls come from the loop's thread,
but for ``wake``.

**The trial's side** is the same in all executors and stands in ``worker/``. A ``Worker`` takes launches from a *link*
and runs them one after another. Each attempt at a trial has a ``TrialSession``: it counts reports, keeps to the lease,
and puts events into an ``EventPipe``, which batches them (64 KiB or 50 ms) and sends them over the link. Under its
lease a report waits for nobody; at the lease's end it holds the session's lock until the driver has answered.

**Which trial running code belongs to** is never a matter of the process. The thread that calls the objective enters a
``Scope`` (``tune_core.trainable.scope``); context variables, threads, and calls that are handed to pools of threads
carry it on. At the trial's end the scope is closed: whoever still holds it reaches a session that takes nothing more.

**What a trial finds** is put back before each one (``worker/surroundings``): working directory (its own folder),
environment, module path, streams, timers. Processes that it has left are ended; a worker adopts its orphaned
descendants (``PR_SET_CHILD_SUBREAPER``), so that none escapes. What the trainable does to the modules of the process
does last, as long as the process does: ``TuneConfig(reuse_actors=False)`` gives each trial its own.

**Local workers** (``local/``) come from a *template*: a process that has imported the libraries that trials need, has
run nothing of the user's, and forks itself. A worker lives for one run. The template outlives the run and serves the
next, which therefore finds its libraries loaded, and nothing else: a redefined function, an edited module, a changed
environment cannot be stale where nothing was kept. One kind of worker is kept, too: where a trainable brings no code of
its own and refers to nothing but installed libraries that leave no state behind (a search over scikit-learn's
estimators), its workers *rest*, and serve the next run of that kind which would find the same in a fresh worker:
template, libraries on disk, environment, thread limits, GPUs, logging. One that has grown by more than 100 MB leaves. A
run whose module path, working directory, environment or CPU
affinity differ gets a template of its own; one whose libraries have changed on disk starts over. After 300 seconds
without work a template leaves (``LocalExecutor(idle_s=...)``, ``TUNE_CORE_IDLE_WORKERS_S``; 0 keeps none). ``fit``
starts it first of all (``load_ahead``): it loads its modules while the driver loads the engine. Where
forking is not safe (macOS), and in frozen programs, each worker is an interpreter of its own.

A worker has three descriptors: its *connection* (a socket pair: length-prefixed messages in, journal lines out), its
*lifeline* (a pipe whose other end the driver holds: when that closes, however the driver ended, the kernel kills the
worker's process group, even while other code holds the interpreter's lock), and its *output* (a file without a name,
from which what was printed is moved to the trial's ``output.log``). The trainable is pickled once into another nameless
file, its large buffers out of band, which every worker maps.

**In hand.** While trials take less than a few milliseconds, and none depends on another's result (random or grid search
without a scheduler or a stopper, no ``trial_timeout_s``), a worker has several in hand, so that the driver takes in and
sends out many at a turn. They come as packets in a socket whose reading end the driver holds too, so that it can take
back what the worker has not begun: when the one before runs for more than a moment, when one of them is to end, when
the run does. What a dead worker had in hand is run by another. Only Linux has such sockets (``local/hand.py``).

**When a worker dies**, its connection ends: ``poll`` answers with ``Ended("crashed")`` and the last lines of output. A
trial that is to be ended at once is killed with its process group. ``close`` lets idle workers clean up, kills the
others, and leaves no process but the template.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tune_core.errors import InvalidArgumentError
from tune_core.trainable.resources import PlacementGroupFactory

if TYPE_CHECKING:
    from tune_core.executors.base import Executor, RunSpec
    from tune_core.executors.inline import InlineExecutor
    from tune_core.executors.local.executor import LocalExecutor
    from tune_core.executors.ray.executor import RayExecutor

__all__ = [
    "Executor",
    "InlineExecutor",
    "LocalExecutor",
    "RayExecutor",
    "RunSpec",
    "executor_from",
    "load_ahead",
    "ray_is_up",
]

_MODULES = {
    "Executor": "base",
    "RunSpec": "base",
    "InlineExecutor": "inline",
    "LocalExecutor": "local.executor",
    "RayExecutor": "ray.executor",
}
_NAMED = {"local": "LocalExecutor", "inline": "InlineExecutor", "ray": "RayExecutor"}
VARIABLE = "TUNE_CORE_EXECUTOR"


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]


def ray_is_up() -> bool:
    """Whether this process has joined a Ray cluster, or ``RAY_ADDRESS`` names one. Imports nothing."""
    ray = sys.modules.get("ray")
    return bool(os.environ.get("RAY_ADDRESS")) or bool(getattr(ray, "is_initialized", bool)())


def _chosen(executor: object) -> object:
    """What a user gave, or what holds where nothing was given."""
    if executor is None:
        executor = os.environ.get(VARIABLE) or None
    if executor is None:
        from tune_core.trainable.session import in_session

        executor = "ray" if ray_is_up() and not in_session() else "local"
    return executor


def load_ahead(executor: object, env: Mapping[str, str], request: object) -> None:
    """Let what local workers come from load its modules from now on, while this process goes on with its own.

    Nothing happens where trials will run elsewhere. If the workers turn out to need other surroundings than these,
    nothing is lost but the processor's time.

    Parameters
    ----------
    executor
        What :func:`executor_from` will be given.
    env
        ``RunConfig.env``.
    request
        What trials ask for. Where that depends on the configuration, nothing is loaded ahead: workers have as many
        threads as CPUs.
    """
    chosen = _chosen(executor)
    asked: Any = request.total() if isinstance(request, PlacementGroupFactory) else request
    name = chosen.lower() if isinstance(chosen, str) else getattr(chosen, "name", "")
    if name == "local" and isinstance(asked, Mapping):
        from tune_core.executors.local import pool

        pool.load_ahead(env, asked.get("cpu", 1), getattr(chosen, "idle_s", None))


def executor_from(executor: object) -> Any:
    """The executor for what a user gave.

    Parameters
    ----------
    executor
        An executor, or the name of one: ``"local"``, ``"inline"`` or ``"ray"``. None takes the name in the environment
        variable ``TUNE_CORE_EXECUTOR``; without it Ray if it is up, else local worker processes. A run that is started
        inside a trial stays in the trial's own place, and takes local ones.

    Raises
    ------
    InvalidArgumentError
        If there is no such executor.
    """
    asked = "RunConfig(executor)" if executor is not None else f"The environment variable {VARIABLE}"
    executor = _chosen(executor)
    if isinstance(executor, str) and executor.lower() in _NAMED:
        return __getattr__(_NAMED[executor.lower()])()
    if isinstance(executor, type) or not hasattr(executor, "launch"):
        raise InvalidArgumentError(
            asked,
            f"is {executor!r}",
            "there is no such executor" if isinstance(executor, str) else "that is no executor",
            "Use 'local', 'inline', 'ray', or an executor such as tune_core.executors.LocalExecutor(num_cpus=4).",
        )
    return executor
