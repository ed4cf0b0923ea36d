"""Which parameters matter, by each evaluator."""

import optuna
from optuna.importance import get_param_importances


def objective(trial):
    much = trial.suggest_float("much", -1, 1)
    little = trial.suggest_float("little", -1, 1)
    return much**2 + 0.01 * little


if __name__ == "__main__":
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    study.optimize(objective, n_trials=40)
    for evaluator in (
        optuna.importance.PedAnovaImportanceEvaluator(),
        optuna.importance.FanovaImportanceEvaluator(seed=0),
        optuna.importance.MeanDecreaseImpurityImportanceEvaluator(seed=0),
    ):
        importances = get_param_importances(study, evaluator=evaluator)
        assert list(importances) == ["much", "little"], importances
    frame = study.trials_dataframe()
    assert {"params_much", "params_little", "value", "duration"} <= set(frame.columns)
    print("most important:", next(iter(importances)))
