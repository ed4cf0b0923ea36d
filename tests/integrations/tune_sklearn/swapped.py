"""A pytest plug-in under which scikit-learn's own tests meet our searches in the place of its own.

pytest -p integrations.tune_sklearn.swapped --pyargs sklearn.model_selection.tests.test_search
"""

from __future__ import annotations

import sklearn.model_selection
import sklearn.model_selection._search

from tune_sklearn import TuneGridSearchCV, TuneSearchCV

for module in (sklearn.model_selection, sklearn.model_selection._search):
    module.GridSearchCV = TuneGridSearchCV
    module.RandomizedSearchCV = TuneSearchCV
