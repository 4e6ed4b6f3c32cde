"""The regularised auto-encoder of SAC+AE: a small latent from which frames are reconstructed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from torch import Tensor, nn

from encoders.base import Encoder, FrameBatch, LossAndMetrics, Sampling, centred
from encoders.networks.convolutions import (
    ConvolutionsConfig,
    FrameDecoder,
    frame_convolutions,
    initialise_convolutions,
    quantised,
)
from encoders.registry import register


@dataclass(frozen=True)
class AutoencoderConfig(ConvolutionsConfig):
    """Settings of the regularised auto-encoder.

    Attributes:
        embedding_dim: Length of the latent.
        latent_penalty: Weight of half the latent's mean squared length (lambda_z).
        weight_penalty: Weight of half the decoder's squared weights (lambda_theta).
    """

    embedding_dim: int = 50
    latent_penalty: float = 1e-6
    weight_penalty: float = 1e-7

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.embedding_dim < 1 or not min(self.latent_penalty, self.weight_penalty) >= 0:
            raise ValueError(
                f"embedding_dim is {self.embedding_dim}, latent_penalty {self.latent_penalty}, weight_penalty "
                f"{self.weight_penalty}; embedding_dim must be at least 1, the penalties at least 0."
            )


class Latent(nn.Sequential):
    """Feature map to bounded latent: linear layer, layer norm, tanh; (B, F, s, s) float -> (B, D) float32.

    Args:
        inputs: Elements of the map.
        outputs: D.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.Tanh())

    def forward(self, maps: Tensor) -> Tensor:
        """Flattens the map's positions, whatever their order in memory."""
        latent: Tensor = super().forward(maps.contiguous().flatten(1))  # type: ignore[no-untyped-call]
        return latent.float()


class LatentDecoder(nn.Module):
    """From a latent to a frame; (B, D) float -> (B, channels, S, S) float.

    Args:
        latent: D.
        config: Of the convolutions.
    """

    def __init__(self, latent: int, config: ConvolutionsConfig) -> None:
        super().__init__()
        self._shape = (config.width, config.sides[-1], config.sides[-1])
        self.linear = nn.Linear(latent, config.width * config.sides[-1] ** 2)
        self.decoder = FrameDecoder(config.width, config.channels, config)

    def forward(self, latent: Tensor) -> Tensor:
        """The frame."""
        maps = F.relu(self.linear(latent)).reshape(-1, *self._shape)
        frames: Tensor = self.decoder(maps.contiguous(memory_format=torch.channels_last))
        return frames


def regularised_reconstruction_loss(
    output: Tensor, target: Tensor, latent: Tensor, latent_penalty: float, weights: list[Tensor], weight_penalty: float
) -> Tensor:
    """Squared error of a reconstruction, with penalties on the latent and on the decoder's weights.

    Yarats et al., Improving Sample Efficiency in Model-Free Reinforcement Learning from Images, 2021, equation 4, as
    their code has it: the mean squared error, half the latent's mean squared length, and Adam's weight decay, which is
    half the squared weights. Ghosh et al., From Variational to Deterministic Autoencoders, 2019.

    Args:
        output: (B, C, H, W) float.
        target: (B, C, H, W) float.
        latent: (B, D) float.
        latent_penalty: lambda_z.
        weights: The decoder's.
        weight_penalty: lambda_theta.

    Returns:
        () float.

    Raises:
        ValueError: If the shapes of output and target differ.
    """
    if output.shape != target.shape or latent.ndim != 2:
        raise ValueError(
            "regularised_reconstruction_loss takes two tensors of one shape and a latent (B, D); "
            f"got {tuple(output.shape)}, {tuple(target.shape)} and {tuple(latent.shape)}."
        )
    squares = torch.stack([part.square().sum() for part in weights]).sum() if weights else output.new_zeros(())
    return (
        (output - target).square().mean()
        + 0.5 * latent_penalty * latent.square().sum(1).mean()
        + 0.5 * weight_penalty * squares
    )


@register("autoencoder")
class Autoencoder(Encoder):
    """Four convolutions, a linear layer with layer norm and tanh, and a decoder.

    Yarats et al., Improving Sample Efficiency in Model-Free Reinforcement Learning from Images, 2021 (SAC+AE). Their
    convolutions have no padding; these have, so that frames of every size come back whole.
    """

    Config = AutoencoderConfig
    config: AutoencoderConfig

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__(config)
        self.convolutions = frame_convolutions(config.channels, config)
        self.latent = Latent(config.width * config.sides[-1] ** 2, config.embedding_dim)
        self.decoder = LatentDecoder(config.embedding_dim, config)
        initialise_convolutions(self)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def embedding_dim(self) -> int:
        """Length of the latent."""
        return self.config.embedding_dim

    @property
    def sampling(self) -> Sampling:
        """Single moments of many trajectories."""
        return Sampling(videos=32, frames=1, span=1, views=1, least=1)

    def forward(self, frames: Tensor) -> Tensor:
        """Embeds frames with a gradient: (B, C, S, S) uint8 -> (B, D) float32 in [-1, 1]."""
        latent: Tensor = self.latent(self.convolutions(centred(frames)))
        return latent

    def reconstruct(self, frames: Tensor) -> Tensor:
        """Frames reconstructed from their latents: (B, C, S, S) uint8 -> float, about -0.5 to 0.5."""
        output: Tensor = self.decoder(self(frames))
        return output

    def loss(self, batch: FrameBatch) -> LossAndMetrics:
        """The regularised reconstruction loss."""
        latent = self(batch.frames)
        output = self.decoder(latent).float()
        loss = regularised_reconstruction_loss(
            output,
            quantised(batch.frames),
            latent,
            self.config.latent_penalty,
            list(self.decoder.parameters()),
            self.config.weight_penalty,
        )
        return LossAndMetrics(loss, {"latent": latent.detach().square().sum(1).mean()})
