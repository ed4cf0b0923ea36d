"""Imports point one way, and importing the core loads nothing that is optional."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from imports import BLOCK_OPTIONAL, ROOT, Import, imports_of, is_under, modules

CORE = modules(ROOT, "tune_core")
KNOWN = frozenset(CORE)
CORE_IMPORTS = [found for name, path in CORE.items() for found in imports_of(name, path, KNOWN)]
INTEGRATIONS = modules(ROOT / "integrations")
INTEGRATION_IMPORTS = [
    found for name, path in INTEGRATIONS.items() for found in imports_of(name, path, frozenset(INTEGRATIONS))
]

ALLOWED_AT_IMPORT = {*sys.stdlib_module_names, "tune_core", "msgspec", "cloudpickle", "fsspec", "sortedcontainers"}
TESTING_ALSO = {"pytest", "hypothesis"}  # tune_core.testing is for test suites

FLOORS = [
    "errors _version",
    "core compat.names",
    "storage",
    "checkpoint space",
    "trainable",
    "journal",
    "callback stopper schedulers models search.base executors.base",
    "display",
    "executors",
    "distributed",
    "engine",
    "config",
    "results",
    "search",
    "plots",
    "results= results.grid results.analysis results.export",
    "reporting logger dashboard",
    "compat",
    "fit",
    "simulation",
    "tuner",
    "tune_run",
    "integration utils",
    "cli testing",
]
"""From the ground up: what stands on a floor may be imported on that floor and above it, also inside functions.

The longest name that a module begins with counts; ``results=`` is that package's own file. ``tune_core`` itself, the
public face, fetches names when they are asked for, and may be used everywhere.
"""

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


def floor_of(module: str) -> int:
    names = {name: floor for floor, row in enumerate(FLOORS) for name in row.split()}
    path = module.removeprefix("tune_core.")
    if f"{path}=" in names:
        return names[f"{path}="]
    while path not in names:
        assert path, f"{module} stands on no floor: add its room to FLOORS"
        path = path.rpartition(".")[0]
    return names[path]


def edges(found: Iterable[Import], known: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    """Importer, imported module and place, of each import of one of our modules by another, lazy ones too."""
    for i in found:
        target = i.imported if i.imported in known else i.imported.rpartition(".")[0]
        if target in known and target != i.importer:
            yield i.importer, target, i.place


def test_no_arrow_points_up() -> None:
    inside = [edge for edge in edges(CORE_IMPORTS, KNOWN) if "tune_core" not in edge[:2]]
    wrong = [f"{place}: {a} imports {b}" for a, b, place in inside if floor_of(b) > floor_of(a)]
    assert len(inside) > 500 and not wrong, "\n".join(wrong)


@pytest.mark.parametrize("tree", ["tune_core", "integrations"])
def test_there_is_no_circle_of_imports_lazy_ones_included(tree: str) -> None:
    found = CORE_IMPORTS if tree == "tune_core" else INTEGRATION_IMPORTS
    known = KNOWN if tree == "tune_core" else frozenset(INTEGRATIONS)
    graph: dict[str, set[str]] = {name: set() for name in known}
    for importer, imported, _ in edges(found, known):
        if imported != "tune_core":
            graph[importer].add(imported)
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


def test_only_the_callback_for_ray_train_imports_ray_tune_train_or_air() -> None:
    trees = {**CORE, **INTEGRATIONS, **modules(ROOT, "tests"), **modules(ROOT, "examples")}
    del trees["tune_ray_train"], trees["tests.distributed.test_ray_train"]
    wrong = [
        i
        for name, path in trees.items()
        if not name.startswith("tests.compat.ray_scripts.")  # never imported: their imports are changed, then they run
        for i in imports_of(name, path, frozenset({"ray.tune", "ray.train", "ray.air"}))
        if any(is_under(i.imported, banned) for banned in ("ray.tune", "ray.train", "ray.air"))
    ]
    assert not wrong, explain(wrong)


BLOCKED = """
import importlib
for name in sys.argv[1:]:
    importlib.import_module(name)
import tune_core
for name in getattr(tune_core, "__all__", ()):
    getattr(tune_core, name)
print(*sorted(name for name in ("numpy", "pandas", "rich", "ray") if name in sys.modules))
"""


def test_every_core_module_imports_with_all_optional_packages_blocked() -> None:
    names = [n for n in CORE if not is_under(n, "tune_core.testing") and not n.endswith("__main__")]
    command = [sys.executable, "-c", BLOCK_OPTIONAL + BLOCKED, *names]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


ROOMS_OF_A_RUN = {
    "cli",
    "dashboard",
    "display",
    "executors",
    "fit",
    "journal",
    "plots",
    "results",
    "simulation",
    "storage",
}
"""Rooms that a script needs only once it runs something, reads results or restores."""

HEAVY = {
    "asyncio",
    "cloudpickle",
    "concurrent",
    "csv",
    "decimal",
    "difflib",
    "email",
    "fractions",
    "fsspec",
    "hashlib",
    "http",
    "importlib.metadata",
    "json",
    "logging",
    "lzma",
    "msgspec",
    "multiprocessing",
    "pathlib",
    "pickle",
    "platform",
    "selectors",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "unittest",
    "urllib",
    "uuid",
    "zipfile",
}
"""Modules that take long to import, and that nobody needs before a run."""


def newly_loaded(code: str, *arguments: str) -> set[str]:
    """The modules that a program loads in a fresh interpreter, beside those that this begins with."""
    whole = f"import sys; before = set(sys.modules)\n{code}\nprint(*set(sys.modules) - before)"
    command = [sys.executable, "-c", whole, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_tuner_loads_nothing_that_only_a_run_needs() -> None:
    loaded = newly_loaded("from tune_core import Tuner")
    rooms = {name.split(".")[1] for name in loaded if name.startswith("tune_core.")}
    assert "tuner" in rooms and not rooms & ROOMS_OF_A_RUN
    assert not loaded & HEAVY


A_RUN = """
import tune_core as tune
run = tune.RunConfig(storage_path=sys.argv[1], name="run")
tune.Tuner(lambda config: {"a": 1}, run_config=run).fit()
"""


def test_a_local_run_loads_nothing_of_object_stores_nor_of_the_worker_s_side(tmp_path: Path) -> None:
    loaded = newly_loaded(A_RUN, str(tmp_path))
    assert "tune_core.engine.loop" in loaded
    assert not loaded & {
        "concurrent.futures.thread",
        "csv",
        "difflib",
        "hashlib",
        "tune_core.executors.local.process",
        "tune_core.executors.worker.worker",
        "tune_core.fit.stored",
        "tune_core.journal.mirror",
        "tune_core.journal.stored",
        "tune_core.storage.segments",
        "zipfile",
    }


def test_what_workers_are_forked_from_loads_nothing_of_the_driver_s() -> None:
    loaded = newly_loaded("import tune_core.executors.local.template")
    assert "tune_core.executors.worker.worker" in loaded
    rooms = {name.split(".")[1] for name in loaded if name.startswith("tune_core.")}
    assert not rooms & {"config", "engine", "fit", "journal", "results", "schedulers", "search", "space", "tuner"}
    assert not loaded & {"concurrent.futures", "csv", "difflib", "hashlib", "zipfile"}
