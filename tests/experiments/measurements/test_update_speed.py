"""The timing of updates: every stage runs, and the baseline is Stable-Baselines3's own step."""

import json
from pathlib import Path

import pytest
from stable_baselines3 import SAC

from agents.auxiliary import AuxiliaryConfig
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.observation import Frames, State
from experiments.cartpole.second_encoder import Gated
from experiments.measurements.update_speed import STAGES, FiveEncodings, UpdateSpeedConfig, buffer_megabytes, measure


@pytest.mark.parametrize(
    ("name", "stages"), [("sac_state", STAGES[:2]), pytest.param("sac_ae", STAGES, marks=pytest.mark.slow)]
)
def test_every_stage_of_an_agent_is_timed(name: str, stages: tuple[str, ...], tmp_path: Path) -> None:
    run = SwingUpConfig(Frames(precision="bfloat16", auxiliary=AuxiliaryConfig()), preset="cpu", steps=1_000)
    measure(UpdateSpeedConfig((name,), 1, 1, out=tmp_path / "speed.json", swingup=run))

    rates = json.loads((tmp_path / "speed.json").read_text())["updates_per_second"]
    assert tuple(rates[name]) == stages
    assert min(rates[name].values()) > 0


def test_the_baseline_steps_as_stable_baselines3_does() -> None:
    assert FiveEncodings.train is SAC.train


def test_frames_take_a_sixth_of_the_memory() -> None:
    megabytes = buffer_megabytes(UpdateSpeedConfig(swingup=SwingUpConfig(Frames(), preset="cpu", steps=1_000)))
    assert megabytes["ours"] == pytest.approx(1_000 * 3 * 64 * 64 / 2**20)
    assert megabytes["stable_baselines3"] == pytest.approx(6 * megabytes["ours"])


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="sac_aee"):
        UpdateSpeedConfig(("sac_aee",))
    with pytest.raises(ValueError, match="at least 1"):
        UpdateSpeedConfig(updates=0)
    with pytest.raises(ValueError, match="leave second out"):
        UpdateSpeedConfig(swingup=SwingUpConfig(Frames(second=Gated())))
    with pytest.raises(ValueError, match="leave encoder, shift out"):
        UpdateSpeedConfig(swingup=SwingUpConfig(Frames("tcn", shift=4)))
    with pytest.raises(ValueError, match="observes no frames"):
        UpdateSpeedConfig(swingup=SwingUpConfig(State()))
