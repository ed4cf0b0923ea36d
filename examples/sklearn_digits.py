"""Handwritten digits with scikit-learn: random search in full and with early
stopping, and what was stopped and why.
"""

import time

from scipy.stats import loguniform
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

from tune_sklearn import TuneSearchCV

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16.0, y, test_size=0.3, stratify=y, random_state=0
)
space = {
    "alpha": loguniform(1e-7, 1e-1),
    "penalty": ["l2", "l1", "elasticnet"],
    "loss": ["hinge", "log_loss", "modified_huber"],
}


def search(early_stopping):
    return TuneSearchCV(
        SGDClassifier(random_state=0),
        space,
        n_trials=24,
        cv=5,
        random_state=0,
        n_jobs=2,
        early_stopping=early_stopping,
        resource="samples",
    )


print(f"{'':>16} {'best CV score':>14} {'test score':>11} {'time':>7}")
for name, early_stopping in (("in full", None), ("early stopping", True)):
    began = time.perf_counter()
    found = search(early_stopping).fit(X_train, y_train)
    took = time.perf_counter() - began
    print(
        f"{name:>16} {found.best_score_:>14.4f} {found.score(X_test, y_test):>11.4f} "
        f"{took:>6.1f}s"
    )

print(f"\nbest: {found.best_params_}")
print(
    f"early stopping worked with {found.early_stopping_['resource']}: "
    f"{found.early_stopping_['steps']}"
)
results = found.cv_results_
for i in results["rank_test_score"].argsort()[:8]:
    why = results["stop_reason"][i] or "evaluated in full"
    print(
        f"{results['rank_test_score'][i]:>3}. {results['mean_test_score'][i]:.4f}  "
        f"{why}"
    )
