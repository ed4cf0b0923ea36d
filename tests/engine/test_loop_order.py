"""The loop journals a decision right behind the event that it follows from, also inside a batch."""

from __future__ import annotations

from types import SimpleNamespace

from tune_core.core import events as ev
from tune_core.core.trial import TERMINATED
from tune_core.engine.controller import Controller
from tune_core.engine.loop import Loop
from tune_core.engine.loop_settings import LoopSettings
from tune_core.engine.observers import Observers
from tune_core.engine.recorded_decisions import PassiveScheduler
from tune_core.engine.rules import Rules
from tune_core.executors.base import RunSpec
from tune_core.schedulers.base import Stop
from tune_core.simulation.result import SimulatedJournal

from .helpers import Scripted


def test_decision_on_a_result_comes_before_the_loss_of_its_worker_in_the_same_batch() -> None:
    controller = Controller(Rules("loss", "min"), Scripted({(0, 1): Stop("too slow")}))
    journal = SimulatedJournal()
    plan = LoopSettings(RunSpec(name="run", folder="", payload=None))
    observers = Observers((), controller.trials, "", lambda text: None)
    nobody, no_searcher = (
        SimpleNamespace(),
        SimpleNamespace(hears_results=False, hears_ends=False, tell=lambda *args: None),
    )
    loop = Loop(controller, nobody, journal, no_searcher, observers, nobody, plan)
    loop.feed(ev.Suggested(0, {}))
    loop.feed(ev.Launched(0, "w", 1.0, 1))

    result = ev.Reported(0, 1, 2.0, 1.0, {"loss": 1.0}, waiting=ev.WAITS_FOR_SCHEDULER)
    loop.take([ev.batch(result, ev.Ended(0, "lost", 3.0, error="gone"))])
    journal.write()

    events = ev.decode_lines(bytes(journal.data))
    assert [type(event) for event in events[2:]] == [ev.Reported, ev.Decided, ev.Ended]
    reader = Controller(controller.rules, PassiveScheduler())
    for event in events:
        reader.apply(event)
    assert reader.trials[0].status is controller.trials[0].status is TERMINATED
