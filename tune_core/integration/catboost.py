"""Ray Tune's import path of the CatBoost callbacks; they live in the package ``tune_catboost``."""

from __future__ import annotations

from tune_core.integration.forwarding import forward

__getattr__ = forward("tune_catboost")
