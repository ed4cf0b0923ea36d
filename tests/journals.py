"""Experiments for tests: a real controller driven by events, its journal written as the loop writes it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tune_core.core import events as ev
from tune_core.core.trial import Trial, TrialView
from tune_core.engine.controller import Controller
from tune_core.engine.rules import Rules
from tune_core.journal.writer import Journal
from tune_core.schedulers.base import Continue, Decision, Exploit, Pause, Scheduler, Stop, WaitingTrials

START = 1_700_000_000.0


class Moody(Scheduler):
    """Decides by the trial's index and iteration alone: all decisions occur, the same ones in each replay."""

    restarts_without_checkpoint = True

    def on_result(self, trial: TrialView, result: Any) -> Decision:
        draw = random.Random(trial.index * 1000 + trial.iteration).random()
        if draw < 0.15:
            return Stop(f"moody at {trial.iteration}")
        if draw < 0.35:
            return Pause(f"pausing at {trial.iteration}")
        if draw < 0.5 and trial.index > 0:
            return Exploit(trial.index - 1, {"x": draw}, f"copying at {trial.iteration}")
        return Continue(reason="fine" if draw > 0.9 else "")

    def choose(self, waiting: WaitingTrials) -> int | None:
        paused = list(waiting.paused)
        return paused[0].index if len(paused) > 1 else None


class Run:
    """An experiment whose events a test gives one by one; its journal is written to ``folder`` by :meth:`save`."""

    def __init__(
        self,
        folder: Path,
        metric: str | None = "loss",
        mode: str | None = "min",
        scheduler: Scheduler | None = None,
        max_failures: int = 0,
        name: str = "run",
    ) -> None:
        self.folder = str(folder)
        self.rules = rules = Rules(metric, mode, max_failures=max_failures)
        self.header = ev.Header(
            version="0.1.0",
            name=name,
            seed=7,
            at=START,
            trainable="objective",
            metric=metric,
            mode=mode,
            settings=rules.settings(),
        )
        self.scheduler = scheduler or Scheduler()
        self.scheduler.setup(metric, mode, 7, {})
        self.controller = Controller(self.rules, self.scheduler)
        self.lines = [ev.encode(self.header)]
        self.now = START

    @property
    def trials(self) -> list[Any]:
        return self.controller.trials

    def apply(self, event: Any) -> None:
        """Journal and apply an event, and what the controller commands to be journaled."""
        self.lines.append(ev.encode(event))
        self._carry_out(self.controller.apply(event))

    def _carry_out(self, commands: list[ev.Command]) -> None:
        for command in commands:
            if type(command) is ev.Record:
                self.lines.append(ev.encode(command.event))
            elif type(command) is ev.Finish:
                self.lines.append(ev.encode(ev.Finished(self.tick(), command.why)))

    def tick(self, seconds: float = 1.0) -> float:
        self.now += seconds
        return self.now

    def suggest(self, **config: Any) -> int:
        index = len(self.trials)
        self.apply(ev.Suggested(index, config))
        return index

    def launch(self, trial: int) -> None:
        self.apply(ev.Launched(trial, "worker1", self.tick(), self.trials[trial].attempt + 1))

    def report(self, trial: int, checkpoint: str | None = None, waiting: int = 0, **metrics: Any) -> None:
        from tune_core.core.plain_values import plain_metrics

        plain, nonfinite = plain_metrics(metrics)
        iteration = self.trials[trial].iteration + 1
        at, attempt = self.tick(), self.trials[trial].attempt
        event = ev.Reported(
            trial, iteration, at, float(iteration), dict(plain), checkpoint, waiting, nonfinite, attempt=attempt
        )
        self.lines.append(ev.encode(event))
        self._carry_out(self.controller.apply(ev.restore_nonfinite(event)))

    def end(self, trial: int, how: str = "completed", why: str = "", error: str = "") -> None:
        self.apply(ev.Ended(trial, how, self.tick(), why, error))

    def trial(self, values: Iterable[float], metric: str = "loss", **config: Any) -> int:
        """A trial that reports some values and completes."""
        index = self.suggest(**config)
        self.launch(index)
        for value in values:
            self.report(index, **{metric: value})
        self.end(index)
        return index

    def exhaust(self) -> None:
        self.apply(ev.Exhausted())

    def save(self) -> str:
        """Write the journal anew and return the folder."""
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        journal = Journal(self.folder)
        for line in self.lines:
            journal.append(line)
        journal.close()
        return self.folder


