"""How local workers come to be: forked by a template that outlives the run where that is safe, else one by one.

The templates of a process are kept for its next run, and for runs side by side in threads. They end when nobody has
used them for a while, and with the process, however it ends.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tune_core.errors import InvalidArgumentError, TuneError
from tune_core.executors.local.handle import Template, WorkerProcess, module_path, plain_environment, start
from tune_core.executors.worker.system import fill_standard_streams

IDLE_VARIABLE = "TUNE_CORE_IDLE_WORKERS_S"
"""Environment variable with the seconds for which worker processes are kept after a run; 0 keeps none."""
DEFAULT_IDLE_S = 300.0
_MOST_TEMPLATES = 3
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_OF_EACH = ("CUDA_VISIBLE_DEVICES",)  # may differ among the workers of a template: no import reads it

_templates: list[Template] = []
_lock = threading.Lock()


def idle_seconds(asked: float | None) -> float:
    """For how long to keep workers: as asked, else as the environment says."""
    given: Any = asked if asked is not None else os.environ.get(IDLE_VARIABLE) or DEFAULT_IDLE_S
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 <= seconds < math.inf or isinstance(given, bool):
        raise InvalidArgumentError(
            "LocalExecutor(idle_s)" if asked is not None else f"The environment variable {IDLE_VARIABLE}",
            f"is {given!r}",
            "it is the number of seconds for which worker processes are kept after a run",
            "Use e.g. 300, or 0 to keep none.",
        )
    return seconds


def free_thread_variables() -> list[str]:
    """The environment variables with numbers of threads that the driver's environment leaves to us."""
    return [name for name in _THREADS if name not in os.environ]


def worker_environment(env: Mapping[str, str], cpus: float, thread_variables: Sequence[str]) -> dict[str, str]:
    """What a worker's environment has beside the driver's: the run's variables, and as many threads as CPUs."""
    return {**dict.fromkeys(thread_variables, str(max(1, int(cpus)))), **env}


def load_ahead(env: Mapping[str, str], cpus: float) -> None:
    """Start the template that workers of such a run will be forked from; it loads what they need."""
    with contextlib.suppress(OSError, TuneError):  # what is wrong is said when a worker is asked for
        idle_s = idle_seconds(None)
        if idle_s > 0 and can_fork():
            fill_standard_streams()
            with _lock:
                _template_for(worker_environment(env, cpus, free_thread_variables()), idle_s)


def start_worker(worker: WorkerProcess, idle_s: float, modules: Iterable[str]) -> None:
    """Start a worker; ``modules`` are those that its trainable refers to."""
    if idle_s <= 0 or not can_fork():
        start(worker)
        return
    changes = {name: worker.environment[name] for name in _OF_EACH if name in worker.environment}
    with _lock:
        _template_for(worker.environment, idle_s).fork(worker, changes, modules)


def can_fork() -> bool:
    """Whether workers may be forked here. macOS' own libraries do not bear it; a frozen program has no interpreter."""
    return sys.platform == "linux" and not getattr(sys, "frozen", False)


def _template_for(environment: Mapping[str, str], idle_s: float) -> Template:
    """A template whose workers find what a fresh interpreter would: it is started in the same surroundings."""
    whole = {**plain_environment(), **{n: v for n, v in environment.items() if n not in _OF_EACH}}
    key = (sys.executable, module_path(), _folder(), whole, _affinity(), idle_s)
    for template in list(_templates):
        if not template.is_fit():
            _templates.remove(template)
            template.end()
    for position, template in enumerate(_templates):
        if template.key == key:
            _templates.append(_templates.pop(position))  # the last is the one that was used last
            return template
    unused = [template for template in _templates if not template.live]
    for template in unused[: max(0, len(_templates) + 1 - _MOST_TEMPLATES)]:
        _templates.remove(template)
        template.end()
    _templates.append(Template(key, whole, idle_s))
    return _templates[-1]


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return ""


def _affinity() -> object:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None


def end_templates() -> None:
    """End all templates of this process. Their workers, if there are any, end with them."""
    with _lock:
        while _templates:
            _templates.pop().end()


def _leave_templates() -> None:
    """The process ends, and its templates by themselves behind it: Python need not warn of what is open."""
    for template in list(_templates):
        if not template.live:  # else a run goes on in a thread, to the very end
            template.leave()


atexit.register(_leave_templates)


def _after_fork() -> None:
    """A forked child of the driver's has no templates of its own, and perhaps a lock that nobody will release."""
    global _lock
    _templates.clear()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
