"""Ray Tune's import path of the callback for Ray Train; it lives in the package ``tune_ray_train``."""

from __future__ import annotations

from tune_core.integration.forwarding import forward

__getattr__ = forward("tune_ray_train")
