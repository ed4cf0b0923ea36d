"""Constraints, set on the trial, and by a function of the sampler."""

import optuna


def binh_and_korn(trial):
    x = trial.suggest_float("x", -15, 30)
    y = trial.suggest_float("y", -15, 30)
    trial.set_constraint("circle", (x - 5) ** 2 + y**2 - 25)
    trial.set_constraint("outside", 7.7 - (x - 8) ** 2 - (y + 3) ** 2)
    return 4 * x**2 + 4 * y**2


def with_attributes(trial):
    x = trial.suggest_float("x", 0, 10)
    trial.set_user_attr("constraint", 3 - x)
    return x


def constraint_of(trial):
    return (trial.user_attrs["constraint"],)


if __name__ == "__main__":
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=2, n_startup_trials=10))
    study.optimize(binh_and_korn, n_trials=30)
    for trial in study.trials:
        assert set(trial.constraints) == {"circle", "outside"}
    feasible = [t for t in study.trials if all(value <= 0 for value in t.constraints.values())]
    print("feasible ones are found:", bool(feasible))

    sampler = optuna.samplers.TPESampler(seed=2, constraints_func=constraint_of, n_startup_trials=5)
    study = optuna.create_study(sampler=sampler)
    study.optimize(with_attributes, n_trials=25)
    assert all(trial.system_attrs for trial in study.trials)
    print("best feasible near 3:", 3 <= study.best_value < 5)
