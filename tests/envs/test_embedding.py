"""Embeddings in observations, one environment at a time and many at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray
from stable_baselines3.common.env_checker import check_env as check_env_for_agents
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from encoders import Encoder
from encoders.base import channels_first
from envs.embedding import EmbeddingObservation, VecEmbeddingObservation, VecVectorObservation, embed_pixels, upcoming
from envs.kuka import KukaReach

MakeKuka = Callable[..., KukaReach]
DEMONSTRATION = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
"""For a horizon of 4 and the 8 numbers of the fixture's encoder."""


def many(make_kuka: MakeKuka, count: int = 3, **settings: Any) -> VecEnv:
    settings = {"image_size": 16, "horizon": 4, **settings}
    return DummyVecEnv([lambda: make_kuka(**settings) for _ in range(count)])  # type: ignore[arg-type, list-item]


def random_actions(steps: int, count: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).uniform(-1, 1, (steps, count, 7)).astype(np.float32)


def direct(encoder: Encoder, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return encoder.embed(channels_first(pixels)).numpy()


def test_the_checkers_accept_the_wrapped_environment(make_kuka: MakeKuka, encoder: Encoder) -> None:
    for camera, repeats in (("front", 1), (("front", "side"), 2)):
        kuka = make_kuka(image_size=16, horizon=4, camera=camera)
        env = EmbeddingObservation(kuka, encoder, np.tile(DEMONSTRATION, repeats))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is wrapped, and that embeddings are unbounded
            check_env(env, skip_render_check=True)
            check_env_for_agents(env, warn=False)


def test_the_goal_and_the_pixels_are_replaced_by_embeddings(make_kuka: MakeKuka, encoder: Encoder) -> None:
    kuka = make_kuka(image_size=16, horizon=4)
    env = EmbeddingObservation(kuka, encoder, DEMONSTRATION, drop=("goal",))
    observations = [env.reset(seed=0)[0]]
    frames = [kuka.frame("front")]
    for action in random_actions(4, 1)[:, 0]:
        observations.append(env.step(action)[0])
        frames.append(kuka.frame("front"))
    assert set(observations[0]) == {"joint_positions", "joint_velocities", "embedding", "demonstration"}
    embeddings = np.stack([observation["embedding"] for observation in observations])
    np.testing.assert_allclose(embeddings, direct(encoder, np.stack(frames)), atol=1e-4)
    # What the next action will be compared with; the last frame has none and keeps the last.
    shown = np.stack([observation["demonstration"] for observation in observations])
    np.testing.assert_array_equal(shown, DEMONSTRATION[[1, 2, 3, 4, 4]])
    np.testing.assert_array_equal(env.reset()[0]["demonstration"], DEMONSTRATION[1])


def test_many_at_once_equal_one_at_a_time_through_resets(make_kuka: MakeKuka, encoder: Encoder) -> None:
    venv = VecEmbeddingObservation(many(make_kuka), encoder, DEMONSTRATION)
    alone = DummyVecEnv([lambda: EmbeddingObservation(make_kuka(image_size=16, horizon=4), encoder, DEMONSTRATION)] * 3)
    assert venv.observation_space == alone.observation_space
    venv.seed(5)
    alone.seed(5)
    answers = [(venv.reset(), alone.reset())]
    for actions in random_actions(10, 3):
        mine, expected = venv.step(actions), alone.step(actions)
        np.testing.assert_array_equal(mine[1], expected[1])
        np.testing.assert_array_equal(mine[2], expected[2])
        answers.append((mine[0], expected[0]))
        if mine[2].any():
            pairs = zip(mine[3], expected[3], strict=True)
            answers += [(one["terminal_observation"], other["terminal_observation"]) for one, other in pairs]
    assert len(answers) == 11 + 2 * 3
    for mine, expected in answers:
        assert set(mine) == set(expected)
        for key in mine:
            np.testing.assert_allclose(mine[key], expected[key], atol=1e-4)


def test_a_terminal_observation_holds_the_embedding_of_the_last_frame(make_kuka: MakeKuka, encoder: Encoder) -> None:
    venv = VecEmbeddingObservation(many(make_kuka), encoder, DEMONSTRATION, keep_pixels=True)
    venv.reset()
    for actions in random_actions(4, 3):
        observations, _, dones, infos = venv.step(actions)
    assert dones.all()
    last = [info["terminal_observation"] for info in infos]
    pixels = np.stack([observation["pixels"] for observation in last])
    embeddings = np.stack([observation["embedding"] for observation in last])
    np.testing.assert_allclose(embeddings, direct(encoder, pixels), atol=1e-4)
    for observation in last:
        assert venv.observation_space.contains(observation)
        np.testing.assert_array_equal(observation["demonstration"], DEMONSTRATION[4])
    # The observation itself is that of the next episode's start.
    assert isinstance(observations, dict)
    np.testing.assert_allclose(observations["embedding"], direct(encoder, observations["pixels"]), atol=1e-4)
    assert abs(observations["embedding"] - embeddings).max() > 1e-3
    np.testing.assert_array_equal(observations["demonstration"], DEMONSTRATION[[1, 1, 1]])


def test_a_step_takes_one_forward_pass_even_when_episodes_end(make_kuka: MakeKuka, encoder: Encoder) -> None:
    batches: list[int] = []
    encoder.register_forward_hook(lambda module, inputs, output: batches.append(len(inputs[0])))
    venv = VecEmbeddingObservation(many(make_kuka), encoder, DEMONSTRATION)
    venv.reset()
    for actions in random_actions(5, 3):
        venv.step(actions)
    assert batches == [3, 3, 3, 3, 6, 3]


def test_pixels_stay_only_when_asked_for(make_kuka: MakeKuka, encoder: Encoder) -> None:
    for keep in (True, False):
        venv = VecEmbeddingObservation(many(make_kuka, 1), encoder, DEMONSTRATION, keep_pixels=keep, drop=("goal",))
        observations = venv.reset()
        assert ("pixels" in observations) is keep
        assert set(observations) == set(venv.observation_space.spaces)  # type: ignore[attr-defined]
        assert "goal" not in observations


def test_everything_else_that_is_observed_stays_unless_it_is_named(make_kuka: MakeKuka, encoder: Encoder) -> None:
    state = {"joint_positions", "joint_velocities", "embedding", "demonstration"}
    for drop, expected in (((), {*state, "goal"}), (("goal", "joint_velocities"), state - {"joint_velocities"})):
        env = EmbeddingObservation(make_kuka(image_size=16, horizon=4), encoder, DEMONSTRATION, drop=drop)
        venv = VecEmbeddingObservation(many(make_kuka), encoder, DEMONSTRATION, drop=drop)
        for either in (env, venv):
            observation = either.reset()
            observed = observation if isinstance(observation, dict) else observation[0]
            assert set(observed) == expected == set(either.observation_space.spaces)  # type: ignore[union-attr]


def test_a_name_that_is_not_there_is_not_left_out_and_one_that_is_taken_not_hidden(
    make_kuka: MakeKuka, encoder: Encoder
) -> None:
    for one, made in ((True, make_kuka(image_size=16)), (False, many(make_kuka))):
        wrap: Any = EmbeddingObservation if one else VecEmbeddingObservation
        with pytest.raises(ValueError, match=r"no observation \['gaol'\] to leave out; it has .*'goal'"):
            wrap(made, encoder, DEMONSTRATION, drop=("gaol",))
        with pytest.raises(ValueError, match=r"drop=\('goal',\)"):
            wrap(made, encoder, DEMONSTRATION, drop="goal")
        again = wrap(made, encoder, DEMONSTRATION, keep_pixels=True)
        with pytest.raises(ValueError, match=r"observes \['demonstration', 'embedding'\] already"):
            wrap(again, encoder, DEMONSTRATION)
    for left_out in (["joint_velocity"], ["pixels", "goal", "joint_velocity"]):
        with pytest.raises(ValueError, match=r"no observation \['joint_velocity'\]"):
            VecVectorObservation(many(make_kuka), left_out)


def test_an_episode_longer_than_the_demonstration_is_refused_at_the_first_step_beyond_it(
    make_kuka: MakeKuka, encoder: Encoder
) -> None:
    env = EmbeddingObservation(make_kuka(image_size=16, horizon=9), encoder, DEMONSTRATION)
    venv = VecEmbeddingObservation(many(make_kuka, horizon=9), encoder, DEMONSTRATION)
    actions = random_actions(5, 3)
    for either, step in ((env, actions[:, 0]), (venv, actions)):
        either.reset()
        for action in step[:4]:
            either.step(action)
        with pytest.raises(ValueError, match=r"at step 5, and its path of 5 entries ends at step 4\. .*TimeLimit"):
            either.step(step[4])
        either.reset()
        either.step(step[0])


def test_an_episode_may_begin_at_any_frame_of_the_demonstration(make_kuka: MakeKuka, encoder: Encoder) -> None:
    env = EmbeddingObservation(make_kuka(image_size=16, horizon=4), encoder, DEMONSTRATION)
    venv = VecEmbeddingObservation(many(make_kuka), encoder, DEMONSTRATION)
    observation, info = env.reset(options={"time": 2})
    np.testing.assert_array_equal(observation["demonstration"], DEMONSTRATION[3])
    assert info["time"] == 2
    ends = [env.step(action)[3] for action in random_actions(2, 1)[:, 0]]
    assert ends == [False, True]
    venv.set_options([{"time": 3}, {"time": 1}, {}])
    shown = [venv.reset()["demonstration"]]  # type: ignore[call-overload, index]
    shown += [venv.step(actions)[0]["demonstration"] for actions in random_actions(3, 3)]  # type: ignore[call-overload, index]
    # The first episode ends after a step, the second after three.
    np.testing.assert_array_equal(shown, DEMONSTRATION[[[4, 2, 1], [1, 3, 2], [2, 4, 3], [3, 1, 4]]])
    with pytest.raises(ValueError, match=r"time is 4; .*from 0 to 3"):
        env.reset(options={"time": 4})


def test_squared_distances_over_several_views_are_their_mean(make_kuka: MakeKuka, encoder: Encoder) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16, 3), np.uint8)
    together = embed_pixels(encoder, pixels)
    assert together.shape == (2, 24)
    views = [embed_pixels(encoder, pixels[:, view]) for view in range(3)]
    apart = [np.square(view[0] - view[1]).sum() for view in views]
    assert np.square(together[0] - together[1]).sum() == pytest.approx(np.mean(apart), rel=1e-4)
    np.testing.assert_allclose(together[:, 8:16], views[1] / np.sqrt(3), atol=1e-4)
    venv = VecEmbeddingObservation(many(make_kuka, camera=("front", "side")), encoder, np.tile(DEMONSTRATION, 2))
    assert venv.reset()["embedding"].shape == (3, 16)  # type: ignore[call-overload, index]


