"""Where episodes begin: the nearest states, on a real cartpole, and with the wrappers that tell the time."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium as gym
import numpy as np
import pytest

from envs.cartpole import Cartpole
from envs.phase import PhaseObservation, phase
from envs.pixels import SeededEpisodes
from envs.starts import DemonstrationStarts, Starts, nearest
from rewards.huber import HuberConfig
from rewards.wrappers import TrackingReward

STATES = {"joints": np.array([[0.3, 0.1], [-0.2, 3.0], [0.1, -1.0]]), "velocities": np.array([[1.0, 2.0]] * 3)}

STARTS = Starts(STATES, (np.array([], int), np.array([0, 1]), np.array([2])))


@pytest.fixture
def env() -> Iterator[Cartpole]:
    cartpole = Cartpole(action_repeat=125, pixels=False)
    yield cartpole
    cartpole.close()


def test_the_nearest_states_of_every_moment_come_first_and_none_is_too_far() -> None:
    path = np.array([[0.0, 0.0], [3.0, 4.0], [100.0, 0.0]])
    own = np.array([[3.0, 0.0], [0.0, 1.0], [3.0, 5.0], [0.0, -0.5]])
    found = nearest(path, own, count=2, farthest=4.0)
    assert [indices.tolist() for indices in found] == [[3, 1], [2, 0], []]


def test_states_of_another_size_than_the_path_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(4, 2\)"):
        nearest(np.zeros((2, 3)), np.zeros((4, 2)), 1, 1.0)


def test_an_episode_begins_in_a_state_of_its_step_and_has_the_steps_left(env: Cartpole) -> None:
    begun = DemonstrationStarts(PhaseObservation(env, env.horizon), STARTS, share=1.0)
    times = set()
    for seed in range(20):
        observation, info = begun.reset(seed=seed)
        times.add(info["time"])
        place = observation["joint_positions"][0]
        assert place == pytest.approx(0.1) if info["time"] == 2 else place in np.float32([0.3, -0.2])
        np.testing.assert_array_equal(observation["phase"], phase(info["time"], env.horizon))
        ends = [begun.step(np.zeros(1, np.float32))[3] for _ in range(env.horizon - info["time"])]
        assert ends == [False] * (len(ends) - 1) + [True]
    assert times == {1, 2}


def test_the_reward_compares_with_the_path_from_the_step_that_an_episode_begins_at(env: Cartpole) -> None:
    class Still(gym.Wrapper):
        """An environment in which nothing moves."""

        def step(self, action: object) -> tuple[object, float, bool, bool, dict[str, object]]:
            return {"joint_positions": np.zeros(3, np.float32)}, 0.0, False, False, {}

    path = np.arange(9.0)[:, None] * np.array([1.0, 0.0, 0.0])
    tracking = TrackingReward(Still(env), "joint_positions", path, HuberConfig(), 1.0)
    tracking.reset(seed=0)
    assert tracking.step(np.zeros(1, np.float32))[4]["distance"] == 1.0
    tracking.reset(seed=0, options={"time": 5})
    assert tracking.step(np.zeros(1, np.float32))[4]["distance"] == 6.0


def test_a_share_of_the_episodes_begins_along_the_demonstration_and_seeds_settle_which(env: Cartpole) -> None:
    begun = SeededEpisodes(DemonstrationStarts(env, STARTS, share=0.5), seed=3)
    first = ["time" in begun.reset()[1] for _ in range(60)]
    assert 15 < sum(first) < 45
    begun.start_with(20)
    assert ["time" in begun.reset()[1] for _ in range(40)] == first[20:]


def test_a_training_that_goes_on_begins_with_its_own_episode_though_it_is_seeded_again(env: Cartpole) -> None:
    def start(seeded: SeededEpisodes, seed: int | None = None) -> list[float]:
        return seeded.reset(seed=seed)[0]["joint_positions"].tolist()  # type: ignore[no-any-return]

    seeded = SeededEpisodes(env, seed=3)
    starts = [start(seeded), *(start(seeded) for _ in range(3))]
    again = SeededEpisodes(env, seed=0)
    again.start_with(2)
    assert [start(again, seed=3), start(again)] == starts[2:]


def test_with_no_share_episodes_begin_as_the_task_has_it(env: Cartpole) -> None:
    usual = [env.reset(seed=seed)[0]["joint_positions"] for seed in range(5)]
    begun = DemonstrationStarts(env, STARTS, share=0.0)
    np.testing.assert_array_equal([begun.reset(seed=seed)[0]["joint_positions"] for seed in range(5)], usual)


def test_an_episode_goes_on_from_its_frames_as_it_did() -> None:
    env = Cartpole(image_size=16)
    env.reset(seed=0)
    for strength in (1.0, -0.5, 0.7):
        observation = env.step(np.array([strength], np.float32))[0]
    data = env.physics.data
    state = {"joints": data.qpos.copy(), "velocities": data.qvel.copy(), "frames": observation["pixels"], "time": 3}
    expected = env.step(np.ones(1, np.float32))[0]["pixels"]
    np.testing.assert_array_equal(env.reset(options=state)[0]["pixels"], state["frames"])
    np.testing.assert_array_equal(env.step(np.ones(1, np.float32))[0]["pixels"], expected)
    env.close()


def test_wrong_starts_are_refused(env: Cartpole) -> None:
    with pytest.raises(ValueError, match="share is"):
        DemonstrationStarts(env, STARTS, 1.5)
    with pytest.raises(ValueError, match="No state looks like"):
        DemonstrationStarts(env, Starts(STATES, (np.array([], int),)), 0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"time": 8}, "from 0 to 7"), ({"time": -1}, "from 0 to 7"), ({"frames": np.zeros((4, 4, 3))}, r"\(64, 64, 9\)")],
)
def test_options_that_do_not_fit_are_refused(env: Cartpole, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        env.reset(options=options)
