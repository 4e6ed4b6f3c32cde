"""Time-contrastive networks: embeddings learned from the order of frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from torch import Tensor, nn

from encoders.base import FrameBatch, LossAndMetrics, Sampling
from encoders.errors import check_choice, check_norm
from encoders.losses import TripletTerms, grouped_n_pairs_loss, masked_triplet_loss
from encoders.networks.backbones import BackboneConfig, BackboneEncoder
from encoders.networks.layers import SpatialSoftmax, conv_block
from encoders.registry import register

Objective: TypeAlias = Literal["single_view", "multi_view", "n_pairs"]
Pooling: TypeAlias = Literal["spatial_softmax", "flatten"]

OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

MOST_VIDEOS = 4096
"""Most videos in a batch."""


@dataclass(frozen=True)
class TCNConfig(BackboneConfig):
    """Settings of the time-contrastive network.

    Attributes:
        objective: ``single_view`` triplets, ``multi_view`` triplets, or ``n_pairs`` across views.
        pooling: What becomes of the stem's maps: ``spatial_softmax`` after two more convolutions, as in the papers,
            or ``flatten``, every position of them as it is.
        head_kernel: Side of the head's two convolutions, 3 or 5.
        embedding_dim: Length of an embedding.
        norm: Length that every embedding is scaled to.
        margin: Squared distance by which a negative should be further away than a positive. The paper's 2 is
            what accuracy is judged at; training with twice that leaves held-out frames room to miss it.
        positive_range: A positive of the same view lies at most this many frames from its anchor.
        negative_range: A negative lies more than this many frames from its anchor.
        hidden: Width of the fully connected layer before the embedding.
        videos: Videos in a batch, 1 to ``MOST_VIDEOS``.
    """

    objective: Objective = "single_view"
    pooling: Pooling = "spatial_softmax"
    head_kernel: Literal[3, 5] = 3
    embedding_dim: int = 32
    norm: float = 10.0
    margin: float = 4.0
    positive_range: int = 3
    negative_range: int = 7
    hidden: int = 128
    videos: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("objective", self.objective, OBJECTIVES)
        check_choice("pooling", self.pooling, POOLINGS)
        if self.head_kernel not in (3, 5):
            raise ValueError(f"head_kernel is {self.head_kernel}; it must be 3 or 5.")
        if min(self.videos, self.embedding_dim, self.hidden) < 1 or self.videos > MOST_VIDEOS:
            raise ValueError(
                f"videos is {self.videos}, embedding_dim {self.embedding_dim} and hidden {self.hidden}; all must be at "
                f"least 1, and videos at most {MOST_VIDEOS}."
            )
        check_norm(self.norm)
        if not 0 <= self.margin < math.inf:
            raise ValueError(f"margin is {self.margin}; it must be finite and at least 0.")
        if not 0 < self.positive_range < self.negative_range:
            raise ValueError(
                "positive_range must be at least 1 and smaller than negative_range; "
                f"got {self.positive_range} and {self.negative_range}."
            )


@register("tcn")
class TCN(BackboneEncoder):
    """Convolutions, spatial softmax (or every position as it is) and two linear layers onto a sphere.

    Sermanet et al., Time-Contrastive Networks: Self-Supervised Learning from Video, 2018, as
    Blomqvist and Hämäläinen (Self-supervised learning from snaps) use it: norm 10, margin 2.
    """

    Config = TCNConfig
    config: TCNConfig

    def __init__(self, config: TCNConfig) -> None:
        super().__init__(config)
        self.maps, pooled = self._pooling()
        self.head = nn.Sequential(
            *pooled,
            nn.ReLU(),
            nn.Linear(config.hidden, config.embedding_dim),
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _pooling(self) -> tuple[nn.Sequential, list[nn.Module]]:
        """The head's convolutions, and the layers from their maps to the hidden layer."""
        config, features = self.config, self.backbone.features
        if config.pooling == "flatten":
            width = features * self.backbone.positions
            linear = nn.Linear(width, config.hidden, bias=False)
            return nn.Sequential(), [nn.Flatten(), linear, nn.BatchNorm1d(config.hidden)]
        kernel = config.head_kernel
        convolutions = nn.Sequential(
            conv_block(features, 32, kernel),
            nn.Conv2d(32, 32, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(32),
        )
        return convolutions, [SpatialSoftmax(), nn.Linear(2 * 32, config.hidden)]

    @property
    def embedding_dim(self) -> int:
        """Length of an embedding."""
        return self.config.embedding_dim

    @property
    def sampling(self) -> Sampling:
        """Stretches of a few videos; two views of each moment for the multi-view objectives."""
        views = 1 if self.config.objective == "single_view" else 2
        least = 2 if self.config.objective == "n_pairs" else self.config.negative_range + 2
        return Sampling(
            self.config.videos, frames=16 // views, span=6 * self.config.negative_range, views=views, least=least
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Embeds frames with a gradient: (B, C, H, W) uint8 -> (B, D) float32 of length ``norm``."""
        embeddings = self.head(self.maps(self.backbone(frames)))
        return F.normalize(embeddings.float(), dim=1) * self.config.norm

    def loss(self, batch: FrameBatch) -> LossAndMetrics:
        """The configured objective on a batch of frames."""
        embeddings = self(batch.frames)
        if self.config.objective == "n_pairs":
            return self._n_pairs(embeddings, batch)
        terms = self._triplets(embeddings, batch)
        return LossAndMetrics(terms.loss, {"violations": terms.violations})

    def _triplets(self, embeddings: Tensor, batch: FrameBatch) -> TripletTerms:
        same_video = batch.video[:, None] == batch.video[None]
        same_view = batch.view[:, None] == batch.view[None]
        gap = (batch.time[:, None] - batch.time[None]).abs()
        negatives = same_video & same_view & (gap > self.config.negative_range)
        if self.config.objective == "single_view":
            positives = same_video & same_view & (gap > 0) & (gap <= self.config.positive_range)
        else:
            positives = same_video & ~same_view & (gap == 0)
        return masked_triplet_loss(embeddings, positives, negatives, self.config.margin)

    def _n_pairs(self, embeddings: Tensor, batch: FrameBatch) -> LossAndMetrics:
        # The sampler gives the two views of a moment in the same order.
        first, second = embeddings[batch.view == 0], embeddings[batch.view == 1]
        loss = grouped_n_pairs_loss(first, second, batch.video[batch.view == 0])
        return LossAndMetrics(loss, {"pair_distance": (first - second).square().sum(1).mean().detach()})
