"""Each writing call fails once; ``TUNE_CORE_FAILING_CALLS`` says how many of them are tried."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trust import failing_calls

REASON = failing_calls.why_not()
POINTS = os.environ.get("TUNE_CORE_FAILING_CALLS", "8")


@pytest.mark.skipif(bool(REASON), reason=REASON)
@pytest.mark.timeout(600)
def test_call_that_fails_once_ends_the_run_clearly_at_most_and_a_restore_finishes_it() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)}
    command = [sys.executable, "-m", "trust.failing_calls", POINTS]
    tests = Path(__file__).parents[1]
    done = subprocess.run(command, env=environment, cwd=tests, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
