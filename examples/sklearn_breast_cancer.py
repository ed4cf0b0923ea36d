"""Breast cancer with scikit-learn: a pipeline tuned by grid, a forest that grows,
nested search, a search resumed.
"""

import tempfile

from scipy.stats import randint
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tune_sklearn import TuneGridSearchCV, TuneSearchCV

X, y = load_breast_cancer(return_X_y=True)

# 1. GridSearchCV with another name: the same candidates, scores and cv_results_.
pipeline = make_pipeline(StandardScaler(), LogisticRegression())
grid = {
    "logisticregression__C": [0.01, 0.1, 1.0, 10.0],
    "logisticregression__class_weight": [None, "balanced"],
}
linear = TuneGridSearchCV(
    pipeline, grid, scoring=["roc_auc", "accuracy"], refit="roc_auc"
).fit(X, y)
print(f"linear model: AUC {linear.best_score_:.4f} with {linear.best_params_}")

# 2. A forest grows tree by tree; candidates that fall behind are not grown to the end.
forest = TuneSearchCV(
    RandomForestClassifier(n_estimators=54, random_state=0),
    {
        "max_depth": randint(1, 12),
        "max_features": randint(1, 15),
        "min_samples_leaf": [1, 3, 10],
    },
    n_trials=9,
    scoring="roc_auc",
    cv=3,
    random_state=0,
    early_stopping=True,
    resource="n_estimators",
).fit(X, y)
trees = forest.cv_results_["n_resources"]
print(f"forest: AUC {forest.best_score_:.4f} with {forest.best_params_}")
print(
    f"        {forest.early_stopping_['kind']}; "
    f"{trees.sum()} of {54 * len(trees)} trees a fold were grown"
)

# 3. A search inside of cross-validation, as with any estimator.
nested = cross_val_score(TuneGridSearchCV(pipeline, grid, cv=3), X, y, cv=3)
print(f"nested cross-validation: accuracy {nested.mean():.4f} +- {nested.std():.4f}")

# 4. With a name the search is kept: after a crash, `resume=True` goes on where it was.
with tempfile.TemporaryDirectory() as folder:
    kept = TuneGridSearchCV(pipeline, grid, local_dir=folder, name="cancer").fit(X, y)
    again = TuneGridSearchCV(pipeline, grid, local_dir=folder, name="cancer").fit(
        X, y, resume=True
    )
    print(
        f"resumed: {again.best_params_ == kept.best_params_}, "
        "without fitting a fold again"
    )
