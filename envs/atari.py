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

from encoders.errors import check_at_least, check_choice, is_whole
from envs.simulation import Uncopied, check_reset_seed

FRAME_SKIP = 4
"""Frames that an action is held for; the last two are merged by their maximum."""

FRAMES_A_SECOND = 60
"""Frames a second of the console."""

LARGEST_IMAGE = 1024
"""Width and height of a frame at most, pixels; the console's own are 160 and 210."""

LARGEST_SEED = 2**31 - 1
"""Of a single game; the emulator has 32 bits for it."""


@dataclass(frozen=True)
class AtariConfig:
    """Settings of the preprocessing of games.

    Attributes:
        image_size: Width and height of a frame, pixels.
        stack: Grey frames in an observation.
        noop_max: No-ops at most, a random number, at the start of a game.
        fire_reset: Whether the fire button is pressed at the start of games that wait for it.
        fire_lives: Whether it is also pressed after every lost life, in place of the agent's first action; otherwise an
            agent that never presses it stands still from then on. Stable-Baselines3's and the Baselines' wrappers do.
        sticky: Probability that a frame repeats the action before; 0.25 in ``-v5``, 0 in the papers.
        max_frames: Frames of a game at most, half an hour.
        max_idle_frames: Frames without a point or a lost life after which a game is truncated, five minutes, since
            nothing more will come of it; 0 lets it go on to ``max_frames``.
    """

    image_size: int = 84
    stack: int = 4
    noop_max: int = 30
    fire_reset: bool = True
    fire_lives: bool = False
    sticky: float = 0.0
    max_frames: int = 108_000
    max_idle_frames: int = 18_000

    def __post_init__(self) -> None:
        counts = {
            name: getattr(self, name) for name in ("image_size", "stack", "max_frames", "noop_max", "max_idle_frames")
        }
        for name, value in counts.items():
            if not is_whole(value):
                raise ValueError(f"{name} is {value!r}; it must be a whole number.")
        check_at_least(1, {name: counts[name] for name in ("image_size", "stack", "max_frames")})
        check_at_least(0, {name: counts[name] for name in ("noop_max", "max_idle_frames")})
        if self.image_size > LARGEST_IMAGE:
            raise ValueError(f"image_size is {self.image_size}; it must be from 1 to {LARGEST_IMAGE} pixels.")
        if not 0.0 <= self.sticky < 1.0:
            raise ValueError(f"sticky is {self.sticky}; it must be from 0 to below 1.")


