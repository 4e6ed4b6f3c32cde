"""Quality of masks: whether they find what moves, and whether their keypoints hit the game's objects."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation
from numpy.typing import NDArray
from rich.console import Console

import encoders
from encoders.errors import check_choice
from encoders.files import write_csv
from encoders.models.attention import Attention, keypoints
from envs.atari import FRAME_SKIP, AtariConfig, env_id, rom_of
from experiments.atari.figures import spread
from experiments.runs import command_line
from experiments.runs.folder import make_folder

MOVED = 10
"""Grey levels by which a pixel differs from the median of its place where something moves."""

NATIVE = (160, 210)
"""Width and height of the picture that the objects' positions are given in, pixels."""


@dataclass(frozen=True)
class QualityConfig:
    """Settings of the measurement: masks and games.

    Attributes:
        masks: Folders of attention modules.
        games: Games that a random policy plays.
        steps: Agent steps of each.
        reach: Distance at which a key point counts as on an object, pixels of the observation.
        out: The table, CSV.
        seed: Of the random policy, of the random points and of the untrained mask.
    """

    masks: tuple[Path, ...]
    games: tuple[str, ...] = ("asteroids", "assault", "ms_pacman")
    steps: int = 500
    reach: float = 8.0
    out: Path = Path("runs/mask_quality.csv")
    seed: int = 0

    def __post_init__(self) -> None:
        for game in self.games:
            rom_of(game)
        if self.steps < 10 or not self.masks or not self.games:
            raise ValueError("Name at least one mask and one game, and at least 10 steps.")


@dataclass(frozen=True)
class Rollout:
    """A stretch of a game under a random policy.

    Attributes:
        frames: (T, stack, S, S) uint8.
        objects: Centres of the objects of every frame, one (K, 2) float a frame, (x, y) in pixels of the observation.
    """

    frames: NDArray[np.uint8]
    objects: list[NDArray[np.float64]]


def moving_ratio(masks: NDArray[np.float32], frames: NDArray[np.uint8]) -> float:
    """Mean mask value where something moves over the mean elsewhere.

    Args:
        masks: (T, h, w) in [0, 1].
        frames: (T, S, S) uint8, successive frames; a pixel moves where it differs from its median over time.

    Raises:
        ValueError: If nothing moves, or everything does.
    """
    background = np.median(frames, axis=0)
    moves = np.abs(frames.astype(np.int16) - background) > MOVED
    if not 0 < moves.mean() < 1:
        raise ValueError(
            f"{moves.mean():.0%} of the pixels move; the ratio compares those that do with those that do not."
        )
    values = spread(masks, frames.shape[-1])
    return float(values[moves].mean() / values[~moves].mean())


def recall(points: list[NDArray[np.float64]], objects: list[NDArray[np.float64]], reach: float) -> float:
    """Share of the objects with a point within reach.

    Args:
        points: (k, 2) a frame; rows that are NaN are no points.
        objects: (K, 2) a frame.
        reach: Pixels.
    """
    found, total = 0, 0
    for near, here in zip(points, objects, strict=True):
        near = near[np.isfinite(near[:, 0])]
        distances = np.linalg.norm(here[:, None] - near[None], axis=-1)
        found += int((distances <= reach).any(axis=1).sum())
        total += len(here)
    return found / total


def random_rollout(game: str, steps: int, seed: int) -> Rollout:
    """Rolls out a random policy, and reads the positions of objects from the memory of the game.

    Raises:
        ValueError: If ``ocatari`` is not installed or does not know the game.
    """
    config = AtariConfig()
    memory, name = _memory(game)
    env: Any = gym.make(env_id(game), frameskip=1, repeat_action_probability=0.0)
    env = FrameStackObservation(AtariPreprocessing(env, noop_max=30, frame_skip=FRAME_SKIP), config.stack)
    rng = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    things: Any = memory.init_objects(name, False)
    frames, places = [], []
    for _ in range(steps):
        # Its sums leave the range of a byte.
        memory.detect_objects_ram(things, env.unwrapped.ale.getRAM().astype(int), name, False)
        frames.append(observation)
        places.append([_centre(thing) for thing in things])
        observation, _, terminated, truncated, _ = env.step(int(rng.integers(env.action_space.n)))
        if terminated or truncated:
            observation, _ = env.reset()
    env.close()
    most = max(map(len, places))
    # Some games list only what there is.
    padded = [[*here, *[(float("nan"), float("nan"))] * (most - len(here))] for here in places]
    centres = np.array(padded) * [config.image_size / size for size in NATIVE]
    # What never moves, such as a pill, is background.
    moves = np.fmax.reduce(centres) - np.fmin.reduce(centres) > 0
    shown = [here[moves.any(axis=1) & np.isfinite(here[:, 0])] for here in centres]
    kept = [index for index, here in enumerate(shown) if len(here)]
    return Rollout(np.stack(frames)[kept], [shown[index] for index in kept])


