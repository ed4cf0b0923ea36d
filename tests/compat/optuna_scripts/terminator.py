"""End the study when little is left to be gained."""

import warnings

import optuna
from optuna.terminator import (
    BestValueStagnationEvaluator,
    StaticErrorEvaluator,
    Terminator,
    TerminatorCallback,
    report_cross_validation_scores,
)


def objective(trial):
    x = trial.suggest_float("x", 0, 1)
    report_cross_validation_scores(trial, [x, x + 0.1, x - 0.1])
    return x


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    terminator = Terminator(
        improvement_evaluator=BestValueStagnationEvaluator(max_stagnation_trials=8),
        error_evaluator=StaticErrorEvaluator(constant=0),
        min_n_trials=10,
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=200, n_jobs=1, callbacks=[TerminatorCallback(terminator)])
    assert 10 <= len(study.trials) < 200, len(study.trials)
    assert all("terminator:cv_scores" in trial.system_attrs for trial in study.trials)
    print("ended early")
