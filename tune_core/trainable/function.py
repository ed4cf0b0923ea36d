"""A function of the configuration as a class, for those who drive it by hand: :func:`wrap_function`."""

from __future__ import annotations

import inspect
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from tune_core.core.objective import DEFAULT_METRIC
from tune_core.core.values import Config, ConfigView, ResultDict
from tune_core.trainable.base import DONE, RESULT_DUPLICATE, Trainable
from tune_core.trainable.protocol import NothingLeft, StopTrial
from tune_core.trainable.scope import entered

if TYPE_CHECKING:
    from tune_core.checkpoint import Checkpoint


class FunctionTrainable(Trainable):
    """A function trainable, driven step by step: each :meth:`train` runs it to its next report.

    The function runs in a thread of its own, one report at a time. :class:`tune_core.Tuner` takes such a class as the
    function that it was made of.
    """

    _function: ClassVar[Callable[[Config], Any]]

    def setup(self, config: Config) -> None:
        """Nothing runs before the first :meth:`train`."""
        self._runner: _Runner | None = None
        self._start: Checkpoint | None = None
        self._latest: Checkpoint | None = None

    def step(self) -> ResultDict:
        """Run to the next report; after the last one, the last result again with ``done``."""
        if self._runner is None:
            self._runner = _Runner(type(self)._function, self.config, self._start)
        metrics = self._runner.next()
        if metrics is None:
            return {**self._last_result, DONE: True, RESULT_DUPLICATE: True}
        self._latest = self._runner.checkpoint or self._latest
        return dict(metrics)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Copy the latest reported checkpoint, if there is one."""
        if self._latest is not None:
            self._latest.to_directory(checkpoint_dir)

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Let the function start from a checkpoint."""
        from tune_core.checkpoint import Checkpoint

        self.cleanup()
        self._start = self._latest = Checkpoint(Checkpoint(checkpoint).to_directory())

    def cleanup(self) -> None:
        """End the function at its next report."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.end()


class _Runner:
    """A function in a thread that waits at each report until it may go on. It is its own session."""

    def __init__(self, function: Callable[..., object], config: Config, start: Checkpoint | None) -> None:
        self._function, self._config, self._start = function, config, start
        self.checkpoint: Checkpoint | None = None
        self.info: Mapping[str, Any] = {"config": config}
        self._may_go_on: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._at_end: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=self._run, name="tune-core-function", daemon=True)
        self._thread.start()

    def next(self) -> ConfigView | None:
        """The next report; None when the function has returned."""
        if not self._thread.is_alive():
            return None
        self._may_go_on.put(True)
        answer = self._results.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]

    def end(self) -> None:
        """Let the function leave at its report."""
        self._may_go_on.put(False)

    def _run(self) -> None:
        if not self._may_go_on.get():
            return
        try:
            with entered(self):
                self._train()
            self._results.put(None)
        except NothingLeft:
            self._results.put(None)
        except StopTrial:  # the function has been asked to stop, and does
            pass
        except BaseException as error:
            self._results.put(error)

    def _train(self) -> None:
        answer = self._function(self._config)
        items = _with_returned(answer) if inspect.isgenerator(answer) else [answer]
        for item in items:
            if item is not None and not isinstance(item, bool):
                self.report(item if isinstance(item, Mapping) else {DEFAULT_METRIC: item}, None)
        while self._at_end:
            self._at_end.pop()()

    # --- the session --------------------------------------------------------------------------------------------------

    def report(self, metrics: Mapping[str, object], checkpoint: Checkpoint | None) -> bool:
        from tune_core.checkpoint import Checkpoint

        self.checkpoint = Checkpoint(checkpoint.to_directory()) if checkpoint is not None else None
        self._results.put(dict(metrics))
        if not self._may_go_on.get():
            raise StopTrial
        return True

    def start_checkpoint(self) -> Checkpoint | None:
        return self._start

    def save(self, checkpoint: Checkpoint, again: bool = False, result: Any = None) -> None:
        from tune_core.checkpoint import Checkpoint

        self.checkpoint = Checkpoint(checkpoint.to_directory())

    def preempted(self) -> bool:
        return False

    def checkpoint_due(self, metrics: Mapping[str, object]) -> bool:
        return False

    def at_end(self, function: Callable[[], None]) -> None:
        self._at_end.append(function)


def _with_returned(generator: Generator[Any, Any, Any]) -> Iterator[Any]:
    """What a generator yields, and then what it returns."""
    yield (yield from generator)


def wrap_function(train_func: Callable[[Config], Any], name: str | None = None) -> type[FunctionTrainable]:
    """A class that runs a function of the configuration: ``wrap_function(f)({"x": 1}).train()``.

    Parameters
    ----------
    train_func
        The function.
    name
        The class's name; None takes the function's.
    """
    from tune_core.trainable import name_of, prepare

    prepared = prepare(train_func)
    body = {"_function": staticmethod(prepared), "__doc__": prepared.__doc__}
    return type(name or name_of(train_func), (FunctionTrainable,), body)
