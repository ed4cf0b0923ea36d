"""Search spaces: the functions with which a user writes one, and what the rest of the core asks of it."""

from __future__ import annotations

from tune_core.space.domain_functions import (
    choice,
    grid_search,
    lograndint,
    loguniform,
    qlograndint,
    qloguniform,
    qrandint,
    qrandn,
    quniform,
    randint,
    randn,
    sample_from,
    uniform,
)
from tune_core.space.domains import Categorical, Domain, Function
from tune_core.space.numeric import Float, Integer
from tune_core.space.pinning import pin
from tune_core.space.sampling import (
    Compiled,
    compile_space,
    domains,
    flatten,
    generate,
    grid_size,
    has_grid,
    rng_for,
    unflatten,
)
from tune_core.space.serialization import describe, from_json, to_json
from tune_core.space.validation import validate

__all__ = [
    "Categorical",
    "Compiled",
    "Domain",
    "Float",
    "Function",
    "Integer",
    "choice",
    "compile_space",
    "describe",
    "domains",
    "flatten",
    "from_json",
    "generate",
    "grid_search",
    "grid_size",
    "has_grid",
    "lograndint",
    "loguniform",
    "pin",
    "qlograndint",
    "qloguniform",
    "qrandint",
    "qrandn",
    "quniform",
    "randint",
    "randn",
    "rng_for",
    "sample_from",
    "to_json",
    "unflatten",
    "uniform",
    "validate",
]
