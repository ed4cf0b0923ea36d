"""One model, trained by the processes of ``tune_core.with_workers``."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from tune_core.errors import TuneError

_PATIENCE_S = 60.0


def machines() -> dict[str, Any]:
    """Parameters with which all ranks of a trial train one model together, each on its own rows.

    The ranks tell each other where they listen, and get LightGBM's ``machines``, ``num_machines`` and
    ``local_listen_port``, with ``tree_learner="data"``. A single process gets no parameters, so the same function
    trains alone. To be called once by every rank, before each training. LightGBM evaluates each rank's own validation
    rows: give rank zero, which reports, all that count.

    Returns
    -------
    dict
        Parameters for ``lightgbm.train`` or a scikit-learn estimator.

    Raises
    ------
    TuneError
        If the process is not a rank of ``tune_core.with_workers`` (or of ``torchrun``), or the ranks do not find each
        other.

    Examples
    --------
    >>> def train(config):
    ...     data = lightgbm.Dataset(X[rank::size], y[rank::size])
    ...     valid = data.create_valid(X_valid, y_valid)
    ...     lightgbm.train({**config, **machines()}, data, 20, valid_sets=[valid], callbacks=[TuneReportCallback()])
    >>> objective = tune_core.with_workers(train, num_workers=2)  # doctest: +SKIP
    """
    try:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        master = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    except KeyError as error:
        raise TuneError(
            "tune_lightgbm.distributed.machines()",
            f"was called where the environment variable {error} is not set",
            "it joins the processes that train one trial",
            "Call it in a function that runs under tune_core.with_workers(train, num_workers=...).",
        ) from None
    if size == 1:
        return {}
    with socket.socket() as kept:  # the port is this rank's until all know of it
        kept.bind(("", 0))
        port = kept.getsockname()[1]
        try:
            known = _gather(size, master, port) if rank == 0 else _tell(master, port)
        except OSError as error:
            raise TuneError(
                "tune_lightgbm.distributed.machines()",
                f"did not bring the {size} ranks together: {error}",
                f"not all of them have called it within {_PATIENCE_S:g} s, or {master[0]}:{master[1]} is not reachable",
                "Call it once in every rank; let the machines reach each other.",
            ) from error
    return {
        "machines": known,
        "num_machines": size,
        "local_listen_port": port,
        "tree_learner": "data",
        "pre_partition": True,
    }


def _gather(size: int, master: tuple[str, int], port: int) -> str:
    """Rank zero: hear from all others where they listen, and tell them all."""
    with socket.create_server(("", master[1]), backlog=size) as server:
        server.settimeout(_PATIENCE_S)
        others = []
        known = [f"{master[0]}:{port}"]
        try:
            while len(known) < size:
                connection, (host, _) = server.accept()
                connection.settimeout(_PATIENCE_S)
                others.append(connection)
                known.append(f"{host}:{connection.makefile().readline().strip()}")
            text = ",".join(known)
            for connection in others:
                connection.sendall(f"{text}\n".encode())
        finally:
            for connection in others:
                connection.close()
    return text


def _tell(master: tuple[str, int], port: int) -> str:
    """Another rank: tell rank zero, once that listens, and hear of all."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection = socket.create_connection(master, timeout=_PATIENCE_S)
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    with connection:
        connection.sendall(f"{port}\n".encode())
        known = connection.makefile().readline().strip()
    if not known:
        raise OSError("rank zero has left")
    return known
