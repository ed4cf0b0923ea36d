"""Report a framework's metrics, and keep its checkpoints: which metrics, at which hooks, in which process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tune_core.checkpoint import Checkpoint
from tune_core.core.validation import python_value
from tune_core.errors import InvalidArgumentError, MissingMetricError
from tune_core.integration.resuming import start_metadata
from tune_core.trainable.session import draft, get_context, in_session, report
from tune_core.trainable.session import save as _save

if TYPE_CHECKING:
    from tune_core.integration import Metrics


def choose_metrics(
    metrics: Metrics, available: Mapping[str, object], who: str, *, those_there: bool = False
) -> dict[str, Any]:
    """Those of the ``available`` metrics that were asked for, under the names to report them by.

    Parameters
    ----------
    metrics
        None for all, a name, a list of names, or a dict from the name to report to the framework's own.
    available
        What the framework has, by its own names.
    who
        The callback, for the error.
    those_there
        Leave out those that are not available, e.g. since they are computed at another time.

    Raises
    ------
    MissingMetricError
        If one that was asked for isn't there; lists those that are.

    Examples
    --------
    >>> choose_metrics({"loss": "valid-rmse"}, {"valid-rmse": 0.5, "train-rmse": 0.4}, "TuneReportCallback")
    {'loss': 0.5}
    """
    if metrics is None:
        return dict(available)
    if isinstance(metrics, str):
        metrics = [metrics]
    wanted = metrics if isinstance(metrics, Mapping) else {name: name for name in metrics}
    chosen = {}
    for name, key in wanted.items():
        if key not in available:
            if those_there:
                continue
            raise _missing(key, available, who)
        chosen[name] = available[key]
    return chosen


def _missing(key: str, available: Mapping[str, object], who: str) -> MissingMetricError:
    there = ", ".join(sorted(map(repr, available))) or "none at all"
    return MissingMetricError(
        f"{who}(metrics)",
        f"names {key!r}, and the training has {there}",
        "the framework did not compute a metric of that name",
        "Use one of these names, or metrics=None to report them all."
        if available
        else "Give the training something to evaluate on, and a metric.",
    )


def check_count(who: str, name: str, value: object) -> None:
    """Raise unless ``value`` counts something.

    Parameters
    ----------
    who, name
        The function and its parameter, for the error's text.
    value
        What was given; an integer from 0 is right.

    Raises
    ------
    InvalidArgumentError
        If it is anything else.
    """
    count = python_value(value)
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise InvalidArgumentError(
            f"{who}({name})",
            f"is {value!r}",
            "it is the number of iterations from one to the next, 0 for never",
            "Use an integer from 0.",
        )


def check_hooks(who: str, on: str | Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The hooks to report on, as a tuple of names without a leading ``on_``.

    Parameters
    ----------
    who
        The callback's name, for the error's text.
    on
        A hook's name or several, each with or without ``on_``.
    known
        The hooks that there are, without ``on_``.

    Raises
    ------
    InvalidArgumentError
        If one is not in ``known``.
    """
    hooks = tuple(hook.removeprefix("on_") for hook in ([on] if isinstance(on, str) else on))
    for hook in hooks:
        if hook not in known:
            raise InvalidArgumentError(
                f"{who}(on)",
                f"names the hook {hook!r}",
                "the framework has no such hook, or none that results can be reported on",
                f"Use one or more of {', '.join(known)}.",
            )
    return hooks


def report_metrics(
    metrics: Mapping[str, object],
    write: Callable[[str], object] | None = None,
    metadata: Mapping[str, object] | None = None,
) -> bool:
    """Report a result, and a checkpoint with it.

    Parameters
    ----------
    metrics
        The result.
    write
        Writes the checkpoint's files into the folder that it is given; None for no checkpoint. Of several ranks that
        train one model (:func:`tune_core.with_workers`) only rank zero's is called.
    metadata
        Kept in the checkpoint for :func:`start`: JSON values.

    Returns
    -------
    bool
        False if the training is to end now, by the framework's own means.
    """
    if write is None or not _keeps_checkpoints():
        return report(metrics, raise_on_stop=False)
    with draft() as folder:
        return report(metrics, _written(folder, write, metadata), raise_on_stop=False)


def save_checkpoint(
    write: Callable[[str], object],
    metadata: Mapping[str, object] | None = None,
    *,
    again: bool = False,
    result: tuple[int, Mapping[str, Any]] | None = None,
) -> None:
    """Keep a checkpoint with a result that was reported before.

    Parameters
    ----------
    write, metadata
        See :func:`report_metrics`.
    again
        Keep it even if the last result has a checkpoint already.
    result
        Iteration and metrics of the result whose model this is; None: the last result.
    """
    if in_session() and _keeps_checkpoints():
        with draft() as folder:
            _save(_written(folder, write, metadata), again, result)


def _keeps_checkpoints() -> bool:
    """Whether this process is the one whose model is the trial's: all ranks have the same."""
    return get_context().get_world_rank() == 0


def _written(folder: str, write: Callable[[str], object], metadata: Mapping[str, object] | None) -> Checkpoint:
    write(folder)
    checkpoint = Checkpoint.from_directory(folder)
    checkpoint.set_metadata(start_metadata(metadata))
    return checkpoint


@dataclass
class RoundResults:
    """The results that boosting rounds were reported with, so that a model can be kept with the one that it has.

    Early stopping cuts a model back to its best round when the training ends, long after that round was reported.
    """

    _by_round: dict[int, tuple[int, Mapping[str, object]]] = field(default_factory=dict)

    def note(self, rounds: int, results: Mapping[str, object]) -> None:
        """The last report was of a model of so many rounds."""
        self._by_round[rounds] = (get_context().get_iteration(), results)

    def of(self, rounds: int) -> tuple[int, Mapping[str, Any]] | None:
        """Iteration and metrics of the result of a model of so many rounds; None if there is none."""
        return self._by_round.get(rounds)
