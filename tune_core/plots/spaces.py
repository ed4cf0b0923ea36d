"""Charts of the search space: parallel coordinates, slices, contours."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tune_core.errors import InvalidArgumentError
from tune_core.plots.basic import log_fits, need_metric, unnamed
from tune_core.plots.chart import Axis, Chart, Marks, Panel, Scale, Text
from tune_core.plots.parameters import Parameter, apart, parameters_of, place_between
from tune_core.results.recording import Recording

MAX_LINES = 2000
SHADES = 12
_MISSING = -0.12  # where a parallel axis shows trials that lack the parameter
_GRID = 30
_MAX_KERNEL_POINTS = 600


def scale_of(recording: Recording) -> Scale:
    """The colour scale of the metric: its middle ninety percent, bright for good."""
    values = sorted(v for t in recording.trials if (v := recording.best_value(t)) is not None)
    metric = recording.metric or ""
    if not values:
        return Scale(metric, 0.0, 1.0)
    worst = values[int(0.9 * (len(values) - 1))] if recording.mode == "min" else values[int(0.1 * (len(values) - 1))]
    low, high = (values[0], worst) if recording.mode == "min" else (worst, values[-1])
    if low == high:
        low, high = apart(values[0], values[-1], 0.0, 1.0)
        if low == high:  # the largest number that there is
            low = values[0] / 2
    return Scale(metric, low, high, log_fits([low, high]), reverse=recording.mode == "min")


def on_scale(scale: Scale, value: float) -> float:
    """A value's place on the scale, 0 to 1, 1 the best."""
    at = min(1.0, max(0.0, place_between(value, scale.low, scale.high, scale.log and value > 0)))
    return 1.0 - at if scale.reverse else at


def _need_parameters(recording: Recording, wanted: Sequence[str] | None, what: str) -> list[Parameter]:
    found = parameters_of(recording, wanted)
    unknown = [name for name in wanted or () if name not in {p.name for p in found}]
    if unknown:
        known = [p.name for p in parameters_of(recording)]
        raise InvalidArgumentError(
            f"plots.{what}(parameters)",
            f"names {unknown[0]!r}",
            f"the trials' parameters are {', '.join(known) or 'none that vary'}",
            "Use these names; nested ones are joined by '/'.",
        )
    return found


def parallel_coordinates(
    recordings: Sequence[Recording], parameters: Sequence[str] | None, max_lines: int = MAX_LINES
) -> Chart:
    """One line a trial through all its parameters to its value, bright for the best ones."""
    metric = need_metric(recordings[0], "parallel_coordinates")
    panels, notes = [], []
    for recording, name in zip(recordings, unnamed(recordings)):
        found = _need_parameters(recording, parameters, "parallel_coordinates")
        value = Parameter(metric, False, None, _values(recording))
        value.log = log_fits(list(value.values.values()))
        panel, note = _parallel_panel(recording, [*found, value], max_lines)
        panel.title = name if len(recordings) > 1 else ""
        panels.append(panel)
        notes += [note] if note else []
        if not found:
            notes.append("no parameter has more than one value")
    scale = scale_of(recordings[0])
    title = f"Parallel coordinates, coloured by {metric}"
    return Chart("parallel_coordinates", title, panels, ". ".join(notes), scale=scale, legend=False)


def _values(recording: Recording) -> dict[int, float]:
    return {t.index: v for t in recording.trials if (v := recording.best_value(t)) is not None}


