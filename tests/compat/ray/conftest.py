"""Each test here runs against this package and, where Ray Tune is installed, against Ray Tune itself.

So it states what Ray Tune documents, and not what this package happens to do. Tests that start trials take some ten
seconds each with Ray Tune and are marked slow there.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

RAYS = "ray.tune"


class Api:
    """One of the two: ``api.tune`` is the package, ``api("search.sample")`` a module of it."""

    def __init__(self, root: str, storage: Path) -> None:
        self.root = root
        self.tune = importlib.import_module(root)
        self.storage = str(storage)
        self.is_ours = root != RAYS

    def __call__(self, path: str) -> Any:
        return importlib.import_module(f"{self.root}.{path}")

    def fit(self, trainable: Any, space: Any = None, **options: Any) -> Any:
        """A run of ``Tuner``; keywords go into ``TuneConfig`` or ``RunConfig``, wherever they belong."""
        tune = self.tune
        of_tune = {key: options.pop(key) for key in list(options) if key in tune.TuneConfig.__dataclass_fields__}
        usual: dict[str, Any] = {"storage_path": self.storage, "name": "run", "verbose": 0, "executor": "inline"}
        if not self.is_ours:
            del usual["executor"]
        return tune.Tuner(
            trainable,
            param_space=space if space is not None else {"x": 1},
            tune_config=tune.TuneConfig(**of_tune),
            run_config=tune.RunConfig(**{**usual, **options}),
        ).fit()


@pytest.fixture(params=["tune_core", RAYS])
def api(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Api:
    """Both, one after the other; for tests that start no trials."""
    if request.param == RAYS:
        pytest.importorskip("ray", reason="needs Ray Tune")
        pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")
    return Api(request.param, tmp_path)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Ray, started once for the tests of a module that need it; other modules start their own."""
    ray = pytest.importorskip("ray", reason="needs Ray Tune")
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", ignore_reinit_error=True)
    yield
    ray.shutdown()


SLOW = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(300)]


@pytest.fixture(params=["tune_core", pytest.param(RAYS, marks=SLOW)])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Api:
    """Both, one after the other; for tests that start trials."""
    if request.param == RAYS:
        pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")
        request.getfixturevalue("cluster")
    return Api(request.param, tmp_path)
