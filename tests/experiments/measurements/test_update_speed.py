"""The timing of updates: every stage runs, and the baseline is Stable-Baselines3's own step."""

import json
from pathlib import Path

import pytest
from stable_baselines3 import SAC

from experiments.cartpole.config import SwingConfig
from experiments.measurements.update_speed import STAGES, FiveEncodings, UpdateSpeedConfig, buffer_megabytes, measure


@pytest.mark.parametrize(
    ("variant", "stages"), [("sac_state", STAGES[:2]), pytest.param("sac_ae", STAGES, marks=pytest.mark.slow)]
)
def test_every_stage_of_a_variant_is_timed(variant: str, stages: tuple[str, ...], tmp_path: Path) -> None:
    world = SwingConfig(preset="cpu", steps=1_000, precision="bfloat16")
    measure(UpdateSpeedConfig((variant,), 1, 1, out=tmp_path / "speed.json", world=world))

    rates = json.loads((tmp_path / "speed.json").read_text())["updates_per_second"]
    assert tuple(rates[variant]) == stages
    assert min(rates[variant].values()) > 0


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
    with pytest.raises(ValueError, match="leave beside out"):
        UpdateSpeedConfig(world=SwingConfig(beside="imm"))
    with pytest.raises(ValueError, match="'sac_landmarks' sees the truth"):
        UpdateSpeedConfig(world=SwingConfig(encoder="tcn"))
