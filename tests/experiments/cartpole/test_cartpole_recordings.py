"""Random play on the cartpole: what is recorded, and what is refused when it is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_swingups import shrink

from experiments.cartpole.recordings import back_and_forth, read_recording, record


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Frames of 16 pixels, episodes of 8 steps."""
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        yield


def test_recorded_actions_bring_the_cart_back_and_both_tasks_in() -> None:
    actions = back_and_forth(125, np.random.default_rng(0))
    assert actions.shape == (125, 1)
    assert np.abs(actions).max() <= 1
    made = record(4, 0, 16, 8, 1, "fixed", "fast")
    assert made.frames.shape == (4, 125, 16, 16, 3)
    inside = (made.landmarks[:, :, 0, 0] > 0) & (made.landmarks[:, :, 0, 0] < 15)
    assert inside.mean() > 0.9
    # Image rows count downwards: a hanging pole's tip is below the cart.
    first = made.landmarks[:, 0, 1, 1] > made.landmarks[:, 0, 0, 1]
    assert first.tolist() == [True, False, True, False]
    training, validation = made.clips
    assert (len(training), len(validation)) == (2, 2)


def test_a_recording_of_another_size_is_refused(tmp_path: Path) -> None:
    places = {"landmarks": np.zeros((2, 3, 2, 2)), "joints": np.zeros((2, 3, 2)), "velocities": np.zeros((2, 3, 2))}
    np.savez(tmp_path / "seed_0.npz", frames=np.zeros((2, 3, 8, 8, 3), np.uint8), **places)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"frames of shape \(2, 3, 8, 8, 3\), and \(2, 3, 16, 16, 9\) is asked"):
        read_recording(tmp_path / "seed_0.npz", (2, 3, 16, 16, 9))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_a_truncated_recording_is_one_error_that_names_it(tmp_path: Path, share: float) -> None:
    path = tmp_path / "seed_0.npz"
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8, 3), np.uint8)
    truth = {"landmarks": np.zeros((2, 3, 2, 2)), "joints": np.zeros((2, 3, 2)), "velocities": np.zeros((2, 3, 2))}
    np.savez_compressed(path, frames=frames, **truth)  # type: ignore[arg-type]
    np.testing.assert_array_equal(read_recording(path, (2, 3, 8, 8, 3)).frames, frames)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(
        ValueError, match=r"The recording .*seed_0\.npz is damaged.*delete it, and it is recorded again"
    ):
        read_recording(path, (2, 3, 8, 8, 3))


def test_a_small_recording_that_would_take_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "seed_0.npz"
    np.savez_compressed(path, frames=np.zeros((20, 30, 64, 64, 9), np.uint8))
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match="bytes, more than the"):
        read_recording(path, (2, 3, 8, 8, 3))
