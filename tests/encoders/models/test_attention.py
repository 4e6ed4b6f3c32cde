"""The attention module: its formula, its loss term by term, its mask, its key points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import encoders
from encoders.base import FrameBatch
from encoders.clips.clips import Clips
from encoders.losses import source_frames
from encoders.models.attention import Attention, keypoints, mix_features
from encoders.training.fit import FitConfig, fit


def attention(image_size: int = 84, **settings: object) -> Attention:
    torch.manual_seed(0)
    made = encoders.make("attention", image_size=image_size, **settings)
    assert isinstance(made, Attention)
    return made


def batch(count: int = 4, channels: int = 4, size: int = 84, seed: int = 0) -> FrameBatch:
    frames = torch.randint(0, 256, (count, channels, size, size), generator=torch.Generator().manual_seed(seed))
    index = torch.arange(count)
    return FrameBatch(frames.to(torch.uint8), index // 2, torch.zeros_like(index), index % 2)


def test_features_are_mixed_by_the_papers_formula() -> None:
    source, target = torch.tensor([[[[2.0]], [[4.0]]]]), torch.tensor([[[[10.0]], [[20.0]]]])
    mixed = mix_features(source, target, torch.tensor([[[[0.25]]]]), torch.tensor([[[[0.5]]]]))
    # (1 - 0.25) (1 - 0.5) = 0.375 of the source, 0.5 of the target.
    assert mixed.flatten().tolist() == pytest.approx([0.375 * 2 + 5, 0.375 * 4 + 10])


def test_mixing_refuses_masks_of_several_channels_and_other_shapes() -> None:
    features, mask = torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4)
    with pytest.raises(ValueError, match="masks one channel"):
        mix_features(features, features, mask.repeat(1, 3, 1, 1), mask.repeat(1, 3, 1, 1))
    with pytest.raises(ValueError, match="one shape"):
        mix_features(features, features[:1], mask, mask)


def test_each_term_of_the_loss_is_what_it_says() -> None:
    encoder = attention(latest=1, threshold=0.05, sparsity=0.3)
    frames = batch()
    result = encoder.loss(frames)
    reconstruction = encoder.reconstruct(frames.frames, torch.tensor([1, 0, 3, 2]))
    target = frames.frames[:, -1:].numpy() / 255.0
    errors = (reconstruction.mixed.detach().numpy() - target) ** 2
    assert 0.0 < (errors < 0.05).mean() < 1.0
    first = np.where(errors < 0.05, 0.0, errors).mean()
    second = ((reconstruction.auto.detach().numpy() - target) ** 2).mean()
    third = reconstruction.mask.detach().numpy().mean()
    assert float(result.metrics["reconstruction"]) == pytest.approx(first, rel=1e-5)
    assert float(result.metrics["auto_encoding"]) == pytest.approx(second, rel=1e-5)
    assert float(result.metrics["mask"]) == pytest.approx(third, rel=1e-5)
    assert float(result.loss.detach()) == pytest.approx(first + second + 0.3 * third, rel=1e-5)


def test_an_open_mask_is_not_the_minimum() -> None:
    encoder = attention(latest=1, sparsity=0.5)
    still = batch()._replace(frames=batch(1).frames.repeat(4, 1, 1, 1))
    losses = {}
    for bias in (-20.0, 20.0):
        with torch.no_grad():
            encoder.mask_generator[-1].bias.fill_(bias)
        losses[bias] = float(encoder.loss(still).loss.detach())
    # Source and target are alike: a closed mask reconstructs as well as an open one, without its price.
    assert losses[20.0] - losses[-20.0] == pytest.approx(0.5, abs=1e-3)


def test_the_sources_features_and_mask_carry_no_gradient() -> None:
    encoder = attention(latest=1)
    frames = batch(2).frames
    encoder.reconstruct(frames, torch.tensor([1, 1])).mixed[0].sum().backward()
    only_target = encoder.mask_generator[0][0].weight.grad.clone()
    encoder.zero_grad()
    # Another source with the same target: what the target's gradient is multiplied by changes, its path does not.
    encoder.reconstruct(frames.clone(), torch.tensor([0, 1])).mixed[0].sum().backward()
    assert not torch.equal(only_target, encoder.mask_generator[0][0].weight.grad)
    encoder.zero_grad()
    mixed = mix_features(
        encoder.features(frames[1:, -1:] / 255).detach(),
        encoder.features(frames[:1, -1:] / 255),
        encoder.mask(frames[1:]).detach(),
        encoder.mask(frames[:1]),
    )
    encoder.decoder(mixed).sum().backward()
    assert torch.allclose(only_target, encoder.mask_generator[0][0].weight.grad, rtol=1e-3, atol=1e-5)


def test_the_source_is_another_frame_of_the_same_video_and_view() -> None:
    video, view = torch.tensor([0, 0, 1, 1, 1, 0, 0]), torch.tensor([0, 0, 0, 0, 0, 1, 1])
    frames = FrameBatch(torch.zeros(7, 1, 1, 1, dtype=torch.uint8), video, view, torch.arange(7))
    assert source_frames(frames).tolist() == [1, 0, 3, 4, 2, 6, 5]


def test_a_frame_alone_is_refused() -> None:
    frames = batch(3)
    with pytest.raises(ValueError, match="Video 1 has a single frame"):
        source_frames(frames)


def test_only_the_latest_frame_of_a_stack_is_seen() -> None:
    encoder = attention(latest=1)
    frames = batch(2).frames
    other = frames.clone()
    other[:, :3] = 255 - other[:, :3]
    assert torch.equal(encoder.embed(frames), encoder.embed(other))
    other[:, 3] = 255 - other[:, 3]
    assert not torch.equal(encoder.embed(frames), encoder.embed(other))


@pytest.mark.parametrize("size", [36, 50, 64, 84, 97])
def test_a_frame_of_any_size_is_reconstructed_at_its_size(size: int) -> None:
    encoder = attention(size, channels=3)
    frames = batch(2, 3, size).frames
    result = encoder.reconstruct(frames, torch.tensor([1, 0]))
    assert result.mixed.shape == result.auto.shape == frames.shape
    assert encoder.embed(frames).shape == (2, encoder.embedding_dim)
    assert encoder.attention_maps(frames)["mask"].shape == result.mask[:, 0].shape


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 35}, "takes 36 pixels or more"),
        ({"latest": 5}, "latest is 5"),
        ({"threshold": -0.1}, "threshold -0.1"),
        ({"sparsity": float("nan")}, "sparsity nan"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoders.make("attention", **settings)


def test_key_points_are_the_peaks_in_order_of_height() -> None:
    mask = torch.zeros(1, 7, 7)
    mask[0, 1, 5], mask[0, 4, 2], mask[0, 4, 3] = 0.9, 0.6, 0.5
    # A position sees 36 pixels and lies 8 from the next: the first centre is at 17.5. (4, 3) is beside a higher one.
    assert keypoints(mask, 2)[0].tolist() == [[17.5 + 5 * 8, 17.5 + 8], [17.5 + 2 * 8, 17.5 + 4 * 8]]


def test_key_points_beyond_the_peaks_are_nan_and_beyond_the_positions_refused() -> None:
    mask = torch.arange(9.0).view(1, 3, 3) / 9
    found = keypoints(mask, 3)[0]
    assert torch.isfinite(found[0]).all()
    assert found[1:].isnan().all()
    with pytest.raises(ValueError, match="count is 10"):
        keypoints(mask, 10)


def moving_square(count: int, rng: np.random.Generator) -> Clips:
    """Videos of one bright square that moves over a background of its video, which does not."""
    videos = []
    for _ in range(count):
        video = np.repeat(rng.integers(60, 120, (1, 1, 60, 60, 1)), 12, axis=1).astype(np.uint8)
        for time in range(12):
            x, y = rng.integers(4, 44, 2)
            video[0, time, y : y + 12, x : x + 12] = 255
        videos.append(video)
    return Clips(videos, tuple(f"square {index}" for index in range(count)))


@pytest.mark.slow
def test_training_opens_the_mask_where_something_moves(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    encoder = attention(60, channels=1, sparsity=4e-3)
    torch.manual_seed(0)
    fit(encoder, moving_square(20, rng), moving_square(3, rng), FitConfig(steps=200, learning_rate=3e-3), 0, tmp_path)
    inside, outside = [], []
    for video in moving_square(5, rng).videos:
        mask = encoder.attention_maps(torch.from_numpy(np.asarray(video[0])).permute(0, 3, 1, 2))["mask"].numpy()
        for frame, values in zip(video[0], mask, strict=True):
            rows, columns = np.nonzero(frame[..., 0] == 255)
            place = np.clip(np.round((np.array([rows.mean(), columns.mean()]) - 17.5) / 8), 0, 3).astype(int)
            inside.append(values[tuple(place)])
            outside.append(np.delete(values.ravel(), place[0] * 4 + place[1]).mean())
    assert np.mean(inside) > 3 * np.mean(outside)
