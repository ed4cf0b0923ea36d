"""Records real learning curves: every point of a grid of networks, on five data sets that come with scikit-learn.

    python benchmarks/curves/record.py                # all five; writes one .npz each beside this file
    python benchmarks/curves/record.py wine diabetes  # some

Each curve is the validation loss (log loss; mean squared error over the variance for diabetes) after each of 81
epochs of scikit-learn's multi-layer perceptron, trained by ``partial_fit`` in mini-batches. A training that diverges
has the loss of guessing, times two, from there on. Arrays have a place for each choice of each parameter, and then
one for each epoch.
"""

from __future__ import annotations

import itertools
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

EPOCHS = 81
SPACE: dict[str, list[Any]] = {
    "learning_rate": [1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3],
    "hidden": [4, 16, 64],
    "batch": [16, 64, 256],
    "alpha": [1e-6, 1e-2],
    "activation": ["relu", "tanh"],
}
NAMES = ["digits", "breast_cancer", "wine", "diabetes", "iris"]
MOST_ROWS = 600


def data(name: str) -> tuple[Any, Any, Any, Any]:
    """Training and validation rows, standardised by the training rows."""
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))[:MOST_ROWS]
    x, y = x[order], y[order].astype(float)
    half = 2 * len(y) // 3
    mean, sd = x[:half].mean(0), x[:half].std(0) + 1e-9
    if name == "diabetes":
        y = (y - y[:half].mean()) / y[:half].std()
    return (x[:half] - mean) / sd, y[:half], (x[half:] - mean) / sd, y[half:]


def curve(name: str, config: dict[str, Any]) -> list[float]:
    """Validation loss after each epoch."""
    from sklearn.metrics import log_loss
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    x, y, valid_x, valid_y = data(name)
    kind = MLPRegressor if name == "diabetes" else MLPClassifier
    model = kind(
        hidden_layer_sizes=(config["hidden"],),
        learning_rate_init=config["learning_rate"],
        alpha=config["alpha"],
        activation=config["activation"],
        solver="sgd",
        random_state=0,
    )
    rng = np.random.default_rng(0)
    labels = np.unique(y)
    guess = 2.0 if name == "diabetes" else 2.0 * float(np.log(len(labels)))
    losses: list[float] = []
    for _ in range(EPOCHS):
        order = rng.permutation(len(y))
        try:
            for start in range(0, len(y), config["batch"]):
                rows = order[start : start + config["batch"]]
                if name == "diabetes":
                    model.partial_fit(x[rows], y[rows])
                else:
                    model.partial_fit(x[rows], y[rows], classes=labels)
            if name == "diabetes":
                loss = float(np.mean((model.predict(valid_x) - valid_y) ** 2))
            else:
                loss = float(log_loss(valid_y, model.predict_proba(valid_x), labels=labels))
        except ValueError:  # its weights are no longer finite
            loss = guess
        losses.append(min(loss, guess) if np.isfinite(loss) else guess)
    return losses


def main() -> None:
    """Record the data sets that were named."""
    import sklearn

    warnings.simplefilter("ignore")
    sklearn.set_config(skip_parameter_validation=True)
    for name in sys.argv[1:] or NAMES:
        keys = list(SPACE)
        shape = [len(choices) for choices in SPACE.values()]
        found = [curve(name, dict(zip(keys, point, strict=True))) for point in itertools.product(*SPACE.values())]
        path = Path(__file__).with_name(f"{name}.npz")
        np.savez_compressed(path, loss=np.array(found, dtype=np.float16).reshape(*shape, EPOCHS))
        print(f"{name}: {len(found)} curves, {path.stat().st_size // 1024} KiB", flush=True)


if __name__ == "__main__":
    main()