def test_what_does_not_fit_together_is_refused(make_kuka: MakeKuka, encoder: Encoder) -> None:
    kuka = make_kuka(image_size=16)
    for one, made in ((True, kuka), (False, many(make_kuka))):
        wrap: Any = EmbeddingObservation if one else VecEmbeddingObservation
        for demonstration in (DEMONSTRATION[:, :7], DEMONSTRATION[0], DEMONSTRATION[:1], np.tile(DEMONSTRATION, 2)):
            with pytest.raises(ValueError, match=r"need \(T, 8\)"):
                wrap(made, encoder, demonstration)
        with pytest.raises(ValueError, match="not all finite"):
            wrap(made, encoder, np.where(np.arange(8) == 3, np.nan, DEMONSTRATION))
    with pytest.raises(ValueError, match="image_size"):
        EmbeddingObservation(make_kuka(image_size=24), encoder, DEMONSTRATION)
    with pytest.raises(ValueError, match="no 'pixels'"):
        EmbeddingObservation(make_kuka(camera=None), encoder, DEMONSTRATION)


def test_what_comes_next_after_each_step_ends_with_the_last_entry() -> None:
    np.testing.assert_array_equal(upcoming(np.arange(10.0).reshape(5, 2)), [[2, 3], [4, 5], [6, 7], [8, 9], [8, 9]])


