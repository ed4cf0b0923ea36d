"""Ray Tune's import path of the Transformers callbacks; they live in the package ``tune_transformers``."""

from __future__ import annotations

from tune_core.integration.forwarding import forward

__getattr__ = forward("tune_transformers")
