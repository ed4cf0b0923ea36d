"""Which experiment a name on the command line means: a folder, a URL, or a name below the default storage path."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tune_core.errors import InvalidArgumentError, TuneError
from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.place import Place, is_stored
from tune_core.journal.stored import experiments_below, is_driven, open_place
from tune_core.storage import default_storage_path
from tune_core.storage.objects import redacted

if TYPE_CHECKING:
    from tune_core.results.experiment_reader import Experiment


def find_experiment(name: str | None) -> str:
    """The folder on this machine of an experiment, as for :func:`find_place`."""
    return find_place(name).folder


def find_place(name: str | None) -> Place:
    """An experiment given by its path, URL or name; None gives the newest in the default storage path.

    Raises
    ------
    InvalidArgumentError
        If there is none.
    """
    base = default_storage_path()
    if name is not None and is_stored(name):
        return open_place(name)
    if is_stored(base) and (name is None or not _is_experiment(os.path.abspath(os.path.expanduser(name)))):
        return open_place(f"{base.rstrip('/')}/{name}") if name is not None else _newest_stored(base)
    return Place(_find_folder(name, os.path.abspath(os.path.expanduser(base))))


def _newest_stored(base: str) -> Place:
    from tune_core.results.experiment_reader import read_experiment

    places = [open_place(url) for url in experiments_below(base)]
    if not places:
        raise _none_in(redacted(base))
    return max(places, key=lambda place: read_experiment(place.folder).last_at)


def _none_in(base: str) -> TuneError:
    return InvalidArgumentError(
        "The newest experiment",
        f"cannot be told: {base} has none",
        "no run has begun there",
        "Name an experiment's folder or URL.",
    )


def _find_folder(name: str | None, base: str) -> str:
    if name is None:
        found = [folder for folder in experiments_in(base) if os.path.getsize(os.path.join(folder, JOURNAL_FILE))]
        if not found:
            raise _none_in(base)
        return max(found, key=changed_at)
    path = os.path.abspath(os.path.expanduser(name))
    for folder in (path, os.path.join(base, name)):
        if _is_experiment(folder):
            return folder
    raise _unknown(name, path, base)


def _unknown(name: str, path: str, base: str) -> TuneError:
    import difflib

    known = [os.path.basename(folder) for folder in experiments_in(base)]
    short = os.path.basename(name.rstrip(os.sep))
    close = [other for other in known if short and other.startswith(short)][-3:]
    close = close or difflib.get_close_matches(short, known, 3, 0.6)
    if os.path.isdir(path):
        inside = [os.path.basename(folder) for folder in experiments_in(path)]
        cause = f"there is no {JOURNAL_FILE} in it{'; experiments inside: ' + ', '.join(inside[:5]) if inside else ''}"
        return InvalidArgumentError(f"The folder {path}", "is no experiment", cause, "`tune-core ls DIR` lists them.")
    below = os.path.join(base, name)
    cause = f"neither {path} nor {below} is an experiment's folder" if below != path else "there is no such folder"
    fix = f"Did you mean {' or '.join(close)}?" if close else "`tune-core ls DIR` lists the experiments in a folder."
    return InvalidArgumentError(f"The experiment {name!r}", "was not found", cause, fix)


def experiments_in(folder: str) -> list[str]:
    """The experiments' folders in ``folder``, and ``folder`` itself if it is one; sorted."""
    if _is_experiment(folder):
        return [folder]
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [path for name in names if _is_experiment(path := os.path.join(folder, name))]


def _is_experiment(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, JOURNAL_FILE))


def changed_at(folder: str) -> float:
    """When an experiment's journal was last written."""
    return os.path.getmtime(os.path.join(folder, JOURNAL_FILE))


def state_of(experiment: Experiment, place: Place | None = None) -> str:
    """``running``, ``finished``, ``interrupted`` or ``cut off``."""
    from tune_core.journal.lock import is_running

    if experiment.finished is None:
        stored = place is not None and place.url is not None
        driven = is_driven(place, experiment.last_at) if stored and place else is_running(experiment.folder)
        return "running" if driven else "cut off"
    return "interrupted" if experiment.interrupted is not None else "finished"
