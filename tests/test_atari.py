"""Atari games: names, frames against Gymnasium's own preprocessing, lives, scores, rewards."""

from __future__ import annotations

import ale_py
import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation
from stable_baselines3.common.atari_wrappers import MaxAndSkipEnv, WarpFrame

from envs.atari import AtariConfig, AtariVecEnv, env_id, rom_of

gym.register_envs(ale_py)


@pytest.mark.parametrize("name", ["ms_pacman", "MsPacman", "ALE/MsPacman-v5", "MsPacmanNoFrameskip-v4"])
def test_a_game_is_known_in_every_spelling(name: str) -> None:
    assert rom_of(name) == "ms_pacman"


def test_an_unknown_game_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"Unknown Atari game 'asault'\. Did you mean 'assault'"):
        rom_of("asault")


def test_every_game_of_gymnasium_is_known_by_its_name_there() -> None:
    names = [name for name in gym.registry if name.startswith("ALE/") and name.endswith("-v5")]
    assert len(names) > 90
    assert all(env_id(name) == name for name in names)


@pytest.mark.parametrize("settings", [{"stack": 0}, {"sticky": 1.0}, {"noop_max": -1}, {"max_frames": 0}])
def test_wrong_settings_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        AtariConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("game", ["Assault", "MsPacman", "Breakout"])
def test_frames_and_scores_are_gymnasiums_bit_for_bit(game: str) -> None:
    """Without no-ops, whose number both draw for themselves, and without the fire button at the start."""
    ours = AtariVecEnv(game, 1, AtariConfig(noop_max=0, fire_reset=False), training=False)
    theirs = gym.make(f"ALE/{game}-v5", frameskip=1, repeat_action_probability=0.0)
    theirs = FrameStackObservation(AtariPreprocessing(theirs, noop_max=0, frame_skip=4), 4, padding_type="zero")
    stable = WarpFrame(MaxAndSkipEnv(gym.make(f"ALE/{game}-v5", frameskip=1, repeat_action_probability=0.0), 4))
    observations = ours.reset()
    frames, _ = theirs.reset(seed=0)
    stable.reset(seed=0)
    assert np.array_equal(observations[0], frames)
    rng = np.random.default_rng(0)
    alike = []
    for _ in range(100):
        action = int(rng.integers(ours.actions))
        observations, rewards, dones, _ = ours.step(np.array([action]))
        frames, reward, terminated, truncated, _ = theirs.step(action)
        frame, other, *_ = stable.step(action)
        assert rewards[0] == reward == other
        assert bool(dones[0]) == (terminated or truncated)
        assert np.array_equal(observations[0], frames)
        alike.append((observations[0, -1] == frame[..., 0]).mean())
    # Stable-Baselines3 merges two frames before it makes them grey; the emulator's own grey comes first.
    assert np.mean(alike) > 0.98


def played(steps: int, training: bool, game: str = "breakout", envs: int = 2) -> list[tuple[int, float, bool, dict]]:
    venv = AtariVecEnv(game, envs, AtariConfig(), training, seed=3)
    venv.reset()
    rng = np.random.default_rng(0)
    moments = []
    for _ in range(steps):
        _, rewards, dones, infos = venv.step(rng.integers(venv.actions, size=envs))
        moments += [(k, float(rewards[k]), bool(dones[k]), infos[k]) for k in range(envs)]
    return moments


def test_in_training_an_episode_is_a_life_and_a_score_is_a_games() -> None:
    moments = [moment for moment in played(400, training=True) if moment[0] == 0]
    deaths = [index for index, (_, _, done, _) in enumerate(moments) if done]
    games = [index for index in deaths if "episode" in moments[index][3]]
    assert len(games) >= 2
    first, second = games[0], games[1]
    assert len([death for death in deaths if first < death <= second]) == 5
    points = sum(reward for _, reward, _, _ in moments[first + 1 : second + 1])
    assert moments[second][3]["episode"]["r"] == points
    assert moments[second][3]["episode"]["l"] == second - first
    for index in deaths:
        assert moments[index][3]["terminal_observation"].shape == (4, 84, 84)
        assert not moments[index][3]["TimeLimit.truncated"]


def test_in_evaluation_an_episode_is_a_game() -> None:
    done = [info for _, _, over, info in played(400, training=False) if over]
    assert done and all("episode" in info for info in done)


def test_rewards_are_clipped_in_training_and_scores_are_not() -> None:
    clipped = {reward for _, reward, _, _ in played(150, training=True, game="assault")}
    raw = {reward for _, reward, _, _ in played(150, training=False, game="assault")}
    assert clipped == {0.0, 1.0}
    assert max(raw) > 1
    scores = [info["episode"]["r"] for _, _, _, info in played(600, True, "assault") if "episode" in info]
    assert scores and min(scores) > 20


def test_the_last_frame_of_a_game_is_not_the_first_of_the_next() -> None:
    venv = AtariVecEnv("breakout", 1, AtariConfig(), training=False)
    before, rng = venv.reset(), np.random.default_rng(0)
    for _ in range(1000):
        observations, _, dones, infos = venv.step(rng.integers(venv.actions, size=1))
        if dones[0]:
            last = infos[0]["terminal_observation"]
            assert np.array_equal(last[:3], before[0, 1:])
            assert not np.array_equal(last, observations[0])
            return
        before = observations
    pytest.fail("no game ended")


def test_the_same_seed_starts_the_same_games() -> None:
    first, second, third = (AtariVecEnv("assault", 3, AtariConfig(), seed=seed).reset() for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)
    venv = AtariVecEnv("assault", 3, AtariConfig(), seed=1)
    venv.reset()
    venv.seed(1)
    assert np.array_equal(venv.reset(), first)