def rom_of(game: str) -> str:
    """The emulator's name of a game, from any spelling: ``MsPacman`` or ``ALE/MsPacman-v5`` -> ``ms_pacman``.

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


class AtariVecEnv(Uncopied, VecEnv):
    """A vectorised Atari game: frames (stack, S, S) uint8, grey.

    Built on ale-py's own vectorised environment, whose frames equal those of Gymnasium's ``AtariPreprocessing`` bit
    for bit. In training an episode ends with a life, though the game goes on, and rewards are clipped to [-1, 1]; in
    evaluation neither. Either way the info of a step that ends a game has ``episode`` with the game's score.

    ``render`` gives the newest frames, grey as they are observed, side by side; so ``VecVideoRecorder`` films them.

    Args:
        game: Its name, in any spelling.
        envs: Games at once.
        config: How they are played.
        training: Whether episodes are lives and rewards are clipped.
        seed: Seed of the no-ops at the start of the first game; the other games have the next ones. None draws one.

    Attributes:
        actions: Number of actions.

    Raises:
        ValueError: If there is no such game, no game at once, or no seed for the last of them.
    """

    def __init__(
        self, game: str, envs: int, config: AtariConfig, training: bool = True, seed: int | None = None
    ) -> None:
        if not is_whole(envs) or envs < 1:
            raise ValueError(f"envs is {envs!r}; it must be a whole number of at least 1 game.")
        check_reset_seed(seed, LARGEST_SEED - envs + 1)
        games = AtariVectorEnv(
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
        self._games: AtariVectorEnv | None = games
        meanings = [action.name for action in games.ale.get_action_set()]
        self.render_mode = "rgb_array"
        super().__init__(envs, games.single_observation_space, spaces.Discrete(len(meanings)))
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": FRAMES_A_SECOND / FRAME_SKIP}  # type: ignore[dict-item]
        self.actions = len(meanings)
        self._training = training
        # Steps, at least one; without a limit the emulator's own comes first.
        self._max_idle = max(1, (config.max_idle_frames or 2 * config.max_frames) // FRAME_SKIP)
        self._fire = meanings.index("FIRE") if config.fire_lives and "FIRE" in meanings else None
        self._next_seed: int | None = _drawn_seed() if seed is None else seed
        self._scores = np.zeros(envs)
        self._lengths = np.zeros(envs, np.int64)
        self._idle = np.zeros(envs, np.int64)
        self._lives = np.zeros(envs, np.int64)
        self._frames = np.zeros(envs, np.int64)
        self._lost = np.zeros(envs, bool)
        self._started = time.time()
        self._actions: NDArray[np.int64] = np.zeros(envs, np.int64)
        self._observations: NDArray[np.uint8] | None = None

    @property
    def _open_games(self) -> AtariVectorEnv:
        if self._games is None:
            raise ValueError("This AtariVecEnv is closed; make a new one.")
        return self._games

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seeds the no-ops of the games that the next reset starts; None draws a seed.

        Raises:
            ValueError: If there is no seed for the last game.
        """
        check_reset_seed(seed, LARGEST_SEED - self.num_envs + 1)
        self._next_seed = first = _drawn_seed() if seed is None else int(seed)
        return [first + index for index in range(self.num_envs)]

    def reset(self) -> NDArray[np.uint8]:
        """Starts every game."""
        observations, info = self._open_games.reset(seed=self._next_seed)
        self._next_seed = None
        self._scores[:] = 0
        self._lengths[:] = 0
        self._idle[:] = 0
        self._lost[:] = False
        self._frames = info["episode_frame_number"].astype(np.int64)
        self._lives = info["lives"].astype(np.int64)
        self.reset_infos = [{"lives": int(lives)} for lives in info["lives"]]
        self._observations = np.array(observations)
        return self._observations

    def step_async(self, actions: NDArray[np.integer]) -> None:
        """Keeps the actions.

        Raises:
            ValueError: If there is no game to act in, or they are not one whole number a game, all below ``actions``.
        """
        self._open_games  # noqa: B018 - a closed environment is an error here
        if self._observations is None:
            raise ValueError("No game has started; call reset() first.")
        given = np.asarray(actions)
        # The emulator looks actions up without asking whether they are there.
        if (
            given.shape != (self.num_envs,)
            or given.dtype.kind not in "iu"
            or given.min() < 0
            or given.max() >= self.actions
        ):
            raise ValueError(
                f"Actions must be {self.num_envs} whole numbers from 0 to {self.actions - 1}, one a game; "
                f"got {given.tolist()}."
            )
        self._actions = given.astype(np.int64)
        if self._fire is not None:
            self._actions[self._lost] = self._fire

    def step_wait(self) -> VecEnvStepReturn:
        """Steps every game; one that is over starts again in the same step."""
        observations, rewards, terminated, truncated, info = self._open_games.step(self._actions)
        self._scores += rewards
        self._lengths += 1
        dones = terminated | truncated
        frames = info["episode_frame_number"].astype(np.int64)
        lives = info["lives"].astype(np.int64)
        # A lost life goes on counting the game's frames; a game that started again does not.
        over = dones & (frames < self._frames)
        self._lost = (lives < self._lives) & ~over
        self._idle += 1
        self._idle[(rewards != 0) | dones | self._lost] = 0
        self._frames, self._lives = frames, lives
        infos: list[dict[str, Any]] = [{"lives": int(left)} for left in lives]
        for index in np.flatnonzero(dones):
            last = info["final_obs"][index] if over[index] else observations[index]
            infos[index]["terminal_observation"] = np.array(last)
            infos[index]["TimeLimit.truncated"] = bool(truncated[index] and not terminated[index])
        self._observations = np.array(observations)
        if self._idle.max() >= self._max_idle:
            stuck = self._idle >= self._max_idle
            self._start_again(stuck, infos)
            dones, over = dones | stuck, over | stuck
        for index in np.flatnonzero(over):
            infos[index]["episode"] = {
                "r": float(self._scores[index]),
                "l": int(self._lengths[index]),
                "t": round(time.time() - self._started, 6),
            }
        self._scores[over] = 0
        self._lengths[over] = 0
        given = np.clip(rewards, -1, 1) if self._training else rewards
        return self._observations, given.astype(np.float32), dones, infos

    def _start_again(self, stuck: NDArray[np.bool_], infos: list[dict[str, Any]]) -> None:
        """Truncates games in which nothing has happened for too long, and restarts them."""
        assert self._observations is not None
        for index in np.flatnonzero(stuck):
            infos[index]["terminal_observation"] = np.array(self._observations[index])
            infos[index]["TimeLimit.truncated"] = True
        observations, info = self._open_games.reset(options={"reset_mask": stuck})
        self._observations = np.array(observations)
        self._frames, self._lives = info["episode_frame_number"].astype(np.int64), info["lives"].astype(np.int64)
        self._idle[stuck] = 0
        for index in np.flatnonzero(stuck):
            infos[index]["lives"] = int(self._lives[index])

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """The newest frame of every game, (S, S, 3) uint8, grey.

        Raises:
            ValueError: If no game has started.
        """
        self._open_games  # noqa: B018 - a closed environment is an error here
        if self._observations is None:
            raise ValueError("No game has started; call reset() first.")
        return list(np.repeat(self._observations[:, -1, :, :, None], 3, axis=-1))

    def close(self) -> None:
        """Frees the games; a second call does nothing."""
        self._games = None
        self._observations = None

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


def _drawn_seed() -> int:
    """A seed from the operating system's randomness, with room for the seeds of the other games."""
    return int(np.random.default_rng().integers(2**30))
