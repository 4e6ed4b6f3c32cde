"""IMM keypoints: the published formulas by hand, and a network that finds a moving square."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import encoders
from encoders.base import FrameBatch
from encoders.models.imm import IMM, heat_maps, marginal_soft_argmax, motion_of


def imm(**settings: object) -> IMM:
    made = encoders.make("imm", **{"image_size": 32, "channels": 3, "keypoints": 3, **settings})
    assert isinstance(made, IMM)
    return made


def batch(frames: torch.Tensor) -> FrameBatch:
    """Frames as pairs, one pair a video."""
    index = torch.arange(len(frames))
    return FrameBatch(frames, index // 2, torch.zeros_like(index), index % 2)


def test_a_bright_column_and_row_settle_the_point() -> None:
    scores = torch.zeros(1, 1, 4, 8)
    scores[0, 0, 1, 6] = 1e6
    found = marginal_soft_argmax(scores)
    # Middles of 8 columns are -0.875, -0.625, ...; of 4 rows -0.75, -0.25, ...
    torch.testing.assert_close(found.points, torch.tensor([[[0.625, -0.25]]]))
    assert found.columns.shape == (1, 1, 8)
    assert found.rows.shape == (1, 1, 4)


def test_marginals_are_softmaxes_of_mean_scores() -> None:
    scores = torch.tensor([[[[0.0, 2.0], [0.0, 4.0]]]])
    found = marginal_soft_argmax(scores)
    right = 1 / (1 + math.exp(-3.0))
    below = 1 / (1 + math.exp(-1.0))
    torch.testing.assert_close(found.columns[0, 0], torch.tensor([1 - right, right]))
    torch.testing.assert_close(found.rows[0, 0], torch.tensor([1 - below, below]))
    torch.testing.assert_close(found.points[0, 0], torch.tensor([right - 0.5, below - 0.5]))


def test_a_heat_map_is_a_gaussian_around_its_point() -> None:
    maps = heat_maps(torch.tensor([[[0.25, -0.75]]]), 4, 4, 0.5)
    assert float(maps[0, 0, 0, 2]) == pytest.approx(1.0)
    # One column is half a unit: exp(-0.5^2 / (2 * 0.5^2)).
    assert float(maps[0, 0, 0, 3]) == pytest.approx(math.exp(-0.5))
    assert float(maps[0, 0, 1, 1]) == pytest.approx(math.exp(-1.0))


def test_a_heat_map_pulls_its_point() -> None:
    points = torch.tensor([[[0.0, 0.0]]], requires_grad=True)
    heat_maps(points, 8, 8, 0.3)[0, 0, :, 5].sum().backward()  # type: ignore[no-untyped-call]
    assert points.grad is not None
    assert points.grad[0, 0, 0] > 0
    assert abs(float(points.grad[0, 0, 1])) < 1e-5


def test_motion_is_the_newest_place_and_the_differences() -> None:
    points = torch.tensor([[[[0.0, 0.0]], [[0.1, 0.0]], [[0.3, -0.2]]]])
    torch.testing.assert_close(motion_of(points, 10.0), torch.tensor([[0.3, -0.2, 1.0, 0.0, 2.0, -2.0]]))


@pytest.mark.parametrize(("single", "features", "dim"), [(True, "coordinates", 18), (False, "coordinates", 6)])
def test_frames_of_a_stack_one_by_one_or_as_one_picture(single: bool, features: str, dim: int) -> None:
    made = imm(channels=9, single_frames=single, features=features)
    frames = torch.randint(0, 256, (4, 9, 32, 32), dtype=torch.uint8)
    assert made.embed(frames).shape == (4, dim)
    assert made.embedding_dim == dim


def test_a_stack_of_grey_frames_is_looked_at_one_by_one_too() -> None:
    made = imm(channels=4)
    assert (made.config.frames, made.config.frame_channels) == (4, 1)
    assert made.embed(torch.randint(0, 256, (2, 4, 32, 32), dtype=torch.uint8)).shape == (2, 4 * 3 * 2)


def test_the_newest_frame_comes_first_in_the_embedding() -> None:
    made = imm(channels=9).eval()
    frames = torch.randint(0, 256, (2, 9, 32, 32), dtype=torch.uint8)
    places = made.keypoints(frames).points
    torch.testing.assert_close(made.embed(frames)[:, :6], places[2::3].flatten(1).detach())


def test_heat_maps_as_features() -> None:
    made = imm(features="heat_maps")
    embedding = made.embed(torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8))
    assert embedding.shape == (2, 3 * 8 * 8)
    assert embedding.min() >= 0
    assert embedding.max() <= 1


def test_the_target_is_drawn_from_its_points_and_the_source_from_its_looks() -> None:
    made = imm().eval()
    frames = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    other = frames.clone()
    other[1] = 255 - other[1]
    swap = torch.tensor([1, 0])
    first, found = made.generate(frames, swap)
    second, _ = made.generate(other, swap)
    assert found.points.shape == (2, 3, 2)
    assert not torch.allclose(first[0], second[0])


def test_whether_the_agents_loss_reaches_the_keypoints_is_settled_by_configuration() -> None:
    frames = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert imm()(frames).requires_grad
    assert not imm(policy_gradient=False)(frames).requires_grad
    assert imm(policy_gradient=False).loss(batch(frames)).loss.requires_grad


def test_a_perceptual_loss_compares_features_of_a_frozen_backbone() -> None:
    made = imm(perceptual="efficientnet_lite0", image_size=64)
    frames = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    result = made.loss(batch(frames))
    result.loss.backward()  # type: ignore[no-untyped-call]
    assert made.perceptual is not None
    assert all(part.grad is None for part in made.perceptual.parameters())
    assert any(part.grad is not None and part.grad.abs().sum() > 0 for part in made.convolutions.parameters())


@pytest.mark.parametrize("name", ["imm", "autoencoder_imm", "autoencoder"])
@pytest.mark.parametrize("size", [21, 32, 84])
def test_every_size_comes_back_whole_and_saved_weights_give_the_same(name: str, size: int, tmp_path: Path) -> None:
    made = encoders.make(name, image_size=size, channels=9)
    frames = torch.randint(0, 256, (4, 9, size, size), dtype=torch.uint8)
    assert torch.isfinite(made.loss(batch(frames)).loss)
    made.save(tmp_path)
    torch.testing.assert_close(encoders.load(tmp_path).embed(frames), made.embed(frames))


def squares(count: int, rng: np.random.Generator) -> tuple[torch.Tensor, np.ndarray]:
    """Frames of one bright square on a grey slope, and its place."""
    frames = np.broadcast_to(np.arange(32, dtype=np.uint8)[None, :, None, None] * 2, (count, 32, 32, 3)).copy()
    places = rng.integers(2, 26, (count, 2))
    for frame, (x, y) in zip(frames, places, strict=True):
        frame[y : y + 5, x : x + 5] = (220, 180, 40)
    return torch.from_numpy(frames).permute(0, 3, 1, 2), places


def test_keypoints_follow_what_moves() -> None:
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    made = imm(width=16)
    optimiser = torch.optim.Adam(made.parameters(), 3e-3)
    made.train()
    for _ in range(250):
        optimiser.zero_grad()
        made.loss(batch(squares(16, rng)[0])).loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    frames, places = squares(200, rng)
    inputs = np.c_[made.embed(frames).numpy(), np.ones(200)]
    fitted = np.linalg.lstsq(inputs[:100], places[:100], rcond=None)[0]
    error = np.linalg.norm(inputs[100:] @ fitted - places[100:], axis=1).mean()
    assert error < 1.5


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"keypoints": 65}, "64 positions"),
        ({"keypoints": 0}, "from 1 to"),
        ({"sigma": 0.0}, "sigma is 0.0"),
        ({"features": "points"}, "Allowed: coordinates, heat_maps"),
        ({"channels": 4, "perceptual": "efficientnet_lite0", "image_size": 64}, "multiple of 3"),
        ({"image_size": 6}, "8 pixels or more"),
        ({"second_stride": 3}, "must be 1 or 2"),
        ({"perceptual": "vgg"}, "Unknown backbone"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        imm(**wrong)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(B, K, h, w\)"):
        marginal_soft_argmax(torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match=r"\(B, K, 2\)"):
        heat_maps(torch.zeros(2, 3), 4, 4, 0.1)
