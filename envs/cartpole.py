"""dm_control's cart and pole as a Gymnasium environment, through shimmy, with frames drawn fast."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from encoders.errors import check_choice, is_whole
from envs.mujoco_gl import choose_renderer, let_go
from envs.simulation import RENDER_MODES, Simulation, check_reset_seed
from envs.starts import begun_at

TASKS = ("swingup", "swingup_sparse", "balance", "balance_sparse")
CAMERAS = ("fixed", "lookatcart")
RENDER_QUALITIES = ("fast", "reference")

CONTROL_SECONDS = 0.01
"""Time between two of the simulator's own control steps, seconds."""

CONTROL_STEPS = 1000
"""Control steps of an episode."""

POLE_LENGTH = 1.0
"""From the hinge on the cart to the pole's tip, metres."""

SUPERSAMPLING = 2
"""Rendered pixels per pixel of a frame, along each side, with ``fast``."""

_SPARED = ("shadow", "reflection", "skybox", "haze")
"""Visual elements that ``fast`` leaves out: none shows where cart and pole are."""


class Cartpole(Simulation):
    """A cart on a rail with a pole on it; a motor moves the cart.

    Observation, a dictionary:
        - ``pixels``: (size, size, 3 stack) uint8 RGB, the newest frame last; absent without ``pixels``.
        - ``joint_positions``: (3,) float32, the cart's place in metres, cosine and sine of the pole's angle;
          upright it is 0.
        - ``joint_velocities``: (2,) float32, metres and radians a second.

    Action: (1,) float32 in [-1, 1], held for ``action_repeat`` control steps of 0.01 seconds.

    Reward: the sum over those control steps of dm_control's reward, in [0, 1] each, so that a whole episode's return is
    from 0 to 1000. An episode never terminates: after 1000 control steps it is truncated, since dm_control's discount
    is still 1 there.

    ``reset(options={"joints": (place, angle), "velocities": (2,)})`` sets the state, in metres and radians; without
    options the task draws it. ``frames`` are those of the stack, where it does not begin with the first one repeated,
    and ``time`` is how many steps of the episode count as done; it stands in the info of the reset then.

    Args:
        task: ``swingup`` (the pole hangs down at first), ``balance``, and those with the reward for upright states
            alone, ``swingup_sparse`` and ``balance_sparse``.
        image_size: Width and height of a frame, pixels.
        action_repeat: Control steps that an action is held for.
        stack: Successive observations whose frames are stacked.
        camera: ``fixed``, from which the cart at the rail's last 0.2 metres on either side is out of sight, and a
            pole that leans outwards sooner; ``lookatcart`` follows the cart.
        render_quality: ``fast``, without shadow, reflection, skybox and haze, every pixel the mean of four that are
            drawn; or ``reference``, as dm_control draws by default.
        pixels: Whether frames are observed; without, nothing is ever drawn.
        render_mode: ``rgb_array``, ``human`` for a window that shows every step, or None.

    Raises:
        ValueError: If an argument is not among the allowed values; ``RendererError`` if nothing can be drawn here,
            ``WindowError`` if no window can be opened.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 1 / (8 * CONTROL_SECONDS)}  # noqa: RUF012 - Gymnasium's own declaration

    def __init__(
        self,
        task: str = "swingup",
        image_size: int = 64,
        action_repeat: int = 8,
        stack: int = 3,
        camera: str = "fixed",
        render_quality: str = "fast",
        pixels: bool = True,
        render_mode: str | None = None,
    ) -> None:
        check_choice("cartpole task", task, TASKS)
        check_choice("camera", camera, CAMERAS)
        check_choice("render_quality", render_quality, RENDER_QUALITIES)
        if render_mode is not None:
            check_choice("render_mode", render_mode, self.metadata["render_modes"])
        if not is_whole(image_size) or not 8 <= image_size <= 480:
            raise ValueError(f"image_size is {image_size!r}; it must be a whole number from 8 to 480 pixels.")
        whole = is_whole(action_repeat) and is_whole(stack)
        if not whole or not 1 <= action_repeat <= CONTROL_STEPS or stack < 1:
            raise ValueError(
                f"action_repeat is {action_repeat!r} and stack {stack!r}; action_repeat must be from 1 to "
                f"{CONTROL_STEPS}, stack at least 1, both whole numbers."
            )
        self.metadata = {**self.metadata, "render_fps": 1 / (action_repeat * CONTROL_SECONDS)}
        self.task = task
        self.image_size = image_size
        self.action_repeat = action_repeat
        self.stack = stack
        self._camera_name = camera
        self._fast = render_quality == "fast"
        self._seen = pixels
        self._camera: Any = None
        self._frames: deque[NDArray[np.uint8]] = deque(maxlen=stack)
        self._time = 0
        self._env, self._simulator = _load(task, drawn=pixels or render_mode is not None)
        super().__init__(render_mode)
        # MuJoCo's buffers are made with the first frame, as large as the model says by then.
        if self._fast:
            quality, buffer = self.physics.model.vis.quality, self.physics.model.vis.global_
            quality.shadowsize, quality.offsamples = 0, 0
            buffer.offwidth = buffer.offheight = self._drawn_size
        parts: dict[str, spaces.Space[Any]] = {
            "joint_positions": spaces.Box(-np.inf, np.inf, (3,), np.float32),
            "joint_velocities": spaces.Box(-np.inf, np.inf, (2,), np.float32),
        }
        if pixels:
            parts["pixels"] = spaces.Box(0, 255, (image_size, image_size, 3 * stack), np.uint8)
        self.observation_space: spaces.Space[Any] = spaces.Dict(parts)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    @property
    def physics(self) -> Any:
        """dm_control's simulation."""
        return self._open_env.unwrapped.physics

    @property
    def _open_env(self) -> Any:
        if self._env is None:
            raise ValueError("This Cartpole is closed; make a new one.")
        return self._env

    @property
    def _drawn_size(self) -> int:
        """Side of the rendered image that a frame is made from, pixels."""
        return self.image_size * (SUPERSAMPLING if self._fast else 1)

    @property
    def horizon(self) -> int:  # type: ignore[override]
        """Steps of an episode."""
        return -(-CONTROL_STEPS // self.action_repeat)

    def take_snapshot(self) -> dict[str, NDArray[np.float64]]:
        """Places and speeds, as the options of a reset."""
        return {"joints": self.physics.data.qpos.copy(), "velocities": self.physics.data.qvel.copy()}

    def restore_snapshot(self, snapshot: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[Any]]:
        """Begins an episode in what ``take_snapshot`` gave; gives what is observed there."""
        return self.reset(options=dict(snapshot))[0]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Starts an episode.

        Raises:
            ValueError: If an option is unknown or has another shape.
        """
        check_reset_seed(seed, most=2**32 - 1)
        super().reset(seed=seed)
        observation, _ = self._open_env.reset(seed=seed)
        self._frames.clear()
        self._time = begun_at(options, self.horizon)
        if options:
            self._place(options)
            observation = self._open_env.unwrapped.task.get_observation(self.physics)
        self._begun = True
        self._show()
        return self._observe(observation), {"time": self._time} if options and "time" in options else {}

    def _place(self, options: dict[str, Any]) -> None:
        for name in options:
            check_choice("reset option", name, ("joints", "velocities", "frames", "time"))
        joints = np.asarray(options.get("joints", self.physics.data.qpos), np.float64)
        velocities = np.asarray(options.get("velocities", np.zeros(2)), np.float64)
        if joints.shape != (2,) or velocities.shape != (2,):
            raise ValueError(f"joints and velocities must be (2,); got {joints.shape} and {velocities.shape}.")
        if not np.isfinite([joints, velocities]).all():
            raise ValueError(f"joints and velocities must be finite; got {joints.tolist()} and {velocities.tolist()}.")
        frames, seen = np.shape(options.get("frames", ())), (self.image_size, self.image_size, 3 * self.stack)
        if "frames" in options and frames != seen:
            raise ValueError(f"frames must be {seen}, the newest ones last; got {frames}.")
        with self.physics.reset_context():
            self.physics.data.qpos[:] = joints
            self.physics.data.qvel[:] = velocities
        if self._seen and "frames" in options:
            self._frames.extend(np.split(options["frames"], self.stack, axis=-1)[:-1])

    def step(self, action: NDArray[np.float32]) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        """Holds an action for ``action_repeat`` control steps, or until the episode ends.

        Raises:
            ValueError: If an action is not finite, or outside [-1, 1], or no episode has begun or it is over.
        """
        self._open_env  # noqa: B018 - a closed environment is an error here
        command = self._command(action)
        total, ended = 0.0, False
        moment: Any = None
        for _ in range(self.action_repeat):
            # Not through shimmy, which would convert every one of these observations, and only the last is needed.
            moment = self._simulator.step(command)
            total += float(moment.reward)
            ended = moment.last()
            if ended:
                break
        self._time += 1
        terminated = ended and moment.discount == 0.0
        truncated = not terminated and (ended or self._time >= self.horizon)
        self._begun = not (terminated or truncated)
        self._show()
        return self._observe(moment.observation), total, terminated, truncated, {}

    def _observe(self, state: dict[str, Any]) -> dict[str, NDArray[Any]]:
        observation: dict[str, NDArray[Any]] = {
            "joint_positions": np.asarray(state["position"], np.float32),
            "joint_velocities": np.asarray(state["velocity"], np.float32),
        }
        if self._seen:
            frame = self._draw()
            self._frames.extend([frame] * (self.stack - len(self._frames)) or [frame])
            observation["pixels"] = self.seen()
        return observation

    def seen(self) -> NDArray[np.uint8]:
        """The newest observation's frames, (size, size, 3 stack) uint8."""
        return np.concatenate(self._frames, axis=-1)

    def picture(self) -> NDArray[np.uint8]:
        """The scene as it is now, (size, size, 3) uint8."""
        return self._draw()

    def _draw(self) -> NDArray[np.uint8]:
        drawn = np.array(self._view().render())
        let_go(self.physics.contexts.gl)
        return block_means(drawn, SUPERSAMPLING) if self._fast else drawn

    def _view(self) -> Any:
        """The camera, made once: making one takes as long as drawing three frames."""
        if self._camera is None:
            from dm_control.mujoco.engine import Camera
            from mujoco import mjtRndFlag

            self._camera = Camera(self.physics, self._drawn_size, self._drawn_size, self._camera_name)
            for name in _SPARED if self._fast else ():
                self._camera.scene.flags[getattr(mjtRndFlag, f"mjRND_{name.upper()}")] = 0
            let_go(self.physics.contexts.gl)
        return self._camera

    def landmarks(self) -> NDArray[np.float64]:
        """Positions of the cart and the pole's tip in the frame: (2, 2), (x, y) in pixels, centres at integers."""
        place, angle = self.physics.data.qpos
        tip = np.array([place + POLE_LENGTH * np.sin(angle), 0.0, 1.0 + POLE_LENGTH * np.cos(angle)])
        points = np.array([[place, 0.0, 1.0, 1.0], [*tip, 1.0]])
        projected = points @ self._view().matrix.T
        drawn = projected[:, :2] / projected[:, 2:]
        # Pixels are counted from the middle of the first one, which is the middle of a block of drawn ones.
        return (drawn + 0.5) * (self.image_size / self._drawn_size) - 0.5

    def close(self) -> None:
        """Frees the simulation and its rendering context; a second call does nothing."""
        super().close()
        if self._env is None:
            return
        self._camera = None
        self._env.close()
        self._env = self._simulator = None


def block_means(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Averages square blocks of pixels, rounded: (S side, S side, 3) -> (S, S, 3)."""
    height, width, channels = picture.shape
    lines = picture.reshape(height // side, side, width * channels)
    # Whole lines first: their pixels lie side by side in memory.
    sums = lines[:, 0].astype(np.uint16)
    for down in range(1, side):
        sums += lines[:, down]
    blocks = sums.reshape(height // side, width // side, side, channels)
    means = blocks[:, :, 0].copy()
    for right in range(1, side):
        means += blocks[:, :, right]
    means += side * side // 2
    means //= side * side
    return means.astype(np.uint8)


def _load(task: str, drawn: bool) -> tuple[Any, Any]:
    """The task as shimmy gives it to Gymnasium, and dm_control's own."""
    choose_renderer(drawn)
    # Importing dm_control settles what is drawn with, so it comes after the choice.
    from dm_control import suite
    from shimmy.dm_control_compatibility import DmControlCompatibilityV0

    simulator = suite.load("cartpole", task, task_kwargs={"random": None})
    return DmControlCompatibilityV0(simulator), simulator
