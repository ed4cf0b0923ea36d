"""The engine: what happened goes in as events, what to do comes out as commands, and a loop carries it out.

Theory of operation
-------------------
The **controller** (``controller``, with ``state``, ``verdicts``, ``exploits`` and ``ends``) is a pure state machine. It
knows no time, no files and no processes; the same events always lead to the same state.

The **loop** (``loop``) is the only place where the controller meets an executor, the journal, a searcher
(``suggestions``) and callbacks (``observers``). One turn takes in what workers sent, looks at the clocks
(``deadlines``), fills the free places, writes the journal once, and only then carries out what the controller
commanded.

Beside it stand ``checkpoint_retention`` (which checkpoints may go), ``checkpoint_files`` (when they reach the disk, and
when they leave it) and ``expected_names`` (typos in names of metrics).

A run is **restored** by ``replay``: the journal's events are applied to a fresh controller while ``recorded_decisions``
makes its scheduler repeat what it decided then. Where the journal is damaged, ``salvage`` makes up for what is missing.
"""
