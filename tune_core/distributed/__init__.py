"""Trials of several processes: data-parallel training with ``torch.distributed`` and its kin inside one trial.

:func:`with_workers` makes of a function that each of N processes runs an objective like any other. How it goes:

* The **trial's own process** starts one process for each *rank* with the environment that ``torchrun`` would give it,
  waits for all of them, and is what the executor sees. It runs nothing of the training itself.
* Ranks are plain child processes on this machine. Under Ray, rank zero is one too, on the node of the trial's actor;
  the others are actors in the further bundles of the trial's placement group, which Ray schedules all at once.
* Every rank has a **view** of the trial's session (:mod:`tune_core.distributed.members`). What rank zero reports is
  the trial's result. The k-th report of any other rank waits for rank zero's k-th and has the same answer, so that
  all ranks stop, pause and are exploited behind the same step, and none waits for the others in a collective call.
* The first rank that fails ends the attempt: the others are ended, and the error names the rank. As with trials of one
  process it counts as the trial's failure (``FailureConfig(max_failures)``), and a lost machine as a lost worker.
  Whatever ends the trial's process ends the ranks.
"""

from __future__ import annotations

from tune_core.distributed.group import WorkerGroup, with_workers

__all__ = ["WorkerGroup", "with_workers"]
