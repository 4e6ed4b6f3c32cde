"""Random looks and cameras, which an embedding should be invariant to."""

from __future__ import annotations

import math

import numpy as np

from envs.kuka_scene import SHAPES, Camera, Colour, Distractor, Look

LINK_COLOURS = 4
"""Number of different colours along an arm with a random look."""

MOST_DISTRACTORS = 4


def _colour(rng: np.random.Generator, low: float = 0.05, high: float = 1.0) -> Colour:
    red, green, blue = rng.uniform(low, high, 3)
    return float(red), float(green), float(blue)


def random_look(rng: np.random.Generator) -> Look:
    """Draws a look: colours, light, floor, distractors and target shape.

    Distractors stand on the floor in a ring that the arm's base is the centre of.
    """
    distractors = []
    for _ in range(rng.integers(0, MOST_DISTRACTORS + 1)):
        angle, distance, size = rng.uniform(0, 2 * math.pi), rng.uniform(0.5, 1.1), rng.uniform(0.05, 0.16)
        place = (float(distance * math.cos(angle)), float(distance * math.sin(angle)), float(size))
        distractors.append(Distractor(str(rng.choice(SHAPES)), place, float(size), _colour(rng)))
    wall = _colour(rng, 0.15, 0.95)
    light_x, light_y = rng.uniform(-1.0, 1.0, 2)
    return Look(
        links=tuple(_colour(rng) for _ in range(LINK_COLOURS)),
        wall=wall,
        floor=(_colour(rng, 0.15, 0.95), _colour(rng, 0.15, 0.95)),
        square=float(rng.uniform(0.25, 1.0)),
        light=(float(light_x), float(light_y), 1.0),
        target=_colour(rng),
        target_shape=str(rng.choice(SHAPES)),
        distractors=tuple(distractors),
    )


def _eye(angle: float, distance: float, height: float) -> Colour:
    return distance * math.cos(angle), distance * math.sin(angle), height


def fixed_camera(rng: np.random.Generator) -> Camera:
    """A viewpoint near ``front`` that stands still, a little elsewhere for every draw."""
    angle = rng.uniform(-0.8, -0.3)
    return Camera(eye=_eye(angle, rng.uniform(1.5, 1.7), rng.uniform(1.0, 1.4)), field_of_view=48.0)


def moving_camera(rng: np.random.Generator) -> Camera:
    """A viewpoint that starts at the side and goes around the arm, up and down, as if held by somebody."""
    angle = rng.uniform(0.3, 2.0)
    rate = rng.uniform(0.15, 0.5) * rng.choice([-1.0, 1.0])
    return Camera(
        eye=_eye(angle, rng.uniform(1.5, 1.8), rng.uniform(0.9, 1.3)),
        field_of_view=50.0,
        orbit=float(rate),
        sway=float(rng.uniform(0.05, 0.2)),
    )
