"""The tutorial's first part: a PyTorch model, from one training to the best of a
search that was interrupted.
"""

# [data]
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from sklearn.datasets import load_digits

x, y = load_digits(return_X_y=True)
x, y = torch.tensor(x / 16).float(), torch.tensor(y)
order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
training, validation, test = order[:1000], order[1000:1400], order[1400:]


def build(config):
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(64, config["width"]),
        torch.nn.ReLU(),
        torch.nn.Dropout(config["dropout"]),
        torch.nn.Linear(config["width"], 10),
    )
    return model, torch.optim.SGD(model.parameters(), lr=config["lr"], momentum=0.9)


def train_epoch(model, optimizer):
    model.train()
    for batch in training[torch.randperm(len(training))].split(64):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()


def accuracy(model, rows):
    model.eval()
    with torch.no_grad():
        return (model(x[rows]).argmax(dim=1) == y[rows]).float().mean().item()


# [one]
guess = {"width": 32, "dropout": 0.2, "lr": 0.001}
model, optimizer = build(guess)
for _ in range(9):
    train_epoch(model, optimizer)
print("== one training")
print(f"a guess: accuracy {accuracy(model, validation):.3f}")

# [objective]
import tune_core as tune  # noqa: E402


def train(config):
    model, optimizer = build(config)
    first = 0
    checkpoint = tune.get_checkpoint()
    if checkpoint is not None:  # this trial has begun before
        with checkpoint.as_directory() as folder:
            state = torch.load(Path(folder, "state.pt"))
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"]
    for epoch in range(first, 9):
        train_epoch(model, optimizer)
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "epoch": epoch + 1,
        }
        with tempfile.TemporaryDirectory() as folder:
            torch.save(state, Path(folder, "state.pt"))
            tune.report(
                {"accuracy": accuracy(model, validation)},
                checkpoint=tune.Checkpoint.from_directory(folder),
            )


# [space]
space = {
    "width": tune.choice([16, 32, 64, 128]),
    "dropout": tune.uniform(0.0, 0.5),
    "lr": tune.loguniform(1e-4, 1.0),
}

# [search]
results = tune.Tuner(
    train,
    param_space=space,
    tune_config=tune.TuneConfig(metric="accuracy", mode="max", num_samples=4, seed=1),
    run_config=tune.RunConfig(name="random", verbose=0),
).fit()
print("== random search")
for result in results:
    print(f"{result.metrics['accuracy']:.3f} with lr={result.config['lr']:.4f}")

# [asha]
tuner = tune.Tuner(
    train,
    param_space=space,
    tune_config=tune.TuneConfig(
        metric="accuracy",
        mode="max",
        num_samples=24,
        seed=1,
        scheduler=tune.ASHAScheduler(max_t=9, grace_period=1, reduction_factor=3),
    ),
    run_config=tune.RunConfig(
        name="digits",
        verbose=0,
        checkpoint_config=tune.CheckpointConfig(
            num_to_keep=1, checkpoint_score_attribute="accuracy"
        ),
    ),
)
if "--to-be-killed" in sys.argv:
    tuner.fit()
    sys.exit()

# [kill]
command = [sys.executable, __file__, "--to-be-killed"]
driver = subprocess.Popen(command, stdout=subprocess.DEVNULL)
folder = Path(
    os.environ.get("TUNE_CORE_STORAGE", Path.home() / "tune_results"), "digits"
)
while driver.poll() is None and len(list(folder.glob("trial_*/checkpoint_*"))) < 6:
    time.sleep(0.01)
driver.send_signal(signal.SIGKILL)
driver.wait()
states = [str(result.status) for result in tune.ResultGrid.from_path(folder)]
print("== killed")
print(f"{len(states)} trials had begun, {states.count('TERMINATED')} of them were over")

# [restore]
results = tune.Tuner.restore(str(folder), train).fit()
epochs = sum(result.metrics["training_iteration"] for result in results)
print("== restored")
print(f"{len(results)} trials, {epochs} epochs instead of {len(results) * 9}")

# [results]
best = results.get_best_result(scope="all")
print("== results")
print(best.config)
loser = min(results, key=lambda result: result.metrics["training_iteration"])
print(loser.explain())

# [model]
checkpoint = best.get_best_checkpoint("accuracy", "max")
with checkpoint.as_directory() as kept:
    state = torch.load(Path(kept, "state.pt"))
model, _ = build(best.config)
model.load_state_dict(state["model"])
print("== the model")
print(f"accuracy on pictures that nobody has seen: {accuracy(model, test):.3f}")
# [end]
