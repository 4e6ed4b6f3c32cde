"""Slow features: what changes slowly along a video, and is not the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from encoders import Encoder, FrameBatch, LossAndMetrics
from encoders.base import EncoderConfig, Sampling, centred


@dataclass(frozen=True)
class SlowFeaturesConfig(EncoderConfig):
    """Settings of the encoder; each is a flag ``--encoder-settings NAME=VALUE``.

    Attributes:
        width: Channels of the first convolution.
        features: Length of an embedding.
        slowness: Weight of the speed of the features against their whiteness.
    """

    width: int = 16
    features: int = 16
    slowness: float = 1.0


class SlowFeatures(Encoder):
    """Convolutions whose outputs change slowly, vary as much as one another, and are not correlated.

    Wiskott and Sejnowski, Slow Feature Analysis, 2002: the speed of equation 1, and the constraints of equations 2 to 4
    as a penalty on the covariance.
    """

    Config = SlowFeaturesConfig
    config: SlowFeaturesConfig
    sampling = Sampling(videos=8, frames=16, span=32, views=1)

    def __init__(self, config: SlowFeaturesConfig) -> None:
        super().__init__(config)
        self.layers = nn.Sequential(
            nn.Conv2d(config.channels, config.width, 5, 2),
            nn.ReLU(),
            nn.Conv2d(config.width, 2 * config.width, 3, 2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(6),
            nn.Flatten(),
            nn.Linear(72 * config.width, config.features),
        )

    @property
    def embedding_dim(self) -> int:
        """As configured."""
        return self.config.features

    def forward(self, frames: Tensor) -> Tensor:
        """Embeds frames: (B, C, H, W) uint8 -> (B, D) float32."""
        features: Tensor = self.layers(centred(frames))
        return features

    def loss(self, batch: FrameBatch) -> LossAndMetrics:
        """Mean squared speed between moments that follow one another, and distance of the covariance from one."""
        features = self(batch.frames)
        same = (batch.video[1:] == batch.video[:-1]).float()
        passed = (batch.time[1:] - batch.time[:-1]).abs().clamp(min=1)
        speed = (features.diff(dim=0).square().mean(dim=1) / passed * same).sum() / same.sum()
        unlike = (torch.cov(features.T) - torch.eye(self.embedding_dim)).square().mean()
        return LossAndMetrics(self.config.slowness * speed + unlike, {"speed": speed.detach()})
