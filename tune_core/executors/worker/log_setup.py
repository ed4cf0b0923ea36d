"""The script's setting of ``logging``, carried over to the processes that run its trials."""

from __future__ import annotations

import contextlib
import logging
import pickle
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LogSetup:
    """What ``logging.basicConfig`` and ``setLevel`` have set in the driver.

    Handlers stay there: two processes cannot share a file or a terminal. In their place trials get one that writes to
    stderr, in the format of the first, if the root logger has any.
    """

    level: int = logging.WARNING
    has_handler: bool = False
    formatter: bytes | None = None  # pickled; None: as logging does by itself
    levels: dict[str, int] = field(default_factory=dict)  # of loggers that have one of their own


def capture() -> LogSetup:
    """How logging is set in this process."""
    root = logging.getLogger()
    formatter = None
    for handler in root.handlers:
        with contextlib.suppress(Exception):
            formatter = pickle.dumps(handler.formatter)
            if b"__main__" not in formatter and b"_pytest" not in formatter:
                break
            formatter = None
    levels = {
        name: logger.level
        for name, logger in list(root.manager.loggerDict.items())
        if isinstance(logger, logging.Logger) and logger.level
    }
    return LogSetup(root.level, bool(root.handlers), formatter, levels)


def apply(setup: LogSetup | None) -> None:
    """Set logging in this process as it is set in the driver."""
    if setup is None:
        return
    root = logging.getLogger()
    root.setLevel(setup.level)
    for name, level in setup.levels.items():
        logging.getLogger(name).setLevel(level)
    if not setup.has_handler:
        return
    handler = logging.StreamHandler(_Stderr())
    formatter: Any = None
    if setup.formatter is not None:
        with contextlib.suppress(Exception):
            formatter = pickle.loads(setup.formatter)
    handler.setFormatter(formatter or logging.Formatter(logging.BASIC_FORMAT))
    root.addHandler(handler)


class _Stderr:
    """Whatever ``sys.stderr`` is when something is logged."""

    def write(self, text: str) -> None:
        import sys

        sys.stderr.write(text)

    def flush(self) -> None:
        import sys

        sys.stderr.flush()
