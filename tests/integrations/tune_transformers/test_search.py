"""Searches as `Trainer.hyperparameter_search` has them: both forms of spaces, objectives, schedulers, checkpoints."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

import torch

import tune_core as tune
from tune_core.errors import InvalidArgumentError, SearchSpaceError, TuneError
from tune_transformers import TuneReportCallback, get_folder, hyperparameter_search

transformers.logging.set_verbosity_error()
logging.getLogger("transformers").setLevel(logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore")

X = torch.randint(0, 20, (48, 6), generator=torch.Generator().manual_seed(0))
DATA = [{"input_ids": x, "labels": (x[0] > 9).long()} for x in X]


def model_init(trial: Any = None) -> Any:
    layers = 1 if trial is None else trial.params.get("layers", 1)
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=8
    )
    return transformers.BertForSequenceClassification(config)


def arguments(**how: Any) -> Any:
    given = {
        "num_train_epochs": 3,
        "per_device_train_batch_size": 16,
        "per_device_eval_batch_size": 48,
        "optim": "adamw_torch",
        "eval_strategy": "epoch",
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
    }
    return transformers.TrainingArguments("out", **{**given, **how})


def make_trainer(**how: Any) -> Any:
    own = transformers.Trainer(
        model_init=model_init, args=arguments(**how), train_dataset=DATA, eval_dataset=DATA, callbacks=[]
    )
    own.remove_callback(transformers.PrinterCallback)
    return own


def run_config(tmp_path: Path, executor: Any = "inline") -> Any:
    return tune.RunConfig(name="run", storage_path=str(tmp_path), verbose=0, executor=executor)


def search(tmp_path: Path, maker: Any = make_trainer, hp_space: Any = None, **how: Any) -> Any:
    how = {"seed": 0, "run_config": run_config(tmp_path, how.pop("executor", "inline")), **how}
    return hyperparameter_search(maker, hp_space, **how)


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def optuna_space(trial: Any) -> dict[str, Any]:
    found = {
        "learning_rate": trial.suggest_float("lr", 1e-3, 1e-1, log=True),
        "per_device_train_batch_size": trial.suggest_categorical("batch", [16, 48]),
        "weight_decay": 0.01,
    }
    if trial.suggest_int("layers", 1, 2) == 2:
        found["warmup_steps"] = trial.suggest_int("warmup", 1, 3)
    return found


def trained_with(result: Any) -> Any:
    return torch.load(Path(get_folder(result.checkpoint), "training_args.bin"), weights_only=False)


def test_function_of_an_optuna_trial_is_searched_with_its_conditions(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    best = search(tmp_path, hp_space=optuna_space, n_trials=2, frequency=1, executor="local", seed=2)

    results = best.run_summary
    assert {frozenset(r.config) for r in results} == {
        frozenset({"lr", "batch", "layers"}),
        frozenset({"lr", "batch", "layers", "warmup"}),
    }
    for result in results:
        config, args = result.config, trained_with(result)
        assert args.learning_rate == config["lr"] and args.weight_decay == 0.01
        assert args.per_device_train_batch_size == config["batch"]
        assert args.warmup_steps == config.get("warmup", 0)
        model = transformers.BertForSequenceClassification.from_pretrained(get_folder(result.checkpoint))
        assert model.config.num_hidden_layers == config["layers"]
    assert isinstance(best, transformers.trainer_utils.BestRun)
    assert best.objective == min(r.metrics["eval_loss"] for r in results)
    assert best.hyperparameters == next(r.config for r in results if r.trial_id == best.run_id)


@pytest.mark.parametrize("form", ["function", "dict"])
def test_domains_are_searched_and_set_by_the_trainers_rules(tmp_path: Path, form: str) -> None:
    space = {"learning_rate": tune.loguniform(1e-3, 1e-1), "num_train_epochs": tune.uniform(1, 3), "layers": 2}
    hp_space = (lambda _: space) if form == "function" else space
    best = search(tmp_path, hp_space=hp_space, n_trials=2, frequency=1)
    for result in best.run_summary:
        args = trained_with(result)
        assert args.learning_rate == result.config["learning_rate"]
        assert args.num_train_epochs == int(result.config["num_train_epochs"])  # the field's own type
        model = transformers.BertForSequenceClassification.from_pretrained(get_folder(result.checkpoint))
        assert model.config.num_hidden_layers == 2


@pytest.mark.parametrize("missing", [["ray_tune", "wandb"], ["ray_tune", "wandb", "optuna"]], ids=" ".join)
def test_domains_are_searched_where_the_trainers_own_tuners_are_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: list[str]
) -> None:
    utils = transformers.integrations.integration_utils
    for name in missing:
        monkeypatch.setattr(utils, f"is_{name}_available", lambda: False)
    with pytest.raises(RuntimeError, match="Unknown type for trial"):
        transformers.integrations.hp_params({"learning_rate": 0.1})
    seen = []

    class Watch(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: object) -> None:
            seen.append(dict(state.trial_params))

    def maker() -> Any:
        own = make_trainer()
        own.add_callback(Watch())
        return own

    best = search(tmp_path, maker, {"learning_rate": tune.loguniform(1e-3, 1e-1)}, n_trials=2)
    assert [result.config for result in best.run_summary] == seen
    with pytest.raises(RuntimeError, match="Unknown type for trial"):  # the framework is as it was
        transformers.integrations.hp_params({"learning_rate": 0.1})


def test_value_of_the_best_run_is_that_of_the_model_in_its_checkpoint(tmp_path: Path) -> None:
    space = {"learning_rate": tune.loguniform(1e-3, 1e-1)}
    best = search(tmp_path, hp_space=space, n_trials=2, frequency=1, direction="minimize")
    result = best.run_summary.get_best_result()
    model = transformers.BertForSequenceClassification.from_pretrained(get_folder(result.checkpoint))
    again = transformers.Trainer(model, arguments(), eval_dataset=DATA).evaluate()
    assert again["eval_loss"] == pytest.approx(best.objective, abs=1e-6)


def test_objective_is_computed_from_the_evaluation_and_maximised(tmp_path: Path) -> None:
    space = {"learning_rate": tune.grid_search([1e-4, 1e-1])}
    best = search(
        tmp_path, hp_space=space, compute_objective=lambda m: -m["eval_loss"], direction="maximize", n_trials=1
    )
    assert best.objective == max(-r.metrics["eval_loss"] for r in best.run_summary)


def test_several_directions_give_the_runs_that_no_other_beats(tmp_path: Path) -> None:
    space = {"learning_rate": tune.grid_search([1e-4, 1e-1]), "layers": 1}
    best = search(
        tmp_path,
        hp_space=space,
        compute_objective=lambda m: (m["eval_loss"], m["eval_loss"]),
        direction=["minimize", "maximize"],
        n_trials=1,
    )
    assert sorted(run.run_id for run in best) == sorted(r.trial_id for r in best[0].run_summary)
    assert all(run.objective[0] == run.objective[1] for run in best)


def test_scheduler_stops_bad_trials_early(tmp_path: Path) -> None:
    from tune_core.schedulers import ASHAScheduler

    space = {"learning_rate": tune.grid_search([1e-1, 1e-7, 1e-8, 1e-9])}
    scheduler = ASHAScheduler(max_t=3, grace_period=1, reduction_factor=2)
    best = search(tmp_path, hp_space=space, n_trials=1, scheduler=scheduler)
    assert min(r.metrics["training_iteration"] for r in best.run_summary) < 3
    assert best.run_summary.get_best_result().checkpoint is None or best.hyperparameters["learning_rate"] == 1e-1


def test_exploited_trial_goes_on_from_the_checkpoint_with_the_new_rate(tmp_path: Path) -> None:
    from tune_core.schedulers import PopulationBasedTraining

    pbt = PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=1,
        hyperparam_mutations={"learning_rate": tune.loguniform(1e-6, 1e-1)},
        synch=True,
    )
    space = {"learning_rate": tune.choice([1e-1, 1e-6])}
    best = search(tmp_path, lambda: make_trainer(num_train_epochs=5), space, n_trials=4, scheduler=pbt)
    assert {r.metrics["training_iteration"] for r in best.run_summary} == {5}
    rates = [trained_with(r).learning_rate for r in best.run_summary]
    assert rates == [r.config["learning_rate"] for r in best.run_summary]
    assert any(rate not in (1e-1, 1e-6) for rate in rates)  # some were exploited and perturbed


def test_trainer_that_never_evaluates_is_evaluated_at_the_end(tmp_path: Path) -> None:
    best = search(tmp_path, lambda: make_trainer(eval_strategy="no"), {"learning_rate": 0.01}, n_trials=1)
    (result,) = best.run_summary
    assert result.metrics["training_iteration"] == 1 and result.metrics["objective"] == best.objective
    transformers.BertForSequenceClassification.from_pretrained(get_folder(result.checkpoint))


def test_trainer_outside_of_the_function_is_trained_anew_by_each_trial_and_left_as_it_was(tmp_path: Path) -> None:
    own = make_trainer()
    rate = own.args.learning_rate
    best = search(tmp_path, lambda: own, {"learning_rate": tune.grid_search([0.01, 0.01])}, n_trials=1)
    first, second = best.run_summary
    assert first.metrics["objective"] == second.metrics["objective"]
    assert own.args.learning_rate == rate and own.hp_search_backend is None


@pytest.mark.parametrize(
    ("maker", "how", "words"),
    [
        (lambda: make_trainer(eval_strategy="no"), {"scheduler": "asha"}, "eval_strategy"),
        (lambda: 3, {}, "Trainer"),
    ],
)
def test_a_trainer_that_cannot_be_searched_ends_the_run_and_says_why(
    tmp_path: Path, maker: Any, how: Any, words: str
) -> None:
    with pytest.raises(TuneError, match=words):
        search(tmp_path, maker, {"learning_rate": tune.uniform(0, 1)}, n_trials=3, **how)


def test_trainer_with_a_callback_of_ours_is_refused(tmp_path: Path) -> None:
    def maker() -> Any:
        own = make_trainer()
        own.add_callback(TuneReportCallback())
        return own

    with pytest.raises(TuneError, match="two results"):
        search(tmp_path, maker, {"learning_rate": 0.1}, n_trials=1)


def test_model_that_would_be_trained_twice_is_refused(tmp_path: Path) -> None:
    own = transformers.Trainer(model_init(), arguments(num_train_epochs=1), train_dataset=DATA, eval_dataset=DATA)
    with pytest.raises(TuneError, match="model_init"):
        search(tmp_path, lambda: own, {"learning_rate": tune.uniform(0.01, 0.1)}, n_trials=2)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"direction": "down"}, InvalidArgumentError),
        ({"hp_space": 3}, SearchSpaceError),
        ({"hp_space": lambda trial: None}, SearchSpaceError),
        ({"hp_space": lambda trial: {"method": "random", "parameters": {}}}, SearchSpaceError),
    ],
)
def test_arguments_that_cannot_work_are_refused_before_a_trial(tmp_path: Path, how: Any, error: Any) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(error):
        search(tmp_path, **how)
    with pytest.raises(InvalidArgumentError, match="function"):
        search(tmp_path, make_trainer())
    assert not (tmp_path / "run").exists()


def test_other_searchers_take_an_optuna_space_without_conditions_and_refuse_one_with(tmp_path: Path) -> None:
    pytest.importorskip("optuna")

    def plain(trial: Any) -> dict[str, Any]:
        return {
            "learning_rate": trial.suggest_float("lr", 1e-3, 1e-1, log=True),
            "num_train_epochs": trial.suggest_int("epochs", 1, 3, step=2),
            "weight_decay": trial.suggest_float("decay", 0, 0.1, step=0.05),
        }

    best = search(tmp_path, hp_space=plain, n_trials=3, search_alg="auto")
    assert all(r.config["epochs"] in (1, 3) and r.config["decay"] in (0, 0.05, 0.1) for r in best.run_summary)
    assert all(r.metrics["training_iteration"] == r.config["epochs"] for r in best.run_summary)
    with pytest.raises(InvalidArgumentError, match="'warmup'"):
        search(tmp_path, hp_space=optuna_space, n_trials=3, search_alg="auto")


def test_sampler_of_optuna_searches_the_function_that_it_was_given(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    from tune_core.search.optuna import OptunaSearch

    searcher = OptunaSearch(lambda trial: optuna_space(trial) and None, sampler=optuna.samplers.RandomSampler(seed=1))
    best = search(tmp_path, hp_space=optuna_space, n_trials=2, search_alg=searcher)
    assert {"lr", "batch", "layers"} <= set(best.hyperparameters)
