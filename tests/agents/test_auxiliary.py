"""The auxiliary loss in an agent's own gradient step, against the step on the sum of both losses."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from numbered_frames import SIZE, agent, attention
from stable_baselines3 import A2C, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

import encoders
from agents.auxiliary import AuxiliaryConfig, AuxiliaryLossCallback, AuxiliaryLossError, add_gradients, optimizer_of
from agents.auxiliary_state import own_optimizer
from agents.extractor import EncoderExtractor, trained_encoder
from agents.trajectories import arrays_of, check_replay_memory, draw_batch, stored_steps
from encoders.base import LossAndMetrics

WEIGHT = 0.7


def filled(name: str, callback: BaseCallback, **changes: Any) -> BaseAlgorithm:
    """An agent with a full rollout, or enough in its replay buffer, just before its first update."""
    made = agent(name, **changes)
    _, listening = made._setup_learn(64, callback)
    listening.on_training_start({}, {})
    if isinstance(made, SAC):
        made.collect_rollouts(
            made.env, listening, made.train_freq._replace(frequency=12), made.replay_buffer, learning_starts=100
        )
    else:
        made.collect_rollouts(made.env, listening, made.rollout_buffer, made.n_steps)
    return made


def auxiliary_of(made: Any, callback: AuxiliaryLossCallback) -> Tensor:
    """The auxiliary loss that the callback is about to add, from its own batch."""
    encoder = trained_encoder(made)
    batch = draw_batch(stored_steps(made), encoder, encoder.sampling.videos, copy.deepcopy(callback.rng))
    assert batch is not None
    return encoder.loss(batch).loss


def on_policy_loss(made: Any) -> Tensor:
    """A2C's loss by its formula; PPO's too, in the first minibatch, where every ratio is 1."""
    data = next(made.rollout_buffer.get(batch_size=None))
    values, log_prob, entropy = made.policy.evaluate_actions(data.observations, data.actions.long().flatten())
    advantages = data.advantages
    if made.normalize_advantage:
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    ratio = torch.exp(log_prob - data.old_log_prob)
    policy = -(advantages * (log_prob if isinstance(made, A2C) else ratio)).mean()
    return policy + made.vf_coef * F.mse_loss(data.returns, values.flatten()) - made.ent_coef * entropy.mean()


def critic_loss(made: SAC) -> Tensor:
    """SAC's critic loss by its formula, drawing what ``train`` draws, in its order."""
    data = made.replay_buffer.sample(8)
    made.actor.action_log_prob(data.observations)
    with torch.no_grad():
        actions, log_prob = made.actor.action_log_prob(data.next_observations)
        smallest = torch.cat(made.critic_target(data.next_observations, actions), dim=1).min(dim=1, keepdim=True)[0]
        entropy = torch.exp(made.log_ent_coef.detach()) * log_prob.reshape(-1, 1)
        target = data.rewards + (1 - data.dones) * made.gamma * (smallest - entropy)
    return 0.5 * sum(F.mse_loss(value, target) for value in made.critic(data.observations, data.actions))


