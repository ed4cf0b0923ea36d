"""Each chart as a function of experiments, which reads them and draws; and the same as methods of results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tune_core.errors import InvalidArgumentError
from tune_core.plots.chart import Chart
from tune_core.results.recording import Recording, record

if TYPE_CHECKING:
    from tune_core.plots.parameter_importance import Importance


def _recordings(experiments: tuple[Any, ...], what: str, metric: str | None, mode: str | None) -> list[Recording]:
    listed: list[Any] = []
    for one in experiments:
        is_list = isinstance(one, (list, tuple)) and not hasattr(one, "experiment_path")
        listed += list(one) if is_list else [one]
    if not listed:
        raise InvalidArgumentError(
            f"plots.{what}()",
            "was given no experiment",
            "there is nothing to draw",
            "Give a ResultGrid, an ExperimentAnalysis, or an experiment's folder or URL.",
        )
    found = [record(one, metric, mode) for one in listed]
    if what in _COMPARED_BY_METRIC:
        measures = list(dict.fromkeys((one.metric, one.mode) for one in found))
        if len(measures) > 1:
            raise InvalidArgumentError(
                f"plots.{what}(metric)",
                f"would show {' and '.join(f'{m} ({o})' for m, o in measures)} on one axis",
                "the experiments were run for different metrics",
                f'Give one that all have: {what}(..., metric="loss", mode="min").',
            )
    return found


_COMPARED_BY_METRIC = ("history", "learning_curves", "slices", "contour", "parallel_coordinates")


def history(*experiments: Any, metric: str | None = None, mode: str | None = None, log: bool | None = None) -> Chart:
    """Each trial's best value in the order of the trials, and the best so far. Trials without a value are marked.

    Parameters
    ----------
    *experiments
        One or several results, analyses, folders or URLs.
    metric, mode
        What to show; None takes the run's.
    log
        Whether the value's axis is logarithmic; None makes it so where positive values span a factor of 200.

    Examples
    --------
    >>> import tune_core as tune
    >>> from tune_core import plots
    >>> plots.history("~/tune_results/my_experiment").save("history.html")  # doctest: +SKIP
    """
    from tune_core.plots.basic import history as draw

    return draw(_recordings(experiments, "history", metric, mode), log)


def learning_curves(
    *experiments: Any,
    metric: str | None = None,
    mode: str | None = None,
    log: bool | None = None,
    max_curves: int = 1000,
) -> Chart:
    """Each trial's values over its iterations, coloured by what became of the trial.

    Parameters
    ----------
    *experiments
        One or several results, analyses, folders or URLs.
    metric, mode
        What to show; None takes the run's.
    log
        Whether the value's axis is logarithmic; None chooses by the values.
    max_curves
        Most curves of an experiment to draw; beyond that, the best tenth and an even sample of the others. The
        chart's note says so.
    """
    from tune_core.plots.basic import learning_curves as draw

    return draw(_recordings(experiments, "learning_curves", metric, mode), log, max_curves)


def parallel_coordinates(
    *experiments: Any,
    parameters: Sequence[str] | None = None,
    metric: str | None = None,
    mode: str | None = None,
    max_lines: int = 2000,
) -> Chart:
    """One line a trial through all its parameters to its value, bright for the best ones.

    A parameter that a trial does not have (a conditional one) is shown below its axis as "not set".

    Parameters
    ----------
    *experiments
        One or several results, analyses, folders or URLs; each has a panel of its own.
    parameters
        Names of the parameters, nested ones joined by ``/``; None takes all that vary.
    metric, mode
        What to colour by; None takes the run's.
    max_lines
        Most trials to draw; beyond that, an even sample over the values and the best ones.
    """
    from tune_core.plots.spaces import parallel_coordinates as draw

    return draw(_recordings(experiments, "parallel_coordinates", metric, mode), parameters, max_lines)


def importance(
    *experiments: Any, metric: str | None = None, mode: str | None = None, method: str = "auto", seed: int = 0
) -> Chart:
    """How much each parameter matters, with its uncertainty; the note says which trials could be compared.

    Parameters
    ----------
    *experiments
        One or several results, analyses, folders or URLs.
    metric, mode
        What they matter for; None takes the run's.
    method
        ``"forest"`` (what moves the metric; needs scikit-learn), ``"pedanova"`` (what sets the best trials apart;
        needs Optuna), or ``"auto"``: both, of those whose library is installed. :func:`importances` gives the numbers.
    seed
        Of the forests and samples.
    """
    from tune_core.plots.parameter_importance import importance as draw

    return draw(_recordings(experiments, "importance", metric, mode), method, seed)


def importances(
    experiment: Any, *, metric: str | None = None, mode: str | None = None, method: str = "auto", seed: int = 0
) -> Importance:
    """How much each parameter matters for the metric, as numbers.

    Parameters
    ----------
    experiment
        A ``ResultGrid``, an ``ExperimentAnalysis``, or an experiment's folder or URL.
    metric, mode
        What to explain; None takes the run's own.
    method
        ``"forest"`` (a random forest's permutation importance, needs scikit-learn), ``"ped-anova"`` (needs Optuna), or
        ``"auto"``: the forest where scikit-learn is installed, else PED-ANOVA.
    seed
        For the forest; the same seed gives the same numbers.

    Returns
    -------
    Importance
        ``shares`` and their ``spread`` by parameter, how many trials were ``used`` and ``left_out``, and a ``note``.
    """
    from tune_core.plots.parameter_importance import measure

    return measure(_recordings((experiment,), "importances", metric, mode)[0], method, seed)


def slices(
    *experiments: Any,
    parameters: Sequence[str] | None = None,
    metric: str | None = None,
    mode: str | None = None,
    log: bool | None = None,
) -> Chart:
    """The value over each parameter, later trials brighter. Failed trials are ticks at the bottom.

    Parameters
    ----------
    *experiments
        One or several results, analyses, folders or URLs.
    parameters
        Names of the parameters; None takes all that vary.
    metric, mode
        What to show; None takes the run's.
    log
        Whether the value's axis is logarithmic; None chooses by the values.
    """
    from tune_core.plots.spaces import slices as draw

    return draw(_recordings(experiments, "slices", metric, mode), parameters, log)


def contour(
    *experiments: Any,
    pairs: Sequence[tuple[str, str]] | None = None,
    metric: str | None = None,
    mode: str | None = None,
) -> Chart:
    """The value over pairs of parameters: trials as points, and between them a local mean where trials are near.

    Parameters
    ----------
    *experiments
        One or several results, analyses, folders or URLs; each has panels of its own.
    pairs
        Pairs of parameters; None takes those of the three whose ranks go most with the metric's.
    metric, mode
        What to colour by; None takes the run's.
    """
    from tune_core.plots.spaces import contour as draw

    return draw(_recordings(experiments, "contour", metric, mode), pairs)


def pareto(*experiments: Any, metrics: Sequence[str], modes: str | Sequence[str] = "min") -> Chart:
    """Two metrics against each other by the trials' last values, and the trials that no other one beats in both.

    Parameters
    ----------
    *experiments
        One or several results, analyses, folders or URLs.
    metrics
        Two names.
    modes
        ``"min"`` or ``"max"`` for both, or one for each.
    """
    from tune_core.plots.basic import pareto as draw

    return draw(_recordings(experiments, "pareto", None, None), metrics, modes)


def rungs(*experiments: Any) -> Chart:
    """How many trials reached each iteration at which the scheduler decided, and how many were stopped there.

    Parameters
    ----------
    *experiments
        One or several results, analyses, folders or URLs; each has a panel of its own.
    """
    from tune_core.plots.scheduling import rungs as draw

    return draw(_recordings(experiments, "rungs", None, None))


def pbt_lineage(*experiments: Any, parameters: Sequence[str] | None = None) -> Chart:
    """Which trial of a population became a copy of which, and how parameters changed on the way.

    Parameters
    ----------
    *experiments
        One or several results, analyses, folders or URLs; each has panels of its own.
    parameters
        Names of the parameters; None takes all that changed, at most six.
    """
    from tune_core.plots.scheduling import pbt_lineage as draw

    return draw(_recordings(experiments, "pbt_lineage", None, None), parameters)


def timeline(*experiments: Any) -> Chart:
    """Which worker ran which trial when, by what became of the trial, and how many workers were busy.

    Parameters
    ----------
    *experiments
        One or several results, analyses, folders or URLs; each has panels of its own.
    """
    from tune_core.plots.scheduling import timeline as draw

    return draw(_recordings(experiments, "timeline", None, None))


class Plots:
    """The functions of :mod:`tune_core.plots` as methods of one experiment's results: ``results.plot.history()``.

    Further experiments to compare with may be given: ``results.plot.history(other_results)``.
    """

    def __init__(self, results: Any) -> None:
        self._results = results

    def __getattr__(self, name: str) -> Callable[..., Chart]:
        if name not in self.__dir__():
            raise AttributeError(f"there is no plot {name!r}; there are {', '.join(self.__dir__())}")
        function: Callable[..., Chart] = globals()[name]

        def plot(*others: Any, **options: Any) -> Chart:
            return function(self._results, *others, **options)

        plot.__name__, plot.__doc__ = name, function.__doc__
        return plot

    def __dir__(self) -> list[str]:
        drawing = (name for name, made in globals().items() if getattr(made, "__module__", "") == __name__)
        return sorted(name for name in drawing if name[0].islower() and name != "importances")

    def __repr__(self) -> str:
        return f"plots of {self._results.experiment_path}: {', '.join(self.__dir__())}"
