"""One trial's lines by an index: the same as by reading the whole journal, whatever becomes of the file meanwhile."""

from __future__ import annotations

import random
from array import array
from pathlib import Path
from typing import Any

import pytest
from journals import random_run

from tune_core.journal import format as journal_format
from tune_core.journal import kept_index, trial_index, written_lines
from tune_core.journal.format import JOURNAL_FILE, TRIAL_HEAD, Gap, LineScanner
from tune_core.journal.reader import Reader
from tune_core.journal.trial_index import forget, keep_own
from tune_core.journal.written_lines import WrittenLines


def by_scan(folder: str, trial: int | range) -> list[Any]:
    whole = Reader.of_bytes(Path(folder, JOURNAL_FILE).read_bytes())  # has no index
    events = [event for some in whole.read() for event in some]
    wanted = [None, -1, *([trial] if isinstance(trial, int) else trial)]
    return [event for event in events if getattr(event, "trial", None) in wanted]


def by_index(folder: str, trial: int | range) -> list[Any]:
    return [event for some in Reader(folder, trial).read() for event in some]


def check(folder: str, forgets: bool = False) -> None:
    for trial in (0, 3, range(1, 4), 1, range(999), 999, range(2, 3)):
        if forgets:  # as another process would read it
            forget(str(Path(folder, JOURNAL_FILE)))
        reader, whole = Reader(folder, trial), Reader(folder)
        list(reader.read()), list(whole.read())
        if forgets:
            forget(str(Path(folder, JOURNAL_FILE)))
        assert repr(by_index(folder, trial)) == repr(by_scan(folder, trial))  # NaN is no equal of itself
        assert (reader.size_bytes, reader.torn_bytes, reader.gaps) == (whole.size_bytes, whole.torn_bytes, whole.gaps)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("block_bytes", [1, 700, trial_index.BLOCK_BYTES])