def _parallel_panel(recording: Recording, axes: list[Parameter], max_lines: int) -> tuple[Panel, str]:
    scale = scale_of(recording)
    ranked = sorted(axes[-1].values, key=lambda i: on_scale(scale, axes[-1].values[i]))  # the best are drawn last
    notes = []
    if len(ranked) > max_lines:
        step = math.ceil(len(ranked) / max_lines)
        top = ranked[-max_lines // 10 :]
        notes.append(f"every {step}th of {len(ranked)} trials, and the best {len(top)}")
        ranked = list(dict.fromkeys([*ranked[::step], *top]))
    failed = [t.index for t in recording.trials if t.index not in axes[-1].values and recording.outcome(t) == "failed"]
    groups: dict[float | str, list[int]] = {"bad": failed} if failed else {}
    for index in ranked:
        shade: float | str = min(SHADES - 1, int(on_scale(scale, axes[-1].values[index]) * SHADES)) / (SHADES - 1)
        groups.setdefault(shade, []).append(index)
    panel = Panel(Axis(hidden=True, range=(-0.35, len(axes) - 0.65)), Axis(hidden=True, range=(-0.26, 1.16)))
    panel.rules = [float(i) for i in range(len(axes))]
    for color, indexes in groups.items():
        xs, ys, ids = _polylines(indexes, axes)
        name = "failed" if color == "bad" else ""
        opacity = 0.85 if len(ranked) < 300 else 0.5
        panel.marks.append(Marks("line", xs, ys, name, color, ids=ids, width=1.0, opacity=opacity, legend=bool(name)))
    for at, axis in enumerate(axes):
        panel.texts += _axis_texts(float(at), axis)
        if any(index not in axis.values for indexes in groups.values() for index in indexes):
            panel.texts.append(Text(float(at), _MISSING, "not set" if at < len(axes) - 1 else "no value", "left"))
    return panel, ". ".join(notes)


def _polylines(indexes: Sequence[int], axes: Sequence[Parameter]) -> tuple[list[float], list[float], list[int]]:
    xs: list[float] = []
    ys: list[float] = []
    ids: list[int] = []
    for index in indexes:
        for at, axis in enumerate(axes):
            value = axis.values.get(index)
            xs.append(float(at))
            ys.append(_MISSING if value is None or not math.isfinite(value) else axis.unit(value))
            ids.append(index)
        xs.append(math.nan)
        ys.append(math.nan)
        ids.append(index)
    return xs[:-1], ys[:-1], ids[:-1]


def _axis_texts(at: float, axis: Parameter) -> list[Text]:
    name = axis.name if len(axis.name) <= 18 else f"…{axis.name[-17:]}"
    texts = [Text(at, 1.1, name + (" (log)" if axis.log else ""), above=True)]
    if axis.labels is not None:
        step = math.ceil(len(axis.labels) / 12)
        for k in range(0, len(axis.labels), step):
            texts.append(Text(at, axis.unit(float(k)), axis.labels[k][:14], "left"))
    elif axis.values:
        low, high = axis.bounds()
        middle = math.sqrt(low) * math.sqrt(high) if axis.log and low > 0 else low / 2 + high / 2
        texts += [Text(at, axis.unit(v), axis.text(v), "left") for v in (low, middle, high)]
    return texts


def slices(recordings: Sequence[Recording], parameters: Sequence[str] | None, log: bool | None) -> Chart:
    """The value over each parameter, later trials brighter."""
    metric = need_metric(recordings[0], "slices")
    several = len(recordings) > 1
    found = [_need_parameters(r, parameters, "slices") for r in recordings]
    names = list(dict.fromkeys(p.name for one in found for p in one))
    every = [v for r in recordings for v in _values(r).values()]
    y_log = log_fits(every) if log is None else log and all(v > 0 for v in every)
    panels = []
    for name in names:
        panel = Panel(Axis(name), Axis(metric, y_log))
        mine = [(r, next((p for p in one if p.name == name), None)) for r, one in zip(recordings, found)]
        labels = _common_labels([p for _, p in mine if p is not None])
        for position, (recording, parameter) in enumerate(mine):
            if parameter is None:
                continue
            values = _values(recording)
            ids = [i for i in parameter.values if i in values]
            xs = [_place(parameter, parameter.values[i], labels) for i in ids]
            if labels is not None:
                xs = [x + _jitter(i) for x, i in zip(xs, ids)]
            title = unnamed(recordings)[position] if several else ""
            shown = None if several else [float(i) for i in ids]
            panel.marks.append(
                Marks(
                    "points",
                    xs,
                    [values[i] for i in ids],
                    title,
                    f"c{position % 8}",
                    values=shown,
                    ids=ids,
                    opacity=0.8,
                    legend=several,
                )
            )
            failed = [t.index for t in recording.trials
                      if recording.outcome(t) == "failed" and t.index not in values]  # fmt: skip
            bad = [i for i in failed if i in parameter.values]
            if bad:
                rug = [_place(parameter, parameter.values[i], labels) for i in bad]
                panel.marks.append(Marks("rug", rug, [], "failed", "bad", ids=bad, legend=False))
            panel.x.log = panel.x.log or parameter.log
        panel.x.labels = labels
        panels.append(panel)
    last = max((t.index for r in recordings for t in r.trials), default=1)
    scale = None if several else Scale("trial", 0.0, float(max(1, last)))
    note = "" if panels else "no parameter has more than one value"
    title = f"{metric} over each parameter"
    return Chart("slices", title, panels or [Panel()], note, min(3, max(1, len(panels))), scale, 300, several)


def _common_labels(parameters: Sequence[Parameter]) -> list[str] | None:
    if not any(p.is_category for p in parameters):
        return None
    return list(dict.fromkeys(label for p in parameters for label in p.labels or ()))


def _place(parameter: Parameter, value: float, labels: list[str] | None) -> float:
    if labels is None:
        return value
    text = parameter.text(value)
    return float(labels.index(text)) if text in labels else math.nan


def _jitter(index: int) -> float:
    """A small sideways step, always the same for a trial, so that equal categories do not hide each other."""
    return ((index * 2654435761) % 1000 / 1000 - 0.5) * 0.5


def contour(recordings: Sequence[Recording], pairs: Sequence[tuple[str, str]] | None) -> Chart:
    """The value over pairs of parameters: trials as points, and between them a local mean where trials are near."""
    metric = need_metric(recordings[0], "contour")
    scale = scale_of(recordings[0])
    panels = []
    for recording, name in zip(recordings, unnamed(recordings)):
        for one, two in _most_telling_pairs(recording) if pairs is None else pairs:
            a, b = _need_parameters(recording, [one, two], "contour")
            panels.append(_contour_panel(recording, a, b))
            panels[-1].title = name if len(recordings) > 1 else ""
    note = "Colours between the points are a local mean of the metric, drawn only near trials"
    if not panels:
        note = "it takes two parameters with more than one value"
    title = f"{metric} over pairs of parameters"
    return Chart("contour", title, panels or [Panel()], note, min(3, max(1, len(panels))), scale, 340, False)


def _most_telling_pairs(recording: Recording) -> list[tuple[str, str]]:
    """The pairs among the three parameters whose ranks go most with the metric's."""
    values = _values(recording)
    parameters = parameters_of(recording)
    ranked = sorted(parameters, key=lambda p: -abs(_rank_correlation(p, values)))[:3]
    chosen = [p.name for p in parameters if p in ranked]
    return [(chosen[i], chosen[j]) for i in range(len(chosen)) for j in range(i + 1, len(chosen))]


def _rank_correlation(parameter: Parameter, values: dict[int, float]) -> float:
    ids = [i for i in parameter.values if i in values]
    if len(ids) < 3:
        return 0.0
    a, b = (_ranks([source[i] for i in ids]) for source in (parameter.values, values))
    mean = (len(ids) - 1) / 2
    top = sum((x - mean) * (y - mean) for x, y in zip(a, b))
    size = math.sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))
    return top / size if size else 0.0


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    at = 0
    while at < len(order):
        end = at
        while end + 1 < len(order) and values[order[end + 1]] == values[order[at]]:
            end += 1
        for k in range(at, end + 1):
            ranks[order[k]] = (at + end) / 2
        at = end + 1
    return ranks


