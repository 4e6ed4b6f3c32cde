"""KukaReach-v0: a Kuka iiwa arm in pybullet that reaches for a target, with pixels on request."""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping
from typing import Any, SupportsFloat

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from encoders.errors import check_choice, is_whole
from envs import kuka_meshes
from envs.bullet import pybullet
from envs.kuka_scene import CAMERAS, LOOKS, RENDER_QUALITIES, Camera, Look, Scene
from envs.simulation import RENDER_MODES, Simulation, check_reset_seed
from envs.starts import begun_at
from envs.window import WINDOW_SIZE

JOINTS = 7
CONTROLS = ("position", "velocity", "torque")
CONTROL_SECONDS = 0.05
"""Time between two actions, seconds."""

PHYSICS_STEPS = 4
"""Physics steps between two actions."""

MAX_INCREMENT = 0.12
"""Largest joint increment of one action under position control, radians."""

MAX_VELOCITY = 2.4
"""Largest joint velocity under velocity control, radians a second."""

MAX_TORQUES = np.array([320.0, 320.0, 176.0, 176.0, 110.0, 40.0, 40.0])
"""The torque of each joint of the iiwa 14 R820 at full action, newton metres."""

MOTOR_FORCE = 300.0
"""Torque limit of a position or velocity motor, newton metres (the model's effort limit)."""

HOME = np.array([0.0, 0.4, 0.0, -0.9, 0.0, 0.6, 0.0])
"""Joint positions at the start of an episode unless ``reset`` gets others, radians."""

POSE_RANGE = 1.0
"""Random poses are uniform within this angle of the upright arm in every joint, radians."""

MIN_HEIGHT = 0.25
"""Lowest link of a random pose, metres above the floor."""

MAX_SPEED = 10.0
"""Velocity limit in the model file, radians a second; bounds the observation."""


