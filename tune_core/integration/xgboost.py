"""Ray Tune's import path of the XGBoost callbacks; they live in the package ``tune_xgboost``."""

from __future__ import annotations

from tune_core.integration.forwarding import forward

__getattr__ = forward("tune_xgboost")
