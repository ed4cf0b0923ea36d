"""One objective under several samplers, the grid's exhaustion among them."""

import optuna


def objective(trial):
    x = trial.suggest_int("x", -3, 3)
    kind = trial.suggest_categorical("kind", ["low", "high"])
    return x**2 + (kind == "high")


if __name__ == "__main__":
    grid = {"x": [-2, 0, 2], "kind": ["low", "high"]}
    samplers = {
        "random": optuna.samplers.RandomSampler(seed=0),
        "tpe": optuna.samplers.TPESampler(seed=0, multivariate=True),
        "qmc": optuna.samplers.QMCSampler(seed=0),
        "grid": optuna.samplers.GridSampler(grid),
        "fixed": optuna.samplers.PartialFixedSampler({"kind": "high"}, optuna.samplers.RandomSampler(seed=0)),
    }
    studies = {}
    for name, sampler in samplers.items():
        studies[name] = optuna.create_study(sampler=sampler)
        studies[name].optimize(objective, n_trials=12)
    tried = sorted((t.params["x"], t.params["kind"]) for t in studies["grid"].trials)
    assert set(tried) == {(x, kind) for x in grid["x"] for kind in grid["kind"]}, tried
    assert {t.params["kind"] for t in studies["fixed"].trials} == {"high"}
    assert all(len(study.trials) == 12 for name, study in studies.items() if name != "grid")
    print("best by the grid:", studies["grid"].best_params)
