"""How an environment of any Gymnasium id is made for imitation: drawn fast, episodes of one length, states to set."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from tyro.conf import arg

from encoders.errors import check_at_least, check_choice
from envs.drawn import DrawnObservation
from envs.episodes import FixedLength
from envs.fast_drawing import FastDrawing
from envs.mujoco_gl import choose_renderer
from envs.snapshots import SnapshotStarts, simulator_of
from experiments.any_environment.identifiers import registered

RENDER_QUALITIES = ("fast", "reference")

DM_CONTROL = "dm_control/"

FIRST_CAMERA = {"camera_id": 0}
"""Of a task's model: what dm_control's suite is seen by wherever it is learned from pixels. The free camera, by which
shimmy draws, is far away and sees a plane aslant."""

LONGEST_HORIZON = 100
"""Steps of an episode where the user names no number, if the environment's own are more."""


@dataclass(frozen=True)
class EnvironmentConfig:
    """Where an imitation takes place.

    Attributes:
        id: Of an environment that Gymnasium can make, such as Reacher-v5; package:Name-v0 imports the package first.
        kwargs: Arguments of the environment as NAME=VALUE, such as render_height=240; dm_control's tasks are seen by
            the first camera of their model unless render_kwargs names another.
        horizon: Steps of an episode; 0 for the environment's own limit, or 100 if that is more.
        action_repeat: Steps of the environment that an action is held for.
        image_size: Width and height of a frame, pixels; even.
        render_quality: fast, without shadows and reflections where MuJoCo draws; or reference, as the environment does.
        hidden: Names of observations that the learner does not see, of an environment that observes by name.
    """

    id: Annotated[str, arg(aliases=("--env",))] = "Reacher-v5"
    kwargs: Annotated[tuple[str, ...], arg(aliases=("--env-kwargs",))] = ()
    horizon: int = 0
    action_repeat: int = 1
    image_size: int = 64
    render_quality: str = "fast"
    hidden: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_choice("render_quality", self.render_quality, RENDER_QUALITIES)
        check_at_least(1, {"env.action_repeat": self.action_repeat})
        check_at_least(0, {"env.horizon": self.horizon})
        if self.image_size % 2 or not 16 <= self.image_size <= 1024:
            raise ValueError(f"env.image_size is {self.image_size}; mp4 needs an even number, from 16 to 1024 pixels.")
        self.arguments  # noqa: B018 - refuses wrong ones now

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of the environment by name; values are read as Python's literals, and as text where they are none.

        Raises:
            ValueError: If one is no NAME=VALUE.
        """
        found = {}
        for text in self.kwargs:
            name, equals, value = text.partition("=")
            if not equals or not name.isidentifier():
                raise ValueError(
                    f"The argument {text!r} of the environment is no NAME=VALUE, such as render_height=240."
                )
            try:
                found[name] = ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(value, value))
            except (ValueError, SyntaxError):
                found[name] = value
        return self.view | found

    @property
    def view(self) -> dict[str, Any]:
        """How the environment is seen where it does not say so itself, as arguments."""
        return {"render_kwargs": dict(FIRST_CAMERA)} if self.id.startswith(DM_CONTROL) else {}


@dataclass(frozen=True)
class Environment:
    """An environment that was made once, and found fit for imitation.

    Attributes:
        config: How it is made.
        horizon: Steps of an episode.
        fps: Frames a second of its videos.
        action_space: What its wrapped environments take: a Box of [-1, 1], or discrete actions.
        observed: Numbers in its state; 0 where it observes frames alone.
        snapshot: Shapes of what its state is set by, by name; empty where it cannot be set.
    """

    config: EnvironmentConfig
    horizon: int
    fps: float
    action_space: spaces.Box | spaces.Discrete
    observed: int
    snapshot: Mapping[str, tuple[int, ...]]

    def make(self, drawn: bool = True, size: int | None = None) -> gym.Env[Any, Any]:
        """A new one: ``pixels`` and ``state`` observed, every episode ``horizon`` steps long, actions in [-1, 1].

        Args:
            drawn: Whether frames are observed.
            size: Their width and height instead of the configured one.
        """
        return wrapped(self.config, self.horizon, drawn, size)


def find(config: EnvironmentConfig) -> Environment:
    """Makes an environment once, to see whether it will do.

    Raises:
        ValueError: If it is not registered, cannot be imported or made, cannot be drawn, has no step limit and none is
            named, or has actions that no agent takes.
    """
    base = _base(config, drawn=True)
    try:
        horizon = _horizon(config, base)
        actions = _action_space(config, base.action_space)
        fps = float(base.metadata.get("render_fps") or 20.0)
    finally:
        base.close()
    env = wrapped(config, horizon, drawn=True, size=None)
    try:
        # Whatever its render() gives is refused here, before any work.
        env.reset(seed=0)
        snapshot = {name: np.shape(part) for name, part in env.get_wrapper_attr("take_snapshot")().items()}
        assert isinstance(env.observation_space, spaces.Dict)
        state = env.observation_space.spaces.get("state")
    finally:
        env.close()
    # shimmy tells a thousand times its control step, not frames a second.
    rate = fps if 1 <= fps <= 240 else 20.0
    width = 0 if state is None else spaces.flatdim(state)
    return Environment(config, horizon, rate / config.action_repeat, actions, width, snapshot)


def wrapped(config: EnvironmentConfig, horizon: int, drawn: bool, size: int | None) -> gym.Env[Any, Any]:
    """The environment as the pipeline has it."""
    base = _base(config, drawn)
    simulator = simulator_of(base)
    env: gym.Env[Any, Any] = SnapshotStarts(base)
    if isinstance(env.action_space, spaces.Box):
        env = gym.wrappers.RescaleAction(env, np.float32(-1.0), np.float32(1.0))
    env = FixedLength(env, horizon, config.action_repeat, simulator is not None and simulator.goes_on)
    return DrawnObservation(env, size or config.image_size, config.hidden, drawn)


def _base(config: EnvironmentConfig, drawn: bool) -> gym.Env[Any, Any]:
    """The environment as Gymnasium makes it, without the checks of every step."""
    # MuJoCo reads it when it is imported, which Gymnasium leaves until an environment needs it.
    choose_renderer(drawn=False)
    spec = registered(config.id)
    mode = {"render_mode": "rgb_array"} if drawn else {}
    try:
        env = gym.make(spec, disable_env_checker=True, **{**mode, **config.arguments})
    except (gym.error.Error, TypeError, ImportError, AssertionError) as error:
        raise ValueError(
            f"The environment {config.id!r} cannot be made: {error}. It is asked for {_asked(config, drawn)}."
        ) from error
    return FastDrawing(env, config.image_size) if drawn and config.render_quality == "fast" else env


def _asked(config: EnvironmentConfig, drawn: bool) -> str:
    asked = [*(["render_mode=rgb_array"] if drawn else []), *config.kwargs]
    return f"with {', '.join(asked)}" if asked else "without arguments"


def _horizon(config: EnvironmentConfig, env: gym.Env[Any, Any]) -> int:
    """Steps of an episode."""
    limit: float | None = None if env.spec is None else env.spec.max_episode_steps
    if limit is None:
        # dm_control keeps its own.
        limit = getattr(getattr(env.unwrapped, "_env", None), "_step_limit", None)
    steps = math.inf if limit is None else limit // config.action_repeat
    if config.horizon > steps:
        raise ValueError(
            f"env.horizon is {config.horizon}, and an episode of {config.id!r} has at most {steps:g} steps of "
            f"{config.action_repeat}; name fewer."
        )
    if config.horizon == 0 and not math.isfinite(steps):
        raise ValueError(f"Episodes of {config.id!r} have no step limit; name one by --env.horizon, such as 100.")
    horizon = config.horizon or int(min(steps, LONGEST_HORIZON))
    if horizon < 2:
        raise ValueError(f"An episode of {config.id!r} would have {horizon} step(s); imitation needs at least 2.")
    return horizon


def _action_space(config: EnvironmentConfig, space: gym.Space[Any]) -> spaces.Box | spaces.Discrete:
    """The actions of the wrapped environment.

    Raises:
        ValueError: If no agent takes them.
    """
    if isinstance(space, spaces.Discrete):
        return space
    if isinstance(space, spaces.Box) and len(space.shape) == 1 and np.issubdtype(space.dtype, np.floating):
        if not np.isfinite([space.low, space.high]).all():
            raise ValueError(
                f"Actions of {config.id!r} have no bounds: {space}; wrap it so that they have, with Gymnasium's "
                "ClipAction or one of your own."
            )
        return spaces.Box(-1.0, 1.0, space.shape, np.float32)
    raise ValueError(
        f"No agent takes the actions of {config.id!r}, {space}; agents take a vector of real numbers (Box) or one of "
        "some choices (Discrete)."
    )
