"""The journal of an experiment: one append-only file of sealed JSON lines, written by the driver and read by all.

Theory of operation
-------------------
**What it holds.** The first line is the header: what the run was asked to do. Each line after it is one event, in the
order in which the controller took the events in. A line ends with a checksum (CRC-32) of its own content, so that
each line can be judged alone. Nothing else says what happened in a run: a restore, a result grid and ``tune-core show``
all apply the same events to the same controller.

**Writing** (``writer``). The loop appends the lines of one turn and writes them in one system call before it carries
out what follows from them, so killing the driver loses nothing that anybody saw. A thread calls ``fsync`` on a short
timer (group commit), so a power cut loses at most the timer's span. Checkpoints take part in that: before a line
that names one is synced, the checkpoint's files and folders are; and a checkpoint that a line makes superfluous is
deleted only after that line was synced. At any moment the disk therefore holds a journal and all that it refers to.

**Reading** (``reader``, ``format``). There is one reader. It returns whole lines in order and tells two kinds of
trouble apart:

* a *torn tail*: bytes behind the last whole line. A driver that was killed while it wrote leaves one. While the
  driver lives it is a line that is being written. A restore cuts it off, and keeps the bytes that it cuts.
* *damage*: bytes with whole lines behind them, from a failing disk or an editor. The lines behind are returned, with a
  :class:`~tune_core.journal.format.Gap` where something is missing. Every reader reports it. Nothing is cut: the
  journal goes on behind the damage.

Whoever applies events (``engine.salvage``) makes up for what a gap has swallowed where that is safe, and counts what it
had to leave out.

**Locking** (``lock``). The driver holds an advisory lock on ``.lock`` for as long as it lives. Whether a run goes on
is asked of that lock, never guessed from a process number.
"""
