"""The measurement of what encoder and reward cost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecEnv

from experiments.any_environment.environment import find
from experiments.measurements.imitation_cost import CostConfig, drawn_alone, imitating, measure

SMALL = CostConfig(("Pendulum-v1",), image_size=32, envs=2, workers=1, steps=3, turns=1)


def test_an_environment_is_timed_with_and_without(tmp_path: Path) -> None:
    measure(CostConfig(("Pendulum-v1",), 32, envs=2, workers=1, steps=3, turns=1, out=tmp_path / "cost.json"))
    figures = json.loads((tmp_path / "cost.json").read_text())
    found = figures["environments"]["Pendulum-v1"]
    assert found["ratio"] == pytest.approx(found["drawn"] / found["imitating"])


def test_both_draw_and_only_one_embeds_and_rewards() -> None:
    run = SMALL.run_of("Pendulum-v1")
    environment = find(run.env)

    def answer(venv: VecEnv) -> tuple[dict[str, np.ndarray], np.ndarray]:
        venv.reset()
        observation, reward, _, _ = venv.step(np.ones((2, 1), np.float32))
        venv.close()
        assert isinstance(observation, dict)
        return observation, reward

    alone, _ = answer(drawn_alone(run, environment))
    learner, reward = answer(imitating(run, environment))
    assert set(alone) == {"state"}
    assert {"state", "embedding", "phase"} <= set(learner)
    assert "pixels" not in learner
    assert (reward < 0).all()


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        CostConfig(turns=0)
    with pytest.raises(ValueError, match="it must be from 1 to envs"):
        CostConfig(envs=1)
