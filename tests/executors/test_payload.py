"""Trainables are pickled in any number of threads, and cloudpickle's own settings stay the user's."""

from __future__ import annotations

import functools
import os
import sys
import threading
import types
from collections.abc import Iterator

import cloudpickle
import pytest

from tune_core.executors.worker import payload


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """The main module of a spawned process, with a function that no worker can import."""
    module = types.ModuleType("__mp_main__")
    exec("def objective(config):\n    return config['a'] + 1", module.__dict__)
    monkeypatch.setitem(sys.modules, "__mp_main__", module)
    yield module
    assert cloudpickle.list_registry_pickle_by_value() == set()


def test_main_module_of_a_spawned_process_is_pickled_in_threads(
    spawned: types.ModuleType, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(functools.partial(sys.setswitchinterval, sys.getswitchinterval()))
    sys.setswitchinterval(1e-6)  # threads take turns within each dump
    dumped: list[payload.Dumped] = []

    def run() -> None:
        for _ in range(100):
            dumped.append(payload.dump(spawned.objective, "objective"))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert len(dumped) == 800
        objective, _ = payload.load(dumped[-1].handle)
        assert objective({"a": 1}) == 2 and objective.__globals__ is not spawned.__dict__
    finally:
        for each in dumped:
            os.close(each.handle)


def test_module_that_the_user_registered_stays_registered(spawned: types.ModuleType) -> None:
    cloudpickle.register_pickle_by_value(spawned)
    try:
        os.close(payload.dump(spawned.objective, "objective").handle)
        assert spawned.__name__ in cloudpickle.list_registry_pickle_by_value()
    finally:
        cloudpickle.unregister_pickle_by_value(spawned)


def test_cached_function_of_the_script_goes_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    script = types.ModuleType("__main__")
    code = "import functools\n@functools.lru_cache(3)\ndef twice(x):\n    return 2 * x\n"
    code += "def objective(x):\n    return twice(x)"
    exec(code, script.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", script)
    handle = payload.dump(script.objective, "objective").handle
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))  # as in a worker
    objective, found = payload.load(handle)
    os.close(handle)
    assert objective(4) == 8
    assert set(found) == {"objective", "twice"}
    assert found["twice"].cache_parameters() == {"maxsize": 3, "typed": False}
