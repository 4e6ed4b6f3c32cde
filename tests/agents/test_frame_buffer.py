"""The buffer that stores frames once gives what the usual buffer gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer

from agents.frame_buffer import FrameReplayBuffer
from agents.trajectories import stored_steps

STACK, SIZE, ENVS = 3, 4, 2
SPACE = spaces.Box(0, 255, (3 * STACK, SIZE, SIZE), np.uint8)
ACTIONS = spaces.Box(-1, 1, (1,), np.float32)


def fill(
    buffers: list[Any], steps: int, lengths: tuple[int, ...] = (5, 7), timeout: bool = True, amid: bool = False
) -> None:
    """Plays environments whose frames are their numbers: environment, episode and step.

    With ``amid``, every second episode begins amid what went before: its first stack is of three frames.
    """
    rng = np.random.default_rng(0)
    stacks: list[list[np.ndarray[Any, Any]]] = []
    episodes, times = [0] * ENVS, [0] * ENVS

    def frame(env: int) -> np.ndarray[Any, Any]:
        picture = np.zeros((3, SIZE, SIZE), np.uint8)
        picture[:, 0, 0] = env
        picture[:, 0, 1] = episodes[env]
        picture[:, 0, 2] = times[env]
        return picture

    def first(env: int) -> list[np.ndarray[Any, Any]]:
        older = [frame(env).copy() for _ in range(STACK - 1)]
        if amid and episodes[env] % 2:
            for age, picture in enumerate(older):
                picture[:, 1, 1] = 100 + age
        return [*older, frame(env)]

    stacks = [first(env) for env in range(ENVS)]
    for _ in range(steps):
        before = np.stack([np.concatenate(stack) for stack in stacks])
        dones = np.zeros(ENVS, bool)
        infos: list[dict[str, Any]] = [{} for _ in range(ENVS)]
        for env in range(ENVS):
            times[env] += 1
            stacks[env] = [*stacks[env][1:], frame(env)]
            dones[env] = times[env] == lengths[env]
        after = np.stack([np.concatenate(stack) for stack in stacks])
        for env in np.flatnonzero(dones):
            infos[env]["TimeLimit.truncated"] = timeout
            episodes[env] += 1
            times[env] = 0
            stacks[env] = first(env)
        actions, rewards = rng.uniform(-1, 1, (ENVS, 1)), rng.uniform(size=ENVS)
        for buffer in buffers:
            buffer.add(before, after, actions, rewards, dones, infos)


def both(size: int) -> tuple[FrameReplayBuffer, ReplayBuffer]:
    return (
        FrameReplayBuffer(size, SPACE, ACTIONS, "cpu", ENVS),
        ReplayBuffer(size, SPACE, ACTIONS, "cpu", ENVS),
    )


@pytest.mark.parametrize("amid", [False, True])
@pytest.mark.parametrize("steps", [1, 4, 7, 13, 20, 33, 47])
def test_every_stack_is_that_of_the_usual_buffer(steps: int, amid: bool) -> None:
    own, usual = both(20 * ENVS)
    fill([own, usual], steps, amid=amid)
    left_out = STACK - 1 if own.full else 0
    rows = (np.arange(left_out, own.size()) + (own.pos if own.full else 0)) % own.buffer_size
    for env in range(ENVS):
        envs = np.full(len(rows), env)
        np.testing.assert_array_equal(own.stacks(rows, envs), usual.observations[rows, env])
        np.testing.assert_array_equal(own.next_stacks(rows, envs), usual.next_observations[rows, env])


@pytest.mark.parametrize("timeout", [True, False])
def test_samples_hold_the_transition_and_bootstrap_at_the_horizon_alone(timeout: bool) -> None:
    own, _ = both(40 * ENVS)
    fill([own], 30, timeout=timeout)
    np.random.seed(0)  # noqa: NPY002 - what SB3's buffers draw from
    batch = own.sample(256)
    now, following = batch.observations.numpy(), batch.next_observations.numpy()
    assert batch.observations.shape == (256, *SPACE.shape)
    assert (now[:, -1, 0, 0] == following[:, -1, 0, 0]).all()
    assert (now[:, -1, 0, 1] == following[:, -1, 0, 1]).all()
    assert (now[:, -1, 0, 2] + 1 == following[:, -1, 0, 2]).all()
    ended = following[:, -1, 0, 2] == np.array((5, 7))[now[:, -1, 0, 0]]
    assert ended.any()
    np.testing.assert_array_equal(batch.dones.numpy().ravel() > 0, ended & (not timeout))


def test_rewards_of_several_steps_are_those_of_the_usual_buffer() -> None:
    settings = {"n_steps": 3, "gamma": 0.9}
    own = FrameReplayBuffer(40 * ENVS, SPACE, ACTIONS, "cpu", ENVS, **settings)  # type: ignore[arg-type]
    usual = NStepReplayBuffer(40 * ENVS, SPACE, ACTIONS, "cpu", ENVS, **settings)  # type: ignore[arg-type]
    fill([own, usual], 30)
    batches = []
    for buffer in (own, usual):
        np.random.seed(0)  # noqa: NPY002 - what SB3's buffers draw from
        batches.append(buffer._get_samples(np.arange(30)))
    for mine, theirs in zip(*batches, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_a_return_stops_where_its_episode_ends() -> None:
    own = FrameReplayBuffer(40 * ENVS, SPACE, ACTIONS, "cpu", ENVS, n_steps=3, gamma=0.5)
    fill([own], 12)
    batch = own._get_samples(np.array([3, 9]))
    env = batch.observations[:, -1, 0, 0].long()
    steps = {(3, 0): 2, (9, 0): 1, (3, 1): 3, (9, 1): 3}
    for index, row in enumerate((3, 9)):
        which = int(env[index])
        summed = sum(0.5**k * own.rewards[row + k, which] for k in range(steps[row, which]))
        assert batch.rewards[index].item() == pytest.approx(summed)
        assert batch.discounts[index].item() == pytest.approx(0.5 ** steps[row, which])  # type: ignore[index]


def test_it_takes_a_sixth_of_the_memory() -> None:
    space = spaces.Box(0, 255, (9, 64, 64), np.uint8)
    own, usual = FrameReplayBuffer(500, space, ACTIONS), ReplayBuffer(500, space, ACTIONS)
    assert own.frames.nbytes * 6 == usual.observations.nbytes + usual.next_observations.nbytes
    assert own.observations.nbytes == own.next_observations.nbytes == 0


@pytest.mark.parametrize("steps", [12, 47])
def test_a_restored_buffer_goes_on_alike(steps: int) -> None:
    own, restored = both(20 * ENVS)[0], both(20 * ENVS)[0]
    fill([own], steps, amid=True)
    restored.restore(own.arrays())
    draws = []
    for buffer in (own, restored):
        np.random.seed(1)  # noqa: NPY002 - what SB3's buffers draw from
        fill([buffer], 6)
        draws.append(buffer.sample(64))
    for first, second in zip(*draws, strict=True):
        if first is not None:
            np.testing.assert_array_equal(first.numpy(), second.numpy())


def test_stacks_can_be_asked_for_by_row_and_environment() -> None:
    own, usual = both(40 * ENVS)
    fill([own, usual], 10)
    rows = np.array([1, 2, 3])
    np.testing.assert_array_equal(own.observations[rows, 1], usual.observations[rows, 1])


def test_a_buffer_that_does_not_fit_in_memory_is_refused_with_the_figure() -> None:
    space = spaces.Box(0, 255, (9, 84, 84), np.uint8)
    with pytest.raises(ValueError, match=r"2\.1 GB for its frames and 1\.0 GB are free"):
        FrameReplayBuffer(100_000, space, ACTIONS, memory=10**9)
    both = spaces.Dict({"pixels": space, "embedding": spaces.Box(-1, 1, (1_000,), np.float32)})
    with pytest.raises(ValueError, match=r"0\.8 GB for its vectors, and 2\.2 GB are free.*shorter embedding"):
        FrameReplayBuffer(100_000, both, ACTIONS, memory=2_200_000_000)


@pytest.mark.parametrize(
    "space", [spaces.Box(0, 1, (9, 4, 4), np.float32), spaces.Box(0, 255, (4, 4, 4), np.uint8), spaces.Discrete(3)]
)
def test_other_observations_are_refused(space: spaces.Space[Any]) -> None:
    with pytest.raises(ValueError, match="environment observes"):
        FrameReplayBuffer(10, space, ACTIONS)


def test_an_empty_buffer_says_so() -> None:
    with pytest.raises(ValueError, match="holds 0 step"):
        both(10)[0].sample(1)


def test_the_auxiliary_loss_finds_its_trajectories() -> None:
    from stable_baselines3.common.vec_env import DummyVecEnv

    from agents import pixel_sac
    from encoders import make
    from envs.cartpole import Cartpole
    from envs.pixels import PixelObservation

    venv = DummyVecEnv([lambda: PixelObservation(Cartpole(image_size=16, action_repeat=100))])
    learning = pixel_sac.LearningConfig(learning_starts=100)
    preset = pixel_sac.Preset(16, 2, 8, 16, 4)
    agent = pixel_sac.make(venv, make("autoencoder", image_size=16), preset, learning, 50, 0, 0)
    agent.learn(25)
    venv.close()
    steps = stored_steps(agent)
    assert steps.ends.shape == (25, 1)
    assert np.flatnonzero(steps.ends).tolist() == [9, 19, 24]
    assert steps.pixels[np.arange(3), 0].shape == (3, 9, 16, 16)


def test_vectors_come_with_the_transition_and_its_last_step() -> None:
    space = spaces.Dict({"pixels": SPACE, "embedding": spaces.Box(-np.inf, np.inf, (2,), np.float32)})
    plain = FrameReplayBuffer(20, SPACE, ACTIONS, "cpu", ENVS, n_steps=2, gamma=0.5)
    buffer = FrameReplayBuffer(20, space, ACTIONS, "cpu", ENVS, n_steps=2, gamma=0.5)

    class WithVectors:
        """Numbers the steps: a step is seen as its number, and after it half a one more."""

        steps = 0

        def add(self, before: Any, after: Any, *rest: Any) -> None:
            seen = np.full((ENVS, 2), [0.0, 100.0]) + self.steps
            buffer.add({"pixels": before, "embedding": seen}, {"pixels": after, "embedding": seen + 0.5}, *rest)
            self.steps += 1

    fill([plain, WithVectors()], 26)
    rows, envs = np.arange(10).repeat(ENVS), np.tile(np.arange(ENVS), 10)
    np.testing.assert_array_equal(buffer.observations[rows, envs]["pixels"], plain.observations[rows, envs])
    for drawn in range(5):
        np.random.seed(drawn)  # noqa: NPY002 - what SB3 draws its minibatches from
        ours = buffer.sample(16)
        np.random.seed(drawn)  # noqa: NPY002
        theirs = plain.sample(16)
        assert ours.observations["pixels"].equal(theirs.observations)  # type: ignore[call-overload]
        assert ours.next_observations["pixels"].equal(theirs.next_observations)  # type: ignore[call-overload]
        before, after = ours.observations["embedding"], ours.next_observations["embedding"]  # type: ignore[call-overload]
        assert (before[:, 1] - before[:, 0] == 100).all()
        # One step further where an episode ends after the first, or nothing newer is stored, else two.
        further = np.where(ours.discounts[:, 0] == 0.5, 0.5, 1.5)
        np.testing.assert_array_equal((after - before)[:, 0], further)
    restored = FrameReplayBuffer(20, space, ACTIONS, "cpu", ENVS, n_steps=2, gamma=0.5)
    restored.restore(buffer.arrays())
    for part in ("observations", "next_observations"):
        wanted, found = getattr(buffer, part)[rows, envs], getattr(restored, part)[rows, envs]
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name])


def test_anything_but_vectors_with_frames_is_refused() -> None:
    space = spaces.Dict({"pixels": SPACE, "more": spaces.Box(0, 1, (2, 2), np.float32)})
    alone = spaces.Dict({"pixels": SPACE})
    with pytest.raises(ValueError, match="Frames and vectors are stored"):
        FrameReplayBuffer(10, alone, ACTIONS)
    with pytest.raises(ValueError, match="Frames and vectors are stored"):
        FrameReplayBuffer(20, space, ACTIONS, "cpu", ENVS)


def test_what_a_smaller_buffer_held_when_it_was_just_filled_goes_on_in_a_larger_one() -> None:
    larger, smaller, whole = (FrameReplayBuffer(size * ENVS, SPACE, ACTIONS, "cpu", ENVS) for size in (20, 13, 20))
    fill([smaller, whole], 13)
    assert (smaller.pos, smaller.full) == (0, True)
    larger.restore(smaller.arrays())
    assert (larger.pos, larger.full) == (whole.pos, whole.full) == (13, False)
    rows = np.arange(13)
    for env in range(ENVS):
        envs = np.full(13, env)
        np.testing.assert_array_equal(larger.stacks(rows, envs), whole.stacks(rows, envs))
        np.testing.assert_array_equal(larger.next_stacks(rows, envs), whole.next_stacks(rows, envs))
    # Full ones of one size stay full.
    again, full = (FrameReplayBuffer(13 * ENVS, SPACE, ACTIONS, "cpu", ENVS) for _ in range(2))
    fill([full], 16)
    again.restore(full.arrays())
    assert (again.pos, again.full) == (3, True)
