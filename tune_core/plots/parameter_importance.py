"""How much each parameter matters: what moves the metric, and what sets the best trials apart."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from random import Random
from typing import Any

from tune_core.core.optional_imports import require
from tune_core.core.values import JsonObject
from tune_core.errors import InvalidArgumentError
from tune_core.plots.basic import need_metric, unnamed
from tune_core.plots.chart import Axis, Chart, Marks, Panel
from tune_core.plots.parameters import Parameter, parameters_of, place_between
from tune_core.results.recording import Recording

LEAST_TRIALS = 10
"""With fewer trials nothing is computed."""
ROOM_PER_PARAMETER = 10
"""With fewer trials a parameter than this, the result is said to be uncertain."""
MAX_TRIALS = 1000
"""Of more trials, a random sample of so many is looked at."""
_FORESTS = 5
_TREES = 64
_REPEATS = 4
_BOOTSTRAPS = 10


@dataclass
class Importance:
    """How much each parameter matters.

    Attributes
    ----------
    question
        What the shares answer, in one sentence.
    shares
        Each parameter's part of the whole, the parts add up to 1; the most important first. Empty with too few trials.
    spread
        Standard deviation of each share, over random forests on other halves of the trials, or over bootstrap
        samples of the trials.
    used, left_out
        How many trials were compared, and how many were not.
    note
        What was compared, and what makes the result uncertain, in words.
    score
        The forest's R² on trials that it has not seen; None for the other method.
    """

    question: str
    shares: dict[str, float] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)
    used: int = 0
    left_out: int = 0
    note: str = ""
    score: float | None = None


@dataclass
class _Compared:
    """Trials whose values can be compared: at the same training, or all trained to their own end."""

    losses: dict[int, float]
    note: str
    left_out: int


def comparable(recording: Recording) -> _Compared:
    """The losses of the trials that can be compared fairly.

    Trials that ran to their own end count with their best value. If a scheduler stopped so many that fewer than
    thirty, or a third, are left, all are compared at the same iteration: the highest one that most have reached.
    """
    sign = -1.0 if recording.mode == "max" else 1.0
    ended = [t for t in recording.trials if recording.outcome(t) == "completed"]
    full = {t.index: sign * v for t in ended if (v := recording.best_value(t)) is not None}
    having = [c for c in recording.courses.values() if len(c.values)]
    early = sum(recording.outcome(t) == "stopped early" for t in recording.trials)
    total = len(recording.trials)
    if not early or (len(full) >= 30 and len(full) >= total / 3):
        left = total - len(full)
        note = f"{len(full)} completed trials" + (f"; {left} others are left out" if left else "")
        return _Compared(full, note, left)
    need = max(LEAST_TRIALS, math.ceil(len(having) * 0.5))
    level = sorted((c.iterations[-1] for c in having), reverse=True)[need - 1] if len(having) >= need else 1
    losses = {}
    for index, course in recording.courses.items():
        at = [v for i, v in zip(course.iterations, course.values) if i <= level and math.isfinite(v)]
        if at and course.iterations[-1] >= level:
            losses[index] = sign * (max(at) if recording.mode == "max" else min(at))
    left = total - len(losses)
    note = f"{len(losses)} trials, compared at iteration {level:g}, because most were stopped early"
    return _Compared(losses, note + (f"; {left} others are left out" if left else ""), left)


def measure(recording: Recording, method: str = "auto", seed: int = 0) -> Importance:
    """How much each parameter of an experiment matters.

    Parameters
    ----------
    recording
        The experiment.
    method
        ``"forest"``: a random forest learns the metric from half of the trials, and a parameter counts by how much
        worse the forest gets on the other half when its values are shuffled (permutation importance; Breiman, 2001).
        Answers what moves the metric. Needs scikit-learn. ``"pedanova"``: how far the parameter's distribution among
        the best trials is from that among all, as Optuna computes it (Watanabe, Bansal and Hutter, 2023). Answers
        what sets the best trials apart. ``"auto"``: the forest where scikit-learn is installed, else the other.
    seed
        Of the forests and samples.

    Raises
    ------
    InvalidArgumentError
        If ``method`` is none of these.
    MissingDependencyError
        If the method's library, scikit-learn or Optuna, is not installed.
    """
    if method not in ("auto", "forest", "pedanova"):
        raise InvalidArgumentError(
            "importance(method)", f"is {method!r}", "it says how to measure", 'Use "auto", "forest" or "pedanova".'
        )
    if method == "auto":
        method = "forest" if find_spec("sklearn") is not None else "pedanova"
    compared = comparable(recording)
    parameters = [p for p in parameters_of(recording) if any(i in p.values for i in compared.losses)]
    if len(compared.losses) > MAX_TRIALS:
        chosen = sorted(Random(seed).sample(sorted(compared.losses), MAX_TRIALS))
        note = f"{compared.note}; of these, a random sample of {MAX_TRIALS}"
        compared = _Compared({i: compared.losses[i] for i in chosen}, note, compared.left_out)
    question = "What moves the metric?" if method == "forest" else "What sets the best trials apart?"
    result = Importance(question, used=len(compared.losses), left_out=compared.left_out, note=compared.note)
    if len(compared.losses) < LEAST_TRIALS or not parameters:
        few = len(compared.losses) < LEAST_TRIALS
        why = f"too few: it takes at least {LEAST_TRIALS}" if few else "no parameter has more than one value"
        result.note = f"{compared.note}; {why}"
        return result
    losses = _told_apart(list(compared.losses.values()))
    if losses is None:
        result.note = f"{compared.note}; their values do not differ, beside the worst ones: nothing to explain"
        return result
    compared = _Compared(dict(zip(compared.losses, losses)), compared.note, compared.left_out)
    raw = _forest(compared, parameters, seed, result) if method == "forest" else _pedanova(compared, parameters, seed)
    _normalise(result, raw)
    if len(compared.losses) < ROOM_PER_PARAMETER * len(parameters):
        result.note += f"; few for {len(parameters)} parameters: the order is uncertain"
    if result.score is not None and result.score < 0.2:
        result.note += f"; the forest explains little (R² {result.score:.2f}): do not rely on this"
    return result


def _normalise(result: Importance, raw: dict[str, list[float]]) -> None:
    """Shares and their spread from repeated measurements, the most important first."""
    rounds = len(next(iter(raw.values())))
    shares: dict[str, list[float]] = {name: [] for name in raw}
    for k in range(rounds):
        total = sum(max(0.0, values[k]) for values in raw.values())
        for name, values in raw.items():
            shares[name].append(max(0.0, values[k]) / total if total > 0 else 0.0)
    means = {name: sum(values) / rounds for name, values in shares.items()}
    whole = sum(means.values())
    for name in sorted(means, key=lambda n: -means[n]):
        mean = means[name]
        deviation = math.sqrt(sum((v - mean) ** 2 for v in shares[name]) / max(1, rounds - 1))
        result.shares[name] = mean / whole if whole > 0 else 0.0
        result.spread[name] = deviation / whole if whole > 0 else 0.0


def _matrix(parameters: Sequence[Parameter], ids: Sequence[int]) -> list[list[float]]:
    """A row a trial: places between 0 and 1, −1 where a conditional parameter does not exist."""
    rows = []
    for i in ids:
        row = []
        for p in parameters:
            value = p.values.get(i)
            row.append(-1.0 if value is None or not math.isfinite(value) else p.unit(value))
        rows.append(row)
    return rows


def _forest(
    compared: _Compared, parameters: Sequence[Parameter], seed: int, result: Importance
) -> dict[str, list[float]]:
    ensemble = require("importance(method='forest')", "sklearn.ensemble", "sklearn")
    inspection = require("importance(method='forest')", "sklearn.inspection", "sklearn")
    np = require("importance(method='forest')", "numpy", "sklearn")
    ids = list(compared.losses)
    x = np.array(_matrix(parameters, ids))
    y = np.array([compared.losses[i] for i in ids])
    raw: dict[str, list[float]] = {p.name: [] for p in parameters}
    scores = []
    for k in range(_FORESTS):
        order = np.random.default_rng(seed + k).permutation(len(ids))
        train, test = order[: len(ids) // 2], order[len(ids) // 2 :]
        forest = ensemble.RandomForestRegressor(_TREES, min_samples_leaf=2, random_state=seed + k, n_jobs=1)
        forest.fit(x[train], y[train])
        scores.append(float(forest.score(x[test], y[test])))
        found = inspection.permutation_importance(
            forest, x[test], y[test], n_repeats=_REPEATS, random_state=seed + k, n_jobs=1
        )
        for p, value in zip(parameters, found.importances_mean):
            raw[p.name].append(float(value))
    result.score = sum(scores) / len(scores)
    return raw


def _told_apart(losses: Sequence[float]) -> list[float] | None:
    """Losses between 0 and 1, with the worst tenth cut off; None if they are the same then.

    Diverged trials would otherwise be all that a forest learns, and numbers whose squares are infinite, or nothing,
    more than it can learn from. The shares do not depend on the losses' scale.
    """
    ranked = sorted(losses)
    at = 0.9 * (len(ranked) - 1)
    low, high = ranked[int(at)], ranked[math.ceil(at)]
    worst = low * (1 - (at - int(at))) + high * (at - int(at))
    best = ranked[0]
    return [min(1.0, place_between(v, best, worst)) for v in losses] if best < worst else None


def _pedanova(compared: _Compared, parameters: Sequence[Parameter], seed: int) -> dict[str, list[float]]:
    """Optuna's PED-ANOVA on all trials, and on bootstrap samples of them for the spread."""
    optuna = require("importance(method='pedanova')", "optuna", "optuna")
    ids = list(compared.losses)
    rng = Random(seed)
    trials = {i: _frozen_trial(optuna, i, compared.losses[i], parameters) for i in ids}
    raw: dict[str, list[float]] = {p.name: [] for p in parameters}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    for k in range(_BOOTSTRAPS):
        sample = ids if k == 0 else [ids[rng.randrange(len(ids))] for _ in ids]
        study = _quiet_study(optuna)
        study.add_trials([trials[i] for i in sample])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # a sample without a difference: equal shares, as is right
                found = evaluator.evaluate(study)
        except (ValueError, RuntimeError):  # a sample without the second value that it needs
            found = {}
        for p in parameters:
            raw[p.name].append(float(found.get(p.name, 0.0)))
    return raw


