"""Handwritten digits with plain PyTorch and Optuna: maximise accuracy, and end each
trial after five iterations.
"""

# needs: optuna
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

import tune_core as tune
from tune_core.search.optuna import OptunaSearch


class ConvNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 8, kernel_size=3)
        self.output = torch.nn.Linear(8 * 9, 10)

    def forward(self, x):
        x = torch.nn.functional.max_pool2d(torch.relu(self.convolution(x)), 2)
        return self.output(x.flatten(1))


def load_data():
    x, y = load_digits(return_X_y=True)
    data = TensorDataset(
        torch.tensor(x / 16).float().reshape(-1, 1, 8, 8), torch.tensor(y).long()
    )
    parts = torch.utils.data.random_split(
        data, [1297, 500], torch.Generator().manual_seed(0)
    )
    return [
        DataLoader(part, batch_size=64, shuffle=i == 0) for i, part in enumerate(parts)
    ]


def objective(config):
    torch.manual_seed(0)
    training, validation = load_data()
    model = ConvNet()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=config["lr"], momentum=config["momentum"]
    )
    while True:  # the stop condition below ends it
        for x, y in training:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        with torch.no_grad():
            right = sum(
                (model(x).argmax(dim=1) == y).sum().item() for x, y in validation
            )
        tune.report({"mean_accuracy": right / len(validation.dataset)})


results = tune.Tuner(
    objective,
    param_space={"lr": tune.loguniform(1e-3, 1.0), "momentum": tune.uniform(0.1, 0.95)},
    tune_config=tune.TuneConfig(
        metric="mean_accuracy",
        mode="max",
        num_samples=16,
        search_alg=OptunaSearch(seed=0),
        seed=0,
    ),
    run_config=tune.RunConfig(stop={"training_iteration": 5}, verbose=0),
).fit()

best = results.get_best_result()
first = results[0].metrics["mean_accuracy"]
print(f"The first trial's accuracy: {first:.4f}")
print(
    f"The best after {best.metrics['training_iteration']} iterations: "
    f"{best.metrics['mean_accuracy']:.4f}"
)
print("with " + ", ".join(f"{name}={value:.3g}" for name, value in best.config.items()))
