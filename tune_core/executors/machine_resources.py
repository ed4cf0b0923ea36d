"""What one machine has to give to trials, and which of it each trial holds: CPUs, GPU fractions, custom resources."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tune_core.trainable.resources import GRAIN, resource_units


@dataclass(frozen=True)
class Allocation:
    """What a trial holds: amounts in ten-thousandths, and GPU devices with the share of each."""

    amounts: Mapping[str, int]
    shares: tuple[tuple[int, int], ...]  # (position of the device, ten-thousandths)
    devices: tuple[str, ...] = ()


class Machine:
    """Hands out CPUs, GPUs and custom resources, exactly."""

    def __init__(self, cpus: float, gpus: Sequence[str], custom: Mapping[str, float]) -> None:
        self.gpus = list(gpus)
        self._total = {"cpu": resource_units(cpus), **{name: resource_units(amount) for name, amount in custom.items()}}
        self._free = dict(self._total)
        self._gpu_free = [GRAIN] * len(self.gpus)
        self._counted: tuple[Mapping[str, float], Allocation, int] = ({}, Allocation({}, ()), 0)  # the last request

    def capacity(self) -> dict[str, float]:
        """What there is, as a dict."""
        counted = {name: amount / GRAIN for name, amount in self._total.items() if name != "memory"}
        return {**counted, "gpu": len(self.gpus)}

    def describe(self) -> str:
        """What there is, for people."""
        parts = [f"{amount / GRAIN:g} {name}" for name, amount in self._total.items() if name != "memory"]
        return ", ".join([*parts, f"{len(self.gpus)} gpu"])

    def refuse(self, request: Mapping[str, float]) -> str | None:
        """Why a request can never be met, or None."""
        for name, amount in request.items():
            has = len(self.gpus) * GRAIN if name == "gpu" else self._total.get(name, 0)
            if name == "memory" and resource_units(amount) > has:
                return f"asks for {amount / 2**30:.1f} GiB of memory, and this machine has {has / GRAIN / 2**30:.1f}"
            if resource_units(amount) > has:
                return f"asks for {amount:g} {name}, and this machine has {self.describe()}"
        return None

    def fits(self, request: Mapping[str, float]) -> bool:
        """Whether a request can be met now."""
        _, whole, gpu = self._count(request)
        return self._has(whole.amounts) and (not gpu or self._gpu_shares(gpu) is not None)

    def _count(self, request: Mapping[str, float]) -> tuple[Mapping[str, float], Allocation, int]:
        """A request, what it holds apart from GPUs, and its GPUs in ten-thousandths.

        Of the last request that is kept: most often all trials ask for the same, by the same object.
        """
        if self._counted[0] is not request:
            amounts = {name: resource_units(amount) for name, amount in request.items() if name != "gpu"}
            self._counted = request, Allocation(amounts, ()), resource_units(request.get("gpu", 0))
        return self._counted

    def _has(self, amounts: Mapping[str, int]) -> bool:
        """Whether so much is free of everything but GPUs."""
        free = self._free
        for name, amount in amounts.items():
            if amount > free.get(name, 0):
                break
        else:
            return True
        return False

    def how_many(self, request: Mapping[str, float]) -> int:
        """How many such requests can be met at once now (GPUs aside)."""
        return min(
            (self._free.get(n, 0) // resource_units(a) for n, a in request.items() if n != "gpu" and a), default=1
        )

    def take(self, request: Mapping[str, float]) -> Allocation | None:
        """Meet a request now, or None."""
        _, whole, gpu = self._count(request)
        shares = self._gpu_shares(gpu) if gpu else ()
        if shares is None or not self._has(whole.amounts):
            return None
        for name, amount in whole.amounts.items():
            self._free[name] -= amount
        if not shares:
            return whole
        for position, share in shares:
            self._gpu_free[position] -= share
        return Allocation(whole.amounts, shares, tuple(self.gpus[p] for p, _ in shares))

    def take_again(self, grant: Allocation) -> bool:
        """Hold what an earlier picture of the same machine had granted; False if it does not fit this one."""
        if any(self._free.get(n, 0) < a for n, a in grant.amounts.items()) or any(
            p >= len(self._gpu_free) or self._gpu_free[p] < share for p, share in grant.shares
        ):
            return False
        for name, amount in grant.amounts.items():
            self._free[name] -= amount
        for position, share in grant.shares:
            self._gpu_free[position] -= share
        return True

    def give_back(self, grant: Allocation) -> None:
        """Take back what a trial held."""
        for name, amount in grant.amounts.items():
            self._free[name] += amount
        for position, share in grant.shares:
            self._gpu_free[position] += share

    def _gpu_shares(self, wanted: int) -> tuple[tuple[int, int], ...] | None:
        """Which devices to use: whole free ones, or the fullest one with room for the fraction; None: no room."""
        if wanted == 0:
            return ()
        if wanted >= GRAIN:
            whole = [p for p, free in enumerate(self._gpu_free) if free == GRAIN][: wanted // GRAIN]
            return tuple((p, GRAIN) for p in whole) if len(whole) * GRAIN == wanted else None
        room = [(free, p) for p, free in enumerate(self._gpu_free) if free >= wanted]
        return ((min(room)[1], wanted),) if room else None


def available_cpus() -> int:
    """CPUs that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def total_memory() -> int:
    """Bytes of memory of this machine, or of the container that this process is in; 0 if unknown."""
    try:
        physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # no such name on this system
        return 0
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path, encoding="ascii") as file:
                return min(physical, int(file.read()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return physical


def discover_gpus(count: int | None) -> list[str]:
    """Names of the GPUs to hand out: given as a number, from ``CUDA_VISIBLE_DEVICES``, or as the system lists them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [d.strip() for d in visible.split(",") if d.strip()] if visible is not None else None
    if count is not None:
        return names[:count] if names is not None and len(names) >= count else [str(i) for i in range(count)]
    if names is not None:
        return [] if names == ["-1"] else names
    try:
        return [str(i) for i in range(len(os.listdir("/proc/driver/nvidia/gpus")))]
    except OSError:  # no NVIDIA driver on this machine
        return []
