"""Atari games by name with the usual preprocessing, many at once."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
from ale_py import roms
from ale_py.vector_env import AtariVectorEnv
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvStepReturn

from encoders.errors import check_at_least, check_choice

FRAME_SKIP = 4
"""Frames that an action is held for; the last two are merged by their maximum."""


@dataclass(frozen=True)
class AtariConfig:
    """How games are played.

    Attributes:
        image_size: Width and height of a frame, pixels.
        stack: Grey frames in an observation.
        noop_max: No-ops at most, a random number, at the start of a game.
        fire_reset: Whether the fire button is pressed at the start of games that wait for it.
        sticky: Probability that a frame repeats the action before; 0.25 in ``-v5``, 0 in the papers.
        max_frames: Frames of a game at most, half an hour.
    """

    image_size: int = 84
    stack: int = 4
    noop_max: int = 30
    fire_reset: bool = True
    sticky: float = 0.0
    max_frames: int = 108_000

    def __post_init__(self) -> None:
        check_at_least(1, {"image_size": self.image_size, "stack": self.stack, "max_frames": self.max_frames})
        check_at_least(0, {"noop_max": self.noop_max})
        if not 0.0 <= self.sticky < 1.0:
            raise ValueError(f"sticky is {self.sticky}; it must be from 0 to below 1.")


def rom_of(game: str) -> str:
    """A game's name as the emulator has it, from any spelling: ``MsPacman`` or ``ALE/MsPacman-v5`` -> ``ms_pacman``.

    Raises:
        ValueError: If there is no such game.
    """
    known = {_letters(rom): rom for rom in roms.get_all_rom_ids()}
    name = re.sub(r"^ALE/|(NoFrameskip)?-v\d$", "", game)
    if _letters(name) not in known:
        check_choice("Atari game", name, known.values())
    return known[_letters(name)]


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


def env_id(game: str) -> str:
    """The name of a game's Gymnasium environment, such as ``ALE/MsPacman-v5``."""
    gym.register_envs(ale_py)
    rom = rom_of(game)
    return next(
        name for name, spec in gym.registry.items() if name.startswith("ALE/") and spec.kwargs.get("game") == rom
    )


class AtariVecEnv(VecEnv):
    """A vectorised Atari game: frames (stack, S, S) uint8, grey.

    Built on ale-py's own vectorised environment, whose frames equal those of Gymnasium's ``AtariPreprocessing`` bit
    for bit. In training an episode ends with a life, though the game goes on, and rewards are clipped to [-1, 1]; in
    evaluation neither. Either way the info of a step that ends a game has ``episode`` with the game's score.

    Args:
        game: Its name, in any spelling.
        envs: Games at once.
        config: How they are played.
        training: Whether episodes are lives and rewards are clipped.
        seed: Seed of the no-ops at the start of the games.

    Attributes:
        actions: Number of actions.
    """

    def __init__(self, game: str, envs: int, config: AtariConfig, training: bool = True, seed: int = 0) -> None:
        self._games = AtariVectorEnv(
            rom_of(game),
            envs,
            num_threads=1,
            max_num_frames_per_episode=config.max_frames,
            repeat_action_probability=config.sticky,
            autoreset_mode=AutoresetMode.SAME_STEP,
            img_height=config.image_size,
            img_width=config.image_size,
            stack_num=config.stack,
            frameskip=FRAME_SKIP,
            noop_max=config.noop_max,
            use_fire_reset=config.fire_reset,
            # ale-py's `episodic_life` starts the game again at every lost life; this only tells of them.
            life_loss_info=training,
            reward_clipping=False,
        )
        actions = self._games.single_action_space
        assert isinstance(actions, spaces.Discrete)
        self.render_mode = None
        super().__init__(envs, self._games.single_observation_space, spaces.Discrete(int(actions.n)))
        self.actions = int(actions.n)
        self._training = training
        self._next_seed: int | None = seed
        self._scores = np.zeros(envs)
        self._lengths = np.zeros(envs, np.int64)
        self._frames = np.zeros(envs, np.int64)
        self._started = time.time()
        self._actions: NDArray[np.int64] = np.zeros(envs, np.int64)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seeds the no-ops of the games that the next reset starts."""
        self._next_seed = seed
        return [None if seed is None else seed + index for index in range(self.num_envs)]

    def reset(self) -> NDArray[np.uint8]:
        """Starts every game."""
        observations, info = self._games.reset(seed=self._next_seed)
        self._next_seed = None
        self._scores[:] = 0
        self._lengths[:] = 0
        self._frames = info["episode_frame_number"].astype(np.int64)
        self.reset_infos = [{"lives": int(lives)} for lives in info["lives"]]
        return np.array(observations)

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Keeps the actions."""
        self._actions = np.asarray(actions, np.int64)

    def step_wait(self) -> VecEnvStepReturn:
        """Steps every game; one that is over starts again in the same step."""
        observations, rewards, terminated, truncated, info = self._games.step(self._actions)
        self._scores += rewards
        self._lengths += 1
        dones = terminated | truncated
        frames = info["episode_frame_number"].astype(np.int64)
        # A lost life goes on counting the game's frames; a game that started again does not.
        over = dones & (frames < self._frames)
        self._frames = frames
        infos: list[dict[str, Any]] = [{"lives": int(lives)} for lives in info["lives"]]
        for index in np.flatnonzero(dones):
            last = info["final_obs"][index] if over[index] else observations[index]
            infos[index]["terminal_observation"] = np.array(last)
            infos[index]["TimeLimit.truncated"] = bool(truncated[index] and not terminated[index])
        for index in np.flatnonzero(over):
            infos[index]["episode"] = {
                "r": float(self._scores[index]),
                "l": int(self._lengths[index]),
                "t": round(time.time() - self._started, 6),
            }
        self._scores[over] = 0
        self._lengths[over] = 0
        given = np.clip(rewards, -1, 1) if self._training else rewards
        return np.array(observations), given.astype(np.float32), dones, infos

    def close(self) -> None:
        """Nothing to do: the games go with the object."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Attributes of this object; the games have none of their own."""
        return [getattr(self, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuses.

        Raises:
            AttributeError: Always: the games share one object.
        """
        raise AttributeError(f"{attr_name} cannot be set on single games of an AtariVecEnv.")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Refuses.

        Raises:
            AttributeError: Always: the games share one object.
        """
        raise AttributeError(f"{method_name} cannot be called on single games of an AtariVecEnv.")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Whether single games are wrapped; scores are counted here, as by a Monitor."""
        from stable_baselines3.common.monitor import Monitor

        return [wrapper_class is Monitor] * len(list(self._get_indices(indices)))
