"""Power cuts, for real; ``TUNE_CORE_POWER_CUTS`` says how many (a hundred take about a quarter of an hour)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trust import power_cut

REASON = power_cut.why_not()
CUTS = int(os.environ.get("TUNE_CORE_POWER_CUTS", "4"))


@pytest.mark.skipif(bool(REASON), reason=REASON)
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", range(CUTS))
def test_run_goes_on_after_a_power_cut_and_no_trial_fails(number: int, tmp_path: Path) -> None:
    outcome = power_cut.cut_once(power_cut.KINDS[number % len(power_cut.KINDS)], number, tmp_path)
    assert outcome.is_right, outcome
