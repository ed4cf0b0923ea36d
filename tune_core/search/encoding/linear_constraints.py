"""Linear inequalities as Ax writes them: what they name, and the same ones on encoded parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tune_core.core.near_names import nearest
from tune_core.errors import InvalidArgumentError
from tune_core.search.encoding.params import Param

_EXAMPLE = "Write a linear inequality with <= or >=, for example "


def expressions(asked: str, constraints: Any) -> list[str]:
    """The constraints of an argument.

    Raises
    ------
    InvalidArgumentError
        If it is no list of texts.
    """
    if constraints is None:
        return []
    if not isinstance(constraints, (list, tuple)) or not all(isinstance(one, str) for one in constraints):
        raise InvalidArgumentError(
            asked, f"is {constraints!r}", "it is a list of texts, one for each constraint", 'Use e.g. ["a + b <= 5"].'
        )
    return list(constraints)


def metrics_of(asked: str, constraints: Sequence[str]) -> list[str]:
    """The metrics that outcome constraints are on, as Ax reads them.

    Raises
    ------
    InvalidArgumentError
        If Ax cannot read one, or a run has no use for it.
    """
    from ax.api.utils.instantiation import from_string
    from ax.core.outcome_constraint import OutcomeConstraint

    reader = getattr(from_string, "parse_outcome_constraint", None)  # of early versions
    reader = reader or (lambda text: OutcomeConstraint(expression=text, metric_name_to_signature={}))
    help_ = f'{_EXAMPLE}"size <= 100".'
    names: list[str] = []
    for text in constraints:
        read = _read(asked, text, reader, help_)
        if read.relative:
            raise _refused(asked, text, "it is relative to a baseline, and a run has none", help_)
        if not math.isfinite(read.bound):
            raise _refused(asked, text, "its bound is not finite", help_)
        names += names_in(read)
    return list(dict.fromkeys(names))


def names_in(constraint: Any) -> list[str]:
    """The metrics of an outcome constraint of Ax's."""
    if hasattr(constraint, "metric_names"):
        return list(constraint.metric_names)
    return [metric.name for metric in getattr(constraint, "metrics", None) or [constraint.metric]]


def on_encoded(asked: str, constraints: Sequence[str], params: Sequence[Param], keys: Mapping[str, str]) -> list[str]:
    """Constraints on values that users see, written for what a library has in their place.

    Parameters
    ----------
    asked
        The argument, for errors.
    constraints
        Linear inequalities between the parameters' values.
    params
        The parameters.
    keys
        What the library calls each.

    Raises
    ------
    InvalidArgumentError
        If Ax cannot read one, or it is on something that is not linear in what Ax searches.
    """
    from ax.api.utils.instantiation import from_string
    from ax.core.parameter_constraint import ParameterConstraint

    reader = getattr(from_string, "parse_parameter_constraint", None)  # of early versions
    reader = reader or (lambda text: ParameterConstraint(inequality=text))
    by_name = {param.name: param for param in params}
    possible = ", ".join(repr(name) for name, param in by_name.items() if not _why_not_linear(param))
    help_ = f'{_EXAMPLE}"x1 + x2 <= 2"; it may be on {possible or "none of these parameters"}.'
    written = []
    for text in constraints:
        read = _read(asked, text, reader, help_)
        terms = []
        for name, weight in read.constraint_dict.items():
            if name not in by_name:
                near = nearest(name, by_name)
                meant = f"; is {near!r} meant?" if near else ""
                raise _refused(asked, text, f"{name!r} is no parameter to search{meant}", help_)
            if why := _why_not_linear(by_name[name]):
                raise _refused(asked, text, f"{name!r} is {why}", help_)
            terms.append(f"{weight * _step(by_name[name])!r} * {keys[name]}")
        if not terms or not math.isfinite(read.bound):
            raise _refused(asked, text, "it bounds no parameter", help_)
        written.append(f"{' + '.join(terms)} <= {read.bound!r}")
    return written


def _why_not_linear(param: Param) -> str:
    if param.kind == "cat" or param.condition:
        return "a choice" if param.kind == "cat" else "there under a choice only"
    if param.log:
        return "searched on a log scale"
    return "normally distributed" if getattr(param.domain, "sd", None) is not None else ""


def _step(param: Param) -> float:
    """What one step of the encoded number is in the value that users see."""
    step = getattr(param.domain, "q", None) if param.kind == "int" else None
    return float(step or 1)


def _read(asked: str, text: str, reader: Callable[[str], Any], help_: str) -> Any:
    try:
        return reader(text)
    except Exception as error:  # Ax's own, SymPy's, or of Python's parser
        raise _refused(asked, text, f"Ax cannot read it: {error}", help_) from error


def _refused(asked: str, text: str, why: str, help_: str) -> InvalidArgumentError:
    return InvalidArgumentError(asked, f"holds {text!r}", why, help_)
