"""Ray Tune's import path of the LightGBM callbacks; they live in the package ``tune_lightgbm``."""

from __future__ import annotations

from tune_core.integration.forwarding import forward

__getattr__ = forward("tune_lightgbm")
