"""Where an experiment is: in a folder of this machine, or in an object store."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from tune_core.core.events import Header
from tune_core.core.files import open_regular
from tune_core.core.paths import trial_folder
from tune_core.errors import NoExperimentError, TuneError
from tune_core.journal.format import JOURNAL_FILE, MOST_HEADER_BYTES, read_header
from tune_core.storage import is_remote


class Place:
    """Where an experiment is: its folder on this machine, and its URL if that is only a copy.

    Parameters
    ----------
    folder, url, filesystem
        The folder, the URL, and what reaches that.
    header
        The first line of the experiment's journal. With it, the place goes along when the experiment gets another name,
        for a later one takes its own.
    """

    def __init__(
        self, folder: str, url: str | None = None, filesystem: Any = None, header: Header | None = None
    ) -> None:
        self._folder, self._url, self.filesystem = folder, url, filesystem
        self._identity = None if header is None else identity_of(header)
        self._seen: tuple[int, int] | None = None  # the file that was found to be the journal

    def of_run(self, header: Header) -> Place:
        """The place of the run with this header, wherever it is moved to."""
        return Place(self._folder, self._url, self.filesystem, header)

    @property
    def folder(self) -> str:
        """The folder on this machine.

        Raises
        ------
        NoExperimentError
            If it holds another experiment now, and this one cannot be found.
        """
        if self._identity is not None:
            self._follow(self._identity)
        return self._folder

    @property
    def url(self) -> str | None:
        """The experiment's URL; None where its folder is all there is."""
        if self._identity is not None and self._url is not None:
            self._url = _MOVED.get((self._url, self._identity), self._url)
        return self._url

    @property
    def path(self) -> str:
        """The experiment's own path: its URL, or its folder."""
        url = self.url
        return url if url is not None else self.folder

    def trial_path(self, trial: int, name: str = "") -> str:
        """A trial's folder, which may have a name of its own, or its URL."""
        url = self.url
        return trial_folder(self.folder, trial, name) if url is None else trial_folder(url, trial)

    def _follow(self, identity: Identity) -> None:
        file = _file(self._folder)
        if file is None or file == self._seen:
            return  # it is where it was, or has been deleted: whoever reads it says so
        found = next((place for place in self._candidates() if _identity_in(place) == identity), None)
        if found is None:
            raise NoExperimentError(
                f"The experiment that these results are of, in {self._folder},",
                "is not there any more",
                "another one has its name",
                "Give each run a RunConfig(name=...) of its own.",
            )
        self._folder, self._seen = found, _file(found)

    def _candidates(self) -> list[str]:
        """Folders in which it may be: where it was, and those to which an experiment of that name is moved."""
        base, name = os.path.split(self._folder)
        with contextlib.suppress(OSError):
            moved = sorted(other for other in os.listdir(base) if other.startswith(f"{name}_"))
            return [self._folder, *(os.path.join(base, other) for other in moved)]
        return [self._folder]

    def __repr__(self) -> str:
        return f"Place({self._folder!r}, {self._url!r})"


Identity = tuple[float, int]
"""What tells two experiments of one name apart: when they began, and their seeds."""
_MOVED: dict[tuple[str, Identity], str] = {}  # where this process moved experiments in a store


def identity_of(header: Header) -> Identity:
    """What tells the experiment with this header from others of its name."""
    return header.at, header.seed


def note_move(url: str, header: Header, target: str) -> None:
    """Remember that this process gave an experiment in a store another URL."""
    _MOVED[url, identity_of(header)] = target


def _file(folder: str) -> tuple[int, int] | None:
    """Which file is the journal in a folder."""
    try:
        about = os.stat(os.path.join(folder, JOURNAL_FILE))
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _identity_in(folder: str) -> Identity | None:
    try:
        with open(open_regular(os.path.join(folder, JOURNAL_FILE), os.O_RDONLY), "rb") as file:
            return identity_of(read_header(file.name, file.readline(MOST_HEADER_BYTES)[:-1]))
    except (OSError, TuneError, TypeError):
        return None


def is_stored(path: str | os.PathLike[str], filesystem: object = None) -> bool:
    """Whether a path is in an object store, not on a file system of this machine."""
    return filesystem is not None or is_remote(os.fspath(path))
