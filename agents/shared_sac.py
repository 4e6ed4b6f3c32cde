"""SAC on a shared encoder: one encoding of a batch serves the losses of critic and actor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.utils import polyak_update
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN
from torch import Tensor, nn

from agents.extractor import PIXELS, EncoderExtractor
from encoders.clips.augmentation import random_shift


def td_target(
    rewards: Tensor,
    dones: Tensor,
    discounts: Tensor | float,
    next_values: Tensor,
    entropy: Tensor,
    next_log_probs: Tensor,
) -> Tensor:
    """What the critics are to say: r + gamma (1 - d) (min_i Q_i' - alpha log pi').

    Haarnoja et al., Soft Actor-Critic Algorithms and Applications, 2018, equations 3 and 5. With the sum of n
    discounted rewards for r, and gamma^n for gamma, it is the n-step target of Yarats et al., Mastering Visual
    Continuous Control, 2021, equation 1; the entropies of the steps between are left out.

    Args:
        rewards: (B, 1) float.
        dones: (B, 1) float, 1 where an episode ended otherwise than by its horizon.
        discounts: Of the values; (B, 1) float, or one for all.
        next_values: (B, critics) float, of the target critics.
        entropy: () float, alpha.
        next_log_probs: (B,) float.

    Returns:
        (B, 1) float.

    Raises:
        ValueError: If the shapes do not go together.
    """
    if rewards.shape != dones.shape or rewards.shape != (len(next_values), 1) or next_log_probs.ndim != 1:
        raise ValueError(
            f"td_target takes (B, 1), (B, 1), (B, critics) and (B,); got {tuple(rewards.shape)}, "
            f"{tuple(dones.shape)}, {tuple(next_values.shape)} and {tuple(next_log_probs.shape)}."
        )
    soft = next_values.min(dim=1, keepdim=True).values - entropy * next_log_probs[:, None]
    return rewards + (1 - dones) * discounts * soft


def constant_value(rewards: Tensor, dones: Tensor, gamma: float) -> float:
    """The one value of all states that solves the Bellman equation on average: v = mean(r) + gamma (1 - mean(d)) v.

    It is the fixed point of temporal differences with one constant feature (Bradtke and Barto, Linear Least-Squares
    Algorithms for Temporal Difference Learning, 1996, equation 9, without entropies).

    Args:
        rewards: Of single steps, (N,) float.
        dones: (N,) float, 1 where an episode ended otherwise than by its horizon.
        gamma: Discount of a step.

    Raises:
        ValueError: If the shapes differ, or no value solves it, as nothing is discounted and no episode ends.
    """
    if rewards.shape != dones.shape or rewards.ndim != 1 or len(rewards) == 0:
        raise ValueError(
            f"constant_value takes rewards and dones (N,); got {tuple(rewards.shape)} and {tuple(dones.shape)}."
        )
    lost = 1 - gamma * (1 - float(dones.mean()))
    if lost <= 0:
        raise ValueError(f"With gamma {gamma} and no end of an episode values have no bound; lower gamma.")
    return float(rewards.mean()) / lost


def critic_loss(values: Tensor, target: Tensor) -> Tensor:
    """Half the mean squared error of every critic, summed: (B, critics), (B, 1) -> ()."""
    return 0.5 * (values - target).square().mean(dim=0).sum()


def distillation_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """The mean squared error of a teacher's features, as they are predicted from the learner's.

    Romero et al., FitNets: Hints for Thin Deep Nets, 2015, equation 3, but for a mean in place of half the sum.

    Args:
        predicted: What a regressor makes of the learner's features, (B, D) float.
        target: The teacher's features, (B, D) float; no gradient reaches them.

    Returns:
        () float.

    Raises:
        ValueError: If the shapes differ.
    """
    if predicted.shape != target.shape or predicted.ndim != 2:
        raise ValueError(
            "distillation_loss takes two tensors of one shape (B, D); got "
            f"{tuple(predicted.shape)}, {tuple(target.shape)}."
        )
    return (predicted - target.detach()).square().mean()


class SharedEncoderSAC(SAC):
    """SAC with ``SharedEncoderPolicy``, as agents on pixels train it.

    The step of ``SAC.train`` encodes a batch five times, two of them for the actor. Here the observations are encoded
    once, with a gradient for the critic and without one for the actor and the temperature, which go by the features
    from before the critic's step; the next observations once for the actor and once by the target.

    With ``mean_start`` critics begin at the value that random actions have on average. Critics that begin at zero
    have to rise by the same in all states first; that gradient, alike for all frames, moves an encoder's outputs alike
    too, until what is the same in all frames outweighs what is not and embeddings are constant.

    Yarats et al., Improving Sample Efficiency in Model-Free Reinforcement Learning from Images, 2021: the target's
    encoder follows faster than its heads, and actor, temperature and target are updated every other step.

    Args:
        *args: As of ``SAC``.
        encoder_tau: Share by which the target's encoder follows.
        delay: Critic updates for one of the actor, the temperature and the target.
        entropy_learning_rate: Step size of the temperature.
        shift: Pixels that frames are shifted by at most, at random, in every batch; 0 for none.
        bfloat16: Whether the encoder calculates in bfloat16.
        mean_start: Whether critics begin at the mean value of the random steps before the first update.
        distillation_weight: Of ``distillation_loss`` beside the critics', where the policy's extractor distils vectors.
        **kwargs: As of ``SAC``.
    """

    def __init__(
        self,
        *args: Any,
        encoder_tau: float = 0.05,
        delay: int = 2,
        entropy_learning_rate: float = 1e-4,
        shift: int = 0,
        bfloat16: bool = False,
        mean_start: bool = False,
        distillation_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.encoder_tau = encoder_tau
        self.delay = delay
        self.entropy_learning_rate = entropy_learning_rate
        self.shift = shift
        self.bfloat16 = bfloat16
        self.mean_start = mean_start
        self.distillation_weight = distillation_weight
        super().__init__(*args, **kwargs)

    def _setup_model(self) -> None:
        super()._setup_model()
        if self.ent_coef_optimizer is not None:
            assert self.log_ent_coef is not None
            self.ent_coef_optimizer = torch.optim.Adam(
                [self.log_ent_coef], lr=self.entropy_learning_rate, betas=(0.5, 0.999)
            )

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Steps critic and encoder, and every ``delay`` steps actor, temperature and target."""
        self.policy.set_training_mode(True)
        self._update_learning_rate([self.actor.optimizer, self.critic.optimizer])
        assert self.replay_buffer is not None
        if self.mean_start and self._n_updates == 0:
            self._start_at(self._mean_value())
        for _ in range(gradient_steps):
            batch = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
            now, following = self._shifted(batch.observations), self._shifted(batch.next_observations)
            features = self._features(self.critic, now)
            with torch.no_grad():
                actions, log_probs = self._act(self._features(self.critic, following))
                next_values = values_of(self.critic_target, self._features(self.critic_target, following), actions)
                discounts = self.gamma if batch.discounts is None else batch.discounts
                target = td_target(
                    batch.rewards, batch.dones, discounts, next_values, self._entropy_coefficient, log_probs
                )
            loss = critic_loss(values_of(self.critic, features, batch.actions), target)
            self.logger.record_mean("train/critic_loss", float(loss.detach()))
            extractor = self.critic.features_extractor
            if isinstance(extractor, EncoderExtractor) and extractor.regressor is not None:
                distilled = distillation_loss(*extractor.predicted_and_target(features, now))
                self.logger.record_mean("train/distillation_loss", float(distilled.detach()))
                loss = loss + self.distillation_weight * distilled
            self.critic.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.critic.optimizer.step()
            self.logger.record_mean("train/q_target", float(target.mean()))
            if isinstance(extractor, EncoderExtractor) and extractor.gates is not None:
                self.logger.record_mean("train/gate", float(extractor.gates.detach().abs().mean()))
            elif isinstance(extractor, EncoderExtractor):
                # Near 0 where embeddings of all frames are alike.
                embedded = features[:, : extractor.embedded].detach()
                self.logger.record_mean("train/embedding_std", float(embedded.std(dim=0).mean()))
            if self._n_updates % self.delay == 0:
                self._step_actor(features.detach())
                self._follow()
            self._n_updates += 1
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _mean_value(self) -> float:
        """Of the steps in the buffer."""
        replay = self.replay_buffer
        assert replay is not None
        size = replay.size()
        dones = replay.dones[:size] * (1 - replay.timeouts[:size])
        return constant_value(
            torch.from_numpy(replay.rewards[:size]).flatten(), torch.from_numpy(dones).flatten(), self.gamma
        )

    def _start_at(self, value: float) -> None:
        """Sets the output bias of the critics and their targets, so that all of them begin near one value."""
        for critic in (self.critic, self.critic_target):
            for network in critic.q_networks:
                *_, last = network.children()
                assert isinstance(last, nn.Linear)
                nn.init.constant_(last.bias, value)

    @property
    def _entropy_coefficient(self) -> Tensor:
        if self.log_ent_coef is None:
            return self.ent_coef_tensor
        return self.log_ent_coef.detach().exp()

    def _shifted(self, observations: Any) -> Any:
        # numpy's global state, as Stable-Baselines3 draws its minibatches from it.
        if self.shift == 0:
            return observations
        if isinstance(observations, dict):
            return {**observations, PIXELS: random_shift(observations[PIXELS], self.shift, np.random.randint)}
        return random_shift(observations, self.shift, np.random.randint)

    def _features(self, critic: ContinuousCritic, observations: Any) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            features: Tensor = critic.features_extractor(observations)
        return features.float()

    def _act(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Sampled actions and their log-probabilities: (B, D) -> (B, A), (B,)."""
        latent = self.actor.latent_pi(features)
        log_std = torch.clamp(self.actor.log_std(latent), LOG_STD_MIN, LOG_STD_MAX)  # type: ignore[operator]
        return self.actor.action_dist.log_prob_from_params(self.actor.mu(latent), log_std)  # type: ignore[call-arg]

    def _step_actor(self, features: Tensor) -> None:
        actions, log_probs = self._act(features)
        entropy = self._entropy_coefficient
        values = values_of(self.critic, features, actions)
        loss = (entropy * log_probs - values.min(dim=1).values).mean()
        self.actor.optimizer.zero_grad()
        # Through the critics, but not into them.
        loss.backward(inputs=list(self.actor.parameters()))  # type: ignore[no-untyped-call]
        self.actor.optimizer.step()
        self.logger.record_mean("train/actor_loss", float(loss.detach()))
        self.logger.record_mean("train/ent_coef", float(entropy))
        if self.ent_coef_optimizer is not None:
            assert isinstance(self.target_entropy, float)
            assert self.log_ent_coef is not None
            difference = (-log_probs.detach() - self.target_entropy).mean()
            self.ent_coef_optimizer.zero_grad()
            (self.log_ent_coef.exp() * difference).sum().backward()  # type: ignore[no-untyped-call]
            self.ent_coef_optimizer.step()

    def _follow(self) -> None:
        """Moves the target's encoder and heads, each by its own tau."""
        shared, copied = self.critic.features_extractor, self.critic_target.features_extractor
        polyak_update(shared.parameters(), copied.parameters(), self.encoder_tau)
        # Statistics of batch norms; some of them are counts.
        for statistic, followed in zip(shared.buffers(), copied.buffers(), strict=True):
            followed.copy_(statistic)
        for own, target in zip(self.critic.q_networks, self.critic_target.q_networks, strict=True):
            polyak_update(own.parameters(), target.parameters(), self.tau)


def values_of(critic: ContinuousCritic, features: Tensor, actions: Tensor) -> Tensor:
    """What every critic says of actions: (B, D), (B, A) -> (B, critics)."""
    both = torch.cat([features, actions], dim=1)
    return torch.cat([network(both) for network in critic.q_networks], dim=1)
