"""The tie of a process to Ray: joined or started once for all runs that need it, left when the last of them ends."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from tune_core.errors import ExecutorError

_GONE_AFTER_S = 10.0
_lock = threading.Lock()
_users = 0  # runs of this process that use a Ray which was joined here
_left = threading.Event()  # set when that has been shut down
_CODE = ("working_dir", "py_modules")

log = logging.getLogger(__name__)


class Connection:
    """A run's use of Ray.

    Parameters
    ----------
    ray
        The module.
    address
        Of a cluster (``"auto"``, ``"host:port"``, ``"ray://host:port"``); ``"local"``: a new one on this machine;
        None: the one that this process has joined, else that of ``RAY_ADDRESS``, else a new one.
    options
        For ``ray.init`` when a cluster is started here.
    runtime_env
        Ray's runtime environment for the trials.

    Raises
    ------
    ExecutorError
        If Ray cannot be started or joined, or the environment cannot be sent.
    """

    def __init__(
        self, ray: Any, address: str | None, options: Mapping[str, object], runtime_env: dict[str, Any]
    ) -> None:
        global _users
        self._ray = ray
        self.runtime_env = runtime_env
        """What each actor is to be given: the job has the rest."""
        with _lock:
            if not ray.is_initialized():
                _users = 0  # whatever was joined here has been shut down by others
                _init(ray, address or os.environ.get("RAY_ADDRESS") or None, options, runtime_env)
                self.joined_here = True
                self.runtime_env = {}
            else:
                self.joined_here = _users > 0
                self.runtime_env = _uploaded(runtime_env)
            _users += self.joined_here

    def leave(self, at_once: bool = False) -> None:
        """Shut down what was joined here, unless another run still uses it; ``at_once`` where the head is gone."""
        global _users
        with _lock:
            if not self.joined_here:
                return
            self.joined_here = False
            _users -= 1
            if _users > 0:
                return
            if not at_once:
                self._ray.shutdown()
                _left.set()
                return
        leaving = threading.Thread(target=self._ray.shutdown, daemon=True)  # it may never return
        leaving.start()
        leaving.join(_GONE_AFTER_S)


def _init(ray: Any, address: str | None, options: Mapping[str, object], runtime_env: Mapping[str, object]) -> None:
    settings: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False, **options}
    if runtime_env:
        settings["runtime_env"] = runtime_env
    if address is None or address == "local":
        settings["address"] = "local"  # else Ray joins whatever cluster has left its address on this machine
        settings.setdefault("include_dashboard", False)
    else:
        settings["address"] = address
        for name in ("num_cpus", "num_gpus", "resources"):
            settings.pop(name, None)
    before = os.environ.get("RAY_USAGE_STATS_ENABLED")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        probe_address(address)
        _in_a_lasting_thread(lambda: ray.init(**settings))
    except Exception as error:
        starts = settings["address"] == "local"
        raise ExecutorError(
            f"RayExecutor(address={address!r})",
            f"could not {'start Ray' if starts else 'join the cluster'}: {type(error).__name__}: {error}",
            "Ray could not start on this machine" if starts else "no Ray cluster answers there",
            "Start it with `ray start --head`, correct the address (or RAY_ADDRESS), "
            'or run on this machine alone with RunConfig(executor="local").',
        ) from error
    finally:
        if before is None:
            del os.environ["RAY_USAGE_STATS_ENABLED"]


def _in_a_lasting_thread(start: Callable[[], Any]) -> None:
    """Start processes that the kernel ends together with the thread that started them, as Ray has it on Linux.

    In the main thread this is just the call. Elsewhere a thread is made for it that lasts until Ray is left: the
    caller's may end while other runs go on with what it has started.
    """
    global _left
    if threading.current_thread() is threading.main_thread():
        start()
        return
    started: Future[None] = Future()
    left = _left = threading.Event()

    def last() -> None:
        try:
            start()
        except BaseException as error:
            started.set_exception(error)
        else:
            started.set_result(None)
            left.wait()

    threading.Thread(target=last, name="tune-core-ray", daemon=True).start()
    started.result()


def _uploaded(runtime_env: dict[str, Any]) -> dict[str, object]:
    """A runtime environment for an actor: Ray takes local code for a whole job only, so it is uploaded beforehand."""
    if not any(runtime_env.get(name) for name in _CODE):
        return runtime_env
    sent = dict(runtime_env)
    try:
        from ray._private.runtime_env.py_modules import upload_py_modules_if_needed
        from ray._private.runtime_env.working_dir import upload_working_dir_if_needed

        for upload in (upload_working_dir_if_needed, upload_py_modules_if_needed):
            arguments = {"include_gitignore": True} if "include_gitignore" in upload.__annotations__ else {}
            sent = upload(sent, logger=log, **arguments)
    except Exception as error:
        raise ExecutorError(
            f"RayExecutor(runtime_env={runtime_env!r})",
            f"could not be sent: {type(error).__name__}: {error}",
            "this process had joined Ray before, and Ray takes local code most surely when it is joined",
            "Give it to ray.init(runtime_env=...) where you join Ray, or let RayExecutor join it.",
        ) from error
    return sent


def probe_address(address: str | None) -> None:
    """Raise an OSError if nobody listens at host:port; Ray would try for a minute and then end the process."""
    host, _, port = (address or "").rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2.0).close()
