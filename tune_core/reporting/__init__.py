"""Reports of experiments: one file that shows everything, for people who have nothing but a browser, or Markdown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tune_core.errors import InvalidArgumentError, StorageError

__all__ = ["report", "write_report"]

FORMATS = ("html", "md")


def report(
    *experiments: object,
    format: str = "html",
    metric: str | None = None,
    mode: str | None = None,
    theme: str | None = None,
) -> str:
    """The report of one or several experiments, as text.

    It is made from the journals alone: from the same journals, with the same versions of tune-core and of the libraries
    behind the importance of parameters, it is the same byte for byte.

    Parameters
    ----------
    *experiments
        Results, analyses, folders, names or URLs.
    format
        ``"html"``: a page that needs nothing but itself; ``"md"``: Markdown for a pull request.
    metric, mode
        What trials are compared by; None takes each run's.
    theme
        ``"light"`` or ``"dark"``; None follows the reader's system.

    Raises
    ------
    InvalidArgumentError
        If there is no experiment, or the format is unknown.
    """
    from tune_core.results.recording import record

    if format not in FORMATS:
        raise InvalidArgumentError("report(format)", f"is {format!r}", "there are two", 'Use "html" or "md".')
    if not experiments:
        raise InvalidArgumentError(
            "report()", "was given no experiment", "there is nothing to report", "Name an experiment's folder."
        )
    recordings = [record(one, metric, mode) for one in experiments]
    if format == "md":
        from tune_core.reporting.markdown import markdown

        return markdown(recordings)
    from tune_core.reporting.html import html

    return html(recordings, theme)


def write_report(experiments: Sequence[Any], path: str, **options: Any) -> int:
    """Write :func:`report` to a file and return its size in bytes.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    data = report(*experiments, **options).encode("utf-8", "replace")
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise StorageError(
            f"The file {os.fspath(path)}", "cannot be written", str(error.strerror or error), "Choose another with -o."
        ) from error
    return len(data)
