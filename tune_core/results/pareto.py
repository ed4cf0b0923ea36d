"""The best compromises between several metrics, and how much of the space of outcomes they dominate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tune_core.core.objective import Objective
from tune_core.errors import InvalidArgumentError


def losses_of(
    results: Sequence[Mapping[str, object]], metric: Sequence[str], mode: str | Sequence[str]
) -> list[tuple[float, ...] | None]:
    """The metrics of each result as losses; None where one of them is missing or not finite.

    Parameters
    ----------
    results
        Reported metrics.
    metric
        Names of the metrics.
    mode
        ``"min"`` or ``"max"`` for all of them, or a list with one for each.
    """
    names = [metric] if isinstance(metric, str) else list(metric)
    modes = [mode] * len(names) if isinstance(mode, str) else list(mode)
    if len(names) != len(modes) or not names:
        raise InvalidArgumentError(
            "pareto_front(metric, mode)",
            f"are {metric!r} and {mode!r}",
            "each metric needs its mode",
            'Use e.g. metric=["loss", "size"], mode=["min", "min"].',
        )
    objectives = [Objective(name, one) for name, one in zip(names, modes, strict=True)]
    found: list[tuple[float, ...] | None] = []
    for result in results:
        losses = tuple(objective.loss(result) for objective in objectives)
        found.append(losses if all(loss != float("inf") for loss in losses) else None)
    return found


def front(losses: Sequence[tuple[float, ...] | None]) -> list[int]:
    """Positions of those that no other one beats in one loss without being worse in another, in their order.

    Of several equal ones all are kept.

    Examples
    --------
    >>> front([(1, 4), (2, 2), (3, 3), None, (4, 1)])
    [0, 1, 4]
    """
    kept: list[int] = []
    candidates = sorted((loss, i) for i, loss in enumerate(losses) if loss is not None)
    chosen: list[tuple[float, ...]] = []
    for loss, i in candidates:  # whoever dominates comes earlier in this order
        if not any(_dominates(other, loss) for other in chosen):
            chosen.append(loss)
            kept.append(i)
    return sorted(kept)


def _dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def hypervolume(losses: Sequence[tuple[float, ...]], reference: Sequence[float]) -> float:
    """Volume of what is dominated by ``losses`` and dominates ``reference``; larger is better.

    Parameters
    ----------
    losses
        Points, the lower the better in each of their values.
    reference
        A point that is worse than all that matter; what does not beat it in each value adds nothing.

    References
    ----------
    While, Bradstreet and Barone, 2012, "A Fast Way of Calculating Exact Hypervolumes" (exclusive volumes, section III).

    Examples
    --------
    >>> hypervolume([(1, 3), (2, 1)], (4, 4))
    7.0
    """
    worst = tuple(map(float, reference))
    for loss in losses:
        if len(loss) != len(worst):
            raise InvalidArgumentError(
                "hypervolume(reference)",
                f"has {len(worst)} values, for points of {len(loss)}",
                "it is a point of the same space",
                "Give it one value for each metric.",
            )
    inside = [tuple(map(float, loss)) for loss in losses if all(a < b for a, b in zip(loss, worst, strict=True))]
    return _volume(sorted({inside[i] for i in front(inside)}), worst)


def hypervolume_of(
    results: Sequence[Mapping[str, object]],
    metric: Sequence[str],
    mode: str | Sequence[str],
    reference: Sequence[float],
) -> float:
    """:func:`hypervolume` of reported metrics; ``reference`` is in the metrics' own signs."""
    names = [metric] if isinstance(metric, str) else list(metric)
    worst = losses_of([dict(zip(names, reference, strict=True))], names, mode)[0]
    if worst is None:
        raise InvalidArgumentError(
            "hypervolume(reference)", f"is {reference!r}", "it has no volume to measure in", "Use finite numbers."
        )
    return hypervolume([losses for losses in losses_of(results, names, mode) if losses is not None], worst)


def _volume(points: list[tuple[float, ...]], worst: tuple[float, ...]) -> float:
    if not points:
        return 0.0
    if len(worst) == 1:
        return worst[0] - min(points)[0]
    total = 0.0
    if len(worst) == 2:
        upper = worst[1]
        for x, y in points:  # sorted by x, so y falls
            total += (worst[0] - x) * max(0.0, upper - y)
            upper = min(upper, y)
        return total
    for i, point in enumerate(points):
        box = 1.0
        for low, high in zip(point, worst, strict=True):
            box *= high - low
        limited = [tuple(map(max, point, other)) for other in points[i + 1 :]]
        total += box - _volume(sorted({limited[k] for k in front(limited)}), worst)
    return total
