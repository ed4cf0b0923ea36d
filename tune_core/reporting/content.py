"""What a report says about an experiment, before it is laid out."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tune_core.core.events import error_line
from tune_core.core.trial import ERROR, Trial
from tune_core.core.values import JsonObject
from tune_core.display.formatting import duration_text, value_text
from tune_core.results.recording import OUTCOMES, Recording, flat_config

MAX_REASONS = 30
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


@dataclass
class Best:
    """The best trial."""

    trial: Trial
    value: float
    iteration: int


def utc_text(at: float) -> str:
    """A moment in universal time, the same on each machine: ``2026-01-31 17:05:09 UTC``."""
    moment = datetime.datetime.fromtimestamp(at, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def state_text(recording: Recording) -> str:
    """How the run stands, as its journal tells it."""
    experiment = recording.experiment
    if experiment.finished is None:
        return "not finished when this was written"
    if experiment.interrupted is not None:
        return f"interrupted: {experiment.interrupted}"
    return "finished" if experiment.finished == "all trials have ended" else f"finished: {experiment.finished}"


def counts_text(recording: Recording) -> str:
    """How many trials came to which end: ``97 completed, 3 failed``."""
    counts = Counter(recording.outcome(trial) for trial in recording.trials)
    return ", ".join(f"{counts[name]} {name}" for name in OUTCOMES if counts[name]) or "no trials"


def facts(recording: Recording) -> list[tuple[str, str]]:
    """The run in a few lines."""
    experiment = recording.experiment
    header = experiment.header
    metric = f"{recording.metric} ({recording.mode})" if recording.metric and recording.mode else recording.metric
    pairs = [
        ("State", state_text(recording)),
        ("Trials", f"{len(recording.trials)}: {counts_text(recording)}"),
        ("Results", f"{experiment.reports}"),
        ("Metric", metric or "none"),
        ("Started", utc_text(header.at)),
        ("Took", duration_text(experiment.total_time_s)),
        ("Trainable", header.trainable or "?"),
        ("Search", header.searcher or "?"),
        ("Scheduler", header.scheduler or "?"),
    ]
    return pairs


def best_of(recording: Recording) -> Best | None:
    """The best trial by the metric, with the iteration of its best value."""
    trial = recording.best_trial()
    value = recording.best_value(trial) if trial is not None else None
    if trial is None or value is None:
        return None
    course = recording.courses[trial.index]
    at = next(i for i, v in zip(course.iterations, course.values) if v == value)
    return Best(trial, value, int(at))


def best_config(trial: Trial) -> dict[str, str]:
    """The configuration as Python, JSON and YAML."""
    plain = _plain(trial.config)
    return {
        "Python": f"config = {_python(plain)}",
        "JSON": json.dumps(_finite(plain), indent=2, ensure_ascii=False, default=str),
        "YAML": "\n".join(_yaml(plain)) or "{}",
    }


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(child) for child in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(child) for key, child in value.items()}
    return [_finite(child) for child in value] if isinstance(value, list) else value


def _python(value: object, indent: int = 0) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, dict) and value:
        pad = "    " * (indent + 1)
        lines = "".join(f"{pad}{key!r}: {_python(child, indent + 1)},\n" for key, child in value.items())
        return f"{{\n{lines}{'    ' * indent}}}"
    if isinstance(value, list):
        return f"[{', '.join(_python(child, indent) for child in value)}]"
    return repr(value)


def _yaml(value: Any, indent: int = 0) -> list[str]:
    lines = []
    for key, child in value.items():
        name = f"{'  ' * indent}{json.dumps(key, ensure_ascii=False) if _needs_quotes(key) else key}:"
        if isinstance(child, dict) and child:
            lines += [name, *_yaml(child, indent + 1)]
        else:
            lines.append(f"{name} {_yaml_scalar(child)}")
    return lines


def _needs_quotes(key: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][\w/.-]*", key) is None or key.lower() in (
        "null",
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
    )


def _yaml_scalar(value: object) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            return {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}[str(value)]
        text = repr(value)  # YAML 1.1 takes 1e-05 for a string: it wants a point
        return text if "." in text or "e" not in text else text.replace("e", ".0e", 1)
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml_scalar, value))}]"
    return json.dumps(value, ensure_ascii=False)


def reasons(recording: Recording) -> list[tuple[int, str]]:
    """Why trials ended: reasons that differ in numbers only are one, the most frequent first."""
    groups: dict[str, list[str]] = {}
    for trial in recording.trials:
        text = reason_of(recording, trial)
        if text:
            groups.setdefault(_NUMBER.sub("…", text), []).append(text)
    ranked = sorted(groups.values(), key=lambda texts: -len(texts))
    found = [(len(texts), texts[0] if len(set(texts)) == 1 else f"e.g. {texts[0]}") for texts in ranked[:MAX_REASONS]]
    rest = sum(map(len, ranked[MAX_REASONS:]))
    return found + ([(rest, "other reasons")] if rest else [])


def reason_of(recording: Recording, trial: Trial) -> str:
    """Why a trial ended or waits, in one line."""
    if trial.status is ERROR:
        return error_line(trial.error or trial.reason or "")
    outcome = recording.outcome(trial)
    return " ".join((trial.reason or ("the objective returned" if outcome == "completed" else "")).split())


def environment(recording: Recording) -> list[tuple[str, str]]:
    """Where and with what the run was made, as far as its journal tells."""
    header = recording.experiment.header
    known: Mapping[str, Any] = header.settings.get("environment") or {}
    pairs = [("tune-core", header.version), ("Seed", str(header.seed))]
    for name in ("python", "platform", "machine", "cpus", "git"):
        if known.get(name):
            title = {"python": "Python", "git": "Git revision", "cpus": "CPUs"}.get(name, name.capitalize())
            pairs.append((title, str(known[name])))
    packages = known.get("packages") or {}
    pairs += [(name, str(version)) for name, version in sorted(packages.items())]
    capacity = header.settings.get("capacity") or {}
    if capacity:
        pairs.append(("Resources", ", ".join(f"{name} {value:g}" for name, value in sorted(capacity.items()))))
    return pairs


def failures(recording: Recording, limit: int) -> list[tuple[Trial, str, str]]:
    """The failed trials, at most ``limit``: each with its error in one line and in full, with its last output."""
    failed = [trial for trial in recording.trials if trial.status is ERROR][:limit]
    return [
        (t, error_line(t.error or t.reason or "no error was recorded"), _cut(t.error or t.reason or "")) for t in failed
    ]


def _cut(text: str, limit: int = 6000) -> str:
    return text if len(text) <= limit else f"{text[: limit // 2]}\n…\n{text[-limit // 2 :]}"


def story(recording: Recording) -> dict[int, list[str]]:
    """Each trial's decisions, as lines."""
    lines: dict[int, list[str]] = {}
    for step in recording.steps:
        do = f"{step.do} {step.source:05d}" if step.source is not None else step.do
        lines.setdefault(step.trial, []).append(f"iteration {step.iteration}: {do}: {step.why}")
    return lines


def metric_names(recording: Recording, limit: int = 6) -> list[str]:
    """Names of the numbers to show for each trial beside the metric."""
    return [name for name in recording.reported if name != recording.metric][:limit]


def config_cells(trial: Trial) -> JsonObject:
    """A trial's configuration, flat; numbers stay numbers, all else is text."""
    cells: dict[str, object] = {}
    for name, value in flat_config(trial.config).items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        cells[name] = value if number else value_text(value, 40)
    return cells