def train_once(made: BaseAlgorithm) -> None:
    """The updates of one rollout, on minibatches that are always the same."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - SB3 draws its minibatches from the global state
    made.train(gradient_steps=1, batch_size=8) if isinstance(made, SAC) else made.train()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["a2c", "ppo", "sac"])
def test_a_hooked_step_is_the_step_on_the_sum_of_both_losses(name: str) -> None:
    changes: dict[str, Any] = {} if name == "sac" else {"max_grad_norm": 1e9}
    hooked_callback, callback = (AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT), seed=5) for _ in range(2))
    hooked, explicit = filled(name, hooked_callback, **changes), filled(name, callback, **changes)
    callback.on_training_end()
    train_once(hooked)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    owner = explicit.critic if isinstance(explicit, SAC) else explicit.policy
    explicit.policy.set_training_mode(True)
    loss = critic_loss(explicit) if isinstance(explicit, SAC) else on_policy_loss(explicit)
    before = {key: part.detach().clone() for key, part in owner.named_parameters()}
    owner.optimizer.zero_grad()
    (loss + WEIGHT * auxiliary_of(explicit, callback)).backward()
    owner.optimizer.step()
    stepped = (hooked.critic if isinstance(hooked, SAC) else hooked.policy).state_dict()
    for key, part in owner.named_parameters():
        assert torch.allclose(stepped[key], part, rtol=0, atol=1e-6), key
        # Further apart than the steps may differ, so that a missing part would be seen.
        assert (part - before[key]).abs().max() > 1e-5, key


@pytest.mark.parametrize("weight", [WEIGHT, 0.05])
@pytest.mark.parametrize("name", ["a2c", "ppo", "sac"])
def test_an_optimizer_of_its_own_steps_after_the_agents_whatever_the_weight(name: str, weight: float) -> None:
    changes: dict[str, Any] = {} if name == "sac" else {"max_grad_norm": 1e9}
    config = AuxiliaryConfig(weight, own_optimizer=True)
    hooked_callback, callback = (AuxiliaryLossCallback(config, seed=5) for _ in range(2))
    hooked, explicit = filled(name, hooked_callback, **changes), filled(name, callback, **changes)
    callback.on_training_end()
    train_once(hooked)
    train_once(explicit)
    rate = optimizer_of(explicit).param_groups[0]["lr"]
    after_the_agents = dict(trained_encoder(explicit).named_parameters())
    loss = auxiliary_of(explicit, callback)
    gradients = torch.autograd.grad(loss, list(after_the_agents.values()), allow_unused=True)
    compared = set()
    for (key, part), gradient in zip(trained_encoder(hooked).named_parameters(), gradients, strict=True):
        if gradient is None:
            assert torch.equal(part, after_the_agents[key]), key
            continue
        # Adam's first step is its step size against the sign of the gradient, where that is no rounding error.
        clear = gradient.abs() > 2e-5
        step = (part - after_the_agents[key])[clear]
        torch.testing.assert_close(step, -rate * gradient.sign()[clear], rtol=0.05, atol=0, msg=key)
        compared |= {key} if clear.any() else set()
    # The agent trains the mask as well, and not the decoder.
    assert {"mask_generator", "decoder"} <= {key.partition(".")[0] for key in compared}


@pytest.mark.parametrize("name", ["a2c", "ppo", "sac"])
def test_a_weight_of_zero_is_the_plain_agent_bit_for_bit(name: str) -> None:
    plain = agent(name)
    plain.learn(48)
    weightless = agent(name)
    weightless.learn(48, callback=AuxiliaryLossCallback(AuxiliaryConfig(0.0)))
    for key, value in plain.policy.state_dict().items():
        assert torch.equal(value, weightless.policy.state_dict()[key]), key


@pytest.mark.parametrize("name", ["a2c", "ppo", "sac"])
def test_the_decoder_learns_although_the_agent_has_no_use_for_it(name: str) -> None:
    made = agent(name)
    before = copy.deepcopy(trained_encoder(made).decoder.state_dict())
    made.learn(32, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)))
    after = trained_encoder(made).decoder.state_dict()
    assert all(not torch.equal(before[key], after[key]) for key in before)


def test_the_agents_gradient_is_clipped_as_before_and_the_auxiliary_one_by_its_own_bound() -> None:
    weights = torch.nn.Parameter(torch.zeros(2))
    weights.grad = torch.tensor([0.5, 0.0])
    norm = add_gradients((weights * torch.tensor([30.0, 40.0])).sum(), [weights], max_norm=5.0)
    assert norm == pytest.approx(50.0)
    assert weights.grad.tolist() == pytest.approx([0.5 + 3.0, 4.0], rel=1e-5)
    add_gradients((weights * torch.tensor([30.0, 40.0])).sum(), [weights])
    assert weights.grad.tolist() == pytest.approx([33.5, 44.0], rel=1e-5)


def test_parameters_that_a_loss_does_not_reach_keep_their_gradient() -> None:
    reached, other = torch.nn.Parameter(torch.ones(1)), torch.nn.Parameter(torch.ones(1))
    add_gradients(2 * reached.sum(), [reached, other])
    assert reached.grad is not None and reached.grad.item() == 2.0
    assert other.grad is None


def test_the_hook_goes_when_training_ends_and_comes_back_with_the_next() -> None:
    made, callback = agent("a2c"), AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT))
    hooks = made.policy.optimizer._optimizer_step_pre_hooks
    for _ in range(2):
        made.learn(16, callback=callback)
        assert not hooks
    before = copy.deepcopy(trained_encoder(made).decoder.state_dict())
    made.learn(16)
    after = trained_encoder(made).decoder.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_hook_that_an_error_left_behind_goes_with_the_next_training() -> None:
    class Stop(BaseCallback):
        def _on_step(self) -> bool:
            raise KeyboardInterrupt

    made = agent("a2c")
    with pytest.raises(KeyboardInterrupt):
        made.learn(16, callback=[AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)), Stop()])
    hooks = made.policy.optimizer._optimizer_step_pre_hooks
    assert len(hooks) == 1
    made.learn(16, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)))
    assert not hooks


def test_a_saved_agent_goes_on_with_its_auxiliary_loss(tmp_path: Path) -> None:
    made = agent("a2c")
    made.learn(16, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)))
    made.save(tmp_path / "agent")
    loaded = A2C.load(tmp_path / "agent", env=agent("a2c").env)
    for key, value in made.policy.state_dict().items():
        assert torch.equal(value, loaded.policy.state_dict()[key]), key
    before = copy.deepcopy(trained_encoder(loaded).decoder.state_dict())
    loaded.learn(16, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)))
    after = trained_encoder(loaded).decoder.state_dict()
    assert all(not torch.equal(before[key], after[key]) for key in before)


def test_figures_of_every_term_are_logged() -> None:
    seen: dict[str, float] = {}

    class Reader(BaseCallback):
        def _on_step(self) -> bool:
            seen.update({key: value for key, value in self.logger.name_to_value.items() if key.startswith("aux/")})
            return True

    agent("a2c").learn(64, callback=[AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)), Reader()])
    names = {"loss", "reconstruction", "auto_encoding", "mask", "gradient_norm", "agent_gradient_norm", "skipped"}
    assert set(seen) == {f"aux/{name}" for name in names}
    assert np.isfinite(list(seen.values())).all()


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_weight_that_is_negative_or_not_finite_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="finite and at least 0"):
        AuxiliaryConfig(weight)


def test_a_loss_that_is_not_finite_stops_training_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = agent("a2c")
    encoder = trained_encoder(made)
    original = encoder.loss

    def broken(batch: Any) -> LossAndMetrics:
        result = original(batch)
        if made.num_timesteps < 32:
            return result
        return LossAndMetrics(result.loss * float("nan"), {**result.metrics, "mask": torch.tensor(float("nan"))})

    monkeypatch.setattr(encoder, "loss", broken)
    callback = AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT), checkpoint=tmp_path)
    with pytest.raises(AuxiliaryLossError) as raised:
        made.learn(64, callback=callback)
    message = str(raised.value)
    assert "after 32 environment steps, in gradient step 2" in message
    assert "loss nan, mask nan;" in message
    assert f"the last checkpoint is in {tmp_path}" in message
    assert not made.policy.optimizer._optimizer_step_pre_hooks


def test_a_buffer_that_is_too_short_for_the_encoder_is_refused_before_training() -> None:
    tcn = encoders.make("tcn", image_size=SIZE, channels=2)
    policy = {"features_extractor_class": EncoderExtractor, "features_extractor_kwargs": {"encoder": tcn}}
    made = agent("a2c", policy=policy)
    with pytest.raises(ValueError, match=r"needs 9 steps of one trajectory .* holds 8 of each .* raise n_steps"):
        made.learn(16, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)))
    assert made.num_timesteps == 0
    with pytest.raises(ValueError, match=r"SAC holds 4 of each"):
        agent("sac", policy=policy, buffer_size=8).learn(16, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)))
    agent("a2c", policy=policy, n_steps=12).learn(24, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)))


def test_an_encoder_that_learns_from_two_views_is_refused_where_there_is_one() -> None:
    smak = encoders.make("smak", image_size=SIZE, channels=2)
    policy = {"features_extractor_class": EncoderExtractor, "features_extractor_kwargs": {"encoder": smak}}
    with pytest.raises(ValueError, match="learns from 2 views of a moment and the agent observes 1"):
        agent("a2c", policy=policy).learn(16, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)))


def test_a_policy_without_an_encoder_to_train_is_refused() -> None:
    extractor = {"features_extractor_kwargs": {"attention": None}}
    with pytest.raises(ValueError, match="has no encoder"):
        agent("a2c", policy=extractor).learn(16, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)))
    frozen = {"features_extractor_kwargs": {"attention": attention(), "frozen": True}}
    with pytest.raises(ValueError, match="does not train its encoder"):
        agent("a2c", policy=frozen).learn(16, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)))
    with pytest.raises(ValueError, match="share_features_extractor=False"):
        agent("sac", policy={"share_features_extractor": True}).learn(
            16, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT))
        )


def auxiliary_steps(made: BaseAlgorithm) -> set[int]:
    """Steps that the auxiliary optimizer has taken of every parameter."""
    optimizer = own_optimizer(made)
    assert optimizer is not None
    return {int(state["step"]) for state in optimizer.state.values()}


@pytest.mark.parametrize("name", ["a2c", "ppo", "sac"])
def test_an_optimizer_of_its_own_goes_through_the_base_librarys_save_and_load(tmp_path: Path, name: str) -> None:
    config = AuxiliaryConfig(WEIGHT, own_optimizer=True)
    made = agent(name)
    made.learn(48, callback=AuxiliaryLossCallback(config))
    (taken,) = auxiliary_steps(made)
    assert taken > 1
    made.save(tmp_path / "agent")
    loaded = {"a2c": A2C, "ppo": PPO, "sac": SAC}[name].load(tmp_path / "agent", env=agent(name).env, device="cpu")
    again = copy.deepcopy(loaded)
    ours, theirs = own_optimizer(made), own_optimizer(loaded)
    assert ours is not None and theirs is not None and ours is not theirs
    for one, other in zip(ours.param_groups[0]["params"], theirs.param_groups[0]["params"], strict=True):
        assert one is not other and torch.equal(one, other)
        assert all(torch.equal(value, theirs.state[other][key]) for key, value in ours.state[one].items())
    trained = [part for part in trained_encoder(loaded).parameters() if part.requires_grad]
    assert all(one is other for one, other in zip(trained, theirs.param_groups[0]["params"], strict=True))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*begins anew")
        loaded.learn(64, callback=AuxiliaryLossCallback(config))
    assert min(auxiliary_steps(loaded)) > taken
    # Saved once more before any training, the moments are not lost.
    again.save(tmp_path / "again")
    assert auxiliary_steps(type(made).load(tmp_path / "again", device="cpu")) == {taken}


def test_an_optimizer_that_begins_anew_says_so() -> None:
    made = agent("a2c")
    made.learn(16, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)))
    with pytest.warns(UserWarning, match="auxiliary loss begins anew"):
        made.learn(16, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT, own_optimizer=True)))


@pytest.mark.parametrize("name", ["a2c", "ppo"])
def test_a_value_network_with_an_encoder_that_nothing_trains_is_refused(name: str) -> None:
    made = agent(name, policy={"share_features_extractor": False})
    with pytest.raises(ValueError, match="leave share_features_extractor=True"):
        made.learn(16, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)))
    assert made.num_timesteps == 0


def test_an_actor_with_an_encoder_that_nothing_trains_is_refused() -> None:
    made = agent("sac", attention(policy_gradient=False))
    with pytest.raises(ValueError, match="or the agent as SharedEncoderSAC"):
        made.learn(16, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)))
    assert made.num_timesteps == 0
    agent("a2c", attention(policy_gradient=False)).learn(16, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)))


def test_frames_that_the_policy_divides_are_refused_before_training() -> None:
    for name in ("a2c", "sac"):
        made = agent(name, policy={"normalize_images": True})
        with pytest.raises(ValueError, match="CnnPolicy would not see") as raised:
            made.learn(16, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)))
        assert "normalize_images=False" in str(raised.value)
        assert made.num_timesteps == 0


def test_a_replay_buffer_that_will_not_fit_in_memory_is_refused_before_training() -> None:
    made = agent("sac", buffer_size=10_000)
    replay = made.replay_buffer  # type: ignore[attr-defined]
    size = 2 * 10_000 * 2 * SIZE * SIZE
    reserved = sum(array.nbytes for array in arrays_of(replay))
    assert size < reserved < 1.1 * size
    check_replay_memory(replay, memory=reserved)
    with pytest.raises(ValueError, match=r"of 10,000 steps takes 0\.1 GB.* choose a smaller buffer_size"):
        check_replay_memory(replay, memory=reserved - 1)
    # What is filled has been taken already.
    replay.pos = replay.buffer_size // 2
    check_replay_memory(replay, memory=reserved // 2)


def test_training_does_not_begin_with_a_buffer_that_will_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    made = agent("sac")
    free = type("Memory", (), {"available": 1000})
    monkeypatch.setattr("agents.trajectories.psutil.virtual_memory", lambda: free)
    with pytest.raises(ValueError, match="choose a smaller buffer_size"):
        made.learn(16, callback=AuxiliaryLossCallback(AuxiliaryConfig(WEIGHT)))
    assert made.num_timesteps == 0