def known_of(trial: Trial) -> dict[str, str]:
    """The same of one trial."""
    return {name: repr(getattr(trial, name)) for name in Trial.__slots__ if name != "verdict"}


def known(controller: Controller) -> dict[str, Any]:
    """What a reader of the journal must know of a run, as text that can be compared (NaN does not equal itself)."""
    return {
        "trials": [known_of(trial) for trial in controller.trials],
        "pending": list(controller.pending),
        "paused": list(controller.paused),
        "running": list(controller.running),
        "counts": {str(status): number for status, number in controller.counts.items() if number},
        "best": controller.best and controller.best.index,
        "pins": dict(controller.retention.pins),
        "finished": controller.finished,
        "interrupted": controller.interrupted,
        "stopping": controller.stopping,
        "exhausted": controller.exhausted,
    }


def random_run(folder: Path, seed: int, steps: int = 150, scheduler: Scheduler | None = None) -> Run:
    """A run with all kinds of events in an order that only the seed decides."""
    draw = random.Random(seed)
    run = Run(folder, scheduler=scheduler or Moody(), max_failures=draw.choice([0, 1, -1]))
    for _ in range(steps):
        controller = run.controller
        if controller.finished is not None or (controller.interrupted and not controller.running):
            run.apply(
                ev.Restored(run.tick(), draw.random() < 0.8, draw.random() < 0.5, draw.random() < 0.3, num_samples=99)
            )
            continue
        running = list(controller.running)
        action = draw.random()
        if action < 0.2 and controller.wants_suggestion():
            run.suggest(x=draw.random())
        elif action < 0.4 and (candidate := controller.next_trial_to_launch()) is not None:
            run.launch(candidate.index)
        elif action < 0.95:
            if running:
                (_work if action < 0.75 else _let_go)(run, draw, draw.choice(running))
        elif action < 0.96:
            run.apply(ev.Interrupted("interrupted", run.tick()))
        elif action < 0.97 and run.trials:
            run.apply(ev.StopRequested(draw.choice([-1, draw.randrange(len(run.trials))]), "a stopper said so"))
        elif action < 0.98:
            run.apply(ev.Restored(run.tick()))  # the driver was killed
        elif running:
            _say_late(run, draw, draw.choice(running))
    return run


def _work(run: Run, draw: random.Random, trial: int) -> None:
    if run.trials[trial].verdict is not None:
        return
    name = f"checkpoint_{run.trials[trial].iteration + 1:06d}_{run.trials[trial].attempt}"
    value = draw.choice([draw.random(), float("nan"), draw.random()])
    run.report(trial, name if draw.random() < 0.5 else None, draw.choice([0, 0, ev.WAITS_FOR_SCHEDULER]), loss=value)


def _let_go(run: Run, draw: random.Random, trial: int) -> None:
    verdict = run.trials[trial].verdict
    if isinstance(verdict, Pause):
        run.end(trial, draw.choice(["paused", "paused", "crashed", "lost"]), error="gone")
    elif isinstance(verdict, Stop):
        run.end(trial, draw.choice(["stopped", "revoked"]))
    else:
        how = draw.choice(
            ["completed", "errored", "crashed", "lost", "revoked" if run.controller.interrupted else "lost"]
        )
        run.end(trial, how, error="" if how == "completed" else f"ValueError: {trial}")


def _say_late(run: Run, draw: random.Random, trial: int) -> None:
    """Something of an earlier attempt arrives; or a checkpoint is saved on its own."""
    attempt = run.trials[trial].attempt
    iteration = run.trials[trial].iteration
    late = [
        ev.Saved(trial, iteration, f"checkpoint_{iteration:06d}_s{attempt}", attempt=attempt),
        ev.Saved(trial, iteration, "checkpoint_late", attempt=attempt + 7),
        ev.Ended(trial, "completed", run.tick(), attempt=attempt + 7),
        ev.Reported(trial, iteration + 1, run.tick(), 1.0, {"loss": 0.0}, attempt=attempt + 7),
    ]
    run.apply(draw.choice(late))
