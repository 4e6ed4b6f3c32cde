"""The timing of updates: every stage runs, and the baseline is Stable-Baselines3's own step."""

import json
from pathlib import Path

import pytest
from stable_baselines3 import SAC

from experiments.swing_settings import SwingConfig
from experiments.update_speed import STAGES, FiveEncodings, UpdateSpeedConfig, buffer_megabytes, measure


def test_every_stage_of_a_variant_is_timed(tmp_path: Path) -> None:
    world = SwingConfig(preset="cpu", steps=1_000, precision="bfloat16")
    config = UpdateSpeedConfig(("sac_ae", "sac_state"), 1, 1, out=tmp_path / "speed.json", world=world)

    measure(config)

    rates = json.loads((tmp_path / "speed.json").read_text())["updates_per_second"]
    assert tuple(rates["sac_ae"]) == STAGES
    assert tuple(rates["sac_state"]) == STAGES[:2]
    assert all(rate > 0 for found in rates.values() for rate in found.values())


def test_the_baseline_steps_as_stable_baselines3_does() -> None:
    assert FiveEncodings.train is SAC.train


def test_frames_take_a_sixth_of_the_memory() -> None:
    megabytes = buffer_megabytes(UpdateSpeedConfig(world=SwingConfig(preset="cpu", steps=1_000)))
    assert megabytes["ours"] == pytest.approx(1_000 * 3 * 64 * 64 / 2**20)
    assert megabytes["stable_baselines3"] == pytest.approx(6 * megabytes["ours"])


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="sac_aee"):
        UpdateSpeedConfig(("sac_aee",))
    with pytest.raises(ValueError, match="at least 1"):
        UpdateSpeedConfig(updates=0)
