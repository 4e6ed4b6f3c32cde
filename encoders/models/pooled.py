"""Pooled backbone features without training: the papers' baseline."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F  # noqa: N812 - torch's own usage
from torch import Tensor

from encoders.base import FrameBatch, LossAndMetrics, Sampling
from encoders.errors import check_norm
from encoders.networks.backbones import BackboneConfig, BackboneEncoder
from encoders.registry import register


@dataclass(frozen=True)
class PooledConfig(BackboneConfig):
    """Settings of the baseline.

    Attributes:
        norm: Length that every embedding is scaled to.
    """

    backbone: str = "efficientnet_lite0_16"
    freeze: bool = True
    norm: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.freeze:
            raise ValueError("freeze is False; pooled features are a baseline without training: use 'tcn' to train.")
        check_norm(self.norm)


@register("pooled")
class Pooled(BackboneEncoder):
    """The mean of a frozen backbone's feature maps over all positions."""

    Config = PooledConfig
    config: PooledConfig

    @property
    def embedding_dim(self) -> int:
        """Length of an embedding: the channels of the backbone."""
        return self.backbone.features

    @property
    def sampling(self) -> Sampling:
        """Single frames: there is nothing to learn."""
        return Sampling(videos=1, frames=2, span=2, views=1)

    def forward(self, frames: Tensor) -> Tensor:
        """Embeds frames: (B, C, H, W) uint8 -> (B, D) float32 of length ``norm``."""
        return F.normalize(self.backbone(frames).mean(dim=(2, 3)), dim=1) * self.config.norm

    def loss(self, batch: FrameBatch) -> LossAndMetrics:
        """There is none.

        Raises:
            ValueError: Always.
        """
        raise ValueError("The encoder 'pooled' is a baseline without training; choose another one to fit.")
