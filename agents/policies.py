"""The SAC policy whose critic trains the encoder that its actor shares."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.sac.policies import SACPolicy
from torch import Tensor, nn

from agents.frame_values import check_normalisation


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


def normalise_hidden_layers(critic: ContinuousCritic) -> None:
    """Puts a layer norm behind every hidden layer of critics, before its nonlinearity.

    It bounds what critics say of what they have not seen, and so keeps them from fitting noise in observations: Ba,
    Kiros and Hinton, Layer Normalization, 2016; in critics Hiraoka et al., Dropout Q-Functions for Doubly Efficient
    Reinforcement Learning, 2022, and Ball et al., Efficient Online Reinforcement Learning with Offline Data, 2023,
    section 4.2.
    """
    for index, network in enumerate(critic.q_networks):
        layers: list[nn.Module] = []
        for layer in network.children():
            layers.append(layer)
            if isinstance(layer, nn.Linear) and layer.out_features > 1:
                layers.append(nn.LayerNorm(layer.out_features, device=layer.weight.device))
        critic.q_networks[index] = nn.Sequential(*layers)
        critic.add_module(f"qf{index}", critic.q_networks[index])


class SharedEncoderPolicy(SACPolicy):
    """Actor and critic on one features extractor that the critic's optimizer steps; the actor sees it detached.

    Stable-Baselines3's ``share_features_extractor=True`` does the reverse. The target critic has a copy of the
    extractor, as it has of the rest of the critic.

    Yarats et al., Improving Sample Efficiency in Model-Free Reinforcement Learning from Images, 2021, section 4.

    Args:
        *args: As of ``SACPolicy``.
        layer_norm: Whether the hidden layers of the critics are normalised.
        **kwargs: As of ``SACPolicy``.

    Raises:
        ValueError: If it divides frames by 255: ``SharedEncoderSAC`` trains on frames as they are.
    """

    def __init__(self, *args: Any, layer_norm: bool = False, **kwargs: Any) -> None:
        # The base class builds the networks.
        self._layer_norm = layer_norm
        super().__init__(*args, **kwargs)

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> ContinuousCritic:
        """A pair of critics on one extractor."""
        critic = super().make_critic(features_extractor)
        if self._layer_norm:
            normalise_hidden_layers(critic)
        return critic

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return super()._get_constructor_parameters() | {"layer_norm": self._layer_norm}

    def _build(self, lr_schedule: Schedule) -> None:
        check_normalisation(self)
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