def _memory(game: str) -> tuple[Any, str]:
    """The reader of objects from the memory of a game, and its name of the game."""
    name = rom_of(game).replace("_", "")
    try:
        memory = importlib.import_module("ocatari.ram.extract_ram_info")
        importlib.import_module(f"ocatari.ram.{name}")
    except ImportError as error:
        raise ValueError(
            f"The objects of {game} are read by ocatari, which cannot be imported ({error}); "
            "pip install --no-deps ocatari==2.1.0 termcolor pygame (its own requirements name an older numpy)."
        ) from error
    return memory, name.capitalize()


def _centre(thing: Any) -> tuple[float, float]:
    """The middle of an object, in pixels of the game's own picture; NaN for one that is not there."""
    if not thing or not getattr(thing, "visible", True) or min(thing.wh) <= 0:
        return float("nan"), float("nan")
    return float(thing.xy[0] + thing.wh[0] / 2), float(thing.xy[1] + thing.wh[1] / 2)


def judge(attention: Attention, rollout: Rollout, reach: float) -> dict[str, float]:
    """Both figures of one mask on one game."""
    masks = torch.cat(
        [attention.attention_maps(torch.from_numpy(part))["mask"] for part in np.array_split(rollout.frames, 8)]
    )
    points = [
        keypoints(mask[None], min(len(here), mask.numel()))[0].double().numpy()
        for mask, here in zip(masks, rollout.objects, strict=True)
    ]
    return {
        "moving_ratio": moving_ratio(masks.numpy(), rollout.frames[:, -1]),
        "recall": recall(points, rollout.objects, reach),
        "mean_mask": float(masks.mean()),
    }


def measure(asked: QualityConfig) -> None:
    """Judges every mask, an untrained one, and random points on every game, and writes the table."""
    console = Console(stderr=True)
    make_folder(asked.out.parent, "--out")
    for game in asked.games:
        _memory(game)
    config = AtariConfig()
    judged: dict[str, Attention] = {}
    for folder in asked.masks:
        loaded = encoders.load(folder)
        check_choice(f"encoder in {folder}", loaded.name, ["attention"])
        assert isinstance(loaded, Attention)
        loaded.check_frames((config.stack, config.image_size, config.image_size))
        judged[str(folder)] = loaded
    torch.manual_seed(asked.seed)
    untrained = encoders.make("attention", latest=1)
    assert isinstance(untrained, Attention)
    judged["untrained"] = untrained.eval()
    rows = []
    for game in asked.games:
        rollout = random_rollout(game, asked.steps, asked.seed)
        rng = np.random.default_rng(asked.seed)
        points = [rng.uniform(0, rollout.frames.shape[-1], (len(here), 2)) for here in rollout.objects]
        by_chance = {"recall": recall(points, rollout.objects, asked.reach)}
        for name, figures in [
            *((name, judge(attention, rollout, asked.reach)) for name, attention in judged.items()),
            ("random points", by_chance),
        ]:
            objects = np.mean([len(here) for here in rollout.objects])
            values = {
                key: f"{figures[key]:.4g}" if key in figures else "" for key in ("moving_ratio", "recall", "mean_mask")
            }
            rows.append(
                {"game": game, "mask": name, "frames": len(rollout.frames), "objects": f"{objects:.1f}", **values}
            )
            console.print(rows[-1], highlight=False)
    write_csv(asked.out, rows, list(rows[0]))


def main() -> int:
    """Judges; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(QualityConfig, measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
