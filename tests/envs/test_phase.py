"""The phase: where in the demonstration an episode is."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.vec_env import DummyVecEnv

from envs.kuka import KukaReach
from envs.phase import PhaseObservation, VecPhaseObservation, phase

HORIZON = 6


def test_the_phase_is_the_share_that_is_over_and_its_sines_and_cosines() -> None:
    np.testing.assert_allclose(phase(3, 6), [0.5, 1, 0, 0, 0, 0, -1, 1, 1], atol=1e-6)
    assert phase(np.arange(4), 6).shape == (4, 9)
    assert phase(3, 6).dtype == np.float32


def test_every_step_of_an_episode_has_a_phase_of_its_own() -> None:
    codes = phase(np.arange(51), 50)
    distances = np.linalg.norm(codes[:, None] - codes[None], axis=-1) + 10 * np.eye(51)
    assert distances.min() > 0.1


def test_an_environment_with_the_phase_passes_gymnasiums_check() -> None:
    env = PhaseObservation(KukaReach(camera=None, horizon=HORIZON), HORIZON)
    check_env(env, skip_render_check=True)
    env.close()


def test_single_and_vectorised_observe_the_same() -> None:
    kukas = DummyVecEnv([lambda: KukaReach(camera=None, horizon=HORIZON)] * 2)
    venv = VecPhaseObservation(kukas, HORIZON, drop=("goal",))
    env = PhaseObservation(KukaReach(camera=None, horizon=HORIZON), HORIZON, drop=("goal",))
    action = np.full(7, 0.3, np.float32)
    many, one = venv.reset(), env.reset()[0]
    assert isinstance(many, dict)
    assert set(many) == set(one) == {"joint_positions", "joint_velocities", "phase"}
    for _ in range(HORIZON):
        many, _, dones, infos = venv.step(np.stack([action, action]))
        one = env.step(action)[0]
    assert dones.all()
    for key, value in one.items():
        np.testing.assert_array_equal(infos[1]["terminal_observation"][key], value)
    assert isinstance(many, dict)
    np.testing.assert_array_equal(many["phase"], phase(np.zeros(2, int), HORIZON))
    env.close()
    venv.close()


def test_an_environment_without_named_observations_is_refused() -> None:
    with pytest.raises(ValueError, match="this environment has Box"):
        PhaseObservation(gym.make("CartPole-v1"), HORIZON)


def test_pixels_and_any_state_stay_beside_the_phase_unless_they_are_named() -> None:
    kuka = KukaReach(camera="front", image_size=16, horizon=HORIZON)
    for drop, left in (((), {"joint_positions", "joint_velocities", "goal", "pixels"}), (("goal", "pixels"), None)):
        expected = {"phase", *(left or {"joint_positions", "joint_velocities"})}
        env = PhaseObservation(kuka, HORIZON, drop)
        assert set(env.reset()[0]) == expected == set(env.observation_space.spaces)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"no observation \['goals'\]"):
        PhaseObservation(kuka, HORIZON, ("goals",))
    with pytest.raises(ValueError, match=r"observes \['phase'\] already"):
        PhaseObservation(PhaseObservation(kuka, HORIZON), HORIZON)
    with pytest.raises(ValueError, match="horizon is 0"):
        PhaseObservation(kuka, 0)
    kuka.close()


def test_there_is_no_phase_after_the_horizon() -> None:
    env = PhaseObservation(KukaReach(camera=None, horizon=HORIZON + 1), HORIZON)
    venv = VecPhaseObservation(DummyVecEnv([lambda: KukaReach(camera=None, horizon=HORIZON + 1)] * 2), HORIZON)
    for either, action in ((env, np.zeros(7, np.float32)), (venv, np.zeros((2, 7), np.float32))):
        either.reset()
        for _ in range(HORIZON):
            either.step(action)
        with pytest.raises(ValueError, match="at step 7, and the phase is of episodes of 6 steps"):
            either.step(action)
        either.close()


def test_the_phase_begins_where_episodes_do() -> None:
    venv = VecPhaseObservation(DummyVecEnv([lambda: KukaReach(camera=None, horizon=HORIZON)] * 2), HORIZON)
    venv.set_options([{"time": 4}, {}])
    seen = [venv.reset()["phase"]]  # type: ignore[call-overload, index]
    seen += [venv.step(np.zeros((2, 7), np.float32))[0]["phase"] for _ in range(2)]  # type: ignore[call-overload, index]
    np.testing.assert_array_equal(seen, phase(np.array([[4, 0], [5, 1], [0, 2]]), HORIZON))
    venv.close()
