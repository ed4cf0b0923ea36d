"""Trying again: with pauses that grow and differ, up to a deadline, and only where trying again can help."""

from __future__ import annotations

import logging
import os
import random
import re
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tune_core.errors import MissingDependencyError, TuneError
from tune_core.storage.objects import ObjectStoreError

logger = logging.getLogger(__name__)

DEADLINE_S = 60.0
"""How long a call that somebody waits for is tried again."""
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
ANNOUNCE_S = 3.0
"""Who waits longer than this for a store is told what for."""
QUIET_S = 60.0
"""That is said at most once in so long."""

_T = TypeVar("_T")
_FINAL = (PermissionError, FileExistsError, IsADirectoryError, NotADirectoryError, TypeError, ValueError, KeyError)
_FINAL_WORDS = re.compile(
    r"AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|NoSuchBucket|NoCredentials|Unable to locate credentials"
    r"|AuthenticationFailed|AuthorizationFailure|ContainerNotFound|bucket does not exist|Forbidden|Unauthorized"
    r"|Invalid Credentials|ExpiredToken|PermissionDenied|Unauthenticated",
    re.IGNORECASE,
)
_READS = ("read ", "list ", "look ")
"""How what only looks at a store begins: nothing of the user's can be lost by it."""
_SECRET_NAMES = re.compile(r"SECRET|TOKEN|PASSWORD|ACCOUNT_KEY|CONNECTION_STRING|ACCESS_KEY|SAS|FSSPEC_")


def pause_s(attempt: int) -> float:
    """How long to wait after the ``attempt``-th failure (from 0): between half and all of what doubles each time."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempt, 20)) * random.uniform(0.5, 1.0)


def is_final(error: BaseException) -> bool:
    """Whether trying again cannot help: credentials, a missing bucket, a wrong argument."""
    return isinstance(error, (*_FINAL, TuneError)) or bool(_FINAL_WORDS.search(f"{type(error).__name__} {error}"))


class _Announcement:
    """Says, once it has lasted, what the main thread waits for. Other threads' callers show that by themselves."""

    _last_at = -QUIET_S

    def __init__(self, what: str, deadline_s: float) -> None:
        self.reason = ""
        self._what = what
        self._deadline_s = deadline_s
        self._timer: threading.Timer | None = None
        if threading.current_thread() is threading.main_thread() and deadline_s > ANNOUNCE_S:
            self._timer = threading.Timer(ANNOUNCE_S, self._say)
            self._timer.daemon = True
            self._timer.start()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _say(self) -> None:
        now = time.monotonic()
        if now - _Announcement._last_at < QUIET_S:
            return
        _Announcement._last_at = now
        why = self.reason or "there is no answer yet"
        logger.warning(
            "Still trying to %s: %s. It is tried for about %g s ($TUNE_CORE_STORAGE_TIMEOUT_S); Ctrl-C ends it.",
            self._what,
            why.rstrip("."),
            self._deadline_s,
        )


def with_retries(what: str, action: Callable[[], _T], deadline_s: float | None = None) -> _T:
    """The answer of ``action``, which is called again for as long as that can help.

    Parameters
    ----------
    what
        What it does and to which object, for the error: ``"read s3://bucket/key"``.
    action
        Called until it answers. ``FileNotFoundError`` and tune-core's own errors pass through at once.
    deadline_s
        Seconds after which no further attempt is made; None: 60, or ``$TUNE_CORE_STORAGE_TIMEOUT_S``.

    Raises
    ------
    ObjectStoreError
        If it does not succeed in time, or cannot.
    """
    if deadline_s is None:
        deadline_s = float(os.environ.get("TUNE_CORE_STORAGE_TIMEOUT_S") or DEADLINE_S)
    announcement = _Announcement(what, deadline_s)
    try:
        return _tried_again(what, action, time.monotonic() + deadline_s, announcement)
    finally:
        announcement.cancel()


def _tried_again(what: str, action: Callable[[], _T], until: float, announcement: _Announcement) -> _T:
    attempt = 0
    while True:
        try:
            return action()
        except (FileNotFoundError, MissingDependencyError):
            raise
        except TuneError:
            raise
        except Exception as error:
            pause = pause_s(attempt)
            attempt += 1
            if is_final(error) or time.monotonic() + pause > until:
                raise failed(what, error, attempt) from None
            announcement.reason = describe(error)
            logger.info("The attempt to %s failed (%s); trying again", what, announcement.reason)
            time.sleep(pause)


def failed(what: str, error: BaseException, attempts: int = 1) -> ObjectStoreError:
    """The error that tells what could not be done in a store, and what to do."""
    text = describe(error)
    tried = f" {attempts} times" if attempts > 1 else ""
    if re.search(r"ExpiredToken|expired", text, re.IGNORECASE):
        cause, fix = "the credentials have expired", "Renew the credentials."
    elif re.search(r"NoSuchBucket|ContainerNotFound|bucket does not exist", text, re.IGNORECASE):
        cause, fix = "the bucket does not exist", "Make it first, or correct the URL: tune-core never makes a bucket."
    elif re.search(r"\bBad Request\b", text):  # a HEAD request gets no better answer
        cause = "the store refuses the request, as it does when credentials have expired"
        fix = "Renew the credentials, and check the region and the address of the store."
    elif is_final(error) and not isinstance(error, FileNotFoundError):
        cause = "there are no credentials, or they may not do it"
        fix = "Check the credentials (environment, profile or role) and what they may do with this object."
    else:
        cause, fix = "the store cannot be reached or does not answer", "Check the network and the store's address."
    if not what.startswith(_READS):
        fix = f"{fix} Everything so far is kept."
    return ObjectStoreError(f"The attempt to {what}", f"failed{tried}: {text}", cause, fix)


def describe(error: BaseException) -> str:
    """An error in one line, without a secret that this process was given by its environment."""
    return scrubbed(" ".join(f"{type(error).__name__}: {error}".split()))[:600]


def scrubbed(text: str, secrets: Any = None) -> str:
    """``text`` without the values of secrets: of the environment, and those given."""
    found = [value for name, value in os.environ.items() if _SECRET_NAMES.search(name)]
    for secret in sorted([*found, *(secrets or ())], key=len, reverse=True):
        if len(secret) >= 8:
            text = text.replace(secret, "***")
    return text
