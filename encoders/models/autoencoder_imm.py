"""A regularised auto-encoder and keypoints on the same convolutions, as in SAC+AE+IMM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from encoders.base import Encoder, FrameBatch, LossAndMetrics, Sampling, centred
from encoders.models.autoencoder import AutoencoderConfig, Latent, LatentDecoder, regularised_reconstruction_loss
from encoders.models.imm import IMM, IMMConfig
from encoders.networks.convolutions import quantised
from encoders.registry import register


@dataclass(frozen=True)
class AutoencoderIMMConfig(IMMConfig):
    """Settings of both.

    Attributes:
        latent: Length of the auto-encoder's latent.
        latent_penalty: Weight of half the latent's mean squared length.
        weight_penalty: Weight of half the decoder's squared weights.
    """

    latent: int = 50
    latent_penalty: float = 1e-6
    weight_penalty: float = 1e-7

    def __post_init__(self) -> None:
        super().__post_init__()
        self.autoencoder  # noqa: B018 - refuses wrong settings now

    @property
    def autoencoder(self) -> AutoencoderConfig:
        """The settings of the auto-encoder's part."""
        return AutoencoderConfig(
            image_size=self.image_size,
            channels=self.channels,
            width=self.width,
            second_stride=self.second_stride,
            embedding_dim=self.latent,
            latent_penalty=self.latent_penalty,
            weight_penalty=self.weight_penalty,
        )


@register("autoencoder_imm")
class AutoencoderIMM(Encoder):
    """The latent of SAC+AE concatenated with the keypoints of IMM, on shared convolutions.

    Plesner, Dahl and Rygaard, Self-Supervised Keypoint Learning, "SAC+AE with key points". Where frames of a stack are
    looked at one by one, the latent is made of all their maps.
    """

    Config = AutoencoderIMMConfig
    config: AutoencoderIMMConfig

    def __init__(self, config: AutoencoderIMMConfig) -> None:
        super().__init__(config)
        self.imm = IMM(config)
        positions = config.sides[-1] ** 2
        self.latent = Latent(config.frames * config.width * positions, config.latent)
        self.decoder = LatentDecoder(config.latent, config.autoencoder)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def load_pretrained(self) -> None:
        """Fills in the standard weights of the backbone that reconstructions are compared with."""
        self.imm.load_pretrained()

    @property
    def embedding_dim(self) -> int:
        """Length of the latent and of the keypoints' embedding."""
        return self.config.latent + self.imm.embedding_dim

    @property
    def sampling(self) -> Sampling:
        """Pairs of moments from trajectories."""
        return self.imm.sampling

    def _maps(self, frames: Tensor) -> Tensor:
        """The convolutions' maps of every frame of stacks: (B T, F, h, w)."""
        maps: Tensor = self.imm.convolutions(centred(self.imm.single(frames)))
        return maps

    def _latent(self, maps: Tensor) -> Tensor:
        """The latents of stacks: (B T, F, h, w) -> (B, L)."""
        together = maps.contiguous().reshape(-1, self.config.frames * maps.shape[1], *maps.shape[2:])
        latent: Tensor = self.latent(together)
        return latent

    def forward(self, frames: Tensor) -> Tensor:
        """Embeds frames with a gradient: (B, C, S, S) uint8 -> (B, D) float32."""
        maps = self._maps(frames)
        points: Tensor = self.imm.keypoint_head(maps).points
        if not self.config.policy_gradient:
            points = points.detach()
        return torch.cat([self._latent(maps), self.imm.embedding_of(points)], dim=1)

    def attention_maps(self, frames: Tensor) -> Mapping[str, Tensor]:
        """The heat maps of the newest frame."""
        self.check_input(frames)
        return self.imm.attention_maps(frames)

    def loss(self, batch: FrameBatch) -> LossAndMetrics:
        """The sum of both losses."""
        self.check_input(batch.frames)
        config = self.config
        maps = self._maps(batch.frames)
        latent = self._latent(maps)
        reconstruction = regularised_reconstruction_loss(
            self.decoder(latent).float(),
            quantised(batch.frames),
            latent,
            config.latent_penalty,
            list(self.decoder.parameters()),
            config.weight_penalty,
        )
        keypoints = self.imm.loss_of(maps[config.frames - 1 :: config.frames], batch)
        metrics = {"autoencoder": reconstruction.detach(), "imm": keypoints.loss.detach(), **keypoints.metrics}
        return LossAndMetrics(reconstruction + keypoints.loss, metrics)
