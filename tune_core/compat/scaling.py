"""``ScalingConfig``: how many workers a trial that trains with Ray Train starts, as a request for resources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tune_core.core.validation import python_value
from tune_core.errors import ResourceError
from tune_core.trainable.resources import PlacementGroupFactory


@dataclass
class ScalingConfig:
    """Workers of a trial, for ``tune.with_resources(objective, ScalingConfig(...))``.

    Parameters
    ----------
    trainer_resources
        What the trial's own process needs; None: one CPU.
    num_workers
        How many workers it starts.
    use_gpu
        Whether each has a GPU.
    resources_per_worker
        What each needs; None: one CPU, and with ``use_gpu`` one GPU.
    placement_strategy
        Ray's placement strategy.
    accelerator_type
        Ask for nodes with this kind of accelerator, e.g. ``"A100"``.
    """

    trainer_resources: dict[str, float] | None = None
    num_workers: int | None = 1
    use_gpu: bool = False
    resources_per_worker: dict[str, float] | None = None
    placement_strategy: str = "PACK"
    accelerator_type: str | None = None

    @property
    def total_resources(self) -> dict[str, float]:
        """All that a trial needs, added up."""
        return self.as_placement_group_factory().total()

    @property
    def num_cpus_per_worker(self) -> float:
        """CPUs of a worker."""
        return self._worker().get("CPU", 0)

    @property
    def num_gpus_per_worker(self) -> float:
        """GPUs of a worker."""
        return self._worker().get("GPU", 0)

    def as_placement_group_factory(self) -> PlacementGroupFactory:
        """The request: a bundle for the trial, and one for each worker."""
        self.num_workers = python_value(self.num_workers)
        if not isinstance(self.num_workers, int) or self.num_workers < 0:
            raise ResourceError(
                "ScalingConfig(num_workers)", f"is {self.num_workers!r}", "it counts workers", "Use e.g. num_workers=2."
            )
        own: dict[str, Any] = {"CPU": 1} if self.trainer_resources is None else dict(self.trainer_resources)
        return PlacementGroupFactory([own, *[self._worker()] * self.num_workers], self.placement_strategy)

    def _worker(self) -> dict[str, float]:
        default: dict[str, float] = {"CPU": 1, "GPU": 1} if self.use_gpu else {"CPU": 1}
        each = dict(self.resources_per_worker) if self.resources_per_worker is not None else default
        if self.use_gpu:
            each.setdefault("GPU", 1)
        if self.accelerator_type:
            each[f"accelerator_type:{self.accelerator_type}"] = 0.001
        return each
