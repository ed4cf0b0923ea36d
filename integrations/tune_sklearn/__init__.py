"""``TuneSearchCV`` and ``TuneGridSearchCV``: scikit-learn's searches with early stopping, resuming, and Ray."""

from __future__ import annotations

from tune_core import __version__
from tune_sklearn._search import TuneGridSearchCV, TuneSearchCV

__all__ = ["TuneGridSearchCV", "TuneSearchCV", "__version__"]
