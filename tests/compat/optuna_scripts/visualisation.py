"""Every plot of optuna.visualization, by plotly and by matplotlib."""

import warnings

import matplotlib
import optuna

matplotlib.use("Agg")


def objective(trial):
    x = trial.suggest_float("x", 0, 10)
    y = trial.suggest_float("y", 1e-3, 1, log=True)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    for step in range(4):
        trial.report(x + y + 1 / (step + 1), step)
        if trial.should_prune():
            raise optuna.TrialPruned()
    return x + y + (kind == "b")


def plots(module, study):
    made = {
        "contour": module.plot_contour(study),
        "edf": module.plot_edf(study),
        "intermediate": module.plot_intermediate_values(study),
        "history": module.plot_optimization_history(study),
        "parallel": module.plot_parallel_coordinate(study),
        "importances": module.plot_param_importances(study),
        "rank": module.plot_rank(study),
        "slice": module.plot_slice(study),
        "timeline": module.plot_timeline(study),
    }
    return sorted(made)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=20)
    first = plots(optuna.visualization, study)
    assert plots(optuna.visualization.matplotlib, study) == first
    print("plotted:", ", ".join(first))
