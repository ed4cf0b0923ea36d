"""Checks the docstrings of the public surface with numpydoc: ``python docs/docstrings.py``.

Every public function says what each parameter means, every public class what its constructor takes, every public method
has a docstring of its own or inherits one. Types stand in the annotations, so numpydoc's rules about types, and those
that ask for further sections, are left out.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator

from numpydoc.validate import validate
from reference import SECTIONS, public_names

RULES = {
    "GL03": "no two blank lines",
    "GL05": "tabs",
    "GL06": "sections that numpydoc knows",
    "GL07": "sections in numpydoc's order",
    "GL08": "a docstring",
    "PR01": "every parameter",
    "PR02": "no parameter that is not there",
    "PR07": "a description of each parameter",
    "RT03": "a description of what is returned",
    "SS01": "a summary",
    "SS02": "a summary with a capital letter",
    "YD01": "what is yielded",
}
MADE_HERE = {
    "Chart", "DistributeResources", "Executor", "Importance", "Lease", "Plots", "Result", "ResultGrid", "RoundResults",
    "RunSpec", "Status", "TrialContext", "TuneContext", "TrialView", "WaitingTrials",
}  # fmt: skip
"""Classes that tune-core makes for its users, and protocols: their constructors are no part of the public surface."""
PASSED_ON = {
    "run": "its further parameters are those of the classes that its docstring names",
    "create_searcher": "its keyword arguments are the searcher's own",
    "ExperimentAnalysis": "two of its parameters are Ray Tune's, accepted and said so in its errors",
    "Trainable": "its keyword arguments are those of the user's setup()",
}
"""Functions and classes whose parameters are told of elsewhere, and why."""


def surface() -> Iterator[tuple[str, bool]]:
    """Where each public function, class and method is defined, and whether its parameters are part of the surface."""
    seen: set[int] = set()
    for _, modules in SECTIONS:
        for module in modules:
            for name in public_names(module):
                thing = getattr(sys.modules[module], name)
                if id(thing) in seen or not (
                    inspect.isclass(thing) or inspect.isfunction(thing)
                ):
                    continue
                seen.add(id(thing))
                home = f"{thing.__module__}.{thing.__qualname__}"
                yield home, name not in MADE_HERE and name not in PASSED_ON
                if inspect.isclass(thing):
                    yield from (
                        (f"{home}.{method}", False) for method in own_methods(thing)
                    )


def own_methods(cls: type) -> Iterator[str]:
    """Public methods that a class defines, without those that inherit a docstring from the class they override."""
    for name, value in vars(cls).items():
        if name.startswith("_") or not (
            inspect.isfunction(value) or isinstance(value, (property, classmethod))
        ):
            continue
        if not any(
            inspect.getdoc(getattr(base, name, None)) for base in cls.__mro__[1:]
        ):
            yield name


def main() -> int:
    """Print what is wrong; the exit status says whether something is."""
    importlib.import_module("tune_core")
    checked, wrong = 0, []
    for path, with_parameters in surface():
        checked += 1
        for code, text in validate(path)["errors"]:
            if code in RULES and (with_parameters or code != "PR01"):
                wrong.append(f"{path}: {code} {text}")
    print("\n".join(wrong))
    left_out = len(MADE_HERE) + len(PASSED_ON)
    print(
        f"{checked} public objects, {len(RULES)} rules, {left_out} exceptions; {len(wrong)} wrong"
    )
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
