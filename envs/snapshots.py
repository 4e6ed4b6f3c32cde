"""States of a simulation that an episode can begin in: taken from one moment, and restored in another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

Snapshot = dict[str, NDArray[Any]]
"""All that makes a moment of a simulation, by name; the names and shapes of an environment never change."""


class Simulator(ABC):
    """How the state of one kind of simulation is read and set.

    Args:
        env: The environment itself, without wrappers.
    """

    goes_on = False
    """Whether it can be stepped after the end of its own episode, as physics can."""

    def __init__(self, env: Any) -> None:
        self.env = env

    @staticmethod
    @abstractmethod
    def fits(env: Any) -> bool:
        """Whether an environment is of this kind."""

    @abstractmethod
    def take(self) -> Snapshot:
        """The state of the moment."""

    @abstractmethod
    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> Any:
        """Sets the state, of an episode that has just begun; gives what is observed there."""


class Own(Simulator):
    """An environment with the methods ``take_snapshot()`` and ``restore_snapshot(snapshot)``, the latter observing."""

    @staticmethod
    def fits(env: Any) -> bool:
        """Whether it has both."""
        return hasattr(env, "take_snapshot") and hasattr(env, "restore_snapshot")

    def take(self) -> Snapshot:
        """As the environment has it."""
        return {name: np.array(value) for name, value in self.env.take_snapshot().items()}

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> Any:
        """As the environment has it."""
        return self.env.restore_snapshot(snapshot)


class GymnasiumMujoco(Simulator):
    """Gymnasium's own MuJoCo environments, and others that subclass its ``MujocoEnv``."""

    goes_on = True

    @staticmethod
    def fits(env: Any) -> bool:
        """Whether it has MuJoCo's model, and the methods that all of them have."""
        return all(hasattr(env, name) for name in ("model", "data", "set_state", "_get_obs"))

    def take(self) -> Snapshot:
        """Positions and velocities of the joints."""
        return {"qpos": np.array(self.env.data.qpos), "qvel": np.array(self.env.data.qvel)}

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> Any:
        """By ``set_state``."""
        self.env.set_state(snapshot["qpos"], snapshot["qvel"])
        return self.env._get_obs()


class DmControl(Simulator):
    """dm_control's suite through shimmy; tasks put targets into the model, so places in it are part of the state."""

    PLACES = ("geom_pos", "geom_size", "site_pos", "site_size", "body_pos", "body_quat")

    @staticmethod
    def fits(env: Any) -> bool:
        """Whether it is dm_control's environment of a task and a physics."""
        inner: Any = getattr(env, "_env", None)
        return all(hasattr(inner, name) for name in ("physics", "task")) and hasattr(inner.task, "get_observation")

    def take(self) -> Snapshot:
        """The state of the physics, and where the model has things."""
        physics = self.env._env.physics
        places = {name: np.array(getattr(physics.model, name)) for name in self.PLACES}
        return {"state": np.array(physics.get_state()), **places}

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> Any:
        """Sets both, and lets the physics follow."""
        inner = self.env._env
        for name in self.PLACES:
            getattr(inner.physics.model, name)[:] = snapshot[name]
        with inner.physics.reset_context():
            inner.physics.set_state(snapshot["state"])
        # As shimmy observes.
        return dict(inner.task.get_observation(inner.physics))


class ClassicControl(Simulator):
    """Gymnasium's classic control: Acrobot, CartPole, MountainCar, Pendulum, and others with a vector ``state``."""

    goes_on = True

    @staticmethod
    def fits(env: Any) -> bool:
        """Whether it has a state that is a vector."""
        return type(env).__module__.startswith("gymnasium.envs.classic_control") and hasattr(env, "state")

    def take(self) -> Snapshot:
        """The vector."""
        return {"state": np.array(self.env.state, np.float64)}

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> Any:
        """Sets it, and observes as the environment does."""
        state = np.array(snapshot["state"], np.float64)
        self.env.state = state
        for name in ("_get_obs", "_get_ob"):
            if hasattr(self.env, name):
                return getattr(self.env, name)()
        return state.astype(np.float32)


KINDS: tuple[type[Simulator], ...] = (Own, DmControl, GymnasiumMujoco, ClassicControl)


def simulator_of(env: gym.Env[Any, Any]) -> Simulator | None:
    """How an environment's state is read and set; None where nothing here can."""
    inner = env.unwrapped
    return next((kind(inner) for kind in KINDS if kind.fits(inner)), None)


class SnapshotStarts(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Begins an episode in the state that the options of its reset hold, where they hold one.

    Directly around the environment: what is observed there is what the environment itself observes.

    Args:
        env: An environment as Gymnasium makes it.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        super().__init__(env)

    def take_snapshot(self) -> Snapshot:
        """The state of the moment; empty where it cannot be set again."""
        simulator = simulator_of(self.env)
        return {} if simulator is None else simulator.take()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode; options by the names of a snapshot set the state, ``time`` is for wrappers further out.

        Raises:
            ValueError: If some of a snapshot's names are there and others are not.
        """
        given = {name: value for name, value in (options or {}).items() if name != "time"}
        observation, info = self.env.reset(seed=seed)
        if not given:
            return observation, info
        simulator = simulator_of(self.env)
        names = set() if simulator is None else set(simulator.take())
        if simulator is None or names != set(given):
            raise ValueError(
                f"A reset of {type(self.env.unwrapped).__name__} takes the options {sorted(names)}, all of them or "
                f"none; got {sorted(given)}."
            )
        return simulator.restore(given), info
