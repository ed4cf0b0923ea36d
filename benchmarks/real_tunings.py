"""Six real tunings for ``search_quality.py``: scikit-learn, LightGBM and PyTorch on bundled data.

Each loss is a cross-validated mean over folds that are the same for every configuration, and every model is seeded: a
configuration has one loss. Nothing in tune-core was chosen by them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from search_functions import Problem

import tune_core as tune

Config = Mapping[str, Any]


@cache
def _data(name: str) -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))[:800]
    return X[order], y[order]


def _validated(estimator: Any, data: str, scoring: str, folds: int) -> float:
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

    X, y = _data(data)
    kind = KFold if data == "diabetes" else StratifiedKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = cross_val_score(estimator, X, y, scoring=scoring, cv=kind(folds, shuffle=True, random_state=0))
    return -float(scores.mean())


def support_vectors(config: Config) -> float:
    """An SVM on breast cancer: area under the curve."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return _validated(make_pipeline(StandardScaler(), SVC(max_iter=2000, **config)), "breast_cancer", "roc_auc", 3)


def elastic_net(config: Config) -> float:
    """A linear model on polynomials of diabetes: squared error."""
    from sklearn.linear_model import ElasticNet
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    degree, cross_terms = config["degree"], config["interaction_only"]
    rest = {key: config[key] for key in ("alpha", "l1_ratio", "max_iter")}
    steps = [StandardScaler(), PolynomialFeatures(degree, interaction_only=cross_terms), ElasticNet(**rest)]
    return _validated(make_pipeline(*steps), "diabetes", "neg_mean_squared_error", 4)


def forest(config: Config) -> float:
    """Extremely randomised trees on wine: log loss."""
    from sklearn.ensemble import ExtraTreesClassifier

    return _validated(ExtraTreesClassifier(random_state=0, **config), "wine", "neg_log_loss", 3)


def boosting_classes(config: Config) -> float:
    """LightGBM on breast cancer: log loss."""
    from lightgbm import LGBMClassifier

    model = LGBMClassifier(subsample_freq=1, n_jobs=1, verbose=-1, random_state=0, **config)
    return _validated(model, "breast_cancer", "neg_log_loss", 3)


def boosting_numbers(config: Config) -> float:
    """LightGBM on diabetes: squared error."""
    from lightgbm import LGBMRegressor

    model = LGBMRegressor(subsample_freq=1, n_jobs=1, verbose=-1, random_state=0, **config)
    return _validated(model, "diabetes", "neg_mean_squared_error", 3)


def network(config: Config) -> float:
    """A small PyTorch net on digits, six epochs: log loss."""
    import torch
    from sklearn.model_selection import StratifiedKFold

    X, y = _data("digits")
    losses = []
    for train, test in StratifiedKFold(2, shuffle=True, random_state=0).split(X, y):
        torch.manual_seed(0)
        inputs, targets = torch.tensor(X / 16, dtype=torch.float32), torch.tensor(y)
        layers: list[torch.nn.Module] = []
        width = inputs.shape[1]
        for _ in range(config["layers"]):
            activation = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "gelu": torch.nn.GELU}[config["activation"]]
            layers += [torch.nn.Linear(width, config["width"]), activation(), torch.nn.Dropout(config["dropout"])]
            width = config["width"]
        net = torch.nn.Sequential(*layers, torch.nn.Linear(width, 10))
        made = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop}[config["optimizer"]]
        optimizer = made(net.parameters(), lr=config["lr"], weight_decay=config["weight_decay"])
        loss = torch.nn.CrossEntropyLoss()
        rows = torch.tensor(train)
        for _ in range(6):
            for batch in rows[torch.randperm(len(rows))].split(config["batch"]):
                optimizer.zero_grad()
                loss(net(inputs[batch]), targets[batch]).backward()
                optimizer.step()
        net.eval()
        with torch.no_grad():
            losses.append(float(loss(net(inputs[test]), targets[test])))
    found = sum(losses) / len(losses)
    return found if np.isfinite(found) else 100.0


_BOOSTED: dict[str, Any] = {
    "n_estimators": tune.randint(10, 81),
    "learning_rate": tune.loguniform(0.01, 0.5),
    "num_leaves": tune.lograndint(4, 65),
    "min_child_samples": tune.randint(2, 61),
    "subsample": tune.uniform(0.4, 1.0),
    "colsample_bytree": tune.uniform(0.3, 1.0),
    "reg_lambda": tune.loguniform(1e-4, 100.0),
}

_SPACES: list[tuple[Callable[[Config], float], dict[str, Any]]] = [
    (
        support_vectors,
        {
            "C": tune.loguniform(1e-3, 1e3),
            "gamma": tune.loguniform(1e-5, 10.0),
            "kernel": tune.choice(["rbf", "sigmoid", "poly", "linear"]),
            "class_weight": tune.choice([None, "balanced"]),
        },
    ),
    (
        elastic_net,
        {
            "alpha": tune.loguniform(1e-3, 100.0),
            "l1_ratio": tune.uniform(0.0, 1.0),
            "degree": tune.randint(1, 4),
            "interaction_only": tune.choice([False, True]),
            "max_iter": tune.choice([50]),
        },
    ),
    (
        forest,
        {
            "n_estimators": tune.randint(5, 61),
            "max_depth": tune.randint(1, 16),
            "min_samples_leaf": tune.randint(1, 21),
            "max_features": tune.uniform(0.05, 1.0),
            "criterion": tune.choice(["gini", "entropy"]),
            "bootstrap": tune.choice([False, True]),
        },
    ),
    (boosting_classes, _BOOSTED),
    (boosting_numbers, _BOOSTED),
    (
        network,
        {
            "lr": tune.loguniform(1e-4, 1.0),
            "weight_decay": tune.loguniform(1e-7, 1e-1),
            "width": tune.lograndint(8, 129),
            "layers": tune.randint(1, 4),
            "dropout": tune.uniform(0.0, 0.7),
            "batch": tune.choice([32, 64, 128]),
            "activation": tune.choice(["relu", "tanh", "gelu"]),
            "optimizer": tune.choice(["adam", "sgd", "rmsprop"]),
        },
    ),
]

REAL = [Problem(function.__name__, space, function) for function, space in _SPACES]