def _contour_panel(recording: Recording, a: Parameter, b: Parameter) -> Panel:
    values = _values(recording)
    ids = [i for i in a.values if i in b.values and i in values]
    panel = Panel(Axis(a.name, a.log, a.labels), Axis(b.name, b.log, b.labels))
    if len(ids) >= 3 and not (a.is_category or b.is_category):
        panel.marks.append(_kernel_mean(a, b, ids, values))
    points = Marks(
        "points",
        [a.values[i] for i in ids],
        [b.values[i] for i in ids],
        "trials",
        "c0",
        values=[values[i] for i in ids],
        ids=ids,
        size=5,
        legend=False,
    )
    if a.is_category:
        points.x = [x + _jitter(i) for x, i in zip(points.x, ids)]
    if b.is_category:
        points.y = [y + _jitter(i * 7 + 1) for y, i in zip(points.y, ids)]
    panel.marks.append(points)
    return panel


def _kernel_mean(a: Parameter, b: Parameter, ids: Sequence[int], values: dict[int, float]) -> Marks:
    """A Gaussian-kernel mean (Nadaraya and Watson, 1964) on a grid; NaN where no trial is near."""
    ids = ids[:: math.ceil(len(ids) / _MAX_KERNEL_POINTS)]
    points = [(a.unit(a.values[i]), b.unit(b.values[i]), values[i]) for i in ids]
    width = max(0.04, 0.35 / math.sqrt(len(points)))
    places = [(k + 0.5) / _GRID for k in range(_GRID)]
    largest = max(abs(z) for _, _, z in points)
    unit = largest if largest > 1e300 else 1.0  # a sum of such would be infinite
    cells: list[float] = []
    for v in places:
        rows = [(u, (v - y) ** 2, z) for u, y, z in points]
        for u in places:
            total = weight = 0.0
            for x, dy, z in rows:
                distance = ((u - x) ** 2 + dy) / (2 * width * width)
                if distance < 12:
                    w = math.exp(-distance)
                    weight += w
                    total += w * (z / unit)
            cells.append(total / weight * unit if weight > 0.2 else math.nan)
    return Marks(
        "heat",
        [_back(a, u) for u in places],
        [_back(b, v) for v in places],
        "",
        "c0",
        values=cells,
        opacity=0.75,
        legend=False,
    )


def _back(parameter: Parameter, unit: float) -> float:
    low, high = parameter.bounds()
    if parameter.log and low > 0:
        return math.exp(math.log(low) + unit * (math.log(high) - math.log(low)))
    return low * (1 - unit) + high * unit
