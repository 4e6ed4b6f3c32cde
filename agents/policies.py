"""The SAC policy whose critic trains the encoder that its actor shares."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.sac.policies import SACPolicy
from torch import Tensor


class DetachedExtractor(BaseFeaturesExtractor):
    """Another extractor's features, without a gradient.

    Args:
        source: The extractor; it belongs to its owner, so its weights are no parameters here.
    """

    def __init__(self, source: BaseFeaturesExtractor) -> None:
        super().__init__(source._observation_space, source.features_dim)
        self._source = (source,)

    @torch.no_grad()
    def forward(self, observations: Any) -> Tensor:
        """(B, features_dim) float32."""
        features: Tensor = self._source[0](observations)
        return features


class SharedEncoderPolicy(SACPolicy):
    """Actor and critic on one features extractor that the critic's optimizer steps; the actor sees it detached.

    Stable-Baselines3's ``share_features_extractor=True`` does the reverse. The target critic has a copy of the
    extractor, as it has of the rest of the critic.

    Yarats et al., Improving Sample Efficiency in Model-Free Reinforcement Learning from Images, 2021, section 4.
    """

    def _build(self, lr_schedule: Schedule) -> None:
        self.critic = self.make_critic(features_extractor=None)
        self.critic.optimizer = self.optimizer_class(
            self.critic.parameters(),
            lr=lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )
        self.critic_target = self.make_critic(features_extractor=None)
        self.critic_target.load_state_dict(self.critic.state_dict())
        self.critic_target.set_training_mode(False)
        self.actor = self.make_actor(DetachedExtractor(self.critic.features_extractor))
        self.actor.optimizer = self.optimizer_class(
            self.actor.parameters(),
            lr=lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )
