"""Ray Tune's import path of the Keras callbacks; they live in the package ``tune_keras``."""

from __future__ import annotations

from tune_core.integration.forwarding import forward

__getattr__ = forward("tune_keras")
