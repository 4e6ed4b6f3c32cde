"""The visual scene of the Kuka: cameras, looks, and a renderer over one pybullet client."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.bullet import pybullet

FAR = 6.0
"""Far plane of every camera, metres."""

NEAR = 0.05
"""Near plane of every camera, metres."""

EMPTY = 0.99999
"""Depth from which on a pixel shows nothing but the background."""

RENDER_QUALITIES = ("fast", "reference")
"""``fast`` draws decimated meshes; ``reference`` draws the unmodified ones."""

TARGET_RADIUS = 0.05
"""Radius of the reach target, metres."""

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Camera:
    """A named viewpoint.

    Attributes:
        eye: Position in metres, in the world frame, or in the hand frame if ``on_wrist``.
        target: Point that the camera looks at, metres, in the same frame.
        field_of_view: Vertical angle of view, degrees.
        orbit: Angle that the eye travels around the vertical axis through ``target`` a second, radians.
        sway: How far the eye rises and sinks, metres, once in about six seconds.
        on_wrist: Whether the camera is mounted on the last link.
    """

    eye: Colour
    target: Colour = (0.0, 0.0, 0.68)
    field_of_view: float = 56.0
    orbit: float = 0.0
    sway: float = 0.0
    on_wrist: bool = False

    @property
    def moves(self) -> bool:
        """Whether its view changes while nothing in the scene does, or as the hand does."""
        return self.on_wrist or self.orbit != 0.0 or self.sway != 0.0


CAMERAS: dict[str, Camera] = {
    "front": Camera(eye=(1.35, -0.85, 1.25)),
    "side": Camera(eye=(0.4, 1.55, 1.2)),
    "top": Camera(eye=(0.25, 0.0, 2.55), target=(0.0, 0.0, 0.6)),
    "orbit": Camera(eye=(1.35, -0.85, 1.25), orbit=0.6),
    "wrist": Camera(eye=(0.0, -0.25, -0.15), target=(0.0, 0.0, 0.3), field_of_view=80.0, on_wrist=True),
}
"""Every camera by its name; ``front`` and ``side`` see the whole workspace from a third of a turn apart."""


SHAPES = ("ball", "box", "cylinder")
"""Shapes of the target and of distractors."""


@dataclass(frozen=True)
class Distractor:
    """An object without meaning for the task; nothing collides with it.

    Attributes:
        shape: One of ``SHAPES``.
        position: Its centre, metres.
        size: Radius, or half the side of a box, metres.
        colour: RGB in [0, 1].
    """

    shape: str
    position: Colour
    size: float
    colour: Colour


@dataclass(frozen=True)
class Look:
    """The colours and the light of a scene.

    Attributes:
        links: One colour a link, repeated along the arm, RGB in [0, 1].
        wall: Colour above the horizon, RGB in [0, 1].
        floor: Two colours of the floor's squares, RGB in [0, 1].
        square: Side of a floor square, metres.
        light: Direction towards the light.
        target_visible: Whether the reach target is drawn.
        target: Colour of the reach target, RGB in [0, 1].
        target_shape: One of ``SHAPES``.
        distractors: What else stands in the scene.
    """

    links: tuple[Colour, ...] = ((0.2, 0.2, 0.2), (0.5, 0.7, 1.0), (1.0, 0.42, 0.04))
    wall: Colour = (0.93, 0.94, 0.96)
    floor: tuple[Colour, Colour] = ((0.80, 0.81, 0.83), (0.86, 0.87, 0.88))
    square: float = 0.5
    light: Colour = (0.6, -0.4, 1.0)
    target_visible: bool = True
    target: Colour = (0.85, 0.1, 0.15)
    target_shape: str = "ball"
    distractors: tuple[Distractor, ...] = ()


LOOKS: dict[str, Look] = {
    "plain": Look(),
    "bare": Look(target_visible=False),
    "night": Look(wall=(0.10, 0.11, 0.15), floor=((0.16, 0.17, 0.2), (0.2, 0.21, 0.25)), target_visible=False),
}
"""Every look by its name; ``bare`` is ``plain`` without the target."""


class View(NamedTuple):
    """What a camera sees at a moment, but for the bodies.

    Attributes:
        matrix: OpenGL view matrix, 16 floats in column order.
        projection: OpenGL projection matrix, likewise.
        backdrop: Wall and floor, (size, size, 3) uint8, RGB.
    """

    matrix: tuple[float, ...]
    projection: tuple[float, ...]
    backdrop: NDArray[np.uint8]


@dataclass
class Scene:
    """Draws one pybullet client's arm before a wall and a chequered floor.

    The rasteriser draws the bodies alone. Wall and floor are computed from the viewing rays where
    it drew nothing: the same picture as two large boxes would give, at a fraction of the cost, and
    once for a camera that stands still.

    Attributes:
        client: The physics client.
        arm: Body id of the arm.
        hand: Link index that carries the wrist camera.
        look: Colours and light.
    """

    client: int
    arm: int
    hand: int
    look: Look
    _still: dict[tuple[Camera, int], View] = field(default_factory=dict, repr=False)

    def render(
        self, camera: Camera, size: int, seconds: float = 0.0, out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Draws what a camera sees.

        Args:
            camera: Where it is.
            size: Width and height, pixels.
            seconds: Time since the start of the episode; it moves a moving camera.
            out: What is drawn into, (size, size, 3) uint8, contiguous; a new frame if None.

        Returns:
            Frame of shape (size, size, 3), uint8, RGB; ``out`` if it is given.
        """
        view = self._view(camera, size, seconds)
        _, _, colours, depth, _ = pybullet.getCameraImage(
            size,
            size,
            view.matrix,
            view.projection,
            lightDirection=self.look.light,
            shadow=0,
            renderer=pybullet.ER_TINY_RENDERER,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
            physicsClientId=self.client,
        )
        frame = np.empty_like(view.backdrop) if out is None else out
        frame[:] = view.backdrop
        # The arm covers a small part of the picture: copying that part alone is the fastest way to lay it over.
        (drawn,) = (depth.ravel() < EMPTY).nonzero()
        frame.reshape(-1, 3)[drawn] = colours.reshape(-1, 4).take(drawn, axis=0)[:, :3]
        return frame

    def paint(self) -> None:
        """Gives every link of the arm its colour of the look."""
        for link in range(-1, pybullet.getNumJoints(self.arm, physicsClientId=self.client)):
            colour = self.look.links[(link + 1) % len(self.look.links)]
            pybullet.changeVisualShape(self.arm, link, rgbaColor=(*colour, 1.0), physicsClientId=self.client)

    def add_target(self) -> int:
        """Adds the reach target, massless and without collisions; returns its body id."""
        return self._add(self.look.target_shape, TARGET_RADIUS, self.look.target, (0.0, 0.0, 0.0))

    def add_distractors(self) -> None:
        """Adds the distractors."""
        for thing in self.look.distractors:
            self._add(thing.shape, thing.size, thing.colour, thing.position)

    def _add(self, shape: str, size: float, colour: Colour, position: Colour) -> int:
        # A second to import, and many a scene has nothing to add.
        import trimesh

        if shape == "ball":
            mesh = trimesh.creation.icosphere(subdivisions=1, radius=size)
        elif shape == "box":
            mesh = trimesh.creation.box(extents=(2 * size,) * 3)
        else:
            mesh = trimesh.creation.cylinder(radius=size, height=2 * size, sections=10)
        visual = pybullet.createVisualShape(
            pybullet.GEOM_MESH,
            vertices=mesh.vertices.tolist(),
            indices=mesh.faces.ravel().tolist(),
            normals=mesh.vertex_normals.tolist(),
            rgbaColor=(*colour, 1.0),
            physicsClientId=self.client,
        )
        return int(pybullet.createMultiBody(0.0, -1, visual, position, physicsClientId=self.client))

    def _view(self, camera: Camera, size: int, seconds: float) -> View:
        """What a camera sees besides bodies; that of one that stands still is computed once."""
        if (view := self._still.get((camera, size))) is not None:
            return view
        matrix = self._view_matrix(camera, seconds)
        view = View(
            matrix,
            pybullet.computeProjectionMatrixFOV(camera.field_of_view, 1.0, NEAR, FAR),
            backdrop(self.look, matrix, camera.field_of_view, size),
        )
        if not camera.moves:
            self._still[camera, size] = view
        return view

    def _view_matrix(self, camera: Camera, seconds: float) -> tuple[float, ...]:
        if camera.on_wrist:
            state = pybullet.getLinkState(self.arm, self.hand, computeForwardKinematics=1, physicsClientId=self.client)
            position, orientation = state[4], state[5]
            rotation = np.asarray(pybullet.getMatrixFromQuaternion(orientation)).reshape(3, 3)
            eye = np.asarray(position) + rotation @ np.asarray(camera.eye)
            target = np.asarray(position) + rotation @ np.asarray(camera.target)
            up = -rotation[:, 1]
            return pybullet.computeViewMatrix(eye.tolist(), target.tolist(), up.tolist())
        angle = camera.orbit * seconds
        x, y = camera.eye[0] - camera.target[0], camera.eye[1] - camera.target[1]
        eye = (
            camera.target[0] + x * math.cos(angle) - y * math.sin(angle),
            camera.target[1] + x * math.sin(angle) + y * math.cos(angle),
            camera.eye[2] + camera.sway * math.sin(seconds),
        )
        up_axis = (1.0, 0.0, 0.0) if abs(x) + abs(y) < 0.3 else (0.0, 0.0, 1.0)
        return pybullet.computeViewMatrix(eye, camera.target, up_axis)


