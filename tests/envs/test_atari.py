"""Atari games: names, frames against Gymnasium's own preprocessing, lives, scores, rewards."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation
from stable_baselines3.common.atari_wrappers import MaxAndSkipEnv, WarpFrame
from stable_baselines3.common.vec_env import VecVideoRecorder

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


@pytest.mark.parametrize(
    "settings",
    [
        {"stack": 0},
        {"sticky": 1.0},
        {"sticky": float("nan")},
        {"noop_max": -1},
        {"max_frames": 0},
        {"max_idle_frames": -1},
        {"image_size": 32.5},
        {"image_size": 1_000_000},
        {"stack": True},
    ],
    ids=str,
)
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


def test_games_without_a_seed_differ_and_so_do_their_later_games() -> None:
    first, second = (AtariVecEnv("assault", 4, AtariConfig()) for _ in range(2))
    for _ in range(2):
        starts = np.concatenate([first.reset(), second.reset()])
        assert len(np.unique(starts.reshape(8, -1), axis=0)) > 4


@pytest.mark.parametrize("seed", [2**31 - 3, -1, 1.5])
def test_a_seed_that_leaves_none_for_the_last_game_is_refused(seed: Any) -> None:
    with pytest.raises(ValueError, match=f"seed is {seed}; it must be a whole number from 0 to 2147483644"):
        AtariVecEnv("breakout", 4, AtariConfig(), seed=seed)
    venv = AtariVecEnv("breakout", 4, AtariConfig(), seed=2**31 - 4)
    assert venv.reset().shape == (4, 4, 84, 84)
    with pytest.raises(ValueError, match=f"seed is {seed}"):
        venv.seed(seed)


@pytest.mark.parametrize("envs", [0, -1, 1.5])
def test_no_games_are_refused(envs: Any) -> None:
    with pytest.raises(ValueError, match=f"envs is {envs}"):
        AtariVecEnv("breakout", envs, AtariConfig())


@pytest.mark.parametrize("actions", [[4, 0], [-1, 0], [0], [0.0, 1.0], [np.nan, 0], [[0, 0]]], ids=str)
def test_actions_that_the_game_does_not_have_are_refused(actions: Any) -> None:
    venv = AtariVecEnv("breakout", 2, AtariConfig(), seed=0)
    venv.reset()
    with pytest.raises(ValueError, match="Actions must be 2 whole numbers from 0 to 3, one a game; got"):
        venv.step(np.array(actions))


def test_steps_and_pictures_before_a_reset_and_after_closing_are_refused() -> None:
    venv = AtariVecEnv("breakout", 1, AtariConfig())
    for ask in (lambda: venv.step(np.zeros(1, int)), venv.render):
        with pytest.raises(ValueError, match=r"call reset\(\) first"):
            ask()
    venv.reset()
    venv.close()
    venv.close()
    for ask in (lambda: venv.step(np.zeros(1, int)), venv.render, venv.reset):
        with pytest.raises(ValueError, match="This AtariVecEnv is closed; make a new one"):
            ask()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_copies_are_refused(copied: Callable[[AtariVecEnv], object]) -> None:
    with pytest.raises(TypeError, match=r"This AtariVecEnv cannot be copied or pickled.*Make another"):
        copied(AtariVecEnv("breakout", 1, AtariConfig()))


def test_a_video_recorder_films_the_newest_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The recorder asks whether moviepy is there before it films; only its end, which is not reached here, uses it.
    monkeypatch.setitem(sys.modules, "moviepy", ModuleType("moviepy"))
    venv = AtariVecEnv("breakout", 2, AtariConfig(), seed=0)
    recorder = VecVideoRecorder(venv, str(tmp_path), lambda step: step == 0, video_length=100)
    assert recorder.frames_per_sec == 15
    observations = recorder.reset()
    assert isinstance(observations, np.ndarray)
    frames = [observations]
    for action in ([1, 1], [2, 3]):
        frames.append(recorder.step(np.array(action))[0])  # type: ignore[arg-type]
    assert [film.shape for film in recorder.recorded_frames] == [(168, 84, 3)] * 3
    for film, seen in zip(recorder.recorded_frames, frames, strict=True):
        np.testing.assert_array_equal(film[:84, :, 1], seen[0, -1])
        np.testing.assert_array_equal(film[84:, :, 2], seen[1, -1])
    recorder.recorded_frames.clear()


def idle_until_over(config: AtariConfig, training: bool, steps: int) -> list[dict[str, Any]]:
    """Infos of the second of two games in which an agent does nothing, until its game is over."""
    venv = AtariVecEnv("breakout", 2, config, training, seed=0)
    venv.reset()
    seen: list[dict[str, Any]] = []
    for _ in range(steps):
        seen.append(venv.step(np.zeros(2, int))[3][1])
        if "episode" in seen[-1]:
            break
    return seen


@pytest.mark.parametrize("training", [False, True])
def test_a_game_in_which_nothing_happens_is_truncated(training: bool) -> None:
    infos = idle_until_over(AtariConfig(max_idle_frames=400), training, 1000)
    lost = next(index for index, info in enumerate(infos) if info["lives"] == 4)
    assert len(infos) == lost + 1 + 100
    assert infos[-1]["TimeLimit.truncated"] and infos[-1]["lives"] == 5
    assert infos[-1]["terminal_observation"].shape == (4, 84, 84)
    assert infos[-1]["episode"]["l"] == len(infos) and infos[-1]["episode"]["r"] == 0


def test_a_truncated_game_starts_again_and_the_others_go_on() -> None:
    venv = AtariVecEnv("breakout", 2, AtariConfig(max_idle_frames=400), training=False, seed=0)
    alone = AtariVecEnv("breakout", 2, AtariConfig(max_idle_frames=0), training=False, seed=0)
    venv.reset(), alone.reset()
    rng = np.random.default_rng(0)
    ended = 0
    for _ in range(300):
        actions = np.array([rng.integers(4), 0])
        seen, _, dones, infos = venv.step(actions)
        expected, _, others, _ = alone.step(actions)
        np.testing.assert_array_equal(seen[0], expected[0])
        assert dones[0] == others[0]
        if dones[1]:
            ended += 1
            np.testing.assert_array_equal(infos[1]["terminal_observation"], expected[1])
            assert not np.array_equal(seen[1], expected[1])
            break
    assert ended == 1


def test_five_minutes_without_a_point_are_the_default() -> None:
    assert AtariConfig().max_idle_frames == 5 * 60 * 60


@pytest.mark.parametrize("training", [False, True])
def test_fire_is_pressed_after_lost_lives_on_request(training: bool) -> None:
    infos = idle_until_over(AtariConfig(fire_lives=True), training, 300)
    assert "episode" in infos[-1] and not infos[-1]["TimeLimit.truncated"]
    assert {info["lives"] for info in infos} == {5, 4, 3, 2, 1}
    assert "episode" not in idle_until_over(AtariConfig(), training, 300)[-1]
