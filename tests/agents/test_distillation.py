"""Vectors beside an agent's frames: distilled into the frames' embedding, with its gates, or observed as they are."""

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
from agents.shared_sac import SharedEncoderSAC, critic_loss, distillation_loss, td_target, values_of
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
        role="distilled",
        distillation_weight=weight,
    )
    made.learn(9)
    return made


def seen() -> dict[str, torch.Tensor]:
    return {"pixels": torch.randint(0, 255, (4, 9, 16, 16), dtype=torch.uint8), "embedding": torch.rand(4, 3)}


def test_the_loss_is_the_mean_squared_error_and_moves_the_prediction_alone() -> None:
    predicted = torch.tensor([[1.0, 2.0], [3.0, 0.0]], requires_grad=True)
    target = torch.tensor([[0.0, 2.0], [1.0, 1.0]], requires_grad=True)
    loss = distillation_loss(predicted, target)
    assert loss.item() == pytest.approx((1 + 0 + 4 + 1) / 4)
    loss.backward()
    assert predicted.grad is not None
    assert predicted.grad.tolist() == [[0.5, 0.0], [1.0, -0.5]]
    assert target.grad is None


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4)), ((2,), (2,))])
def test_other_shapes_are_refused(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match=r"one shape \(B, D\); got"):
        distillation_loss(*(torch.zeros(shape) for shape in shapes))


def test_distilled_vectors_are_not_among_the_features_and_are_predicted_from_them() -> None:
    distilling, observed = extractor("distilled"), extractor("observed")
    batch = seen()
    features = distilling(batch)
    assert features.shape == (4, distilling.features_dim) == (4, distilling.embedded)
    torch.testing.assert_close(features, observed(batch)[:, : distilling.embedded])
    torch.testing.assert_close(features, distilling({**batch, "embedding": torch.zeros(4, 3)}))
    predicted, target = distilling.predicted_and_target(features, batch)
    assert distilling.regressor is not None
    torch.testing.assert_close(predicted, distilling.regressor(features))
    torch.testing.assert_close(target, batch["embedding"])
    with pytest.raises(ValueError, match="role='distilled'"):
        observed.predicted_and_target(features, batch)


def test_a_step_with_distillation_is_the_step_on_the_sum_of_both_losses(world: WithState) -> None:
    distilling, explicit = agent(world, 100.0), agent(world, 100.0)
    np.random.seed(3)  # noqa: NPY002 - what SB3 draws its minibatches from
    torch.manual_seed(3)
    distilling.train(1, 8)
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
    predicted = (regressor(features) - now["embedding"]).square().mean()
    critic.optimizer.zero_grad()
    (critic_loss(values_of(critic, features, batch.actions), target) + 100.0 * predicted).backward()
    before = regressor.weight.detach().clone()
    critic.optimizer.step()
    stepped = dict(distilling.critic.named_parameters())
    for name, part in critic.named_parameters():
        torch.testing.assert_close(stepped[name], part, rtol=0, atol=1e-6, msg=name)
    assert not torch.equal(before, regressor.weight)
    assert distilling.logger.name_to_value["train/distillation_loss"] == pytest.approx(predicted.item(), rel=1e-5)


def test_vectors_are_distilled_and_the_agent_acts_without_them(world: WithState) -> None:
    made = agent(world, 1_000.0)
    losses = []
    for _ in range(40):
        made.train(1, 8)
        losses.append(made.logger.name_to_value.pop("train/distillation_loss"))
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


@pytest.mark.parametrize("role", ["gated", "distilled"])
def test_a_role_for_vectors_is_refused_where_there_are_none(role: str) -> None:
    with pytest.raises(ValueError, match=f"The role '{role}' is for vectors beside frames.*leave it out"):
        EncoderExtractor(FRAMES, encoders.make("autoencoder", image_size=16), role)


def test_an_unknown_role_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="Did you mean 'distilled'"):
        EncoderExtractor(WITH_VECTORS, encoders.make("autoencoder", image_size=16), "distiled")
