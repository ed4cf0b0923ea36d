"""A conformance suite for schedulers: run it on your own.

In a test file::

    from tune_core.testing.schedulers import SchedulerContract

    class TestMine(SchedulerContract):
        def make(self):
            return MyScheduler(max_t=27)
"""

from __future__ import annotations

import copy
import math
import random
from typing import Any

import pytest

from tune_core import space
from tune_core.core.values import Config
from tune_core.engine.checkpoint_retention import CheckpointConfig
from tune_core.schedulers.base import Scheduler
from tune_core.simulation import Faults, Simulation, simulate
from tune_core.testing.invariants import Invariants, check_end, check_journal

SPACE = {"x": space.uniform(0, 1), "rate": space.loguniform(0.1, 1.0)}


def learning_curve(length: int, spoilt: float = 0.0) -> Any:
    """A simulated objective: losses that fall with each step, some of them NaN if ``spoilt``."""

    def curve(config: Config, step: int) -> Any:
        if step > length:
            return None
        chance = random.Random(f"{config['x']}:{step}")
        loss = config["x"] + config["rate"] / step + 0.02 * chance.random()
        return 1.0 + chance.random(), {"loss": math.nan if chance.random() < spoilt else loss, "epoch": step}

    return curve


class SchedulerContract:
    """What every scheduler must do. Derive from it and say by :meth:`make` how to make yours."""

    length = 40
    """How many results a trial reports if nobody stops it."""

    def make(self) -> Scheduler:
        """A new scheduler."""
        raise NotImplementedError

    def run(self, **more: Any) -> Simulation:
        """One simulated run with every invariant on, its journal read back afterwards."""
        scheduler = self.make()
        unused = copy.deepcopy(scheduler)
        spoilt = more.pop("spoilt", 0.0)
        settings: dict[str, Any] = {"workers": 4, "num_samples": 20, "seed": 0, **more}
        result = simulate(
            learning_curve(self.length, spoilt),
            SPACE,
            metric="loss",
            mode="min",
            scheduler=scheduler,
            check=Invariants(),
            **settings,
        )
        check_end(result.controller)
        check_journal(result.journal, result.controller, unused, SPACE)
        return result

    def test_every_trial_comes_to_an_end(self) -> None:
        """The run finishes, and all trials with it."""
        assert len(self.run().trials) == 20

    @pytest.mark.parametrize("workers", [1, 2, 7, 100])
    def test_any_number_of_workers_will_do(self, workers: int) -> None:
        """More workers than trials, or one for all."""
        self.run(workers=workers)

    @pytest.mark.parametrize("num_samples", [1, 2, 3])
    def test_few_trials_do_not_make_it_wait(self, num_samples: int) -> None:
        """A bracket that never fills, a population of one."""
        self.run(num_samples=num_samples)

    def test_every_decision_says_why(self) -> None:
        """Reasons are for people; a decision without one helps nobody."""
        assert all(decision.why for decision in self.run().decisions())

    def test_the_same_seed_gives_the_same_journal(self) -> None:
        """Chance comes from the seed alone."""
        assert self.run().journal == self.run().journal

    @pytest.mark.parametrize("seed", range(3))
    def test_values_that_are_no_numbers_do_no_harm(self, seed: int) -> None:
        """NaN is the worst there is."""
        self.run(spoilt=0.2, seed=seed)

    @pytest.mark.parametrize("seed", range(3))
    def test_failures_and_lost_nodes_do_not_make_it_wait(self, seed: int) -> None:
        """Trials go back to their checkpoints, or end with an error."""
        faults = Faults(crash_rate=0.01, error_rate=0.01, node_loss_rate=0.001, node_size=2, straggling=1.0)
        self.run(faults=faults, max_failures=seed - 1, seed=seed)

    @pytest.mark.parametrize("seed", range(3))
    def test_late_and_repeated_messages_change_nothing(self, seed: int) -> None:
        """What a worker says may arrive late, and twice."""
        self.run(faults=Faults(latency_s=2.0, duplicates=0.3), seed=seed)

    @pytest.mark.parametrize("seed", range(3))
    def test_a_killed_driver_goes_on(self, seed: int) -> None:
        """The journal is enough to go on from."""
        self.run(faults=Faults(driver_deaths=3), max_failures=-1, seed=seed)

    def test_a_time_budget_ends_it(self) -> None:
        """Nobody hangs on."""
        self.run(time_budget_s=20.0)

    def test_trials_that_end_early_do_not_make_it_wait(self) -> None:
        """A stop condition ends them before the scheduler would."""
        self.run(stop={"training_iteration": 2})

    def test_only_needed_checkpoints_are_kept(self) -> None:
        """What a paused trial or a copy needs is never deleted."""
        self.run(checkpoint_config=CheckpointConfig(num_to_keep=1))

    def test_choose_is_a_question(self) -> None:
        """Asking twice gives the same answer, and changes nothing."""

        def twice(controller: Any, executor: object, event: object) -> None:
            if controller.finished is None and controller.stopping is None:
                first = controller.next_trial_to_launch()
                before = controller.scheduler.debug_string()
                assert controller.next_trial_to_launch() is first
                assert controller.scheduler.debug_string() == before

        simulate(
            learning_curve(self.length),
            SPACE,
            metric="loss",
            mode="min",
            workers=3,
            num_samples=12,
            scheduler=self.make(),
            check=twice,
        )
