"""What `overhead.py` measures, one function for each tuner and case; each is run in a process of its own.

`python benchmarks/workloads.py PEER CASE SIZE FOLDER` prints its figures as one line of JSON.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

WORKERS = 2
MAX_T = 4096  # ASHA's rungs are 1, 4, 16, ... 4096

Figures = dict[str, float]


def processor_s() -> float:
    """Processor time of this process and of those that it has waited for: blind to what else the machine does."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


# --- objectives -------------------------------------------------------------------------------------------------------


def trivial(config: dict[str, Any]) -> dict[str, float]:
    return {"loss": config["x"] ** 2}


def reporting(tune: Any, steps: int) -> Any:
    """An objective with a number of reports, each trial better than those before, so that ASHA lets it go on."""

    def objective(config: dict[str, Any]) -> None:
        loss = -float(tune.get_context().get_trial_id().rsplit("_", 1)[-1]) - config["x"]
        for _ in range(steps):
            tune.report({"loss": loss})

    return objective


# --- tune-core --------------------------------------------------------------------------------------------------------


def fit_ours(folder: str, objective: Any, samples: int, reporter: Any = None, **settings: Any) -> tuple[Any, float]:
    import tune_core as tune

    tuner = tune.Tuner(
        objective,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=samples, seed=0, **settings),
        run_config=tune.RunConfig(
            name="run",
            storage_path=folder,
            verbose=0,
            progress_reporter=reporter,
            executor=tune.LocalExecutor(num_cpus=WORKERS),
        ),
    )
    began = time.perf_counter()
    results = tuner.fit()
    return results, time.perf_counter() - began


def ours_trials(size: int, folder: str) -> Figures:
    began = processor_s()
    _, took = fit_ours(folder, trivial, size)
    return {"per_s": size / took, "cpu_us": (processor_s() - began) / size * 1e6}


