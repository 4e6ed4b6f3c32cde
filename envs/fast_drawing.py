"""MuJoCo's pictures drawn at the size that is used, without what only looks good."""

from __future__ import annotations

import atexit
from typing import Any
from weakref import WeakSet

import gymnasium as gym
import numpy as np

SUPERSAMPLING = 2
"""Drawn pixels for one of a frame, along each side."""

SPARED = {"shadow": False, "reflection": False, "skybox": False, "haze": False}
"""What is not drawn of dm_control's scenes: it takes most of the time, and tells nothing of where things are."""

_DRAWING: WeakSet[FastDrawing] = WeakSet()
"""What has a context that is to be freed before the libraries that made it are."""


class FastDrawing(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Has an environment on MuJoCo draw small pictures without shadows; any other stays as it is.

    A state always looks the same: Gymnasium's camera looks at the middle of what its first picture shows, whatever that
    is; here it looks at the middle of the model's own pose. It must not have been drawn yet.

    Args:
        env: As Gymnasium makes it, with ``render_mode="rgb_array"``.
        size: Width and height of a frame, pixels; twice as many are drawn, so that each is the mean of four.
    """

    def __init__(self, env: gym.Env[Any, Any], size: int) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, size=size)
        super().__init__(env)
        self._side = SUPERSAMPLING * size
        self._physics: Any = None
        self._camera: Any = None
        self._closed = False
        inner: Any = env.unwrapped
        self._renderer = getattr(inner, "mujoco_renderer", None)
        if self._renderer is not None:
            self._renderer.width = self._renderer.height = self._side
            self._lighten(self._renderer.model)

    def _lighten(self, model: Any) -> None:
        """Shadows and multisampling take most of a small picture's time; buffers are as large as the model says."""
        model.vis.quality.shadowsize = model.vis.quality.offsamples = 0
        model.vis.global_.offwidth = model.vis.global_.offheight = self._side

    def render(self) -> Any:
        """The picture of the moment."""
        inner: Any = self.env.unwrapped
        if self._renderer is not None:
            self._make_ready()
            return self.env.render()
        # shimmy has the arguments of dm_control's rendering; a camera of its own would be made for every picture.
        arguments = getattr(inner, "render_kwargs", None)
        if arguments is None or not hasattr(inner, "_env"):
            return self.env.render()
        if inner._env.physics is not self._physics:
            self._place_camera(inner._env.physics, arguments.get("camera_id", -1))
        return self._camera.render(render_flag_overrides=SPARED)

    def _make_ready(self) -> None:
        """Points Gymnasium's camera, and has it draw into its own context: another environment's may be current."""
        renderer: Any = self._renderer
        if renderer.viewer is not None:
            renderer.viewer.make_context_current()
            return
        self.env.render()
        _free_at_exit(self)
        if "lookat" not in (renderer.default_cam_config or {}):
            import mujoco

            data = mujoco.MjData(renderer.model)
            mujoco.mj_forward(renderer.model, data)
            viewer: Any = renderer.viewer
            viewer.cam.lookat[:] = np.median(data.geom_xpos, axis=0)

    def _place_camera(self, physics: Any, camera: Any) -> None:
        from dm_control.mujoco.engine import Camera

        self._lighten(physics.model)
        self._physics = physics
        self._camera = Camera(physics=physics, height=self._side, width=self._side, camera_id=camera)

    def close(self) -> None:
        """Lets go of the camera before the physics is freed; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._physics = self._camera = None
            self.env.close()


def _free_at_exit(drawing: FastDrawing) -> None:
    """Frees a context when the process ends, if nobody has; after its library was imported, so before that ends."""
    if not _DRAWING:
        atexit.unregister(_free_all)
        atexit.register(_free_all)
    _DRAWING.add(drawing)


def _free_all() -> None:
    for drawing in list(_DRAWING):
        drawing.close()
