"""A regularised auto-encoder and keypoints in one encoder, as in SAC+AE+IMM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from encoders.autoencoder import AutoencoderConfig, Latent, LatentDecoder, regularised_reconstruction_loss
from encoders.base import Encoder, FrameBatch, LossAndMetrics, Sampling, centred
from encoders.convolutions import frame_convolutions, quantised
from encoders.imm import IMM, IMMConfig
from encoders.registry import register


@dataclass(frozen=True)
class AutoencoderIMMConfig(IMMConfig):
    """Settings of both.

    Attributes:
        latent: Length of the auto-encoder's latent.
        latent_penalty: Weight of half the latent's mean squared length.
        weight_penalty: Weight of half the decoder's squared weights.
        shared: Whether keypoints are found on the auto-encoder's convolutions, as published; else on convolutions of
            their own, which the auto-encoder and the agent cannot pull away from under them.
    """

    latent: int = 50
    latent_penalty: float = 1e-6
    weight_penalty: float = 1e-7
    shared: bool = True

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
    """The latent of SAC+AE beside the keypoints of IMM.

    Plesner, Dahl and Rygaard, Self-Supervised Keypoint Learning, "SAC+AE with key points". Where frames of a stack are
    looked at one by one and convolutions are shared, the latent is made of all their maps.
    """

    Config = AutoencoderIMMConfig
    config: AutoencoderIMMConfig

    def __init__(self, config: AutoencoderIMMConfig) -> None:
        super().__init__(config)
        self.imm = IMM(config)
        maps = config.width * config.sides[-1] ** 2
        self.convolutions = None if config.shared else frame_convolutions(config.channels, config)
        self.latent = Latent(config.frames * maps if config.shared else maps, config.latent)
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

    def _shared_maps(self, frames: Tensor) -> Tensor:
        """The maps of every frame that both parts take: (B, C, S, S) uint8 -> (B T, F, h, w)."""
        maps: Tensor = self.imm.convolutions(centred(self.imm.single(frames)))
        return maps

    def _latent(self, maps: Tensor) -> Tensor:
        """The latents of stacks, from the maps of their frames, or of the stacks: (B T, F, h, w) -> (B, L)."""
        frames = self.config.frames if self.config.shared else 1
        together = maps.contiguous().reshape(len(maps) // frames, -1, *maps.shape[2:])
        latent: Tensor = self.latent(together)
        return latent

    def forward(self, frames: Tensor) -> Tensor:
        """Embeds frames with a gradient: (B, C, S, S) uint8 -> (B, D) float32."""
        if self.convolutions is not None:
            return torch.cat([self._latent(self.convolutions(centred(frames))), self.imm(frames)], dim=1)
        maps = self._shared_maps(frames)
        points: Tensor = self.imm.keypoint_head(maps).points
        if not self.config.policy_gradient:
            points = points.detach()
        return torch.cat([self._latent(maps), self.imm.embedding_of(points)], dim=1)

    def freeze_keypoints(self) -> None:
        """Leaves the keypoints as they are from now on: neither its loss nor an agent's trains them.

        Raises:
            ValueError: If they are found on convolutions that the auto-encoder trains.
        """
        if self.convolutions is None:
            raise ValueError(
                "Keypoints on convolutions that the auto-encoder trains cannot be frozen alone; set shared=false."
            )
        self.imm.requires_grad_(False)

    def attention_maps(self, frames: Tensor) -> Mapping[str, Tensor]:
        """The heat maps of the newest frame."""
        return self.imm.attention_maps(frames)

    def loss(self, batch: FrameBatch) -> LossAndMetrics:
        """The sum of both losses; the auto-encoder's alone where keypoints are frozen."""
        if self.convolutions is None:
            maps = self._shared_maps(batch.frames)
            newest = maps[self.config.frames - 1 :: self.config.frames]
            return _sum(self._reconstruction(maps, batch), self.imm.loss_of(newest, batch))
        reconstruction = self._reconstruction(self.convolutions(centred(batch.frames)), batch)
        if not any(part.requires_grad for part in self.imm.parameters()):
            return LossAndMetrics(reconstruction, {"autoencoder": reconstruction.detach()})
        return _sum(reconstruction, self.imm.loss(batch))

    def _reconstruction(self, maps: Tensor, batch: FrameBatch) -> Tensor:
        latent = self._latent(maps)
        return regularised_reconstruction_loss(
            self.decoder(latent).float(),
            quantised(batch.frames),
            latent,
            self.config.latent_penalty,
            list(self.decoder.parameters()),
            self.config.weight_penalty,
        )


def _sum(reconstruction: Tensor, keypoints: LossAndMetrics) -> LossAndMetrics:
    metrics = {"autoencoder": reconstruction.detach(), "imm": keypoints.loss.detach(), **keypoints.metrics}
    return LossAndMetrics(reconstruction + keypoints.loss, metrics)
