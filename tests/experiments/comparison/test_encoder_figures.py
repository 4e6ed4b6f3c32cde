"""Figures and videos for judging an encoder."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.videos.video import read_video
from experiments.comparison.figures import nearest_neighbour_video, perplexity, plot_attention, plot_tsne, tsne

COLOURS = np.array([[220, 30, 30], [30, 200, 30], [30, 30, 220], [210, 210, 40], [128, 128, 128]], np.uint8)
"""One for each frame of a video, far enough apart to outlast H.264."""


def plain_video(height: int, width: int, length: int = len(COLOURS)) -> NDArray[np.uint8]:
    return np.broadcast_to(COLOURS[:length, None, None], (length, height, width, 3)).copy()


def shown(picture: NDArray[np.uint8]) -> list[int]:
    """The colour nearest to the middle of each frame."""
    middle = picture[:, picture.shape[1] // 2, picture.shape[2] // 2].astype(int)
    return [int(np.abs(COLOURS - colour).sum(axis=1).argmin()) for colour in middle]


def test_attention_has_a_row_for_each_frame_and_a_column_for_each_level(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (3, 32, 32, 3), np.uint8)
    sizes = []
    for count, levels in ((1, 1), (3, 1), (3, 3)):
        maps = {f"L{level}": rng.random((count, 4 * level, 4 * level)) for level in range(1, levels + 1)}
        path = tmp_path / f"{count}-{levels}.png"
        plot_attention(frames[:count], maps, path)
        sizes.append(iio.imread(path).shape[:2])
    assert sizes[0][1] == sizes[1][1] < sizes[2][1]
    assert sizes[0][0] < sizes[1][0] == sizes[2][0]


def test_attention_lies_over_the_part_of_the_frame_it_belongs_to(tmp_path: Path) -> None:
    frames, weights = np.full((1, 64, 64, 3), 255, np.uint8), np.zeros((1, 4, 4))
    # A black square at the lower left of a white frame, and the attention on it.
    frames[0, 32:, :32] = 0
    weights[0, 2:, :2] = 1.0
    plot_attention(frames, {"L1": weights}, tmp_path / "attention.png")
    picture = iio.imread(tmp_path / "attention.png")[:, :, :3].astype(int)
    # The right half, above the scale: red where the map attends, blue elsewhere.
    panel = picture[: int(0.7 * picture.shape[0]), picture.shape[1] // 2 :]
    red, blue = (panel[:, :, one] - panel[:, :, other] > 40 for one, other in ((0, 2), (2, 0)))
    (red_row, red_column), (blue_row, blue_column) = (np.argwhere(where).mean(axis=0) for where in (red, blue))
    assert red_row > blue_row
    assert red_column < blue_column
    # The frame underneath is the right way up as well.
    assert np.median(panel[red].max(axis=1)) < 100 < np.median(panel[blue].max(axis=1))


def test_maps_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    frames, path = plain_video(8, 8), tmp_path / "attention.png"
    for weights in (np.ones((4, 2, 2)), np.ones((5, 2)), np.ones((5, 2, 2, 1))):
        with pytest.raises(ValueError, match=r"map 'L2' has shape .* for 5 frames"):
            plot_attention(frames, {"L1": np.ones((5, 2, 2)), "L2": weights}, path)
    with pytest.raises(ValueError, match="'L1' is not finite"):
        plot_attention(frames, {"L1": np.full((5, 2, 2), np.nan)}, path)
    for count, maps in ((0, {"L1": np.ones((0, 2, 2))}), (5, {})):
        with pytest.raises(ValueError, match="at least one frame and one map"):
            plot_attention(frames[:count], maps, path)
    assert not path.exists()


def test_a_map_without_contrast_can_be_drawn(tmp_path: Path) -> None:
    plot_attention(plain_video(8, 12, 2), {"L1": np.ones((2, 3, 3), np.float32)}, tmp_path / "attention.png")
    assert iio.imread(tmp_path / "attention.png").ndim == 3


def test_tsne_is_determined_by_its_seed(tmp_path: Path) -> None:
    embeddings = np.random.default_rng(0).normal(size=(20, 6)).cumsum(axis=0).astype(np.float32)
    points = tsne(embeddings, 3)
    assert points.shape == (20, 2)
    assert points.dtype == np.float32
    np.testing.assert_array_equal(tsne(embeddings, 3), points)
    assert not np.allclose(tsne(embeddings, 4), points)
    pictures = []
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        plot_tsne(embeddings, tmp_path / f"{name}.png", seed)
        pictures.append(iio.imread(tmp_path / f"{name}.png"))
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).any()


def test_tsne_keeps_two_clusters_apart() -> None:
    embeddings = np.random.default_rng(0).normal(size=(24, 8))
    embeddings[12:] += 30
    points = tsne(embeddings, 0)
    inside = max(np.linalg.norm(half - half.mean(axis=0), axis=1).mean() for half in (points[:12], points[12:]))
    assert np.linalg.norm(points[:12].mean(axis=0) - points[12:].mean(axis=0)) > 2 * inside


def test_the_perplexity_stays_below_the_frames() -> None:
    assert [perplexity(length) for length in (5, 31, 91, 400)] == [pytest.approx(4 / 3), 10.0, 30.0, 30.0]


@pytest.mark.parametrize("embeddings", [np.eye(5), np.ones((6, 3)), np.arange(7.0)[:, None]])
def test_tsne_takes_short_constant_and_narrow_embeddings(embeddings: NDArray[np.float64]) -> None:
    assert np.isfinite(tsne(embeddings, 0)).all()


def test_embeddings_without_a_tsne_plot_are_refused(tmp_path: Path) -> None:
    for wrong in (np.ones((4, 3)), np.ones(9)):
        with pytest.raises(ValueError, match=r"at least 5 frames"):
            plot_tsne(wrong, tmp_path / "tsne.png", 0)
    with pytest.raises(ValueError, match="not finite"):
        plot_tsne(np.full((9, 3), np.nan), tmp_path / "tsne.png", 0)
    assert not (tmp_path / "tsne.png").exists()


def test_the_neighbour_video_shows_each_frame_beside_its_neighbour(tmp_path: Path) -> None:
    first = plain_video(48, 64)
    embeddings = np.arange(5.0)[:, None]
    second = np.array([2.1, 0.2, 3.8, 0.9])[:, None]
    path = tmp_path / "made" / "neighbours.mp4"
    nearest_neighbour_video(first, plain_video(48, 64, 4), embeddings, second, 10, path)
    video = read_video(path)
    # 192 / 48 is 4.
    assert video.shape == (5, 192, 512, 3)
    assert shown(video[:, :, :256]) == [0, 1, 2, 3, 4]
    assert shown(video[:, :, 256:]) == [1, 3, 0, 2, 2]


@pytest.mark.parametrize(
    ("height", "width", "factor"),
    [(64, 64, 3), (200, 300, 1), (192, 201, 1), (201, 192, 2), (65, 65, 4), (65, 67, 4), (63, 63, 4), (10, 15, 20)],
)
def test_small_frames_are_enlarged_by_a_whole_factor(tmp_path: Path, height: int, width: int, factor: int) -> None:
    frames = plain_video(height, width, 2)
    nearest_neighbour_video(frames, frames, np.eye(2), np.eye(2), 5, tmp_path / "neighbours.mp4")
    video = read_video(tmp_path / "neighbours.mp4")
    assert video.shape == (2, factor * height, 2 * factor * width, 3)
    half = video.shape[2] // 2
    assert shown(video[:, :, :half]) == shown(video[:, :, half:]) == [0, 1]


def test_videos_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    frames, embeddings, path = plain_video(16, 16), np.eye(5), tmp_path / "neighbours.mp4"
    with pytest.raises(ValueError, match=r"\(16, 16, 3\) and \(16, 20, 3\)"):
        nearest_neighbour_video(frames, plain_video(16, 20), embeddings, embeddings, 10, path)
    with pytest.raises(ValueError, match="first video has 5 frames and 4 embeddings"):
        nearest_neighbour_video(frames, frames, embeddings[:4], embeddings, 10, path)
    with pytest.raises(ValueError, match="second video has 5 frames and 4 embeddings"):
        nearest_neighbour_video(frames, frames, embeddings, embeddings[:4], 10, path)
    with pytest.raises(ValueError, match="not finite"):
        nearest_neighbour_video(frames, frames, embeddings, np.full((5, 5), np.inf), 10, path)
    assert not path.exists()
