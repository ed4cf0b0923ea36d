"""Optuna's studies, run by tune-core: trials in parallel processes, journaled and resumable.

``tune_core.compat.optuna`` is the import that scripts change; here is what it changes. A :class:`Study` *is* an
``optuna.Study`` over a real storage of Optuna's: only :meth:`Study.optimize` is ours. So everything that takes a study
takes this one: plots, importances, terminators, dashboards, artifacts.

How a trial runs: the driver asks the study for a trial, as Optuna's own loop does, and sends its number, what the
sampler proposes and its attributes to a worker. There the objective gets a real ``optuna.Trial`` over a small storage
that holds this one trial (:mod:`tune_optuna.trial`). What the trial reports goes to the driver, which asks the study's
pruner; what it ends with (values, parameters, attributes, constraints) is told to the study.
"""

from __future__ import annotations

from tune_optuna.study import Study, create_study, load_study
from tune_optuna.trial import Trial

__all__ = ["Study", "Trial", "create_study", "load_study"]
