"""A function that several processes run together, as one objective."""

from __future__ import annotations

import contextlib
import os
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from tune_core.core.validation import python_values
from tune_core.core.values import Config
from tune_core.distributed import on_ray
from tune_core.distributed.members import Answers, Member
from tune_core.distributed.place import Place, free_port
from tune_core.distributed.processes import RankProcess, work_of
from tune_core.distributed.rank import Outcome
from tune_core.errors import InvalidArgumentError, TrialError
from tune_core.executors.local.handle import module_path_file
from tune_core.trainable import Prepared, name_of, prepare
from tune_core.trainable.protocol import ProcessLost, StopTrial
from tune_core.trainable.resources import DEFAULT_RESOURCES, PlacementGroupFactory, check_resources
from tune_core.trainable.scope import current_scope
from tune_core.trainable.session_remote import serve

END_GRACE_S = 30.0
"""How long the other ranks may go on when rank zero has ended; ``with_workers(end_grace_s=…)`` changes it."""


class Rank(Protocol):
    """One rank that runs somewhere."""

    def end(self) -> None:
        """End it, whatever it does."""

    def close(self) -> None:
        """Give up what was needed for it, once it has ended."""


@python_values
def with_workers(
    trainable: object,
    num_workers: int,
    resources_per_worker: Mapping[str, float] | None = None,
    *,
    placement_strategy: str = "PACK",
    end_grace_s: float = END_GRACE_S,
) -> Prepared:
    """Let several processes train each trial together.

    Each trial runs the function in ``num_workers`` processes, with ``RANK``, ``LOCAL_RANK``, ``WORLD_SIZE``,
    ``LOCAL_WORLD_SIZE``, ``MASTER_ADDR`` and ``MASTER_PORT`` set as ``torchrun`` sets them, so that
    ``torch.distributed.init_process_group()`` and what builds on it need no arguments. On one machine these are child
    processes; on Ray they are placed as one group, on as many nodes as it takes.

    Rank zero reports and saves: its metrics and checkpoints are the trial's. The other ranks may call ``tune.report``
    as well; their k-th report waits for rank zero's k-th and has its answer, so all ranks end behind the same step.
    ``tune.get_checkpoint()`` gives every rank the checkpoint to go on from.

    Parameters
    ----------
    trainable
        A function of the configuration, or one with parameters bound by :func:`tune_core.with_parameters`.
    num_workers
        How many processes; at least 1.
    resources_per_worker
        What each process needs, e.g. ``{"cpu": 2, "gpu": 1}``; one CPU by default. GPUs are counted in whole ones.
    placement_strategy
        On Ray: ``"PACK"``, ``"SPREAD"``, ``"STRICT_PACK"`` or ``"STRICT_SPREAD"``, as in Ray's placement groups.
    end_grace_s
        How many seconds the other ranks may go on when rank zero has ended, before they are ended too.

    Returns
    -------
    Prepared
        A trainable for ``Tuner`` and ``tune.run``.

    Raises
    ------
    InvalidArgumentError
        If the trainable is a class, or a number is out of range.
    ResourceError
        If a worker's resources cannot be had.

    Examples
    --------
    >>> import os, tune_core as tune
    >>> def train(config):
    ...     rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    ...     if rank == 0:
    ...         tune.report({"loss": config["x"] / size})
    >>> objective = tune.with_workers(train, num_workers=2)
    >>> objective.resources.total()
    {'cpu': 2}
    """
    prepared = prepare(trainable)
    if prepared.is_class:
        raise InvalidArgumentError(
            "with_workers(trainable)",
            f"is the class {prepared.__name__}",
            "each rank calls a function; a class's steps are called by the trial's own process",
            f"Write a function that makes a {prepared.__name__} and reports with tune.report.",
        )
    if isinstance(num_workers, bool) or not isinstance(num_workers, int) or num_workers < 1:
        raise InvalidArgumentError(
            "with_workers(num_workers)", f"is {num_workers!r}", "it is a whole number from 1", "Use e.g. num_workers=2."
        )
    if isinstance(end_grace_s, bool) or not isinstance(end_grace_s, (int, float)) or not end_grace_s >= 0:
        raise InvalidArgumentError(
            "with_workers(end_grace_s)", f"is {end_grace_s!r}", "it is a number of seconds from 0", "Use e.g. 30."
        )
    if prepared.resources is not None:
        raise InvalidArgumentError(
            "with_workers(trainable)",
            "has resources of its own",
            "a trial's resources are those of its workers",
            "Leave tune.with_resources out, and use with_workers(resources_per_worker=...).",
        )
    each = dict(DEFAULT_RESOURCES) if resources_per_worker is None else dict(resources_per_worker)
    each = check_resources(each, "with_workers(resources_per_worker)")
    if each.get("gpu", 0) % 1:
        raise InvalidArgumentError(
            "with_workers(resources_per_worker)['gpu']",
            f"is {each['gpu']!r}",
            "processes that train one model together cannot share a GPU",
            "Give each worker whole GPUs, or none.",
        )
    group = WorkerGroup(prepared.trainable, num_workers, end_grace_s, each.get("cpu", 1))
    return Prepared(group, prepared.parameters, PlacementGroupFactory([each] * num_workers, placement_strategy))


