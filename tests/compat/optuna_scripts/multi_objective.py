"""Two objectives: a Pareto front, and its plot."""

import optuna


def objective(trial):
    x = trial.suggest_float("x", 0.0, 5.0)
    y = trial.suggest_float("y", 0.0, 3.0)
    return 4 * x**2 + 4 * y**2, (x - 5) ** 2 + (y - 5) ** 2


if __name__ == "__main__":
    sampler = optuna.samplers.NSGAIISampler(seed=0, population_size=10)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    study.set_metric_names(["cost", "distance"])
    study.optimize(objective, n_trials=40, timeout=120)
    front = study.best_trials
    assert front
    for one in front:
        for other in study.trials:
            assert not all(b < a for a, b in zip(one.values, other.values))
    figure = optuna.visualization.plot_pareto_front(study)
    assert figure.layout.xaxis.title.text == "cost"
    optuna.visualization.matplotlib.plot_pareto_front(study)
    assert set(optuna.importance.get_param_importances(study, target=lambda t: t.values[0])) == {"x", "y"}
    print("trials:", len(study.trials), "| a front:", len(front) > 1)
