"""Waiting for a GPU's memory to be free: fractions share a device, and nothing fences the trials' memory."""

from __future__ import annotations

import importlib
import os
import subprocess
import time
from collections.abc import Callable
from typing import NamedTuple

from tune_core.core.validation import python_values
from tune_core.errors import InvalidArgumentError, ResourceError

_QUERY = "--query-gpu=index,uuid,memory.used,memory.total"


class Memory(NamedTuple):
    """A GPU's memory as its driver reports it."""

    number: int
    uuid: str
    used_mib: float
    total_mib: float

    @property
    def share(self) -> float:
        """The part that is in use, from 0 to 1."""
        return self.used_mib / self.total_mib if self.total_mib else 0.0


@python_values
def wait_for_gpu(
    gpu_id: int | str | None = None,
    target_util: float = 0.01,
    retry: int = 20,
    delay_s: float = 5,
    gpu_memory_limit: float | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until the memory of a trial's GPU is free; call it first thing in an objective.

    The memory of a trial that was stopped or crashed may be freed only some seconds after the next one has started.

    Parameters
    ----------
    gpu_id
        Index or UUID of the GPU; None: the first that this process sees (``CUDA_VISIBLE_DEVICES``).
    target_util
        Share of the memory, from 0 to 1, that may be in use.
    retry
        How often to look again before giving up.
    delay_s
        Seconds between looks.
    gpu_memory_limit
        Share of the memory that may be in use; overrides ``target_util`` (the name that Ray Tune once had).
    sleep
        What waits; for tests.

    Returns
    -------
    bool
        True.

    Raises
    ------
    ResourceError
        If there is no such GPU, or its memory is still in use after the last look.

    Examples
    --------
    >>> def objective(config):
    ...     tune.wait_for_gpu()
    ...     ...
    """
    limit = target_util if gpu_memory_limit is None else gpu_memory_limit
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0 <= limit <= 1:
        raise InvalidArgumentError(
            "wait_for_gpu(target_util)", f"is {limit!r}", "it is a share of the memory", "Use a number from 0 to 1."
        )
    wanted = _visible_device() if gpu_id is None else str(gpu_id)
    memory = _find(wanted)
    for _ in range(max(0, retry)):
        if memory.share <= limit:
            return True
        sleep(delay_s)
        memory = _find(wanted)
    if memory.share <= limit:
        return True
    raise ResourceError(
        f"wait_for_gpu({wanted})",
        f"found {memory.used_mib:.0f} of {memory.total_mib:.0f} MiB in use after {retry * delay_s:g} s",
        f"another process holds more than the share of {limit:g} that was to be left",
        "Wait longer (retry, delay_s), allow more (target_util), or see with nvidia-smi whose memory it is.",
    )


def _visible_device() -> str:
    visible = [d.strip() for d in os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",") if d.strip()]
    if not visible or visible == ["-1"]:
        raise ResourceError(
            "wait_for_gpu()",
            "is called by a process that sees no GPU",
            "CUDA_VISIBLE_DEVICES is empty: the trial asked for none",
            'Ask for one, e.g. tune.with_resources(objective, {"gpu": 0.5}), or leave the call out.',
        )
    return visible[0]


def _find(wanted: str) -> Memory:
    gpus = _read()
    for gpu in gpus:
        if wanted == str(gpu.number) or wanted.lower() == gpu.uuid.lower():
            return gpu
    raise ResourceError(
        f"wait_for_gpu({wanted})",
        f"found the GPUs {[f'{gpu.number} ({gpu.uuid})' for gpu in gpus]}",
        "this one is not among them",
        "Use an index or a UUID that nvidia-smi lists.",
    )


def _read() -> list[Memory]:
    """All GPUs of this machine, from the driver's library if its Python binding is installed, else from nvidia-smi."""
    try:
        pynvml = importlib.import_module("pynvml")
    except ImportError:
        return _ask_nvidia_smi()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise _none(str(error)) from error
    try:
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory, uuid = pynvml.nvmlDeviceGetMemoryInfo(handle), pynvml.nvmlDeviceGetUUID(handle)
            uuid = uuid.decode() if isinstance(uuid, bytes) else str(uuid)
            found.append(Memory(index, uuid, memory.used / 2**20, memory.total / 2**20))
        return found
    finally:
        pynvml.nvmlShutdown()


def _ask_nvidia_smi() -> list[Memory]:
    try:
        done = subprocess.run(
            ["nvidia-smi", _QUERY, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _none(f"nvidia-smi could not be run: {error}") from error
    if done.returncode != 0:
        raise _none(f"nvidia-smi says: {(done.stderr or done.stdout).strip()}")
    found = []
    for line in done.stdout.splitlines():
        if line.strip():
            index, uuid, used, total = (word.strip() for word in line.split(","))
            found.append(Memory(int(index), uuid, float(used), float(total)))
    return found


def _none(found: str) -> ResourceError:
    return ResourceError(
        "wait_for_gpu()",
        f"cannot see an NVIDIA GPU: {found}",
        "this machine has none, or its driver is not installed",
        "Leave the call out where trials train on CPUs, or install the driver (and pip install nvidia-ml-py).",
    )
