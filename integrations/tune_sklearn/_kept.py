"""Where a search is kept, and whether what is kept there is the same search: then it can be resumed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tune_core.errors import InvalidArgumentError, RestoreError, StorageError
from tune_core.storage import default_storage_path, is_remote
from tune_core.storage.locations import default_storage_variable
from tune_core.storage.scratch import Scratch
from tune_sklearn._budget import BudgetSteps
from tune_sklearn._fingerprint import fingerprint
from tune_sklearn._task import SearchTask

if TYPE_CHECKING:
    from tune_sklearn._base import TuneBaseSearchCV


_IDENTITY = "search.json"
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where small files that do not stay are kept in memory; None where the system has no such folder."""


def is_kept(search: TuneBaseSearchCV) -> bool:
    """Whether a search's files stay: it has a name or a place for them, or somebody who logs."""
    return search.name is not None or search.local_dir is not None or bool(search.loggers)


@contextlib.contextmanager
def place(search: TuneBaseSearchCV, round_: int, is_small: bool) -> Iterator[tuple[str | None, str | None]]:
    """Folder of experiments and name of this one: the user's, or a temporary folder that is gone afterwards.

    It is gone, too, when this process was killed meanwhile.

    What ``is_small``, scores without models, is kept in memory where the system has a folder for that.
    """
    if is_kept(search):
        if search.local_dir is not None and not isinstance(search.local_dir, (str, os.PathLike)):
            raise InvalidArgumentError(
                f"{type(search).__name__}(local_dir)",
                f"is {search.local_dir!r}",
                "it is the folder in which searches are kept",
                'Use e.g. local_dir="~/searches".',
            )
        local_dir = None if search.local_dir is None else os.path.expanduser(os.fspath(search.local_dir))
        name = search.name if round_ == 1 or search.name is None else f"{search.name}_round_{round_}"
        yield local_dir, name
        return
    folder = Scratch("tune-sklearn", MEMORY if is_small else None)
    try:
        yield folder.path, "search"
    finally:
        folder.remove()


def folder_of(search: TuneBaseSearchCV, storage: str | None, name: str | None) -> str | None:
    """The folder in which this search can be found again; None if it cannot."""
    if search.name is None or name is None:
        return None
    base = storage or default_storage_path()
    return None if is_remote(base) else os.path.join(os.path.abspath(base), name)


def refuse_to_resume_without_a_name(search: TuneBaseSearchCV, resume: bool) -> None:
    """Before anything runs: what has no name is not found again.

    Raises
    ------
    InvalidArgumentError
        If a search without a name, or one that is kept in a store, is to be resumed.
    """
    if resume and search.name is None:
        raise InvalidArgumentError(
            "fit(resume=True)",
            "was called on a search without a name",
            "nothing was kept that could be resumed",
            "Give the search name=... (and local_dir=...) from the start.",
        )
    place = search.local_dir if search.local_dir is not None else default_storage_path()
    if resume and isinstance(place, str) and is_remote(place):
        raise InvalidArgumentError(
            "fit(resume=True)",
            f"was called on a search that is kept at {place}",
            "only a search that is kept in a folder can be resumed",
            f"Give {type(search).__name__}(local_dir=...) a folder of this machine, or one that is mounted here.",
        )


def identity(work: SearchTask, space: Any, scheduler: object) -> dict[str, Any]:
    """What has to be the same for a search to be resumed: for each of it a fingerprint, under a name for people."""
    data, budget_steps = work.data, work.budget_steps
    return {
        "estimator": fingerprint(work.estimator),
        "data": fingerprint(data.X),
        "target": fingerprint(data.y),
        "fit parameters": fingerprint(data.fit_params, data.score_params),
        "scoring": fingerprint(work.metric, work.scorer),
        "error_score": repr(work.error_score),
        "return_train_score": repr(work.return_train_score),
        "candidates": fingerprint(work.candidates if work.candidates is not None else _space(space)),
        "folds": fingerprint(*(np.asarray(part) for fold in data.folds for part in fold)),
        "steps": list(budget_steps.steps) if budget_steps is not None else [],
        "early stopping": "" if budget_steps is None else _early_stopping(budget_steps, scheduler),
    }


def _space(space: Any) -> Any:
    return repr(space)


def _early_stopping(budget_steps: BudgetSteps, scheduler: object) -> str:
    order = fingerprint(*budget_steps.orders) if budget_steps.orders else ""
    described = scheduler.describe() if hasattr(scheduler, "describe") else type(scheduler).__name__
    return f"{budget_steps.unit}, {budget_steps.how}, {described} {order}".strip()


def check_identity(folder: str, wanted: Mapping[str, object]) -> None:
    """Compare what is kept in ``folder`` with the search that is to go on with it.

    Raises
    ------
    RestoreError
        If it is another one, or none whose identity is known.
    """
    try:
        with open(os.path.join(folder, _IDENTITY)) as file:
            found = json.load(file)
        differing = [key for key in wanted if found.get(key) != wanted[key]]
    except (OSError, ValueError, AttributeError) as error:
        raise RestoreError(
            f"fit(resume=True) of the search in {folder}",
            f"finds no readable {_IDENTITY} there",
            "so it is not known to which data and which search the results belong",
            "Start anew under another name.",
        ) from error
    if differing:
        raise RestoreError(
            f"fit(resume=True) of the search in {folder}",
            f"finds another search there: its {', '.join(differing)} differ",
            "its results belong to others; a splitter or a search without random_state draws anew",
            "Give the same data and arguments as in the first run, with random_state for the search and the splitter, "
            "or another name.",
        )


def write_identity(folder: str, mine: Mapping[str, object], is_default: bool) -> None:
    """Keep what the search in ``folder`` is."""
    try:
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, _IDENTITY), "w") as file:
            json.dump(mine, file)
    except OSError as error:
        variable = default_storage_variable() if is_default else ""
        named = f"the environment variable {variable} names it, and " if variable else ""
        raise StorageError(
            f"The search's folder {folder}",
            "cannot be written",
            f"{named}{error.strerror or error}",
            "Choose a folder that you may write, with RunConfig(storage_path=...).",
        ) from error
