"""How local workers come to be: forked by a template that outlives the run where that is safe, else one by one.

The templates of a process are kept for its next run, and for runs side by side in threads. They end when nobody has
used them for a while, and with the process, however it ends. So are workers in which nothing has run but the code of
installed libraries that leave no state behind: they take the next run that would find the same in a fresh one.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tune_core.errors import InvalidArgumentError, TuneError
from tune_core.executors.local.handle import (
    Template,
    TemplateGone,
    WorkerProcess,
    module_path,
    plain_environment,
    start,
)
from tune_core.executors.local.libraries import library_folders
from tune_core.executors.machine_resources import available_cpus
from tune_core.executors.worker.system import fill_standard_streams

IDLE_VARIABLE = "TUNE_CORE_IDLE_WORKERS_S"
"""Environment variable with the seconds for which worker processes are kept after a run; 0 keeps none."""
DEFAULT_IDLE_S = 300.0
_MOST_TEMPLATES = 3
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_OF_EACH = ("CUDA_VISIBLE_DEVICES",)  # may differ among the workers of a template: no import reads it

_HARMLESS = frozenset(("numpy", "scipy", "sklearn", "pandas"))
_OF_PYTHON = frozenset(("builtins", "collections", "copyreg", "datetime", "functools", "operator", "re"))
"""Packages to which a trainable may refer, beside our own, without leaving a trace in its worker."""
_MOST_KEPT = 2 * available_cpus()
_ANSWER_S = 0.5

_templates: list[Template] = []
_kept: list[tuple[float, WorkerProcess]] = []  # since when
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


def load_ahead(env: Mapping[str, str], cpus: float, idle_s: float | None = None) -> None:
    """Start the template that workers of such a run will be forked from; it loads what they need."""
    with contextlib.suppress(OSError, TuneError):  # what is wrong is said when a worker is asked for
        idle_s = idle_seconds(idle_s)
        if idle_s > 0 and can_fork():
            fill_standard_streams()
            with _lock:
                template = _template_for(worker_environment(env, cpus, free_thread_variables()), idle_s)
                if template.resting:
                    template.look()


def start_worker(worker: WorkerProcess, idle_s: float, modules: Iterable[str]) -> None:
    """Start a worker; ``modules`` are those that its trainable refers to."""
    if idle_s <= 0 or not can_fork():
        start(worker)
        return
    changes = {name: worker.environment[name] for name in _OF_EACH if name in worker.environment}
    with _lock:
        _template_for(worker.environment, idle_s).fork(worker, changes, modules)


# --- workers that are kept --------------------------------------------------------------------------------------------


def is_harmless(root: str) -> bool:
    """Whether a package belongs to Python or to an installed library, and what it defines leaves no trace."""
    if root in _OF_PYTHON or root in ("tune_core", "tune_sklearn"):
        return True
    file = getattr(sys.modules.get(root), "__file__", None)
    return root in _HARMLESS and file is not None and os.path.realpath(file).startswith(library_folders())


def keep(worker: WorkerProcess, idle_s: float) -> bool:
    """Keep a worker that runs nothing for the next run; whether that can be."""
    with contextlib.suppress(TemplateGone), _lock:
        forked = worker.forked_by()
        if forked is None or forked[0] not in _templates or len(_kept) >= _MOST_KEPT:
            return False
        worker.send(("rest", idle_s))  # before its hand is closed: it looks there first
        worker.forget_run()
        forked[0].resting += 1
        _kept.append((time.monotonic(), worker))
        return True
    return False


def take_kept(name: str, environment: Mapping[str, str], logging: object, idle_s: float) -> WorkerProcess | None:
    """A kept worker in which a run finds what it would find in a fresh one; None if there is none."""
    if not _kept or idle_s <= 0 or not can_fork():
        return None
    with _lock:
        template = _template_for(environment, idle_s)
        for one in list(_kept):
            since, worker = one
            forked = worker.forked_by()
            if forked is None or forked[0] is not template:
                continue
            with contextlib.suppress(TemplateGone):
                is_current = forked[1] == template.age() and since + idle_s > time.monotonic() + _ANSWER_S
                if is_current and (worker.environment, worker.logging) != (environment, logging):
                    continue  # it may serve another run
                _kept.remove(one)
                template.resting -= 1
                if is_current and worker.rests(_ANSWER_S):
                    worker.name = name
                    return worker
            worker.kill()
    return None


def _discard_kept(template: Template) -> None:
    for one in [one for one in _kept if (forked := one[1].forked_by()) is None or forked[0] is template]:
        _kept.remove(one)
        template.resting -= 1
        one[1].kill()


def _end(template: Template) -> None:
    _discard_kept(template)
    _templates.remove(template)
    template.end()


# --- templates --------------------------------------------------------------------------------------------------------


def can_fork() -> bool:
    """Whether workers may be forked here. macOS' own libraries do not bear it; a frozen program has no interpreter."""
    return sys.platform == "linux" and not getattr(sys, "frozen", False)


def _template_for(environment: Mapping[str, str], idle_s: float) -> Template:
    """A template whose workers find what a fresh interpreter would: it is started in the same surroundings."""
    whole = {**plain_environment(), **{n: v for n, v in environment.items() if n not in _OF_EACH}}
    key = (sys.executable, module_path(), _folder(), whole, _affinity(), idle_s)
    for template in list(_templates):
        if not template.is_fit():
            _end(template)
    for position, template in enumerate(_templates):
        if template.key == key:
            _templates.append(_templates.pop(position))  # the last is the one that was used last
            return template
    unused = [template for template in _templates if not template.in_use]
    for template in unused[: max(0, len(_templates) + 1 - _MOST_TEMPLATES)]:
        _end(template)
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
            _end(_templates[-1])


def _leave_templates() -> None:
    """The process ends, and its templates by themselves behind it: Python need not warn of what is open."""
    for _, worker in _kept:
        worker.let_go()
    for template in list(_templates):
        if not template.in_use:  # else a run goes on in a thread, to the very end
            template.leave()


atexit.register(_leave_templates)


def _after_fork() -> None:
    """A forked child of the driver's has no templates of its own, and perhaps a lock that nobody will release."""
    global _lock
    for template in _templates:
        template.leave()  # else Python warns of a process that still runs, which is the parent's
    _templates.clear()
    _kept.clear()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
