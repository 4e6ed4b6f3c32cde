"""The regularised auto-encoder: its loss by hand, its latent, and what it reconstructs."""

from __future__ import annotations

import pytest
import torch

import encoders
from encoders.base import FrameBatch
from encoders.models.autoencoder import Autoencoder, AutoencoderConfig, regularised_reconstruction_loss
from encoders.models.autoencoder_imm import AutoencoderIMM
from encoders.networks.convolutions import initialise_convolutions, quantised


def batch(frames: torch.Tensor) -> FrameBatch:
    """Frames as pairs, one pair a video."""
    index = torch.arange(len(frames))
    return FrameBatch(frames, index // 2, torch.zeros_like(index), index % 2)


def test_the_loss_by_hand() -> None:
    output, target = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[0.0, 4.0]]]])
    loss = regularised_reconstruction_loss(
        output, target, torch.tensor([[3.0, 4.0]]), 0.1, [torch.tensor([2.0]), torch.tensor([1.0, 1.0])], 0.01
    )
    assert float(loss) == pytest.approx((1 + 4) / 2 + 0.5 * 0.1 * 25 + 0.5 * 0.01 * 6)


def test_the_gradient_of_every_term() -> None:
    output = torch.tensor([[[[1.0, 2.0]]]], requires_grad=True)
    latent, weight = torch.tensor([[3.0]], requires_grad=True), torch.tensor([2.0], requires_grad=True)
    loss = regularised_reconstruction_loss(output, torch.zeros(1, 1, 1, 2), latent, 0.1, [weight], 0.01)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(output.grad, torch.tensor([[[[1.0, 2.0]]]]))
    torch.testing.assert_close(latent.grad, torch.tensor([[0.3]]))
    torch.testing.assert_close(weight.grad, torch.tensor([0.02]))


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        regularised_reconstruction_loss(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 5, 5), torch.zeros(1, 2), 0, [], 0)


def test_targets_are_the_highest_five_bits() -> None:
    frames = torch.tensor([0, 7, 8, 255], dtype=torch.uint8).reshape(1, 1, 2, 2)
    expected = torch.tensor([0.5, 0.5, 1.5, 31.5]) / 32 - 0.5
    torch.testing.assert_close(quantised(frames).flatten(), expected)


def test_the_latent_is_bounded_and_of_the_asked_length() -> None:
    made = encoders.make("autoencoder", image_size=24, channels=6, embedding_dim=7)
    latent = made.embed(torch.randint(0, 256, (5, 6, 24, 24), dtype=torch.uint8))
    assert latent.shape == (5, 7)
    assert latent.abs().max() <= 1


def test_initial_weights_are_orthogonal() -> None:
    made = Autoencoder(AutoencoderConfig(image_size=24))
    initialise_convolutions(made)
    middle = made.convolutions[2].weight[:, :, 1, 1]  # type: ignore[index, union-attr]
    torch.testing.assert_close(middle @ middle.T, 2 * torch.eye(32), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["autoencoder", "autoencoder_imm"])
def test_it_learns_to_reconstruct(name: str) -> None:
    torch.manual_seed(0)
    made = encoders.make(name, image_size=16, channels=9)
    frames = torch.randint(0, 256, (4, 9, 1, 1), dtype=torch.uint8).expand(4, 9, 16, 16)
    optimiser = torch.optim.Adam(made.parameters(), 3e-3)
    losses = []
    made.train()
    for _ in range(60):
        optimiser.zero_grad()
        loss = made.loss(batch(frames)).loss
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 4


def test_both_together_share_their_convolutions() -> None:
    made = encoders.make("autoencoder_imm", image_size=16, channels=9, latent=5, keypoints=2)
    assert isinstance(made, AutoencoderIMM)
    frames = torch.randint(0, 256, (4, 9, 16, 16), dtype=torch.uint8)
    assert made.embed(frames).shape == (4, 5 + 3 * 2 * 2)
    made.eval()
    torch.testing.assert_close(made.embed(frames)[:, 5:], made.imm.embed(frames))
    latents = made.embed(frames)[:, :5].sum() + made(frames)[:, :5].sum()
    latents.backward()
    first = made.imm.convolutions[0].weight  # type: ignore[union-attr]
    assert first.grad is not None


@pytest.mark.parametrize("wrong", [{"embedding_dim": 0}, {"latent_penalty": -1.0}, {"image_size": 4}])
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be|8 pixels"):
        encoders.make("autoencoder", **wrong)
