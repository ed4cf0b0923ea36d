"""Charts of how a run went: rungs and survivors, a population's family tree, the timeline of workers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from tune_core.plots.basic import unnamed
from tune_core.plots.chart import Axis, Chart, Marks, Panel
from tune_core.plots.palette import OUTCOME_COLORS
from tune_core.plots.parameters import Parameter, parameters_of
from tune_core.results.recording import OUTCOMES, Recording, Span, Step, flat_config, is_own_end

MAX_RUNGS = 40
MAX_WORKERS = 200


def rungs(recordings: Sequence[Recording]) -> Chart:
    """How many trials reached each iteration at which the scheduler decided, and how many were stopped there."""
    panels, notes = [], []
    for recording, name in zip(recordings, unnamed(recordings)):
        levels = rung_levels(recording)
        furthest = {t.index: t.best.iteration if t.best else 0 for t in recording.trials}
        for t in recording.trials:
            if t.last is not None:
                furthest[t.index] = max(furthest[t.index], t.last.iteration)
        at_rung = set(levels)
        stops = [s for s in recording.steps if s.do == "stop" and s.iteration in at_rung and not is_own_end(s.why)]
        stopped = Counter(s.iteration for s in stops)
        paused = Counter(s.iteration for s in recording.steps if s.do == "pause" and s.iteration in at_rung)
        reached = [sum(it >= level for it in furthest.values()) for level in levels]
        labels = [f"{level:g}" for level in levels]
        panel = Panel(
            Axis("rung: iterations trained", labels=labels),
            Axis("trials", integer=True),
            title=name if len(recordings) > 1 else "",
        )
        xs = [float(i) for i in range(len(levels))]
        stop = [float(stopped[level]) for level in levels]
        wait = [float(min(paused[level], r - s)) for level, r, s in zip(levels, reached, stop)]
        on = [r - s - w for r, s, w in zip(reached, stop, wait)]
        base = [0.0] * len(levels)
        for values, title, color in (
            (on, "went on or completed", "good"),
            (wait, "paused there at some time", "c6"),
            (stop, "stopped there", "c0"),
        ):
            if any(values):
                top = [b + v for b, v in zip(base, values)]
                texts = [f"{title}: {v:g} of {r}" for v, r in zip(values, reached)]
                panel.marks.append(Marks("columns", xs, top, title, color, y2=base, hover=texts))
                base = top
        panels.append(panel)
        if not levels:
            notes.append(f"{name}: the scheduler has taken no decision at any iteration")
    return Chart("rungs", "Rungs: how many trials came how far, and where they were stopped", panels, ". ".join(notes))


def rung_levels(recording: Recording) -> list[int]:
    """The iterations at which the scheduler decided, in order: at most :data:`MAX_RUNGS`, the busiest ones."""
    decided: Counter[int] = Counter()
    for step in recording.steps:
        if step.do in ("stop", "pause", "continue", "exploit") and step.iteration > 0:
            decided[step.iteration] += 1
    busiest = sorted(decided, key=lambda level: (-decided[level], level))[:MAX_RUNGS]
    return sorted(busiest)


def pbt_lineage(recordings: Sequence[Recording], parameters: Sequence[str] | None) -> Chart:
    """Which trial of a population became a copy of which, and how parameters changed on the way."""
    panels, notes = [], []
    for recording, name in zip(recordings, unnamed(recordings)):
        exploits = [s for s in recording.steps if s.do == "exploit" and s.source is not None]
        members = sorted({t.index for t in recording.trials if t.last is not None})
        of = f" in {name}" * (len(recordings) > 1)
        if not exploits:
            notes.append("no trial became a copy of another" + of)
            panels.append(Panel(title=name if of else ""))
            continue
        notes.append(f"{len(exploits)} copies among {len(members)} trials" + of)
        tree = _family_tree(recording, members, exploits)
        tree.title = f"who became a copy of whom{of}"
        panels += [tree, *_schedules(recording, members, parameters)]
    title = "Family tree of a population, and its changing parameters"
    return Chart("pbt_lineage", title, panels, ". ".join(notes), 1, height=320)


def _family_tree(recording: Recording, members: Sequence[int], exploits: Sequence[Step]) -> Panel:
    tree = Panel(Axis("training_iteration", integer=True), Axis("trial", labels=[f"{index:05d}" for index in members]))
    place = {index: float(k) for k, index in enumerate(members)}
    for index in members:
        at = [0.0, float(_furthest(recording, index))]
        tree.marks.append(Marks("line", at, [place[index]] * 2, "", "muted", ids=[index] * 2, width=1, legend=False))
    xs: list[float] = []
    ys: list[float] = []
    ids: list[int] = []
    known = [s for s in exploits if s.source in place and s.trial in place]
    for step in known:
        xs += [float(step.iteration)] * 2 + [math.nan]
        ys += [place[step.source or 0], place[step.trial], math.nan]
        ids += [step.trial] * 3
    tree.marks.append(Marks("line", xs, ys, "copied to", "best", ids=ids, width=1.4, opacity=0.8))
    tree.marks.append(
        Marks(
            "points",
            [float(s.iteration) for s in known],
            [place[s.trial] for s in known],
            "becomes a copy",
            "best",
            ids=[s.trial for s in known],
            hover=[s.why for s in known],
            size=7,
        )
    )
    return tree


def _furthest(recording: Recording, index: int) -> int:
    trial = recording.trials[index]
    return trial.last.iteration if trial.last is not None else 0


def _schedules(recording: Recording, members: Sequence[int], wanted: Sequence[str] | None) -> list[Panel]:
    """Each parameter that changed, over the iterations of each trial."""
    histories: dict[int, list[tuple[int, dict[str, object]]]] = {
        index: [(0, flat_config(recording.first_configs[index]))] for index in members
    }
    for step in recording.steps:
        if step.do == "exploit" and step.config is not None and step.trial in histories:
            histories[step.trial].append((step.iteration, flat_config(step.config)))
    known = parameters_of(recording, wanted)
    changed = [p for p in known if any(_changes(h, p.name) for h in histories.values())]
    return [_schedule(recording, p, histories) for p in changed[:6]]


def _changes(history: Sequence[tuple[int, dict[str, object]]], name: str) -> bool:
    return len({repr(config.get(name)) for _, config in history}) > 1


def _schedule(
    recording: Recording, parameter: Parameter, histories: dict[int, list[tuple[int, dict[str, object]]]]
) -> Panel:
    values = [c[parameter.name] for h in histories.values() for _, c in h if parameter.name in c]
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    labels = None if numbers else sorted({str(v) for v in values})
    panel = Panel(Axis("training_iteration", integer=True), Axis(parameter.name, parameter.log and numbers, labels))
    best = recording.best_trial()
    for index, history in histories.items():
        points = [(at, c[parameter.name]) for at, c in history if parameter.name in c]
        if not points:
            continue
        xs = [float(at) for at, _ in points] + [float(_furthest(recording, index))]
        ys = [float(v) if labels is None else float(labels.index(str(v))) for _, v in points]  # type: ignore[arg-type]
        is_best = best is not None and best.index == index
        panel.marks.append(
            Marks(
                "steps",
                xs,
                [*ys, ys[-1]],
                f"best: trial {index:05d}" if is_best else "",
                "best" if is_best else "c0",
                ids=[index] * len(xs),
                width=2.2 if is_best else 1.0,
                opacity=1.0 if is_best else 0.45,
                legend=is_best,
            )
        )
    return panel


def timeline(recordings: Sequence[Recording]) -> Chart:
    """Which worker ran which trial when, by what became of the trial, and how many workers were busy."""
    panels, notes = [], []
    for recording, name in zip(recordings, unnamed(recordings)):
        begin = recording.experiment.header.at
        now = recording.experiment.last_at
        spans = [s if s.end is not None else s._replace(end=max(now, s.start)) for s in recording.spans]
        workers = sorted({s.worker for s in spans}, key=_natural)
        if len(workers) > MAX_WORKERS:
            notes.append(f"{MAX_WORKERS} of {len(workers)} workers")
            workers = workers[:MAX_WORKERS]
        place = {worker: float(k) for k, worker in enumerate(workers)}
        panel = Panel(
            Axis("seconds since the start"), Axis("worker", labels=workers), title=name if len(recordings) > 1 else ""
        )
        for outcome in OUTCOMES:
            group = [s for s in spans if s.worker in place and recording.outcome(recording.trials[s.trial]) == outcome]
            if group:
                panel.marks.append(
                    Marks(
                        "spans",
                        [s.start - begin for s in group],
                        [place[s.worker] for s in group],
                        outcome,
                        OUTCOME_COLORS[outcome],
                        x2=[(s.end or s.start) - begin for s in group],
                        ids=[s.trial for s in group],
                    )
                )
        panels += [panel, _utilisation(spans, begin, len(workers))]
        busy = sum((s.end or s.start) - s.start for s in spans)
        total = len(workers) * (now - begin)
        if total > 0:
            notes.append(
                f"workers were busy for {min(1.0, busy / total):.0%} of the time"
                + f" in {name}" * (len(recordings) > 1)
            )
    title = "Timeline: which worker ran what, by what became of the trial"
    return Chart("timeline", title, panels, ". ".join(notes), height=300)


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Key by which ``worker10`` comes after ``worker9``."""
    import re

    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text)]


