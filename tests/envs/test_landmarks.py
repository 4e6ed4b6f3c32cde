"""Perfect keypoints: the places are those in the frame, move as they do, and have the noise that is asked for."""

import numpy as np
import pytest

from encoders.models.imm import MOTION_GAIN
from envs.cartpole import Cartpole
from envs.landmarks import LandmarkObservation

STILL = {"joints": (0.3, 0.4)}


def cartpole() -> Cartpole:
    return Cartpole(pixels=False, render_mode="rgb_array")


def test_places_are_those_in_the_frame_and_then_what_they_moved_by() -> None:
    env = LandmarkObservation(cartpole(), frames=3)
    first, _ = env.reset(options=STILL)
    # Pixel centres are at wholes; a frame of 64 pixels is from -0.5 to 63.5.
    before = (env.unwrapped.landmarks().ravel() + 0.5) / 32 - 1
    np.testing.assert_allclose(first, [*before, *np.zeros(8)], atol=1e-6)

    second, *_ = env.step(np.ones(1, np.float32))
    after = (env.unwrapped.landmarks().ravel() + 0.5) / 32 - 1
    np.testing.assert_allclose(second, [*after, *np.zeros(4), *MOTION_GAIN * (after - before)], atol=1e-5)
    assert env.observation_space.contains(second)
    env.close()


def test_what_is_out_of_sight_is_at_the_edge() -> None:
    env = LandmarkObservation(cartpole(), frames=1)
    seen, _ = env.reset(options={"joints": (1.8, 0.0)})
    assert seen[0] == seen[2] == 1.0
    env.close()


def test_what_leaves_the_frame_stays_where_it_was_last_seen_if_places_are_held() -> None:
    exact, held = (LandmarkObservation(cartpole(), frames=1, held=held) for held in (False, True))
    for env in (exact, held):
        env.reset(options={"joints": (1.2, 0.4)})
    seen = [[env.step(np.ones(1, np.float32))[0] for _ in range(10)] for env in (exact, held)]
    shown = [bool((np.abs(place[:4:2]) < 1).all()) for place in seen[0]]
    left = shown.index(False)
    assert 0 < left < 9
    np.testing.assert_array_equal(seen[0][:left], seen[1][:left])
    cart, tip = slice(0, 2), slice(2, 4)
    out = [part for part in (cart, tip) if abs(seen[0][left][part.start]) >= 1]
    for part in out:
        np.testing.assert_array_equal(seen[1][left][part], seen[1][left - 1][part])
        np.testing.assert_array_equal(seen[1][left + 1][part], seen[1][left - 1][part])
    assert any(seen[0][left][part.start] == 1 for part in out)
    for env in (exact, held):
        env.close()


def test_places_between_cart_and_tip_are_those_of_the_pole() -> None:
    two, five = (LandmarkObservation(cartpole(), frames=1, places=places) for places in (2, 5))
    (cart, tip), pole = (env.reset(options=STILL)[0].reshape(-1, 2) for env in (two, five))
    np.testing.assert_allclose(pole, [cart + share * (tip - cart) for share in (0, 0.25, 0.5, 0.75, 1)], atol=1e-6)
    for env in (two, five):
        env.close()


def test_noise_is_in_pixels_and_follows_the_seed() -> None:
    env = LandmarkObservation(cartpole(), frames=1, noise=0.5)
    seen = np.stack([env.reset(seed=seed, options=STILL)[0] for seed in [*range(200), 0]])
    assert (seen.std(axis=0) * 32).mean() == pytest.approx(0.5, rel=0.1)
    np.testing.assert_array_equal(seen[0], seen[-1])
    env.close()


@pytest.mark.parametrize(("frames", "noise", "places"), [(0, 0.0, 2), (1, -0.1, 2), (1, float("nan"), 2), (1, 0.0, 1)])
def test_wrong_arguments_are_refused(frames: int, noise: float, places: int) -> None:
    env = cartpole()
    with pytest.raises(ValueError, match="at least"):
        LandmarkObservation(env, frames, noise, places=places)
    env.close()
