"""MuJoCo's pictures drawn at the size that is used, without what only looks good."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

SUPERSAMPLING = 2
"""Drawn pixels for one of a frame, along each side."""

SPARED = {"shadow": False, "reflection": False, "skybox": False, "haze": False}
"""What is not drawn of dm_control's scenes: it takes most of the time, and tells nothing of where things are."""


class FastDrawing(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Has an environment on MuJoCo draw small pictures without shadows; any other stays as it is.

    It must not have been drawn yet.

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
        inner: Any = env.unwrapped
        renderer = getattr(inner, "mujoco_renderer", None)
        if renderer is not None:
            renderer.width = renderer.height = self._side
            self._lighten(renderer.model)

    def _lighten(self, model: Any) -> None:
        """Shadows and multisampling take most of a small picture's time; buffers are as large as the model says."""
        model.vis.quality.shadowsize = model.vis.quality.offsamples = 0
        model.vis.global_.offwidth = model.vis.global_.offheight = self._side

    def render(self) -> Any:
        """The picture of the moment."""
        inner: Any = self.env.unwrapped
        # shimmy has the arguments of dm_control's rendering; a camera of its own would be made for every picture.
        arguments = getattr(inner, "render_kwargs", None)
        if arguments is None or not hasattr(inner, "_env"):
            return self.env.render()
        if inner._env.physics is not self._physics:
            self._place_camera(inner._env.physics, arguments.get("camera_id", -1))
        return self._camera.render(render_flag_overrides=SPARED)

    def _place_camera(self, physics: Any, camera: Any) -> None:
        from dm_control.mujoco.engine import Camera

        self._lighten(physics.model)
        self._physics = physics
        self._camera = Camera(physics=physics, height=self._side, width=self._side, camera_id=camera)

    def close(self) -> None:
        """Lets go of the camera before the physics is freed."""
        self._physics = self._camera = None
        self.env.close()
