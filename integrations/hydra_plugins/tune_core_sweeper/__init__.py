"""tune-core as a sweeper of Hydra: ``hydra/sweeper: tune_core``."""

from __future__ import annotations

from hydra_plugins.tune_core_sweeper.sweeper import TuneCoreSweeper

__all__ = ["TuneCoreSweeper"]
