"""A checkpoint: a folder with whatever a trial needs to go on later, here or in a remote store."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from tune_core.core.validation import json_default
from tune_core.errors import CheckpointError
from tune_core.storage import Storage, local_path, storage_from

METADATA = ".metadata.json"
"""File in a checkpoint's folder that holds its metadata."""


class Checkpoint:
    """A reference to a folder that holds a trial's state.

    Parameters
    ----------
    path
        The folder, or a URL such as ``s3://bucket/checkpoint``.
    filesystem
        An fsspec or pyarrow file system to reach ``path`` with; None finds the one that the path names.

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = open(os.path.join(folder, "weights.txt"), "w").write("1 2 3")
    ...     checkpoint = Checkpoint.from_directory(folder)
    ...     with checkpoint.as_directory() as path:
    ...         print(open(os.path.join(path, "weights.txt")).read())
    1 2 3
    """

    def __init__(self, path: str | os.PathLike[str], filesystem: object = None) -> None:
        if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
            raise CheckpointError(
                "Checkpoint(path)",
                f"is {path!r} (a {type(path).__name__})",
                "a checkpoint is a folder, and this names none",
                "Write the files into a folder and use Checkpoint.from_directory(folder).",
            )
        local = local_path(path) if filesystem is None else None
        self._path = os.fspath(path) if local is None else local
        self._filesystem = filesystem

    @classmethod
    def from_directory(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """A checkpoint of the files in a folder of this machine. Nothing is copied until it is reported.

        Raises
        ------
        CheckpointError
            If there is no such folder.
        """
        checkpoint = cls(path)
        checkpoint._check_present()
        return checkpoint

    @classmethod
    def from_dict(cls, data: object = None) -> Checkpoint:
        """Not there any more, as in Ray Tune: a checkpoint is a folder.

        Raises
        ------
        CheckpointError
            Always; it says how to make a checkpoint.
        """
        raise CheckpointError(
            "Checkpoint.from_dict",
            "was called",
            "a checkpoint is a folder, no longer a dict",
            "Write the dict to a file in a folder, and use Checkpoint.from_directory(folder).",
        )

    @property
    def path(self) -> str:
        """The folder, absolute, or its URL."""
        return self._path

    @property
    def filesystem(self) -> Any:
        """The fsspec file system that reaches ``path``."""
        if self._filesystem is not None:
            return self._filesystem
        if self._is_local():
            import fsspec  # type: ignore[import-untyped, unused-ignore]

            return fsspec.filesystem("file")
        return getattr(self._storage(), "filesystem")  # noqa: B009

    def to_directory(self, path: str | os.PathLike[str] | None = None) -> str:
        """Copy the files into a folder of this machine and return its path.

        Parameters
        ----------
        path
            The folder to copy to, made if it is missing; None makes a temporary one, which is the caller's to delete.
        """
        self._check_present()
        target = tempfile.mkdtemp(prefix="checkpoint_") if path is None else os.path.abspath(os.fspath(path))
        if not (self._is_local() and os.path.isdir(target) and os.path.samefile(self._path, target)):
            try:
                self._storage().fetch_dir(self._path, target)
            except BaseException:
                if path is None:
                    shutil.rmtree(target, ignore_errors=True)
                raise
        return target

    @contextlib.contextmanager
    def as_directory(self) -> Iterator[str]:
        """The files as a folder of this machine, for reading.

        A local checkpoint is its own folder. Another is fetched into a temporary one, deleted at the end.

        Yields
        ------
        str
            The folder's path.

        Raises
        ------
        CheckpointError
            If the checkpoint is missing or cannot be fetched.
        """
        if self._is_local():
            self._check_present()
            yield self._path
            return
        fetched = self.to_directory()
        try:
            yield fetched
        finally:
            shutil.rmtree(fetched, ignore_errors=True)

    def get_metadata(self) -> dict[str, Any]:
        """The metadata that was set, or an empty dict."""
        self._check_present()
        storage = self._storage()
        try:
            metadata = json.loads(storage.read_bytes(storage.join(METADATA)))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise CheckpointError(
                f"The metadata of {self}",
                f"could not be read: {error}",
                f"{METADATA} in its folder is no JSON",
                "Set it anew with set_metadata({...}).",
            ) from error
        return dict(metadata)

    def set_metadata(self, metadata: Mapping[str, object]) -> None:
        """Replace the metadata by ``metadata``, a dict of values that JSON can hold, or of NumPy's numbers."""
        self._check_present()
        try:
            data = json.dumps(dict(metadata), indent=2, default=json_default).encode()
        except (TypeError, ValueError) as error:
            raise CheckpointError(
                f"The metadata of {self}",
                f"could not be written: {error}",
                "metadata is kept as JSON",
                "Use a dict with string keys, of numbers, strings, lists and dicts.",
            ) from error
        storage = self._storage()
        storage.write_bytes_atomic(storage.join(METADATA), data)

    def update_metadata(self, metadata: Mapping[str, object]) -> None:
        """Add ``metadata`` to what is there; values under the same key are replaced."""
        self.set_metadata({**self.get_metadata(), **metadata})

    def _is_local(self) -> bool:
        return self._filesystem is None and local_path(self._path) is not None

    def _storage(self) -> Storage:
        return storage_from(self._path, self._filesystem)

    def _check_present(self) -> None:
        from tune_core.storage.local import missing

        present = os.path.isdir(self._path) if self._is_local() else self._storage().exists(self._path)
        if not present:
            raise missing(self._path)

    def __repr__(self) -> str:
        where = "" if self._filesystem is None else f", filesystem={type(self._filesystem).__name__}"
        return f"Checkpoint({self._path!r}{where})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checkpoint) and self._path == other._path and self._filesystem == other._filesystem

    def __hash__(self) -> int:
        return hash(self._path)
