"""The store that a path or URL names, reached by the library that knows it."""

from __future__ import annotations

import os
import re
from typing import Any

from tune_core.errors import InvalidArgumentError
from tune_core.storage.locations import local_path
from tune_core.storage.objects import SECRET, ObjectStore, redacted

_BUCKETLESS = re.compile(r"(s3a?|gc?s|abfss?|az):/*")


def object_store(url: str | os.PathLike[str], filesystem: Any = None) -> ObjectStore:
    """The objects below ``url``.

    Parameters
    ----------
    url
        A folder, or a URL such as ``s3://bucket/folder``.
    filesystem
        What to reach it with: a file system of fsspec or pyarrow, or a store of obstore (which ``url`` is relative
        to, then). None finds the one that the URL names, with the credentials that its library finds by itself.

    Raises
    ------
    InvalidArgumentError
        If the URL holds a password: it would be kept in files and shown in messages.
    MissingDependencyError, StorageError
        If nothing that is installed reaches such a URL.
    """
    text = os.fspath(url)
    if SECRET.search(text):
        raise InvalidArgumentError(
            f"The storage path {redacted(text)}",
            "holds a password",
            "a path is kept in files, shown in messages and sent to workers",
            "Leave the password out, and give the credentials by environment variables or storage_filesystem=.",
        )
    if filesystem is None and (bucketless := _BUCKETLESS.fullmatch(text)):
        raise InvalidArgumentError(
            f"The URL {text if '://' in text else bucketless[1] + '://'}",
            "names no bucket",
            "everything in such a store is in one",
            f"Add its name: {bucketless[1]}://bucket/folder.",
        )
    local = local_path(text)
    if filesystem is None and local is not None:
        from tune_core.storage.local_objects import LocalObjects

        return LocalObjects(local)
    if filesystem is not None and type(filesystem).__module__.partition(".")[0] == "obstore":
        from tune_core.storage.obstore_objects import ObstoreObjects

        return ObstoreObjects(text, filesystem)
    from tune_core.storage.fsspec_objects import FsspecObjects

    return FsspecObjects(text, filesystem)