def test_an_index_gives_what_a_scan_gives_as_the_journal_grows_tears_and_is_damaged(
    tmp_path: Path, seed: int, kept: bool, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_index, "BLOCK_BYTES", block_bytes)
    if kept:
        monkeypatch.setattr(kept_index, "LEAST_BYTES", 0)
        monkeypatch.setattr(kept_index, "GROWN", 1.0)
    folder = random_run(tmp_path, seed).save()
    path = Path(folder, JOURNAL_FILE)
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    chance = random.Random(seed)
    middle = len(lines) // 2

    path.write_bytes(b"".join(lines[:middle]))
    check(folder, kept)
    with path.open("ab") as file:  # it grows, and ends in half a line
        file.write(b"".join(lines[middle:-1]) + lines[-1][:7])
    check(folder, kept)
    with path.open("ab") as file:  # the line is finished
        file.write(lines[-1][7:])
    check(folder, kept)
    with path.open("r+b") as file:  # a bit flips in what was read before, in place
        place = chance.randrange(len(b"".join(lines[:2])), len(data) - 2)
        file.seek(place)
        file.write(bytes([data[place] ^ 1]))
    check(folder, kept)
    path.write_bytes(data[: place - 1] + bytes([data[place - 1] ^ 1]) + data[place:])
    check(folder, kept)
    assert any(isinstance(event, Gap) for event in by_index(folder, 0)) or place > len(data) - len(lines[-1])
    path.write_bytes(b"".join(lines[: middle // 2]))  # it was cut
    check(folder, kept)
    path.write_bytes(b"".join([*lines[: middle // 2], *lines[middle:]]))  # and went on otherwise
    check(folder, kept)


def test_histories_of_all_trials_read_the_journal_once(tmp_path: Path) -> None:
    folder = random_run(tmp_path, 1).save()
    read = read_bytes_of(lambda: [by_index(folder, trial) for trial in range(20)])
    assert read <= Path(folder, JOURNAL_FILE).stat().st_size


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of a run whose index is kept beside its journal."""
    monkeypatch.setattr(kept_index, "LEAST_BYTES", 0)
    folder = random_run(tmp_path, 2).save()
    by_index(folder, 0)
    forget(str(Path(folder, JOURNAL_FILE)))
    return folder


def read_bytes_of(action: Any) -> int:
    """How many bytes of journals are scanned meanwhile."""
    read = 0

    def counted(scan: Any) -> Any:
        def counting(self: Any, file: Any, *how: Any) -> Any:
            nonlocal read
            for part in scan(self, file, *how):
                read += len(part) if isinstance(part, bytes) else 0
                yield part

        return counting

    with pytest.MonkeyPatch.context() as patch:
        for name in ("scan", "scan_known"):
            patch.setattr(LineScanner, name, counted(getattr(LineScanner, name)))
        action()
    return read


def test_another_process_finds_a_trial_without_reading_the_journal(kept: str) -> None:
    assert read_bytes_of(lambda: by_index(kept, 3)) == 0


@pytest.mark.parametrize("place", [0.0, 0.02, 0.3, 0.6, 0.999])
@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_a_damaged_index_is_made_anew(kept: str, place: float, how: str) -> None:
    path = Path(kept, kept_index.INDEX_FILE)
    data = path.read_bytes()
    at = int(place * len(data))
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if how == "flipped" else data[:at])

    assert repr(by_index(kept, 3)) == repr(by_scan(kept, 3))
    assert path.read_bytes() == data


def test_an_index_that_leads_to_other_lines_is_not_believed(kept: str) -> None:
    journal = str(Path(kept, JOURNAL_FILE))
    index = kept_index.load(journal)
    assert index is not None
    wrong = {trial: array("Q", [7]) if trial == 3 else index.of(trial) for trial in index.trials}
    extent = kept_index.Extent(index.stamp, index.at, index.last, index.gaps)
    kept_index.keep(journal, extent, kept_index.Places.of(wrong, index.blocks, index.sums, index.run_lines))

    assert repr(by_index(kept, 3)) == repr(by_scan(kept, 3))


def test_an_index_through_a_link_is_neither_read_nor_written(kept: str, tmp_path: Path) -> None:
    path, elsewhere = Path(kept, kept_index.INDEX_FILE), tmp_path / "elsewhere"
    elsewhere.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(elsewhere)
    before = elsewhere.stat().st_mtime_ns

    assert kept_index.load(str(Path(kept, JOURNAL_FILE))) is None
    assert repr(by_index(kept, 3)) == repr(by_scan(kept, 3))
    assert elsewhere.stat().st_mtime_ns == before and not path.is_symlink()


def written(lines: list[bytes], at: int = 0) -> WrittenLines:
    """What a driver notes that appends these lines, behind ``at`` bytes that it has not written, one by one."""
    noted = WrittenLines(at)
    for line in lines:
        noted.add(line)
    return noted


def lines_of(journal: Path) -> list[bytes]:
    return journal.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("block_bytes", [1, 700, trial_index.BLOCK_BYTES])
def test_the_index_that_a_driver_leaves_is_the_one_that_a_reader_would_make(
    tmp_path: Path, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_index, "LEAST_BYTES", 0)
    monkeypatch.setattr(trial_index, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(written_lines, "BLOCK_BYTES", block_bytes)
    folder = random_run(tmp_path, 3).save()
    journal, kept = Path(folder, JOURNAL_FILE), Path(folder, kept_index.INDEX_FILE)

    assert read_bytes_of(lambda: keep_own(str(journal), written(lines_of(journal)))) == 0
    by_driver = kept.read_bytes()
    kept.unlink()
    by_index(folder, 0)

    assert kept.read_bytes() == by_driver


@pytest.mark.parametrize("most", [1, 5, 40])
@pytest.mark.parametrize("seed", range(3))
def test_lines_that_are_appended_several_at_a_time_are_found_too(
    tmp_path: Path, most: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_index, "LEAST_BYTES", 0)
    monkeypatch.setattr(written_lines, "BLOCK_BYTES", 900)
    folder = random_run(tmp_path, seed).save()
    journal = Path(folder, JOURNAL_FILE)
    chance, noted, lines = random.Random(seed), WrittenLines(0), lines_of(journal)
    while lines:
        number = chance.randint(1, most)
        some, lines = lines[:number], lines[number:]
        heads = [TRIAL_HEAD.match(line) for line in some]
        whose = {int(head[1]) for head in heads if head is not None} if all(heads) else set()
        noted.add(b"".join(some), whose)

    keep_own(str(journal), noted)

    check(folder, forgets=True)
    forget(str(journal))
    assert read_bytes_of(lambda: by_index(folder, range(5))) == 0


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_driver_adds_what_it_has_written_to_the_index_that_is_there(
    tmp_path: Path, is_kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_index, "LEAST_BYTES", 0)
    folder = random_run(tmp_path, 3).save()
    journal, at = Path(folder, JOURNAL_FILE), 0
    lines = lines_of(journal)

    for part in (lines[:60], lines[60:]):
        journal.write_bytes((journal.read_bytes() if at else b"") + b"".join(part))
        if at and not is_kept:  # the driver before was killed
            Path(folder, kept_index.INDEX_FILE).unlink()
        keep_own(str(journal), written(part, at))
        at = journal.stat().st_size
        assert read_bytes_of(lambda: check(folder, forgets=True)) > 0  # by the scans to compare with
        forget(str(journal))
        assert read_bytes_of(lambda: by_index(folder, 3)) == 0


def test_a_driver_that_runs_out_of_time_leaves_the_rest_to_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_index, "LEAST_BYTES", 0)
    monkeypatch.setattr(trial_index, "MOST_S", -1.0)
    monkeypatch.setattr("tune_core.journal.format.CHUNK_BYTES", 900)
    folder = random_run(tmp_path, 3).save()
    journal = Path(folder, JOURNAL_FILE)

    rest = lines_of(journal)[-7:]
    keep_own(str(journal), written(rest, journal.stat().st_size - len(b"".join(rest))))
    begun = kept_index.load(str(journal))

    assert begun is not None and begun.at < 2000 < journal.stat().st_size
    check(folder, forgets=True)


def test_no_index_is_left_of_a_journal_that_somebody_else_has_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_index, "LEAST_BYTES", 0)
    folder = random_run(tmp_path, 3).save()
    journal = Path(folder, JOURNAL_FILE)

    keep_own(str(journal), written(lines_of(journal)[:-1]))

    assert not Path(folder, kept_index.INDEX_FILE).exists()


@pytest.mark.parametrize("chunk_bytes", [1, 900, 1 << 22])
def test_a_whole_reading_by_checksums_of_blocks_is_one_by_checksums_of_lines(
    kept: str, chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is damaged, in the journal or in the index, and wherever."""
    path, chance = Path(kept, JOURNAL_FILE), random.Random(1)
    data = path.read_bytes()
    monkeypatch.setattr(journal_format, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(trial_index, "BLOCK_BYTES", 700)

    def read() -> tuple[str, Any]:
        reader = Reader(kept)
        events = [event for some in reader.read() for event in some]
        return repr(events), (reader.size_bytes, reader.torn_bytes, reader.gaps)

    for how in ("as it was", "flipped", "cut", "grown", "line left out", "lines swapped"):
        for _ in range(20):
            path.write_bytes(data)
            forget(str(path))
            by_index(kept, 0)  # keeps the index
            place = chance.randrange(data.index(b"\n") + 1, len(data) - 1)
            begin = data.rfind(b"\n", 0, place) + 1
            end = data.index(b"\n", place) + 1
            following = data.find(b"\n", end) + 1 or end
            path.write_bytes(
                {
                    "as it was": data,
                    "flipped": data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :],
                    "cut": data[:place],
                    "grown": data + data[begin:place],
                    "line left out": data[:begin] + data[end:],
                    "lines swapped": data[:begin] + data[end:following] + data[begin:end] + data[following:],
                }[how]
            )
            assert kept_index.load(str(path)) is not None
            by_blocks = read()
            Path(kept, kept_index.INDEX_FILE).unlink()
            assert read() == by_blocks, how


def test_a_whole_reading_judges_no_line_that_lies_in_a_block_as_it_was(
    kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LineScanner, "_judge", lambda *about: pytest.fail("lines are judged one by one"))
    assert len([event for some in Reader(kept).read() for event in some]) > 100
