"""``TuneSearchCV`` and ``TuneGridSearchCV``: scikit-learn's searches with early stopping, resuming, and Ray."""

from __future__ import annotations

from tune_core import __version__
from tune_core import integration as _integration

for _library in ("numpy", "sklearn"):
    _integration.require("tune_sklearn", _library, "sklearn")

from tune_sklearn._search import TuneGridSearchCV, TuneSearchCV  # noqa: E402

__all__ = ["TuneGridSearchCV", "TuneSearchCV", "__version__"]
