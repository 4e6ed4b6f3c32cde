"""Vectors beside an agent's frames: as a hint for the frames' embedding, behind its gates, or beside it as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

import encoders
from agents import pixel_sac
from agents.extractor import EncoderExtractor
from agents.pixel_sac import LearningConfig, Preset
from agents.shared_sac import SharedEncoderSAC, critic_loss, hint_loss, td_target, values_of
from envs.cartpole import Cartpole
from envs.pixels import PixelObservation

FRAMES = spaces.Box(0, 255, (9, 16, 16), np.uint8)
WITH_VECTORS = spaces.Dict({"pixels": FRAMES, "embedding": spaces.Box(-1, 1, (3,), np.float32)})


class WithState(gym.ObservationWrapper[dict[str, Any], Any, Any]):
    """Frames, and beside them as a vector what the true places of cart and pole are."""

    def __init__(self, env: Cartpole) -> None:
        super().__init__(PixelObservation(env))
        self.observation_space = WITH_VECTORS

    def observation(self, observation: Any) -> dict[str, Any]:
        """Both."""
        place, angle = self.unwrapped.physics.data.qpos  # type: ignore[attr-defined]
        return {"pixels": observation, "embedding": np.array([place, np.cos(angle), np.sin(angle)], np.float32)}


@pytest.fixture
def world() -> Iterator[WithState]:
    env = Cartpole(image_size=16, action_repeat=100)
    yield WithState(env)
    env.close()


def extractor(role: str) -> EncoderExtractor:
    torch.manual_seed(0)
    return EncoderExtractor(WITH_VECTORS, encoders.make("autoencoder", image_size=16), role)


def agent(world: WithState, weight: float) -> SharedEncoderSAC:
    """Just before its first update."""
    torch.manual_seed(0)
    made = pixel_sac.make(
        DummyVecEnv([lambda: world]),
        encoders.make("autoencoder", image_size=16),
        Preset(image_size=16, second_stride=2, batch_size=8, hidden=16, auxiliary_videos=4),
        LearningConfig(learning_starts=10, mean_start=False),
        kept_steps=200,
        shift=0,
        seed=0,
        role="hint",
        hint_weight=weight,
    )
    made.learn(9)
    return made


def seen() -> dict[str, torch.Tensor]:
    return {"pixels": torch.randint(0, 255, (4, 9, 16, 16), dtype=torch.uint8), "embedding": torch.rand(4, 3)}


def test_the_loss_is_the_mean_squared_error_and_moves_what_is_told_alone() -> None:
    told = torch.tensor([[1.0, 2.0], [3.0, 0.0]], requires_grad=True)
    hint = torch.tensor([[0.0, 2.0], [1.0, 1.0]], requires_grad=True)
    loss = hint_loss(told, hint)
    assert loss.item() == pytest.approx((1 + 0 + 4 + 1) / 4)
    loss.backward()
    assert told.grad is not None
    assert told.grad.tolist() == [[0.5, 0.0], [1.0, -0.5]]
    assert hint.grad is None


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4)), ((2,), (2,))])
def test_other_shapes_are_refused(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match=r"one shape \(B, D\); got"):
        hint_loss(*(torch.zeros(shape) for shape in shapes))


def test_a_hint_is_not_among_the_features_and_what_they_tell_of_it_comes_from_them() -> None:
    hinted, observed = extractor("hint"), extractor("observed")
    batch = seen()
    features = hinted(batch)
    assert features.shape == (4, hinted.features_dim) == (4, hinted.embedded)
    torch.testing.assert_close(features, observed(batch)[:, : hinted.embedded])
    torch.testing.assert_close(features, hinted({**batch, "embedding": torch.zeros(4, 3)}))
    told, hint = hinted.told_and_hint(features, batch)
    assert hinted.regressor is not None
    torch.testing.assert_close(told, hinted.regressor(features))
    torch.testing.assert_close(hint, batch["embedding"])
    with pytest.raises(ValueError, match="role='hint'"):
        observed.told_and_hint(features, batch)


def test_a_step_with_a_hint_is_the_step_on_the_sum_of_both_losses(world: WithState) -> None:
    hinted, explicit = agent(world, 100.0), agent(world, 100.0)
    np.random.seed(3)  # noqa: NPY002 - what SB3 draws its minibatches from
    torch.manual_seed(3)
    hinted.train(1, 8)
    np.random.seed(3)  # noqa: NPY002
    batch: Any = explicit.replay_buffer.sample(8)  # type: ignore[union-attr]
    torch.manual_seed(3)
    critic, now = explicit.critic, batch.observations
    features: Any = critic.features_extractor(now)
    with torch.no_grad():
        actions, log_probs = explicit._act(critic.features_extractor(batch.next_observations))
        following = explicit.critic_target.features_extractor(batch.next_observations)
        next_values = values_of(explicit.critic_target, following, actions)
        entropy = explicit._entropy_coefficient
        target = td_target(batch.rewards, batch.dones, batch.discounts, next_values, entropy, log_probs)
    regressor: Any = critic.features_extractor.regressor
    told = (regressor(features) - now["embedding"]).square().mean()
    critic.optimizer.zero_grad()
    (critic_loss(values_of(critic, features, batch.actions), target) + 100.0 * told).backward()
    before = regressor.weight.detach().clone()
    critic.optimizer.step()
    stepped = dict(hinted.critic.named_parameters())
    for name, part in critic.named_parameters():
        torch.testing.assert_close(stepped[name], part, rtol=0, atol=1e-6, msg=name)
    assert not torch.equal(before, regressor.weight)
    assert hinted.logger.name_to_value["train/hint_loss"] == pytest.approx(told.item(), rel=1e-5)


def test_a_hint_is_learned_and_the_agent_acts_without_it(world: WithState) -> None:
    made = agent(world, 1_000.0)
    losses = []
    for _ in range(40):
        made.train(1, 8)
        losses.append(made.logger.name_to_value.pop("train/hint_loss"))
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    observation = {key: value[0].numpy() for key, value in seen().items()}
    other = {**observation, "embedding": np.ones(3, np.float32)}
    np.testing.assert_array_equal(
        made.predict(observation, deterministic=True)[0], made.predict(other, deterministic=True)[0]
    )


def test_closed_gates_leave_the_vectors_alone_and_open_as_far_as_the_loss_asks() -> None:
    open_, gated = extractor("observed"), extractor("gated")
    assert gated.gates is not None
    assert open_.gates is None
    batch = seen()
    features = gated(batch)
    torch.testing.assert_close(features[:, gated.embedded :], batch["embedding"])
    assert not features[:, : gated.embedded].any()
    features.sum().backward()
    torch.testing.assert_close(gated.gates.grad, open_(batch)[:, : open_.embedded].sum(dim=0))
    assert all(part.grad is None or not part.grad.any() for part in gated.encoder.parameters())
    nn.init.constant_(gated.gates, 0.5)
    torch.testing.assert_close(gated(batch)[:, : gated.embedded], 0.5 * open_(batch)[:, : open_.embedded])


@pytest.mark.parametrize("role", ["gated", "hint"])
def test_a_role_for_vectors_is_refused_where_there_are_none(role: str) -> None:
    with pytest.raises(ValueError, match=f"The role '{role}' is for vectors beside frames.*leave it out"):
        EncoderExtractor(FRAMES, encoders.make("autoencoder", image_size=16), role)


def test_an_unknown_role_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="Did you mean 'hint'"):
        EncoderExtractor(WITH_VECTORS, encoders.make("autoencoder", image_size=16), "hints")
