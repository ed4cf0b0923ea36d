"""One trial's lines by an index: the same as by reading the whole journal, whatever becomes of the file meanwhile."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from journals import random_run

from tune_core.journal.format import JOURNAL_FILE, Gap
from tune_core.journal.reader import Reader


def by_scan(folder: str, trial: int) -> list[Any]:
    events = [event for some in Reader(folder).read() for event in some]
    return [event for event in events if getattr(event, "trial", None) in (None, -1, trial)]


def by_index(folder: str, trial: int) -> list[Any]:
    return [event for some in Reader(folder, trial).read() for event in some]


def check(folder: str) -> None:
    for trial in (0, 3, 1, 999):
        reader, whole = Reader(folder, trial), Reader(folder)
        list(reader.read()), list(whole.read())
        assert repr(by_index(folder, trial)) == repr(by_scan(folder, trial))  # NaN is no equal of itself
        assert (reader.size_bytes, reader.torn_bytes, reader.gaps) == (whole.size_bytes, whole.torn_bytes, whole.gaps)


@pytest.mark.parametrize("seed", range(4))
def test_an_index_gives_what_a_scan_gives_as_the_journal_grows_tears_and_is_damaged(tmp_path: Path, seed: int) -> None:
    folder = random_run(tmp_path, seed).save()
    path = Path(folder, JOURNAL_FILE)
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    chance = random.Random(seed)
    middle = len(lines) // 2

    path.write_bytes(b"".join(lines[:middle]))
    check(folder)
    with path.open("ab") as file:  # it grows, and ends in half a line
        file.write(b"".join(lines[middle:-1]) + lines[-1][:7])
    check(folder)
    with path.open("ab") as file:  # the line is finished
        file.write(lines[-1][7:])
    check(folder)
    with path.open("r+b") as file:  # a bit flips in what was read before, in place
        place = chance.randrange(len(b"".join(lines[:2])), len(data) - 2)
        file.seek(place)
        file.write(bytes([data[place] ^ 1]))
    check(folder)
    path.write_bytes(data[: place - 1] + bytes([data[place - 1] ^ 1]) + data[place:])
    check(folder)
    assert any(isinstance(event, Gap) for event in by_index(folder, 0)) or place > len(data) - len(lines[-1])
    path.write_bytes(b"".join(lines[: middle // 2]))  # it was cut
    check(folder)
    path.write_bytes(b"".join([*lines[: middle // 2], *lines[middle:]]))  # and went on otherwise
    check(folder)


def test_histories_of_all_trials_read_the_journal_once(tmp_path: Path) -> None:
    folder = random_run(tmp_path, 1).save()
    read = 0
    scan = type(Reader(folder)._scanner).scan

    def counted(self: Any, file: Any) -> Any:
        nonlocal read
        for part in scan(self, file):
            read += len(part) if isinstance(part, bytes) else 0
            yield part

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tune_core.journal.format.LineScanner.scan", counted)
        for trial in range(20):
            by_index(folder, trial)
    assert read <= Path(folder, JOURNAL_FILE).stat().st_size
