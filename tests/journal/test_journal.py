"""The journal: whole or cut, never wrong; one writer; clear errors when the disk says no."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tune_core.core import events as ev
from tune_core.errors import ExperimentLockedError, JournalError, StorageError
from tune_core.journal import reader as journal
from tune_core.journal.format import JOURNAL_FILE, Gap
from tune_core.journal.lock import Lock
from tune_core.journal.writer import Journal

HEADER = ev.Header(version="0.1.0", name="run", seed=7, at=1.0)
EVENTS = [
    ev.Suggested(
        0,
        {
            "lr": 0.1,
            "text": 'é"\n\\ ',
        },
    ),
    ev.Launched(0, "worker1", 2.0),
    ev.Reported(0, 1, 3.0, 1.0, {"loss": 0.5, "deep": {"a": [1, 2]}}),
    ev.Reported(0, 2, 3.0, 1.0, {"loss": "nan", "deep": {"a": "-inf"}}, "c1", 1, ["loss", "deep\x1fa"]),
    ev.Decided(0, "stop", "ASHA rung 2"),
    ev.Ended(0, "stopped", 4.0, "x"),
    ev.Exhausted("all"),
    ev.Finished(5.0, "over"),
]


def write(folder, events=(HEADER, *EVENTS)) -> bytes:
    log = Journal(str(folder))
    for event in events:
        log.append(ev.encode(event))
    log.close()
    return (folder / JOURNAL_FILE).read_bytes()


def four_parts(error) -> bool:
    return all((error.asked, error.found, error.cause, error.fix))


def test_what_was_written_is_read_back(tmp_path):
    data = write(tmp_path)
    log = journal.read(str(tmp_path))
    assert log.header == HEADER
    assert (log.size_bytes, log.torn_bytes) == (len(data), 0)
    assert repr(log.events[3].metrics) == "{'loss': nan, 'deep': {'a': -inf}}"
    assert [e for i, e in enumerate(log.events) if i != 3] == [e for i, e in enumerate(EVENTS) if i != 3]


def test_every_event_survives_the_journal(tmp_path):
    more = [
        ev.Saved(0, 1, "c"),
        ev.StopRequested(-1, "x"),
        ev.Interrupted("x", 1.0),
        ev.Restored(1.0, False, True, True, 9),
        ev.Refused(0, "x"),
        ev.Lost(0, "checkpoint_000001", "is missing"),
        ev.Stalled(),
        ev.Noted("x", 3),
    ]
    write(tmp_path, [HEADER, *more])
    assert journal.read(str(tmp_path)).events == more
    assert {type(e) for e in (*more, *EVENTS, HEADER)} == set(ev.AnyEvent.__args__)


def test_a_line_is_json_with_a_checksum_of_the_rest():
    line = ev.encode(EVENTS[0])
    assert line.endswith(b'"}\n') and b',"crc":"' in line
    assert ev.is_whole(line[:-1])


def test_one_wrong_byte_anywhere_in_a_line_is_noticed():
    line = ev.encode(EVENTS[0])[:-1]
    for at in range(len(line)):
        wrong = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
        assert not ev.is_whole(wrong), at


def test_a_tail_torn_at_any_byte_is_cut_at_the_last_whole_line(tmp_path):
    data = write(tmp_path)
    path = tmp_path / JOURNAL_FILE
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        whole = max((e for e in ends if e <= cut), default=0)
        if whole == 0:
            with pytest.raises(JournalError, match="no whole first line"):
                journal.read(str(tmp_path))
            continue
        log = journal.read(str(tmp_path))
        assert (log.size_bytes, log.torn_bytes) == (whole, cut - whole)
        assert len(log.events) == ends.index(whole)


def test_lines_behind_a_damaged_one_are_read_and_the_gap_is_in_its_place(tmp_path):
    lines = write(tmp_path).splitlines(keepends=True)
    whole = journal.read(str(tmp_path)).events
    third = bytearray(lines[3])
    third[5] ^= 4
    (tmp_path / JOURNAL_FILE).write_bytes(b"".join([*lines[:3], third, *lines[4:]]))
    log = journal.read(str(tmp_path))
    gap = Gap(len(b"".join(lines[:3])), len(lines[3]))
    assert list(map(repr, log.events)) == list(map(repr, [*whole[:2], gap, *whole[3:]]))
    assert log.gaps == [gap]
    assert (log.size_bytes, log.torn_bytes) == (len(b"".join(lines)), 0)


@pytest.mark.parametrize("garbage", [b"\0" * 100, b"\n", b"\n\n", b"{}\n", b"\xff\xfe\n", b'{"e":"end"}\n'])
def test_garbage_at_the_end_is_a_torn_tail(tmp_path, garbage):
    data = write(tmp_path)
    (tmp_path / JOURNAL_FILE).write_bytes(data + garbage)
    log = journal.read(str(tmp_path))
    assert (log.size_bytes, log.torn_bytes, len(log.events)) == (len(data), len(garbage), len(EVENTS))


def test_going_on_cuts_the_torn_tail_off_and_appends(tmp_path):
    data = write(tmp_path)
    path = tmp_path / JOURNAL_FILE
    path.write_bytes(data + b'{"e":"end","trial":')
    log = journal.read(str(tmp_path))
    again = Journal(str(tmp_path), log.size_bytes)
    again.append(ev.encode(ev.Restored(9.0)))
    again.close()
    assert journal.read(str(tmp_path)).events[-1] == ev.Restored(9.0)
    assert path.read_bytes().startswith(data)


def test_nothing_is_in_the_file_before_write(tmp_path):
    log = Journal(str(tmp_path))
    log.append(ev.encode(HEADER))
    assert (tmp_path / JOURNAL_FILE).read_bytes() == b""
    log.write()
    assert (tmp_path / JOURNAL_FILE).read_bytes() == ev.encode(HEADER)
    log.write()
    log.close()
    assert (tmp_path / JOURNAL_FILE).read_bytes() == ev.encode(HEADER)


# --- what cannot be read ----------------------------------------------------------------------------------------------


def sealed(text: bytes) -> bytes:
    """Any JSON object as a line with the right checksum."""
    import zlib

    return b'%b,"crc":"%08x"}\n' % (text[:-1], zlib.crc32(text))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (None, "no experiment"),
        (b"", "no whole first line"),
        (b"hello\n", "no whole first line"),
        (ev.encode(EVENTS[0]), "does not start with a run's header"),
        (sealed(b'{"e":"run","schema":99,"version":"9.0"}'), "schema 99, written by tune-core 9.0"),
        (sealed(b'{"e":"run","schema":"x","version":"9.0"}'), "schema x"),
        (sealed(b'{"e":"run","schema":1,"version":"0.1"}'), "does not know"),
        (ev.encode(HEADER) + sealed(b'{"e":"teleported","trial":0}'), "does not know"),
        (ev.encode(HEADER) + sealed(b'{"e":"end","trial":"zero"}'), "does not know"),
    ],
)
def test_a_journal_that_cannot_be_read_says_why(tmp_path, data, named):
    if data is not None:
        (tmp_path / JOURNAL_FILE).write_bytes(data)
    with pytest.raises(JournalError, match=named) as caught:
        journal.read(str(tmp_path))
    assert four_parts(caught.value)


def test_a_folder_that_is_a_file_holds_no_experiment(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(JournalError, match="holds no experiment"):
        journal.read(str(tmp_path / "file"))


def test_a_journal_that_is_a_folder_cannot_be_read(tmp_path):
    (tmp_path / JOURNAL_FILE).mkdir()
    with pytest.raises(JournalError, match="cannot be read"):
        journal.read(str(tmp_path))


# --- who may write ----------------------------------------------------------------------------------------------------


def test_a_second_driver_is_locked_out_until_the_first_has_gone(tmp_path):
    first = Lock(str(tmp_path))
    with pytest.raises(ExperimentLockedError, match=f"process {os.getpid()}") as caught:
        Lock(str(tmp_path))
    assert four_parts(caught.value)
    first.release()
    Lock(str(tmp_path)).release()


def test_a_killed_driver_holds_no_lock(tmp_path):
    code = (
        "import sys, time; from tune_core.journal.lock import Lock; "
        "lock = Lock(sys.argv[1]); print('locked', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert other.stdout is not None and other.stdout.readline() == b"locked\n"
    with pytest.raises(ExperimentLockedError, match=f"process {other.pid}"):
        Lock(str(tmp_path))
    other.kill()
    other.wait()
    Lock(str(tmp_path)).release()


def test_a_folder_that_does_not_exist_cannot_be_written(tmp_path):
    for make in (Journal, Lock):
        with pytest.raises(StorageError, match="cannot be written") as caught:
            make(str(tmp_path / "missing"))
        assert four_parts(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="cannot be written"):
            Journal(str(tmp_path))
    finally:
        tmp_path.chmod(0o700)


FULL = """
import resource, signal, sys
from tune_core.core import events as ev
from tune_core.journal.writer import Journal
from tune_core.errors import StorageError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
log = Journal(sys.argv[1])
log.append(ev.encode(ev.Header(version="1", name="n", seed=0, at=0.0)))
try:
    for i in range(1000):
        log.append(ev.encode(ev.Noted(f"event {i}")))
        log.write()
except StorageError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.append(ev.encode(ev.Noted("after the failure")))
log.write()
log.close()
"""


def test_a_write_that_fails_leaves_only_whole_lines_and_nothing_is_written_after_it(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "cannot be written" in done.stdout
    log = journal.read(str(tmp_path))
    assert log.torn_bytes == 0
    assert [e.what for e in log.events] == [f"event {i}" for i in range(len(log.events))]
    assert 500 < log.size_bytes <= 1000


def test_a_full_disk_is_said(tmp_path):
    log = Journal(str(tmp_path))
    os.dup2(os.open("/dev/full", os.O_WRONLY), log._file)
    log.append(ev.encode(HEADER))
    with pytest.raises(StorageError, match="the disk is full") as caught:
        log.write()
    assert "Tuner.restore" in caught.value.fix
    log.close()
