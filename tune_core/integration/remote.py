"""For frameworks whose controller is a process elsewhere in a cluster: that process reports for the trial."""

from __future__ import annotations

from collections.abc import Mapping

from tune_core.checkpoint import Checkpoint
from tune_core.errors import TuneError
from tune_core.trainable.base import node_ip
from tune_core.trainable.protocol import STOPPED
from tune_core.trainable.scope import current_scope
from tune_core.trainable.session_remote import RemoteSession, connect, serve

__all__ = ["RemoteTrial", "TrialEnds"]


class TrialEnds(Exception):
    """Raised in a framework's controller to end it together with its trial; no failure."""


class RemoteTrial:
    """The trial that this was made in, for a process that it is pickled to. It can be reached until the trial ends.

    Parameters
    ----------
    asked
        What makes it, for the error's text.

    Raises
    ------
    TuneError
        If it is made outside of a trial.
    """

    def __init__(self, asked: str) -> None:
        scope = current_scope()
        if scope is None or scope.session is None:
            raise TuneError(
                asked,
                "was made outside of a trial",
                "it reports to the trial that it was made in",
                "Make it inside of the function that is given to Tuner.",
            )
        self._address, close = serve(scope.session, node_ip())
        scope.session.at_end(close)
        self._session: RemoteSession | None = None

    def __getstate__(self) -> dict[str, object]:
        return {"_address": self._address, "_session": None}

    def report(self, metrics: Mapping[str, object], checkpoint: Checkpoint | None = None) -> None:
        """Report a result of the trial.

        Raises
        ------
        TrialEnds
            If the trial is to end, or has ended.
        """
        if self._session is None:
            self._session = connect(self._address, RemoteSession)
        if self._session is None or not self._session.report(metrics, checkpoint):
            raise TrialEnds(STOPPED)
