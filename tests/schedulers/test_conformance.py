"""Every scheduler passes the suite that others can run on theirs."""

from __future__ import annotations

import pytest

import tune_core as tune
from tune_core import schedulers
from tune_core.schedulers import Continue, Lease, Scheduler, Stop
from tune_core.testing.schedulers import SchedulerContract

MUTATIONS = {"rate": tune.loguniform(0.1, 1.0)}
EVERY = "training_iteration"


class TestFIFO(SchedulerContract):
    def make(self) -> Scheduler:
        return schedulers.FIFOScheduler()


class TestASHA(SchedulerContract):
    def make(self) -> Scheduler:
        return schedulers.ASHAScheduler(max_t=27, reduction_factor=3, brackets=2)


class TestASHAByPromotion(SchedulerContract):
    def make(self) -> Scheduler:
        return schedulers.ASHAScheduler(max_t=27, reduction_factor=3, rule="promotion")


class TestHyperBand(SchedulerContract):
    def make(self) -> Scheduler:
        return schedulers.HyperBandScheduler(max_t=27)


class TestHyperBandForBOHB(SchedulerContract):
    def make(self) -> Scheduler:
        return schedulers.HyperBandForBOHB(max_t=9)


class TestSuccessiveHalving(SchedulerContract):
    def make(self) -> Scheduler:
        return schedulers.SuccessiveHalvingScheduler(max_t=9)


class TestMedianStopping(SchedulerContract):
    def make(self) -> Scheduler:
        return schedulers.MedianStoppingRule(EVERY, grace_period=3, min_samples_required=2)


class TestMedianPausing(SchedulerContract):
    def make(self) -> Scheduler:
        return schedulers.MedianStoppingRule(EVERY, grace_period=3, min_time_slice=4, hard_stop=False)


class TestPercentile(SchedulerContract):
    def make(self) -> Scheduler:
        return schedulers.PercentilePruner(50.0, 2, n_warmup_steps=2)


class TestPatient(SchedulerContract):
    def make(self) -> Scheduler:
        return schedulers.PatientPruner(schedulers.MedianPruner(2), 1)


class TestThreshold(SchedulerContract):
    def make(self) -> Scheduler:
        return schedulers.ThresholdPruner(upper=100.0)


class TestWilcoxon(SchedulerContract):
    def make(self) -> Scheduler:
        pytest.importorskip("scipy")
        return schedulers.WilcoxonPruner()


class TestPBT(SchedulerContract):
    def make(self) -> Scheduler:
        return schedulers.PopulationBasedTraining(EVERY, perturbation_interval=4, hyperparam_mutations=MUTATIONS)


class TestSynchronousPBT(SchedulerContract):
    def make(self) -> Scheduler:
        return schedulers.PopulationBasedTraining(
            EVERY, perturbation_interval=4, hyperparam_mutations=MUTATIONS, synch=True
        )


class TestPB2(SchedulerContract):
    length = 16

    def make(self) -> Scheduler:
        pytest.importorskip("numpy")
        return schedulers.PB2(EVERY, perturbation_interval=4, hyperparam_bounds={"rate": [0.1, 1.0]})


class TestPASHA(SchedulerContract):
    def make(self) -> Scheduler:
        return schedulers.PASHAScheduler(max_t=27)


class TestAuto(SchedulerContract):
    def make(self) -> Scheduler:
        return schedulers.AutoScheduler()


class TestResourceChanging(SchedulerContract):
    length = 12

    def make(self) -> Scheduler:
        return schedulers.ResourceChangingScheduler(schedulers.ASHAScheduler(max_t=9, reduction_factor=3))


class TestOwn(SchedulerContract):
    """The example of docs/guides/own-scheduler.md."""

    def make(self) -> Scheduler:
        return Hopeless(patience=5)


class Hopeless(Scheduler):
    """Stop a trial whose best loss is twice the best of all after `patience` results."""

    def __init__(self, patience: int = 5) -> None:
        super().__init__()
        self.patience = patience
        self.best = float("inf")

    def lease(self, trial):
        return Lease(until=self.patience)

    def on_result(self, trial, result):
        loss = self.objective.loss(result)
        self.best = min(self.best, loss)
        if loss > 2 * self.best:
            return Stop(f"loss {loss:.3g} is more than twice the best, {self.best:.3g}")
        return Continue(until=trial.iteration + self.patience, reason=f"loss {loss:.3g} is good enough")
