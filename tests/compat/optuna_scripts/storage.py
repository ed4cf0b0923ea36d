"""A study in a database: loaded again, gone on with, read by its trials; callbacks; attributes."""

import os
import tempfile

import optuna
from optuna.study import MaxTrialsCallback

folder = os.environ.setdefault("STUDIES", tempfile.mkdtemp())
url = f"sqlite:///{folder}/study.db"


def objective(trial):
    x = trial.suggest_float("x", -10, 10)
    trial.set_user_attr("square", x * x)
    assert trial.study.study_name == "kept"
    assert trial.study.user_attrs["data"] == "digits"
    earlier = trial.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    trial.set_user_attr("knows of others", bool(earlier))
    return (x - 1) ** 2


if __name__ == "__main__":
    study = optuna.create_study(study_name="kept", storage=url)
    study.set_user_attr("data", "digits")
    study.enqueue_trial({"x": 1.0}, user_attrs={"why": "a guess"})
    study.optimize(objective, n_trials=6)
    assert study.best_params == {"x": 1.0}
    assert study.trials[0].user_attrs["why"] == "a guess"

    again = optuna.load_study(study_name="kept", storage=url)
    assert isinstance(again, optuna.Study) and isinstance(again, optuna.study.Study)
    seen = []
    again.optimize(
        objective,
        n_trials=50,
        n_jobs=2,
        callbacks=[MaxTrialsCallback(10, states=None), lambda study, trial: seen.append(trial.number)],
    )
    assert 10 <= len(again.trials) < 16, len(again.trials)
    assert min(seen) == 6
    assert again.trials[-1].user_attrs["knows of others"]
    assert [t.number for t in again.trials] == list(range(len(again.trials)))
    assert optuna.study.get_all_study_names(url) == ["kept"]
    assert len(optuna.create_study(study_name="kept", storage=url, load_if_exists=True).trials) == len(again.trials)
    print("kept and gone on with")
