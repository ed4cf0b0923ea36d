"""Imports point one way, and importing the core loads nothing that is optional."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

import pytest
from imports import ROOT, Import, imports_of, is_under, modules

CORE = modules(ROOT, "tune_core")
KNOWN = frozenset(CORE)
CORE_IMPORTS = [found for name, path in CORE.items() for found in imports_of(name, path, KNOWN)]
INTEGRATIONS = modules(ROOT / "integrations")

ALLOWED_AT_IMPORT = {*sys.stdlib_module_names, "tune_core", "msgspec", "cloudpickle", "fsspec", "sortedcontainers"}
TESTING_ALSO = {"pytest", "hypothesis"}  # tune_core.testing is for test suites

FOUNDATION = ["errors", "objective", "space", "engine.events", "trial", "_version"]
PLUGINS = ["schedulers", "search", "executors", "storage", "stopper", "session"]
FACE = ["tuner", "cli", "progress", "view", "results", "analysis", "records", "export", "plots", "demo"]
RUNNING_PARTS = ["controller", "loop", "journal"]

FORBIDDEN: list[tuple[list[str], list[str]]] = [
    # (who, must not import what)
    (FOUNDATION, [*PLUGINS, *FACE, *(f"engine.{part}" for part in RUNNING_PARTS), "logger", "callbacks", "testing"]),
    (PLUGINS, [*FACE, *(f"engine.{part}" for part in RUNNING_PARTS), "logger", "testing"]),
    (["schedulers", "search"], ["executors", "storage", "session"]),
    (["engine"], [*FACE, "testing", *(f"executors.{name}" for name in ("local", "ray", "inline", "simulated"))]),
    (["logger"], [*FACE, "engine.controller", "engine.loop"]),
]

PUBLIC = [
    "schedulers",
    "search",
    "executors",
    "stopper",
    "logger",
    "errors",
    "plots",
    "space",
    "storage",
    "testing",
    "integration",
]
"""Documented subpackages; an integration may import these beside ``tune_core`` itself."""


def explain(found: Iterable[Import]) -> str:
    return "\n".join(f"{i.place}: {i.importer} imports {i.imported}" for i in found)


def test_core_modules_import_only_light_dependencies() -> None:
    wrong = [
        i
        for i in CORE_IMPORTS
        if i.at_import
        and i.imported.partition(".")[0]
        not in ALLOWED_AT_IMPORT | (TESTING_ALSO if is_under(i.importer, "tune_core.testing") else set())
    ]
    assert not wrong, f"import these inside the functions that need them:\n{explain(wrong)}"


@pytest.mark.parametrize(("who", "what"), FORBIDDEN, ids=lambda names: "+".join(names))
def test_no_arrow_points_back(who: list[str], what: list[str]) -> None:
    wrong = [
        i
        for i in CORE_IMPORTS
        if any(is_under(i.importer, f"tune_core.{w}") for w in who)
        and any(is_under(i.imported, f"tune_core.{w}") for w in what)
        and i.at_import
    ]
    assert not wrong, explain(wrong)


def test_core_has_no_import_cycle() -> None:
    graph: dict[str, set[str]] = {name: set() for name in CORE}
    for i in CORE_IMPORTS:
        target = i.imported if i.imported in KNOWN else i.imported.rpartition(".")[0]
        if i.at_import and target in KNOWN and target != i.importer:
            graph[i.importer].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_integrations_import_only_the_public_face() -> None:
    def is_public(module: str) -> bool:
        return module == "tune_core" or any(is_under(module, f"tune_core.{name}") for name in PUBLIC)

    found = [i for name, path in INTEGRATIONS.items() for i in imports_of(name, path, KNOWN)]
    core = [i for i in found if is_under(i.imported, "tune_core")]
    wrong = [i for i in core if "._" in i.imported or not is_public(i.imported)]
    assert not wrong, explain(wrong)


def test_core_imports_no_integration() -> None:
    packages = {name.partition(".")[0] for name in INTEGRATIONS}
    wrong = [i for i in CORE_IMPORTS if i.imported.partition(".")[0] in packages]
    assert not wrong, explain(wrong)


def test_nothing_imports_ray_tune_train_or_air() -> None:
    trees = {**CORE, **INTEGRATIONS, **modules(ROOT, "tests"), **modules(ROOT, "examples")}
    wrong = [
        i
        for name, path in trees.items()
        for i in imports_of(name, path, frozenset({"ray.tune", "ray.train", "ray.air"}))
        if any(is_under(i.imported, banned) for banned in ("ray.tune", "ray.train", "ray.air"))
    ]
    assert not wrong, explain(wrong)


BLOCKED = """
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        light = ("tune_core", "msgspec", "cloudpickle", "fsspec", "sortedcontainers")
        if top not in sys.stdlib_module_names and top not in light:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Blocker())
for name in sys.argv[1:]:
    importlib.import_module(name)
import tune_core
for name in getattr(tune_core, "__all__", ()):
    getattr(tune_core, name)
print(*sorted(name for name in ("numpy", "pandas", "rich", "ray") if name in sys.modules))
"""


def test_every_core_module_imports_with_all_optional_packages_blocked() -> None:
    names = [n for n in CORE if not is_under(n, "tune_core.testing") and not n.endswith("__main__")]
    done = subprocess.run([sys.executable, "-c", BLOCKED, *names], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