def ours_reports(size: int, folder: str, scheduler: Any = None) -> Figures:
    import tune_core as tune

    trials = max(1, size // MAX_T)
    results, took = fit_ours(folder, reporting(tune, MAX_T), trials, scheduler=scheduler)
    return {"per_s": sum(result.metrics["training_iteration"] for result in results) / took}


def ours_asha(size: int, folder: str) -> Figures:
    from tune_core.schedulers import ASHAScheduler

    return ours_reports(size, folder, ASHAScheduler(max_t=MAX_T, grace_period=1, reduction_factor=4))


def ours_restore(size: int, folder: str) -> Figures:
    """From the call of `Tuner.restore` to the launch of one more trial, after ``size`` trials with 10 reports each."""
    import tune_core as tune
    from tune_core.schedulers import ASHAScheduler

    fit_ours(folder, reporting(tune, 10), size, scheduler=ASHAScheduler(max_t=10, reduction_factor=2))
    began = processor = 0.0
    first: list[tuple[float, float]] = []

    class FirstLaunch(tune.Callback):
        def on_trial_start(self, **about: Any) -> None:
            first.append((time.perf_counter() - began, time.process_time() - processor))

    config = tune.RunConfig(
        verbose=0, callbacks=[FirstLaunch()], executor=tune.LocalExecutor(num_cpus=WORKERS), storage_path=folder
    )
    began, processor = time.perf_counter(), time.process_time()
    tune.Tuner.restore(f"{folder}/run", reporting(tune, 10), run_config=config, num_samples=size + 1).fit()
    return {"s": first[0][0], "cpu_s": first[0][1]}


class Meter:
    """Takes the place of the live view, and notes the driver's processor time and memory at some numbers of trials."""

    def __init__(self, marks: list[int]) -> None:
        self.marks = marks[::-1]
        self.seen: dict[int, tuple[int, float]] = {}  # by mark: trials, seconds of processor time
        self.mb: list[float] = []

    def start(self) -> None:
        pass

    def note(self, text: str) -> None:
        print(text, file=sys.stderr)

    def update(self, controller: Any, now: float, waits_for: str | None) -> None:
        if self.marks and len(controller.trials) >= self.marks[-1]:
            self.seen[self.marks.pop()] = (len(controller.trials), time.process_time())
            if not self.marks:
                self.mb.append(resident_mb())

    def finish(self, controller: Any, why: str, error: str) -> None:
        self.mb.append(resident_mb())

    def us_between(self, first: int, last: int) -> float:
        """Microseconds of the driver for a trial between two marks."""
        (n0, s0), (n1, s1) = self.seen[first], self.seen[last]
        return (s1 - s0) / (n1 - n0) * 1e6


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def ours_growth(size: int, folder: str) -> Figures:
    """The driver's time for a trial early and late in one run, its memory, and that after a million reports more."""
    import tune_core as tune

    extra, steps = 100, 10_000

    def objective(config: dict[str, Any]) -> Any:
        if int(tune.get_trial_id()) < size:
            return {"loss": config["x"] ** 2}
        for _ in range(steps):
            tune.report({"loss": 1.0})
        return None

    windows = {
        count: (count // 2, count + count // 2 if count < 100_000 else count)
        for count in (1_000, 10_000, 100_000)
        if count <= size
    }
    meter = Meter(sorted({mark for window in windows.values() for mark in window} | {size}))
    fit_ours(folder, objective, size + extra, reporter=meter)
    figures = {f"us_at_{count}": meter.us_between(*window) for count, window in windows.items()}
    return {**figures, "mb": meter.mb[0], "mb_later": meter.mb[1]}


# --- Ray Tune ---------------------------------------------------------------------------------------------------------


def fit_ray(folder: str, objective: Any, samples: int, **settings: Any) -> tuple[Any, float]:
    import ray
    from ray import tune

    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    tuner = tune.Tuner(
        objective,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=samples, reuse_actors=True, **settings),
        run_config=tune.RunConfig(name="run", storage_path=folder, verbose=0),
    )
    began = time.perf_counter()
    results = tuner.fit()
    took = time.perf_counter() - began
    ray.shutdown()
    return results, took


def ray_trials(size: int, folder: str) -> Figures:
    _, took = fit_ray(folder, trivial, size)
    return {"per_s": size / took}


def ray_reports(size: int, folder: str, scheduler: Any = None) -> Figures:
    from ray import tune

    trials = 4
    results, took = fit_ray(folder, reporting(tune, size // trials), trials, scheduler=scheduler)
    return {"per_s": sum(result.metrics["training_iteration"] for result in results) / took}


def ray_asha(size: int, folder: str) -> Figures:
    from ray.tune.schedulers import ASHAScheduler

    return ray_reports(size, folder, ASHAScheduler(max_t=MAX_T, grace_period=1, reduction_factor=4))


# --- Optuna -----------------------------------------------------------------------------------------------------------


def optuna_study(folder: str, pruner: Any = None) -> Any:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        study_name="run",
        storage=optuna.storages.JournalStorage(JournalFileBackend(f"{folder}/journal.log")),
        sampler=optuna.samplers.RandomSampler(),
        pruner=pruner or optuna.pruners.NopPruner(),
        load_if_exists=True,
    )


def optuna_worker(folder: str, trials: int, steps: int, asha: bool, ready: Any, done: Any) -> None:
    import optuna

    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=4) if asha else None
    study = optuna_study(folder, pruner)

    def objective(trial: Any) -> float:
        x = float(trial.suggest_float("x", 0, 1))
        for step in range(1, steps + 1):
            trial.report(-trial.number - x, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return x**2 if not steps else -trial.number - x

    ready.wait()
    study.optimize(objective, n_trials=trials)
    done.wait()


def run_optuna(folder: str, trials: int, steps: int = 0, asha: bool = False) -> float:
    """Two processes on one journal; their start is not counted."""
    optuna_study(folder)
    context = multiprocessing.get_context("spawn")
    ready, done = context.Barrier(WORKERS + 1), context.Barrier(WORKERS + 1)
    workers = [
        context.Process(target=optuna_worker, args=(folder, trials // WORKERS, steps, asha, ready, done))
        for _ in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    ready.wait()
    began = time.perf_counter()
    done.wait()
    took = time.perf_counter() - began
    for worker in workers:
        worker.join()
    return took


def optuna_trials(size: int, folder: str) -> Figures:
    took = run_optuna(folder, size)
    return {"per_s": size / took}


def optuna_reports(size: int, folder: str, asha: bool = False) -> Figures:
    trials = 4
    took = run_optuna(folder, trials, size // trials, asha)
    return {"per_s": sum(len(trial.intermediate_values) for trial in optuna_study(folder).trials) / took}


def optuna_asha(size: int, folder: str) -> Figures:
    return optuna_reports(size, folder, asha=True)


def optuna_restore(size: int, folder: str) -> Figures:
    """From opening the storage to one more trial, after ``size`` trials with 10 reports each."""
    import optuna

    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    past = optuna.trial.create_trial(
        params={"x": 0.5}, distributions=space, value=0.25, intermediate_values=dict.fromkeys(range(10), 0.25)
    )
    optuna_study(folder).add_trials([past] * size)
    began, processor = time.perf_counter(), time.process_time()
    optuna_study(folder).ask(space)
    return {"s": time.perf_counter() - began, "cpu_s": time.process_time() - processor}


CASES = {
    name: function
    for name, function in list(globals().items())
    if name.partition("_")[0] in ("ours", "ray", "optuna") and callable(function)
}

if __name__ == "__main__":
    peer, case, size, folder = sys.argv[1:]
    print(json.dumps(CASES[f"{peer}_{case}"](int(size), folder)))
