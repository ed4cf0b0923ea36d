"""Handwritten digits with Hugging Face's Trainer: one callback, a small vision
transformer, and ASHA ends poor trials early.
"""

# slow

import torch
import transformers
from sklearn.datasets import load_digits
from transformers import (
    Trainer,
    TrainingArguments,
    ViTConfig,
    ViTForImageClassification,
)

import tune_core as tune
from tune_core.schedulers import ASHAScheduler
from tune_transformers import TuneReportCheckpointCallback, get_folder, resume

EPOCHS = 9


def make_model(width, layers):
    config = ViTConfig(
        image_size=8,
        patch_size=2,
        num_channels=1,
        num_labels=10,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=2,
    )
    return ViTForImageClassification(config)


def accuracy(evaluated):
    right = evaluated.predictions.argmax(axis=1) == evaluated.label_ids
    return {"accuracy": float(right.mean())}


def train(config, data):
    transformers.logging.set_verbosity_error()
    transformers.set_seed(0)
    args = TrainingArguments(
        tune.get_trial_dir(),
        learning_rate=config["lr"],
        per_device_train_batch_size=config["batch_size"],
        num_train_epochs=EPOCHS,
        eval_strategy="epoch",
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
        report_to=[],
    )
    trainer = Trainer(
        make_model(config["width"], config["layers"]),
        args,
        train_dataset=data[:1297],
        eval_dataset=data[1297:],
        compute_metrics=accuracy,
        callbacks=[
            TuneReportCheckpointCallback({"accuracy": "eval_accuracy"}, frequency=0)
        ],  # the change
    )
    trainer.train(**resume())


digits = load_digits()
images = torch.tensor(digits.images / 16).float().unsqueeze(1)
data = [{"pixel_values": x, "labels": y} for x, y in zip(images, digits.target)]

results = tune.Tuner(
    tune.with_parameters(train, data=data),
    param_space={
        "lr": tune.loguniform(1e-4, 3e-2),
        "batch_size": tune.choice([16, 32, 64]),
        "width": tune.choice([16, 32, 64]),
        "layers": tune.choice([1, 2]),
    },
    tune_config=tune.TuneConfig(
        metric="accuracy",
        mode="max",
        num_samples=16,
        scheduler=ASHAScheduler(max_t=EPOCHS, reduction_factor=3),
        seed=0,
    ),
).fit()

best = results.get_best_result(scope="all")
print(f"Best accuracy {best.metrics['accuracy']:.3f} with {best.config}")
epochs = sum(result.metrics["training_iteration"] for result in results)
print(f"Epochs: {epochs} of {16 * EPOCHS}, {1 - epochs / (16 * EPOCHS):.0%} saved")
transformers.logging.disable_progress_bar()
model = ViTForImageClassification.from_pretrained(get_folder(best.checkpoint))
print(f"Its model has {model.num_parameters()} weights")