class KukaReach(Simulation):
    """A seven-joint Kuka iiwa arm that brings its hand to a target point.

    Observation, a dictionary:
        - ``joint_positions``: (7,) float32, radians.
        - ``joint_velocities``: (7,) float32, radians a second.
        - ``goal``: (3,) float32, target position in the world frame, metres.
        - ``pixels``: (size, size, 3) uint8 RGB; (V, size, size, 3) for a tuple of V cameras; absent without camera.

    Action: (7,) float32 in [-1, 1]. Under ``position`` control it is a joint increment of at most
    ``MAX_INCREMENT`` radians, under ``velocity`` a joint velocity of at most ``MAX_VELOCITY``
    radians a second, under ``torque`` a share of each joint's ``MAX_TORQUES``.

    Reward: the negative distance between hand and goal, metres. An episode never terminates; it is
    truncated after ``horizon`` steps, so that no reward is earned by ending early.

    ``reset(options={"joint_positions": ..., "goal": ..., "time": ...})`` sets the start pose (radians),
    the target (metres), and how many steps of the episode count as done; without them the arm starts at
    ``HOME``, the target is where the hand of a random pose would be, and no step is done. A ``time``
    that was named stands in the info of the reset. A closed environment is of no use any more; one that
    is dropped frees its physics by itself.

    Args:
        robot: ``iiwa`` or ``iiwa_gripper``.
        control: ``position``, ``velocity`` or ``torque``.
        camera: A camera's name, a tuple of names, or None for no ``pixels``.
        image_size: Width and height of the frames, pixels.
        render_quality: ``fast`` (decimated meshes) or ``reference`` (the unmodified ones).
        render_mode: ``rgb_array``, ``human`` for a window that shows every step, or None.
        horizon: Steps in an episode.
        look: Colours, light and things in the scene: a name, or a ``Look``.

    Raises:
        ValueError: If an argument is not among the allowed values; ``WindowError`` if no window can be opened.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": round(1 / CONTROL_SECONDS)}  # noqa: RUF012 - Gymnasium's own declaration

    def __init__(
        self,
        robot: str = "iiwa",
        control: str = "position",
        camera: str | tuple[str, ...] | None = "front",
        image_size: int = 64,
        render_quality: str = "fast",
        render_mode: str | None = None,
        horizon: int = 50,
        look: str | Look = "plain",
    ) -> None:
        check_choice("robot", robot, kuka_meshes.MODELS)
        check_choice("control", control, CONTROLS)
        check_choice("render_quality", render_quality, RENDER_QUALITIES)
        if isinstance(look, str):
            check_choice("look", look, LOOKS)
            look = LOOKS[look]
        if render_mode is not None:
            check_choice("render_mode", render_mode, self.metadata["render_modes"])
        self.cameras = () if camera is None else (camera,) if isinstance(camera, str) else tuple(camera)
        for name in self.cameras:
            check_choice("camera", name, CAMERAS)
        if camera is not None and not self.cameras:
            raise ValueError("camera is empty; name at least one camera, or pass None for no pixels.")
        _check_size("image_size", image_size)
        if not is_whole(horizon) or horizon < 1:
            raise ValueError(f"horizon is {horizon!r}; it must be a whole number of at least 1 step.")
        self.control = control
        self.image_size = image_size
        self.horizon = horizon
        self._stacked = camera is not None and not isinstance(camera, str)
        self._connect(robot, render_quality, look)
        super().__init__(render_mode)
        self._steps = 0
        self._goal = np.zeros(3)
        # Joint angles of the last observation while nothing has moved since: pybullet is slow to tell them.
        self._positions: NDArray[np.float64] | None = None
        self.action_space = spaces.Box(-1.0, 1.0, (JOINTS,), np.float32)
        self.observation_space = self._observation_space()

    def _connect(self, robot: str, render_quality: str, look: Look) -> None:
        """Starts a physics client with the arm, the floor and the target in it."""
        decimated = render_quality == "fast"
        model = str(kuka_meshes.decimated_model(robot) if decimated else kuka_meshes.source_model(robot))
        client = pybullet.connect(pybullet.DIRECT)
        if client < 0:
            raise ValueError("pybullet has no physics client left (at most 1,024 a process); close some environments.")
        self.client: int | None = client
        # Whoever forgets to close it, or fails to make it, leaves no client behind.
        self._disconnect = weakref.finalize(self, _disconnect, client)
        pybullet.setGravity(0, 0, -9.81, physicsClientId=client)
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=CONTROL_SECONDS / PHYSICS_STEPS, deterministicOverlappingPairs=1, physicsClientId=client
        )
        if model.endswith(".sdf"):
            self.arm = pybullet.loadSDF(model, physicsClientId=client)[0]
        else:
            self.arm = pybullet.loadURDF(model, useFixedBase=True, physicsClientId=client)
        self._moving = [
            index
            for index in range(pybullet.getNumJoints(self.arm, physicsClientId=client))
            if pybullet.getJointInfo(self.arm, index, physicsClientId=client)[2] == pybullet.JOINT_REVOLUTE
        ]
        self.joints = self._moving[:JOINTS]
        self._fingers = self._moving[JOINTS:]
        limits = [pybullet.getJointInfo(self.arm, index, physicsClientId=client)[8:10] for index in self.joints]
        self.joint_lower, self.joint_upper = (np.array(bound) for bound in zip(*limits, strict=True))
        self.look = look
        self.scene = Scene(client, self.arm, self.joints[-1], self.look)
        self.scene.paint()
        self._target = self.scene.add_target() if self.look.target_visible else None
        self.scene.add_distractors()

    def _observation_space(self) -> spaces.Space[Any]:
        margin = 0.1  # a motor may overshoot the stop of a joint a little
        parts: dict[str, spaces.Space[Any]] = {
            "joint_positions": spaces.Box(
                (self.joint_lower - margin).astype(np.float32), (self.joint_upper + margin).astype(np.float32)
            ),
            "joint_velocities": spaces.Box(-MAX_SPEED, MAX_SPEED, (JOINTS,), np.float32),
            "goal": spaces.Box(-2.0, 2.0, (3,), np.float32),
        }
        if self.cameras:
            shape = (self.image_size, self.image_size, 3)
            parts["pixels"] = spaces.Box(0, 255, (len(self.cameras), *shape) if self._stacked else shape, np.uint8)
        return spaces.Dict(parts)

    def take_snapshot(self) -> dict[str, NDArray[np.float64]]:
        """Where the arm and its target are, as the options of a reset; a restored arm is at rest."""
        return {"joint_positions": self.joint_positions(), "goal": self._goal.copy()}

    def restore_snapshot(self, snapshot: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[Any]]:
        """Begins an episode in what ``take_snapshot`` gave; gives what is observed there."""
        return self.reset(options=dict(snapshot))[0]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Starts an episode; see the class for ``options``."""
        check_reset_seed(seed)
        super().reset(seed=seed)
        options = options or {}
        for name in options:
            check_choice("reset option", name, ("joint_positions", "goal", "time"))
        steps = begun_at(options, self.horizon)
        start = self._within("joint_positions", options.get("joint_positions", HOME))
        goal = options.get("goal")
        self._goal = self.hand_of(self.random_pose()) if goal is None else self._within("goal", goal)
        if self._target is not None:
            pybullet.resetBasePositionAndOrientation(
                self._target, self._goal.tolist(), [0, 0, 0, 1], physicsClientId=self._open_client
            )
        self.set_pose(start)
        self._hold()
        self._steps = steps
        self._begun = True
        self._show()
        return self._observation(), {"time": steps} if "time" in options else {}

    def _within(self, name: str, values: Any) -> NDArray[np.float64]:
        """Validates a start or a goal against the bounds of the observation of that name."""
        space = self.observation_space[name]  # type: ignore[index]
        vector = np.asarray(values, dtype=np.float64)
        if vector.shape != space.shape or not np.all((vector >= space.low) & (vector <= space.high)):
            raise ValueError(
                f"{name} must be {len(space.low)} finite numbers from {space.low.round(2).tolist()} to "
                f"{space.high.round(2).tolist()}; got {values!r}."
            )
        return vector

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[dict[str, NDArray[Any]], SupportsFloat, bool, bool, dict[str, Any]]:
        """Applies an action for ``CONTROL_SECONDS``.

        Raises:
            ValueError: If an action is not finite, or outside [-1, 1], or no episode has begun.
        """
        self._actuate(self._command(action))
        client = self._open_client
        for _ in range(PHYSICS_STEPS):
            pybullet.stepSimulation(physicsClientId=client)
        self._steps += 1
        self._show()
        offset = self.hand_position() - self._goal
        distance = math.sqrt(offset.dot(offset))
        return self._observation(), -distance, False, self._steps >= self.horizon, {"goal_distance": distance}

    def _actuate(self, action: NDArray[np.float64]) -> None:
        client, arm = self._open_client, self.arm
        if self.control == "torque":
            pybullet.setJointMotorControlArray(
                arm,
                self.joints,
                pybullet.TORQUE_CONTROL,
                forces=(action * MAX_TORQUES).tolist(),
                physicsClientId=client,
            )
            return
        forces = [MOTOR_FORCE] * JOINTS
        if self.control == "velocity":
            pybullet.setJointMotorControlArray(
                arm,
                self.joints,
                pybullet.VELOCITY_CONTROL,
                targetVelocities=(action * MAX_VELOCITY).tolist(),
                forces=forces,
                physicsClientId=client,
            )
            return
        positions = self.joint_positions() if self._positions is None else self._positions
        target = np.minimum(np.maximum(positions + action * MAX_INCREMENT, self.joint_lower), self.joint_upper)
        pybullet.setJointMotorControlArray(
            arm,
            self.joints,
            pybullet.POSITION_CONTROL,
            targetPositions=target.tolist(),
            forces=forces,
            positionGains=[0.35] * JOINTS,
            physicsClientId=client,
        )

    def _hold(self) -> None:
        """Motors as an episode finds them: the arm's off for torques or holding, the fingers holding."""
        client = self._open_client
        for index in self._moving:
            free = self.control == "torque" and index in self.joints
            pybullet.setJointMotorControl2(
                self.arm,
                index,
                pybullet.VELOCITY_CONTROL,
                targetVelocity=0.0,
                force=0.0 if free else MOTOR_FORCE,
                physicsClientId=client,
            )

    def set_pose(self, joint_positions: NDArray[np.float64]) -> None:
        """Puts the arm into a pose at rest, without physics; (7,) radians."""
        self._positions = None
        for index, angle in zip(self.joints, joint_positions, strict=True):
            pybullet.resetJointState(self.arm, index, float(angle), 0.0, physicsClientId=self._open_client)
        for index in self._fingers:
            pybullet.resetJointState(self.arm, index, 0.0, 0.0, physicsClientId=self._open_client)

    def random_pose(self) -> NDArray[np.float64]:
        """A pose within ``POSE_RANGE`` of upright whose links stay above ``MIN_HEIGHT``; (7,) radians.

        Leaves the arm in that pose.
        """
        while True:
            pose = self.np_random.uniform(-POSE_RANGE, POSE_RANGE, JOINTS)
            self.set_pose(pose)
            if self.link_positions()[2:, 2].min() >= MIN_HEIGHT:
                return pose

    def hand_of(self, joint_positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Position of the hand in a pose, (3,) metres. Leaves the arm in that pose."""
        self.set_pose(joint_positions)
        return self.hand_position()

    def joint_positions(self) -> NDArray[np.float64]:
        """The seven joint angles, (7,) radians."""
        return self._joint_states()[0]

    def _joint_states(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        states = pybullet.getJointStates(self.arm, self.joints, physicsClientId=self._open_client)
        return np.array([state[0] for state in states]), np.array([state[1] for state in states])

    def link_positions(self) -> NDArray[np.float64]:
        """Centres of mass of the seven links in the world frame, (7, 3) metres."""
        states = pybullet.getLinkStates(
            self.arm, self.joints, computeForwardKinematics=1, physicsClientId=self._open_client
        )
        return np.array([state[0] for state in states])

    def hand_position(self) -> NDArray[np.float64]:
        """Centre of mass of the last link in the world frame, (3,) metres."""
        state = pybullet.getLinkState(
            self.arm, self.joints[-1], computeForwardKinematics=1, physicsClientId=self._open_client
        )
        return np.array(state[0])

    def _observation(self) -> dict[str, NDArray[Any]]:
        positions, velocities = self._joint_states()
        self._positions = positions
        observation: dict[str, NDArray[Any]] = {
            "joint_positions": positions.astype(np.float32),
            "joint_velocities": np.minimum(np.maximum(velocities, -MAX_SPEED), MAX_SPEED).astype(np.float32),
            "goal": self._goal.astype(np.float32),
        }
        if self.cameras:
            side, seconds = self.image_size, self._steps * CONTROL_SECONDS
            # Drawn where they stay: putting them together afterwards would copy every frame.
            pixels = np.empty((len(self.cameras), side, side, 3), np.uint8)
            for name, frame in zip(self.cameras, pixels, strict=True):
                self.scene.render(CAMERAS[name], side, seconds, frame)
            observation["pixels"] = pixels if self._stacked else pixels[0]
        return observation

    def frame(self, camera: str | Camera, size: int | None = None) -> NDArray[np.uint8]:
        """The current frame of a camera.

        Args:
            camera: A camera's name, or a viewpoint of your own.
            size: Width and height, pixels; ``image_size`` by default.

        Returns:
            Frame of shape (size, size, 3), uint8, RGB.
        """
        if isinstance(camera, str):
            check_choice("camera", camera, CAMERAS)
            camera = CAMERAS[camera]
        if size is not None:
            _check_size("size", size)
        self._open_client  # noqa: B018 - a closed environment is an error here, not a crash in C
        return self.scene.render(camera, size or self.image_size, self._steps * CONTROL_SECONDS)

    def picture(self) -> NDArray[np.uint8]:
        """The first camera's frame, ``front`` where there is none."""
        size = WINDOW_SIZE if self.render_mode == "human" else self.image_size
        return self.frame(self.cameras[0] if self.cameras else "front", size)

    @property
    def _open_client(self) -> int:
        if self.client is None:
            raise ValueError("This KukaReach is closed; make a new one.")
        return self.client

    def close(self) -> None:
        """Frees the physics client; a second call does nothing."""
        super().close()
        self._disconnect()
        self.client = None


def _check_size(name: str, size: int) -> None:
    if not is_whole(size) or not 8 <= size <= 2048:
        raise ValueError(f"{name} is {size!r}; it must be a whole number from 8 to 2048 pixels.")


def _disconnect(client: int) -> None:
    if pybullet.isConnected(physicsClientId=client):
        pybullet.disconnect(physicsClientId=client)
