"""wait_for_gpu looks at the trial's own device, waits, and says what is wrong; a script stands in for nvidia-smi."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tune_core.errors import InvalidArgumentError, ResourceError
from tune_core.trainable.gpu_memory import wait_for_gpu

SMI = """#!{python}
import pathlib
file = pathlib.Path({used!r})
used = file.read_text().split()
print("0, GPU-aaaa, 40000, 80000")
print(f"1, GPU-bbbb, {{used[0]}}, 80000")
file.write_text(" ".join(used[1:] or used))
"""


@pytest.fixture(autouse=True)
def no_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the second GPU uses, in MiB: one number for each look."""
    used = tmp_path / "used"
    script = tmp_path / "nvidia-smi"
    script.write_text(SMI.format(python=sys.executable, used=str(used)))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    return used


def test_waits_until_the_memory_of_the_visible_device_is_free(smi: Path) -> None:
    smi.write_text("60000 30000 100")
    waited: list[float] = []

    assert wait_for_gpu(delay_s=7, sleep=waited.append)
    assert waited == [7, 7]


def test_does_not_wait_for_memory_that_is_free(smi: Path) -> None:
    smi.write_text("0")
    waited: list[float] = []

    assert wait_for_gpu(sleep=waited.append) and waited == []


@pytest.mark.parametrize("gpu_id", [0, "0", "GPU-aaaa"])
def test_device_is_named_by_index_or_uuid(smi: Path, gpu_id: int | str) -> None:
    smi.write_text("0")
    with pytest.raises(ResourceError, match="40000 of 80000 MiB in use"):
        wait_for_gpu(gpu_id, retry=0)
    assert wait_for_gpu(gpu_id, target_util=0.5, retry=0)


def test_gives_up_after_so_many_looks_and_says_how_much_is_in_use(smi: Path) -> None:
    smi.write_text("70000")
    waited: list[float] = []

    with pytest.raises(ResourceError, match=r"70000 of 80000 MiB in use after 15 s"):
        wait_for_gpu(retry=3, delay_s=5, sleep=waited.append)
    assert len(waited) == 3


def test_unknown_device_is_named_beside_those_there_are(smi: Path) -> None:
    smi.write_text("0")
    with pytest.raises(ResourceError, match=r"GPU-aaaa.*not among them"):
        wait_for_gpu(7)


def test_trial_without_a_gpu_is_told_to_ask_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ResourceError, match="with_resources"):
        wait_for_gpu()


def test_machine_without_a_driver_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(ResourceError, match="cannot see an NVIDIA GPU: nvidia-smi could not be run"):
        wait_for_gpu()


def test_share_outside_of_0_to_1_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="target_util"):
        wait_for_gpu(target_util=50)
