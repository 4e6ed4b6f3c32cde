"""The check of a GPU, small, on the processor."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments import gpu_check
from experiments.gpu_check import NAMES, GPUCheckConfig
from experiments.measurements import device_parts
from experiments.measurements.device_parts import PARTS, TINY, Measured, Part, Weights

pytestmark = pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def call(monkeypatch: pytest.MonkeyPatch, *flags: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gpu_check.py", *flags])
    return gpu_check.main()


def test_every_part_runs_and_a_processor_agrees_with_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "figures.json"
    assert call(monkeypatch, "--tiny", "--device", "cpu", "--out", str(out)) == 0
    found = json.loads(out.read_text())
    assert tuple(found["parts"]) == NAMES == tuple(PARTS)
    for part in found["parts"].values():
        assert part["difference"] < 1e-5
        assert part["seconds"] > 0 and part["cpu_seconds"] > 0
    said = capsys.readouterr().out
    assert all(said.count(name) == 2 for name in NAMES)


@pytest.mark.parametrize("name", ["ppo_kuka", "sac_cartpole"])
def test_agents_are_compared_under_the_same_weights(name: str) -> None:
    here = PARTS[name].run("cpu", TINY, None)
    assert here.weights is not None
    assert here.outputs.size > 0
    others = {key: torch.zeros_like(value) for key, value in here.weights.items()}
    assert not np.allclose(PARTS[name].run("cpu", TINY, others).outputs, here.outputs)


@pytest.mark.parametrize("error", [0.02, float("nan")])
def test_a_part_that_differs_ends_in_status_1_and_later_parts_are_told_too(
    error: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = iter([1.0, 1.0 + error, 1.0, 1.001])

    def run(device: str, sizes: object, weights: Weights | None) -> Measured:
        return Measured(1.0, np.array([next(outputs)]))

    for name in ("fit", "embed"):
        monkeypatch.setitem(device_parts.PARTS, name, Part(run, 0.01, "numbers"))
    out = tmp_path / "figures.json"
    assert call(monkeypatch, "--tiny", "--device", "cpu", "--parts", "fit", "embed", "--out", str(out)) == 1
    parts = json.loads(out.read_text())["parts"]
    assert [part["within"] for part in parts.values()] == [False, True]
    assert "NO" in capsys.readouterr().out


def test_a_check_without_a_gpu_or_a_part_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert call(monkeypatch) == 2
    assert "device is 'cuda', and PyTorch" in capsys.readouterr().err
    with pytest.raises(ValueError, match="Unknown part 'fits'"):
        GPUCheckConfig(parts=("fits",))
