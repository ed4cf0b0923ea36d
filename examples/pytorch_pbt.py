"""Population based training with plain PyTorch: the learning rate changes in mid
training, the state goes on.
"""

import os
import tempfile

import torch
from sklearn.datasets import load_digits

import tune_core as tune
from tune_core.schedulers import PopulationBasedTraining

EPOCHS = 24


def train(config):
    torch.manual_seed(0)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16).float(), torch.tensor(y).long()
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"], momentum=0.9)
    first = 0

    checkpoint = tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            state = torch.load(os.path.join(folder, "state.pt"))
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"]
        for group in (
            optimizer.param_groups
        ):  # the state is the checkpoint's, the rate is this configuration's
            group["lr"] = config["lr"]

    for epoch in range(first, EPOCHS):
        for batch in torch.randperm(1297).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            loss = torch.nn.functional.cross_entropy(model(x[1297:]), y[1297:]).item()
        with tempfile.TemporaryDirectory() as folder:
            state = {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "epoch": epoch + 1,
            }
            torch.save(state, os.path.join(folder, "state.pt"))
            checkpoint = tune.Checkpoint.from_directory(folder)
            tune.report(
                {"loss": loss, "lr": optimizer.param_groups[0]["lr"]},
                checkpoint=checkpoint,
            )


results = tune.Tuner(
    train,
    param_space={"lr": tune.loguniform(1e-4, 1.0)},
    tune_config=tune.TuneConfig(
        metric="loss",
        mode="min",
        num_samples=4,
        scheduler=PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=4,
            hyperparam_mutations={"lr": tune.loguniform(1e-4, 1.0)},
            resample_probability=0.0,  # always 0.8 or 1.2 times the rate that is copied
        ),
        seed=2,
    ),
    run_config=tune.RunConfig(
        verbose=0, checkpoint_config=tune.CheckpointConfig(num_to_keep=2)
    ),
).fit()

for result in results:
    frame = result.metrics_dataframe
    changes = frame[frame["lr"] != frame["lr"].shift()]
    path = ", then ".join(
        f"{row.lr:.2g} from epoch {row.training_iteration}"
        for row in changes.itertuples()
    )
    print(
        f"Trial {result.trial_id}: learning rate {path}; "
        f"loss {frame['loss'].iloc[-1]:.4f}"
    )
best = results.get_best_result()
print(
    f"Best loss {best.metrics['loss']:.4f} after "
    f"{best.metrics['training_iteration']} epochs"
)