def _quiet_study(optuna: Any) -> Any:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        return optuna.create_study(direction="minimize")
    finally:
        optuna.logging.set_verbosity(before)


def _frozen_trial(optuna: Any, index: int, loss: float, parameters: Sequence[Parameter]) -> Any:
    params: JsonObject = {}
    distributions: JsonObject = {}
    for p in parameters:
        value = p.values.get(index)
        if value is None or not math.isfinite(value):
            continue
        if p.labels is not None:
            params[p.name] = p.labels[int(value)]
            distributions[p.name] = optuna.distributions.CategoricalDistribution(p.labels)
        else:
            params[p.name] = min(1.0, max(0.0, p.unit(value)))  # it divides by the width, which may be infinite
            distributions[p.name] = optuna.distributions.FloatDistribution(0.0, 1.0)
    return optuna.trial.create_trial(params=params, distributions=distributions, value=loss)


def importance(recordings: Sequence[Recording], method: str, seed: int) -> Chart:
    """How much each parameter matters, with its uncertainty; the note says which trials could be compared."""
    metric = need_metric(recordings[0], "importance")
    methods = [method]
    if method == "auto":
        libraries = {"forest": "sklearn", "pedanova": "optuna"}
        methods = [name for name, library in libraries.items() if find_spec(library) is not None] or ["forest"]
    panels, notes = [], []
    for recording, name in zip(recordings, unnamed(recordings)):
        for one in methods:
            found = measure(recording, one, seed)
            names = list(reversed(found.shares))
            title = found.question + (f" ({name})" if len(recordings) > 1 else "")
            panel = Panel(Axis("share of the importance", range=None), Axis("", labels=names), title=title)
            panel.marks.append(
                Marks(
                    "bars",
                    [found.shares[n] for n in names],
                    [float(i) for i in range(len(names))],
                    "",
                    "accent" if one != "pedanova" else "c2",
                    error=[found.spread[n] for n in names],
                    hover=[f"{n}: {found.shares[n]:.1%} ± {found.spread[n]:.1%}" for n in names],
                    legend=False,
                )
            )
            panels.append(panel)
            if found.note not in notes:
                notes.append(found.note)
    title = f"Importance for {metric}, with standard deviations"
    return Chart("importance", title, panels, ". ".join(notes), len(methods), legend=False)
