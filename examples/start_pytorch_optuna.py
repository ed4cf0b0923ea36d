"""A PyTorch loop whose parameters Optuna proposes, and ASHA, which ends weak trials
early.
"""

# needs: optuna
import torch
from sklearn.datasets import load_digits

import tune_core as tune
from tune_core.search.optuna import OptunaSearch


def train(config):
    torch.manual_seed(0)
    X, y = load_digits(return_X_y=True)
    X, y = torch.tensor(X / 16, dtype=torch.float32), torch.tensor(y)
    model = torch.nn.Sequential(
        torch.nn.Linear(64, config["units"]),
        torch.nn.ReLU(),
        torch.nn.Linear(config["units"], 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=config["lr"])
    for _ in range(20):
        for rows in torch.randperm(1300).split(64):
            loss = torch.nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        hits = model(X[1300:]).argmax(1) == y[1300:]
        tune.report({"accuracy": hits.float().mean().item()})  # (1)


results = tune.Tuner(
    train,
    param_space={
        "lr": tune.loguniform(1e-4, 1e-1),
        "units": tune.choice([32, 64, 128]),
    },
    tune_config=tune.TuneConfig(
        metric="accuracy",
        mode="max",
        num_samples=8,
        search_alg=OptunaSearch(seed=1),  # (2)
        scheduler=tune.ASHAScheduler(max_t=20),  # (3)
    ),
).fit()
print(results.get_best_result(scope="all").config)  # (4)
