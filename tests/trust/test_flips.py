"""Bytes of a journal flipped; ``TUNE_CORE_FLIP_EVERY=1`` flips each one."""

from __future__ import annotations

import os

import pytest

from trust import flips


@pytest.mark.timeout(7200)
def test_no_flipped_byte_is_silent_and_no_restore_loses_what_it_cuts() -> None:
    every = int(os.environ.get("TUNE_CORE_FLIP_EVERY", "293"))
    seen = flips.run(every, restores=4)
    assert not seen.silent, seen.silent[:5]
    assert not seen.tracebacks, seen.tracebacks[:3]
    assert not seen.lost, seen.lost[:5]
    assert max(seen.again) <= 2