class WorkerGroup:
    """A function that several processes run together, called in the trial's own process.

    Parameters
    ----------
    train
        What each rank calls.
    num_workers
        How many ranks there are.
    end_grace_s
        How long the others may go on when rank zero has ended.
    cpus
        CPUs of one rank, for ``OMP_NUM_THREADS``.
    """

    has_resources_of_workers = True
    """Its resources were said worker by worker: ``with_resources`` must not replace them."""

    def __init__(self, train: Any, num_workers: int, end_grace_s: float = END_GRACE_S, cpus: float = 1) -> None:
        self.train = train
        self.num_workers = num_workers
        self.end_grace_s = end_grace_s
        self.cpus = cpus
        self.__name__ = name_of(train)
        self.__doc__ = getattr(train, "__doc__", None)
        self.__wrapped__ = train  # its signature is the objective's

    def __call__(self, config: Config, **parameters: Any) -> Any:
        outcomes: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
        with contextlib.ExitStack() as stack:
            trial = _Trial(self, Prepared(self.train, parameters), config, lambda *ended: outcomes.put(ended), stack)
            stack.callback(trial.end)
            trial.start()
            ended = self._wait(outcomes, trial.answers)
        return self._settle(ended)

    def _wait(self, outcomes: queue.SimpleQueue[tuple[int, Outcome]], answers: Answers) -> dict[int, Outcome]:
        """Wait until all ranks have ended, one has failed, or rank zero has ended and the others take too long."""
        ended: dict[int, Outcome] = {}
        deadline: float | None = None
        while len(ended) < self.num_workers:
            try:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                rank, outcome = outcomes.get(timeout=left)
            except queue.Empty:
                break
            ended[rank] = outcome
            if outcome.how in _FAILED:
                with contextlib.suppress(queue.Empty):  # the first may be a consequence of one that is still to come
                    for _ in range(self.num_workers - len(ended)):
                        rank, outcome = outcomes.get(timeout=_LATER_S)
                        ended[rank] = outcome
                break
            if rank == 0:
                answers.close()
                deadline = time.monotonic() + self.end_grace_s
        return ended

    def _settle(self, ended: Mapping[int, Outcome]) -> Any:
        """What the trial's end is, from how its ranks have ended."""
        zero = ended.get(0)
        failed = [(outcome.at, rank) for rank, outcome in ended.items() if outcome.how in _FAILED]
        if failed and not (zero is not None and zero.how == "stopped"):
            rank = min(failed)[1]
            outcome = ended[rank]
            if outcome.fatal is not None:
                raise outcome.fatal
            text = f"Rank {rank} of {self.num_workers} {'failed: ' if outcome.how == 'raised' else ''}{outcome.error}"
            raise ProcessLost(text) if outcome.how == "lost" else TrialError(text)
        if zero is None or zero.how == "stopped":
            raise StopTrial
        missing = [rank for rank in range(self.num_workers) if rank not in ended]
        if missing:
            print(f"Ranks {missing} still ran {self.end_grace_s:g} s after rank 0 had returned, and were ended.")
        return zero.value


_FAILED = ("raised", "died", "lost")
_LATER_S = 0.3


class _Trial:
    """The ranks of one attempt at a trial, and what they share."""

    def __init__(
        self,
        group: WorkerGroup,
        work: Prepared,
        config: Config,
        ended: Callable[[int, Outcome], None],
        stack: contextlib.ExitStack,
    ) -> None:
        scope = current_scope()
        self.session = scope.session if scope is not None else None
        self.answers = Answers()
        self.ranks: list[Rank] = []
        self._group, self._work, self._config, self._ended, self._stack = group, work, config, ended, stack
        info = self.session.info if self.session is not None else {}
        self._run_id = f"{info.get('experiment_name', 'alone')}_{info.get('trial_id', 'trial')}"
        self._attempt = info.get("attempt", 1)

    def start(self) -> None:
        """Start all ranks: rank zero here, the others here too or in their bundles of the trial's placement group."""
        bundles = on_ray.bundles_of(self._group.num_workers)
        if bundles is None:
            count = self._group.num_workers
            port = free_port()
            places = [Place(rank, count, rank, count, 0, 1, "127.0.0.1", port) for rank in range(count)]
            self._start_here(places)
            return
        self._stack.callback(bundles.end)
        places = bundles.places(free_port())
        for rank in range(1, len(places)):
            environment, address = self._environment(places[rank], host=places[rank].master)
            environment.update(bundles.environment(rank))
            self.ranks.append(bundles.start(rank, self._work, self._config, address, environment, self._ended))
        self._start_here(places[:1], bundles.environment(0))

    def _start_here(self, places: Sequence[Place], devices: Mapping[str, str] = MappingProxyType({})) -> None:
        file, path = work_of(self._work, self._config, self._group.__name__), module_path_file()
        self._stack.callback(os.close, file)
        self._stack.callback(os.close, path)
        for place in places:
            environment, _ = self._environment(place)
            self.ranks.append(RankProcess(place.rank, file, path, {**environment, **devices}, self._ended))

    def _environment(self, place: Place, host: str | None = None) -> tuple[dict[str, str], str]:
        """A rank's environment variables, and where its view of the session is served."""
        address, close = serve(Member(self.session, self.answers, place.rank, place.facts), host)
        self._stack.callback(close)
        threads = max(1, int(self._group.cpus))
        return place.environment(address, self._run_id, self._attempt, threads), address

    def end(self) -> None:
        """End all ranks that still run."""
        self.answers.close()
        for rank in self.ranks:
            rank.end()
        for rank in self.ranks:
            rank.close()
