"""Helpers for objectives, under the name that they have in Ray Tune."""

from __future__ import annotations

from tune_core.trainable.gpu_memory import wait_for_gpu

__all__ = ["wait_for_gpu"]