def test_named_vectors_are_observed_as_one(make_kuka: MakeKuka, encoder: Encoder) -> None:
    named = VecEmbeddingObservation(many(make_kuka), encoder, DEMONSTRATION)
    venv = VecVectorObservation(VecEmbeddingObservation(many(make_kuka), encoder, DEMONSTRATION), ["joint_velocities"])
    for either in (named, venv):
        either.seed(0)

    def expected(parts: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.concatenate([parts[key] for key in sorted(parts) if key != "joint_velocities"], axis=-1)

    parts, vector = named.reset(), venv.reset()
    assert isinstance(parts, dict) and isinstance(vector, np.ndarray)
    assert "joint_velocities" in parts
    assert venv.observation_space.shape == vector.shape[1:]
    np.testing.assert_array_equal(vector, expected(parts))
    np.testing.assert_array_equal(vector[:, venv.places["embedding"]], parts["embedding"])
    for actions in random_actions(4, 3):
        parts, _, dones, infos = named.step(actions)
        vector, _, _, vector_infos = venv.step(actions)
    assert isinstance(parts, dict) and dones.all()
    np.testing.assert_array_equal(vector, expected(parts))
    for given, joined in zip(infos, vector_infos, strict=True):
        np.testing.assert_array_equal(joined["terminal_observation"], expected(given["terminal_observation"]))


def test_what_is_no_vector_is_not_joined(make_kuka: MakeKuka) -> None:
    with pytest.raises(ValueError, match="must observe vectors"):
        VecVectorObservation(many(make_kuka))
