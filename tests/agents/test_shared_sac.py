"""SAC on a shared encoder: whose loss reaches it, how the target follows, and one step against its formula."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import Tensor, nn

import encoders
from agents import pixel_sac
from agents.auxiliary import AuxiliaryConfig, AuxiliaryLossCallback
from agents.pixel_sac import LearningConfig, Preset
from agents.shared_sac import SharedEncoderSAC, constant_value, critic_loss, td_target
from encoders.clips.augmentation import random_shift
from envs.cartpole import Cartpole
from envs.pixels import PixelObservation, StateObservation

PRESET = Preset(image_size=16, second_stride=2, batch_size=8, hidden=16, auxiliary_videos=4)
LEARNING = LearningConfig(learning_starts=10)


Agents = Callable[..., SharedEncoderSAC]


@pytest.fixture
def agent() -> Iterator[Agents]:
    """Makes agents with a few random steps in their buffer, just before their first update."""
    with ExitStack() as open_envs:

        def make_one(name: str | None = "autoencoder", shift: int = 0, **learning: Any) -> SharedEncoderSAC:
            seen = name is not None
            env = open_envs.enter_context(closing(Cartpole(image_size=16, action_repeat=100, pixels=seen)))
            venv = DummyVecEnv([lambda: PixelObservation(env) if seen else StateObservation(env)])
            torch.manual_seed(0)
            settings = {"keypoints": 3} if name and "imm" in name else {}
            encoder = None if name is None else encoders.make(name, image_size=16, **settings)
            config = LearningConfig(**{"learning_starts": 10, **learning})
            made = pixel_sac.make(venv, encoder, PRESET, config, 200, shift, seed=0)
            made.learn(9)
            return made

        yield make_one


def parameters(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: part.detach().clone() for name, part in module.named_parameters()}


def moved(before: dict[str, Tensor], module: torch.nn.Module) -> set[str]:
    return {name for name, part in module.named_parameters() if not torch.equal(before[name], part)}


def step(made: SharedEncoderSAC, seed: int = 3) -> None:
    """One update on a batch that the seed settles."""
    np.random.seed(seed)  # noqa: NPY002 - what SB3 draws its minibatches from
    torch.manual_seed(seed)
    made.train(1, PRESET.batch_size)


def test_the_actor_has_no_encoder_of_its_own(agent: Agents) -> None:
    made = agent()
    assert not any("encoder" in name for name, _ in made.actor.named_parameters())
    stepped = {id(part) for group in made.critic.optimizer.param_groups for part in group["params"]}
    assert all(id(part) in stepped for part in made.critic.features_extractor.parameters())
    observation = made.get_env().reset()  # type: ignore[union-attr]
    features = made.critic.features_extractor(torch.from_numpy(observation))
    torch.testing.assert_close(made.actor.features_extractor(torch.from_numpy(observation)), features.detach())


def test_the_critics_loss_reaches_the_encoder(agent: Agents) -> None:
    made = agent("autoencoder", delay=1_000_000)
    made._n_updates = 1
    before = parameters(made.critic.features_extractor)
    step(made)
    changed = moved(before, made.critic.features_extractor)
    assert {name for name in changed if "convolutions" in name or "latent" in name} == {
        name for name in before if "convolutions" in name or "latent" in name
    }
    assert not any("decoder" in name for name in changed)


def test_the_actors_loss_does_not_reach_the_encoder(agent: Agents) -> None:
    made = agent()
    features = made._features(made.critic, torch.randint(0, 255, (8, 9, 16, 16), dtype=torch.uint8))
    made.critic.optimizer.zero_grad()
    before, head = parameters(made.critic), parameters(made.actor)
    made._step_actor(features)
    assert moved(head, made.actor)
    assert not moved(before, made.critic)
    assert all(part.grad is None for part in made.critic.parameters())


def test_the_target_moves_by_its_taus_alone(agent: Agents) -> None:
    made = agent(tau=0.01, encoder_tau=0.05)
    with torch.no_grad():
        for part in made.critic.parameters():
            part.add_(1.0)
    before, own = parameters(made.critic_target), parameters(made.critic)
    made._follow()
    for name, part in made.critic_target.named_parameters():
        tau = 0.05 if name.startswith("features_extractor") else 0.01
        torch.testing.assert_close(part.detach(), (1 - tau) * before[name] + tau * own[name])


def test_actor_and_target_are_stepped_every_other_time(agent: Agents) -> None:
    made = agent(delay=2)
    stepped = []
    for _ in range(4):
        actor, target = parameters(made.actor), parameters(made.critic_target)
        step(made)
        stepped.append((bool(moved(actor, made.actor)), bool(moved(target, made.critic_target))))
    assert stepped == [(True, True), (False, False)] * 2


def test_every_step_is_followed_by_as_many_updates_as_are_asked_for(agent: Agents) -> None:
    made = agent(None, updates=3)
    made.learn(4, reset_num_timesteps=False)
    assert made.num_timesteps == 13
    assert made._n_updates == 3 * 3


def test_constant_value_by_hand() -> None:
    rewards = torch.tensor([1.0, 3.0])
    assert constant_value(rewards, torch.zeros(2), 0.9) == pytest.approx(20.0)
    # v = 2 + 0.9 (1 - 0.5) v
    assert constant_value(rewards, torch.tensor([0.0, 1.0]), 0.9) == pytest.approx(2 / 0.55)
    assert constant_value(rewards, torch.tensor([0.0, 1.0]), 1.0) == pytest.approx(4.0)
    with pytest.raises(ValueError, match="lower gamma"):
        constant_value(rewards, torch.zeros(2), 1.0)
    with pytest.raises(ValueError, match=r"\(N,\)"):
        constant_value(rewards[:, None], torch.zeros(2), 0.9)


def test_critics_that_train_an_encoder_begin_at_the_mean_value_of_the_random_steps(agent: Agents) -> None:
    made = agent("autoencoder")
    replay = made.replay_buffer
    assert replay is not None
    replay.rewards[: replay.size()] = np.linspace(1.0, 3.0, replay.size())[:, None]  # type: ignore[attr-defined]
    # The ninth step, the last, ends the episode by its horizon, which is no end.
    replay.dones[8], replay.timeouts[8] = 1.0, 1.0  # type: ignore[attr-defined]
    made.lr_schedule = lambda _: 0.0
    step(made)
    for critic in (made.critic, made.critic_target):
        for network in critic.q_networks:
            assert float(list(network.children())[-1].bias.detach()) == pytest.approx(2.0 / (1 - 0.99))
    made.policy.critic.q_networks[0][-1].bias.data.zero_()
    step(made)
    assert float(made.critic.q_networks[0][-1].bias.detach()) == 0.0  # type: ignore[index, union-attr]


@pytest.mark.parametrize(("name", "mean_start"), [("autoencoder", False), (None, True)])
def test_other_critics_begin_as_they_are_made(agent: Agents, name: str | None, mean_start: bool) -> None:
    made = agent(name, mean_start=mean_start)
    made.lr_schedule = lambda _: 0.0
    before = parameters(made.critic)
    step(made)
    assert not moved(before, made.critic)


def test_one_update_is_that_of_the_formulas(agent: Agents) -> None:
    made = agent("autoencoder", delay=1, mean_start=False)
    reference = copy.deepcopy(made.policy)
    log_alpha = made.log_ent_coef.detach().clone().requires_grad_()  # type: ignore[union-attr]
    np.random.seed(3)  # noqa: NPY002 - what SB3 draws its minibatches from
    batch = made.replay_buffer.sample(PRESET.batch_size)  # type: ignore[union-attr]
    torch.manual_seed(3)
    critic, target, actor = reference.critic, reference.critic_target, reference.actor

    def act(features: Tensor) -> tuple[Tensor, Tensor]:
        hidden = actor.latent_pi(features)
        mean, log_std = actor.mu(hidden), actor.log_std(hidden).clamp(-20, 2)
        noise = torch.distributions.Normal(mean, log_std.exp()).rsample()
        normal = torch.distributions.Normal(mean, log_std.exp()).log_prob(noise).sum(1)
        actions = torch.tanh(noise)
        return actions, normal - torch.log(1 - actions**2 + 1e-6).sum(1)

    def values(network: Any, features: Tensor, actions: Tensor) -> list[Tensor]:
        return [head(torch.cat([features, actions], 1)) for head in network.q_networks]

    alpha = float(log_alpha.detach().exp())
    discounts = batch.discounts
    assert float(discounts.min()) == pytest.approx(0.99**3)
    features = critic.features_extractor(batch.observations)
    with torch.no_grad():
        next_actions, next_log_probs = act(critic.features_extractor(batch.next_observations))
        lowest = torch.min(*values(target, target.features_extractor(batch.next_observations), next_actions))
        wanted = batch.rewards + (1 - batch.dones) * discounts * (lowest - alpha * next_log_probs[:, None])
    loss = sum(0.5 * (value - wanted).pow(2).mean() for value in values(critic, features, batch.actions))
    critic_adam = torch.optim.Adam(critic.parameters(), 1e-3)
    loss.backward()  # type: ignore[union-attr]
    critic_adam.step()
    actions, log_probs = act(features.detach())
    actor_loss = (alpha * log_probs - torch.min(*values(critic, features.detach(), actions))[:, 0]).mean()
    actor_adam = torch.optim.Adam(actor.parameters(), 1e-3)
    actor_loss.backward(inputs=list(actor.parameters()))
    actor_adam.step()
    alpha_adam = torch.optim.Adam([log_alpha], 1e-4, betas=(0.5, 0.999))
    (log_alpha.exp() * (-log_probs.detach() + 1).mean()).sum().backward()
    alpha_adam.step()
    with torch.no_grad():
        for (name, part), own in zip(target.named_parameters(), critic.parameters(), strict=True):
            tau = 0.05 if name.startswith("features_extractor") else 0.01
            part.mul_(1 - tau).add_(tau * own)

    step(made)
    for name, part in made.policy.named_parameters():
        torch.testing.assert_close(part, reference.get_parameter(name), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(made.log_ent_coef, log_alpha, rtol=0, atol=1e-6)


@pytest.mark.parametrize("layer_norm", [True, False])
def test_hidden_layers_of_critics_are_normalised_before_their_nonlinearity(agent: Agents, layer_norm: bool) -> None:
    made = agent(None, layer_norm=layer_norm)
    kinds = [nn.Linear, nn.LayerNorm, nn.ReLU] if layer_norm else [nn.Linear, nn.ReLU]
    for critic in (made.critic, made.critic_target):
        for index, network in enumerate(critic.q_networks):
            assert [type(layer) for layer in network.children()] == [*kinds, *kinds, nn.Linear]
            assert getattr(critic, f"qf{index}") is network
    assert not any(isinstance(part, nn.LayerNorm) for part in made.actor.modules())
    stepped = {id(part) for group in made.critic.optimizer.param_groups for part in group["params"]}
    assert all(id(part) in stepped for part in made.critic.parameters())


def test_a_saved_policy_keeps_its_layer_norms(agent: Agents, tmp_path: Path) -> None:
    made = agent(None)
    made.policy.save(str(tmp_path / "policy"))
    loaded = type(made.policy).load(str(tmp_path / "policy"))
    observation = torch.randn(2, 5)
    wanted = made.critic(observation, torch.zeros(2, 1))
    for value, expected in zip(loaded.critic(observation, torch.zeros(2, 1)), wanted, strict=True):
        torch.testing.assert_close(value, expected)


def test_td_target_by_hand() -> None:
    target = td_target(
        torch.tensor([[1.0], [2.0]]),
        torch.tensor([[0.0], [1.0]]),
        0.5,
        torch.tensor([[4.0, 3.0], [9.0, 9.0]]),
        torch.tensor(0.1),
        torch.tensor([-2.0, 0.0]),
    )
    assert target.flatten().tolist() == pytest.approx([1 + 0.5 * (3 + 0.2), 2.0])
    with pytest.raises(ValueError, match=r"\(B, critics\)"):
        td_target(torch.zeros(2), torch.zeros(2), 0.5, torch.zeros(2, 2), torch.tensor(0.1), torch.zeros(2))


def test_critic_loss_by_hand_and_its_gradient() -> None:
    values = torch.tensor([[1.0, 2.0], [0.0, 4.0]], requires_grad=True)
    loss = critic_loss(values, torch.tensor([[0.0], [2.0]]))
    assert float(loss.detach()) == pytest.approx(0.5 * ((1 + 4) / 2 + (4 + 4) / 2))
    loss.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(values.grad, torch.tensor([[0.5, 1.0], [-1.0, 1.0]]))


@pytest.mark.parametrize(
    ("name", "weight", "shift"),
    [
        ("autoencoder", 0.0, 0),
        ("autoencoder", 0.0, 4),
        ("autoencoder", 1.0, 0),
        ("imm", 1.0, 0),
        ("autoencoder_imm", 1.0, 0),
        ("autoencoder_imm", 1.0, 4),
        (None, 0.0, 0),
    ],
)
def test_every_kind_of_agent_learns(agent: Agents, name: str | None, weight: float, shift: int) -> None:
    made = agent(name, shift=shift)
    before = parameters(made.critic)
    callback = AuxiliaryLossCallback(AuxiliaryConfig(weight=weight, videos=4))
    made.learn(12, callback=callback if name is not None else None, reset_num_timesteps=False)
    assert moved(before, made.critic)
    assert all(torch.isfinite(part).all() for part in made.policy.parameters())


def test_shifts_move_frames_by_whole_pixels_and_repeat_the_edge() -> None:
    frames = torch.arange(2 * 1 * 4 * 4, dtype=torch.uint8).reshape(2, 1, 4, 4)
    shifted = random_shift(frames, 1, lambda low, high, size: np.array([[0, 1], [2, 1]]))
    torch.testing.assert_close(shifted[0, 0, 1:], frames[0, 0, :3])
    torch.testing.assert_close(shifted[0, 0, 0], frames[0, 0, 0])
    torch.testing.assert_close(shifted[1, 0, :3], frames[1, 0, 1:])
    drawn = random_shift(frames.repeat(50, 1, 1, 1), 1, np.random.default_rng(0).integers)
    assert len({tuple(picture.flatten().tolist()) for picture in drawn[::2]}) == 9


def test_frames_are_shifted_and_what_is_beside_them_is_not(agent: Agents) -> None:
    made = agent("autoencoder", shift=2)
    frames = torch.randint(0, 255, (8, 9, 16, 16), dtype=torch.uint8)
    seen = {"pixels": frames, "embedding": torch.ones(8, 3)}
    shifted = made._shifted(seen)
    assert shifted["embedding"] is seen["embedding"]
    assert not shifted["pixels"].equal(frames)
    assert seen["pixels"] is frames


@pytest.mark.parametrize("wrong", [{"gamma": 0.0}, {"tau": 2.0}, {"delay": 0}, {"updates": 0}, {"learning_starts": -1}])
def test_wrong_rates_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        LearningConfig(**wrong)  # type: ignore[arg-type]


def test_how_far_apart_embeddings_are_is_logged(agent: Agents) -> None:
    made = agent("autoencoder")
    step(made)
    apart = made.logger.name_to_value["train/embedding_std"]
    assert apart > 0
    nn.init.zeros_(made.critic.features_extractor.encoder.latent[0].weight)  # type: ignore[index, union-attr]
    step(made)
    assert made.logger.name_to_value["train/embedding_std"] == pytest.approx(apart / 2)