def backdrop(look: Look, view: tuple[float, ...], field_of_view: float, size: int) -> NDArray[np.uint8]:
    """The image of wall and floor, from the viewing ray of every pixel.

    Args:
        look: Colours, and the side of a floor square.
        view: OpenGL view matrix, 16 floats in column order, as pybullet computes it.
        field_of_view: Vertical angle of view, degrees.
        size: Width and height, pixels.

    Returns:
        Frame of shape (size, size, 3), uint8, RGB.
    """
    world_to_eye = np.asarray(view).reshape(4, 4).T
    rotation = world_to_eye[:3, :3].T
    eye = -rotation @ world_to_eye[:3, 3]
    half = math.tan(math.radians(field_of_view) / 2)
    steps = ((np.arange(size) + 0.5) / size * 2 - 1) * half
    x, y = np.meshgrid(steps, -steps)
    rays = np.stack([x, y, np.full_like(x, -1.0)], axis=-1) @ rotation.T
    frame = np.empty((size, size, 3))
    frame[:] = look.wall
    down = rays[:, :, 2] < -1e-6
    scale = -eye[2] / np.where(down, rays[:, :, 2], -1.0)
    points = eye[:2] + rays[:, :, :2] * scale[:, :, None]
    odd = (np.floor(points / look.square).sum(axis=-1) % 2).astype(bool)
    near = down & (np.abs(points).max(axis=-1) < 4.0)
    frame[near & odd] = look.floor[0]
    frame[near & ~odd] = look.floor[1]
    return np.round(frame * 255).astype(np.uint8)