def _utilisation(spans: Sequence[Span], begin: float, workers: int) -> Panel:
    changes: list[tuple[float, int]] = []
    for span in spans:
        changes += [(span.start - begin, 1), ((span.end or span.start) - begin, -1)]
    changes.sort()
    xs, ys, busy = [0.0], [0.0], 0
    for at, change in changes:
        busy += change
        if xs[-1] == at:
            ys[-1] = float(busy)
        else:
            xs.append(at)
            ys.append(float(busy))
    xs, ys = _thinned(xs, ys)
    panel = Panel(
        Axis("seconds since the start"), Axis("busy workers", integer=True, range=(0.0, max(1, workers) * 1.08))
    )
    panel.marks.append(Marks("steps", xs, ys, "busy workers", "accent", legend=False))
    return panel


def _thinned(xs: list[float], ys: list[float], limit: int = 2000) -> tuple[list[float], list[float]]:
    """Steps as means over equal stretches of time, where there are too many of them."""
    if len(xs) <= limit:
        return xs, ys
    width = xs[-1] / (limit // 4) or 1.0
    sums = [0.0] * (limit // 4 + 1)
    for k in range(len(xs) - 1):
        a, b = xs[k], xs[k + 1]
        while a < b:
            bin_ = min(int(a / width), len(sums) - 1)
            edge = min(b, (bin_ + 1) * width) if bin_ < len(sums) - 1 else b
            if edge <= a:
                edge = b
            sums[bin_] += ys[k] * (edge - a)
            a = edge
    return [k * width for k in range(len(sums) - 1)], [total / width for total in sums[:-1]]
