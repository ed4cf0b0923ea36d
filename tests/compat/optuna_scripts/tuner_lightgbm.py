"""optuna-integration's step-by-step tuner of LightGBM."""

import lightgbm
import optuna
from optuna_integration import LightGBMTuner
from sklearn.datasets import load_breast_cancer

if __name__ == "__main__":
    X, y = load_breast_cancer(return_X_y=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize")
    data = lightgbm.Dataset(X[::2], y[::2])
    tuner = LightGBMTuner(
        {"objective": "binary", "metric": "binary_logloss", "verbosity": -1, "num_threads": 1},
        data,
        num_boost_round=5,
        valid_sets=[lightgbm.Dataset(X[1::2], y[1::2], reference=data)],
        study=study,
        optuna_seed=0,
        show_progress_bar=False,
        time_budget=4,
    )
    tuner.run()
    assert study.best_value == tuner.best_score
    print("tuned:", tuner.best_score < 0.5, tuner.get_best_booster().num_trees())
