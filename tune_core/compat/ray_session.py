"""``ray.air.session``'s calls that are methods of the trial's context here."""

from __future__ import annotations

from tune_core.trainable.session import get_context


def get_experiment_name() -> str | None:
    """Name of the experiment; None outside of a trial."""
    return get_context().get_experiment_name()


def get_node_rank() -> int:
    """Always 0: a trial is one process unless it starts its own."""
    return get_context().get_node_rank()


def get_world_rank() -> int:
    """Always 0."""
    return get_context().get_world_rank()


def get_world_size() -> int:
    """Always 1."""
    return get_context().get_world_size()


def get_local_rank() -> int:
    """Always 0."""
    return get_context().get_local_rank()


def get_local_world_size() -> int:
    """Always 1."""
    return get_context().get_local_world_size()
