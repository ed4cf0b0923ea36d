"""One model, trained by the processes of ``tune_core.with_workers``."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator

from tune_core.errors import TuneError


@contextlib.contextmanager
def communicator() -> Iterator[None]:
    """Let ``xgboost.train`` of all ranks of a trial train one model together, each on its own rows.

    Rank zero starts XGBoost's tracker on its machine; the ranks meet there. With a single process nothing happens, so
    the same function trains alone.

    Raises
    ------
    TuneError
        If the process is not a rank of ``tune_core.with_workers`` (or of ``torchrun``).

    Examples
    --------
    >>> def train(config):
    ...     with communicator():
    ...         data = xgboost.DMatrix(X[rank::size], y[rank::size])
    ...         xgboost.train(config, data, 20, evals=[(data, "train")], callbacks=[TuneReportCallback()])
    >>> objective = tune_core.with_workers(train, num_workers=2)  # doctest: +SKIP
    """
    from xgboost.collective import CommunicatorContext
    from xgboost.tracker import RabitTracker

    try:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    except KeyError as error:
        raise TuneError(
            "tune_xgboost.communicator",
            f"was used where the environment variable {error} is not set",
            "it joins the processes that train one trial",
            "Use it in a function that runs under tune_core.with_workers(train, num_workers=...).",
        ) from None
    if size == 1:
        yield
        return
    tracker = None
    if rank == 0:
        tracker = RabitTracker(n_workers=size, host_ip=address, port=port, sortby="task")
        tracker.start()
    context = CommunicatorContext(
        dmlc_tracker_uri=address, dmlc_tracker_port=port, dmlc_task_id=f"{rank:06d}", dmlc_retry=60
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*(Failed to connect|Retrying connection)")  # the tracker begins later
        context.__enter__()
    try:
        yield
    except BaseException:
        if tracker is not None:
            tracker.free()
        raise
    context.__exit__(None, None, None)
    if tracker is not None:
        tracker.wait_for()  # until all ranks have left
        tracker.free()
