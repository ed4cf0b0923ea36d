"""Warnings that point at the user's line: the call that led here, not one of ours on the way."""

from __future__ import annotations

import sys
import warnings

_PACKAGE = __name__.partition(".")[0]


def warn_user(message: str | Warning) -> None:
    """Issue a warning as of the nearest line outside of tune-core that led here.

    Parameters
    ----------
    message
        The text of a ``UserWarning``, or a warning.
    """
    level, frame = 1, sys._getframe()
    while frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        if frame.f_back is None:  # a thread of our own
            level = 2
            break
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)
