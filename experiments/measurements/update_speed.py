"""Updates a second of agents on pixels, and the gain of each optimisation."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv

from agents import pixel_sac
from agents.auxiliary import AuxiliaryLossCallback
from agents.frame_buffer import FrameReplayBuffer
from agents.shared_sac import SharedEncoderSAC
from encoders.errors import check_at_least, check_choice
from encoders.files import write_json
from experiments.cartpole.config import SwingConfig
from experiments.cartpole.pretraining import new_encoder
from experiments.cartpole.swingup import make_env
from experiments.runs import command_line
from experiments.runs.allocator import keep_freed_memory
from experiments.runs.tables import print_table
from experiments.sweep.launchers import spread

STAGES = ("stable_baselines3", "one_encoding", "channels_last", "bfloat16", "kept_memory")
"""Each has what those before it have; a variant without an encoder knows the first two."""

PLAYED = 300
"""Steps of random actions in the buffer."""

PER_UPDATE = 40
"""Updates of an agent without an encoder for one of an agent with one; each takes a hundredth of the time."""


@dataclass(frozen=True)
class UpdateSpeedConfig:
    """Settings of the measurement.

    Attributes:
        variants: Of ``swingup_cartpole.py``.
        updates: Updates of each variant and stage in a turn; 40 times as many of those without an encoder.
        turns: Times that everything is timed, one after another; the fastest turn of each counts.
        threads: Cores that a process keeps busy.
        out: JSON file of the figures, or None.
        world: The run, but for its variant.
    """

    variants: tuple[str, ...] = tuple(pixel_sac.VARIANTS)
    updates: int = 20
    turns: int = 3
    threads: int = 1
    out: Path | None = None
    world: SwingConfig = field(default_factory=lambda: SwingConfig(precision="bfloat16"))

    def __post_init__(self) -> None:
        for name in self.variants:
            check_choice("variant", name, pixel_sac.VARIANTS)
        if not self.variants:
            raise ValueError("variants names nothing; name at least one.")
        check_at_least(1, {"updates": self.updates, "turns": self.turns, "threads": self.threads})
        if self.world.beside:
            raise ValueError(
                f"Variants are timed on frames alone, and {self.world.beside!r} is beside them; leave beside out."
            )
        for name in self.variants:
            replace(self.world, variant=name)


class FiveEncodings(SharedEncoderSAC):
    """The same networks under Stable-Baselines3's own step, which encodes a batch five times."""

    train = SAC.train


def updates_per_second(config: UpdateSpeedConfig, variant: str, stage: str) -> float:
    """Times a variant's updates, in a process that has done nothing else.

    Args:
        config: What is timed.
        variant: Name of the variant.
        stage: The last of the means that it has.
    """
    has = STAGES[: STAGES.index(stage) + 1]
    torch.set_num_threads(config.threads)
    if "kept_memory" in has:
        keep_freed_memory()
    world = replace(config.world, variant=variant)
    torch.manual_seed(0)
    encoder = new_encoder(world) if world.seen else None
    if encoder is not None and "channels_last" not in has:
        encoder.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    low = "bfloat16" in has and world.bfloat16
    agent = pixel_sac.make(
        DummyVecEnv([lambda: make_env(world, None, 0)]),
        encoder,
        world.sizes,
        world.learning,
        world.kept_steps,
        world.shift,
        seed=0,
        bfloat16=low,
        device=world.device_name,
    )
    callback = AuxiliaryLossCallback(world.own_loss, bfloat16=low)
    agent.learn(PLAYED, callback=callback)
    # The hook goes when training ends; what is timed is the training's step alone.
    callback.on_training_start({}, {})
    step = agent.train if "one_encoding" in has else FiveEncodings.train.__get__(agent)
    step(gradient_steps=2, batch_size=world.sizes.batch_size)
    updates = config.updates * (1 if world.seen else PER_UPDATE)
    started = time.perf_counter()
    step(gradient_steps=updates, batch_size=world.sizes.batch_size)
    return updates / (time.perf_counter() - started)


def buffer_megabytes(config: UpdateSpeedConfig) -> dict[str, float]:
    """Memory that the frames of a run take, in Stable-Baselines3's buffer and in ours."""
    world = replace(config.world, variant="sac")
    env = make_env(world, None, 0)
    spaces = env.observation_space, env.action_space
    ours = FrameReplayBuffer(world.kept_steps, *spaces).frames.nbytes
    theirs = ReplayBuffer(world.kept_steps, *spaces)
    env.close()
    both = theirs.observations.nbytes + theirs.next_observations.nbytes
    return {"stable_baselines3": both / 2**20, "ours": ours / 2**20}


def measure(config: UpdateSpeedConfig) -> None:
    """Times everything in turns and prints it."""
    best: dict[str, dict[str, float]] = {}
    for _ in range(config.turns):
        for variant in config.variants:
            known = STAGES if pixel_sac.VARIANTS[variant].encoder is not None else STAGES[:2]
            for stage in known:
                # A process each: what memory one has freed and kept would serve the next one.
                with spread(partial(updates_per_second, config, variant), [stage], 1) as done:
                    (rate,) = done
                found = best.setdefault(variant, {})
                found[stage] = max(rate, found.get(stage, 0.0))
    lines = [
        {
            "variant": variant,
            **{stage: f"{rates[stage]:.1f}" if stage in rates else "" for stage in STAGES},
            "last over first": f"{list(rates.values())[-1] / rates[STAGES[0]]:.2f}",
        }
        for variant, rates in best.items()
    ]
    title = f"updates/s, {config.world.preset_name}, {config.threads} thread(s)"
    print_table(Console(stderr=True), title, lines)
    megabytes = buffer_megabytes(config)
    Console(stderr=True).print(f"frames of {config.world.kept_steps:,} steps, MB: {megabytes}", highlight=False)
    figures: dict[str, Any] = {
        "updates_per_second": best,
        "buffer_megabytes": megabytes,
        "config": asdict(config),
        "preset": config.world.preset_name,
    }
    if config.out is not None:
        write_json(config.out, figures)


def main() -> int:
    """Measures; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(UpdateSpeedConfig, measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
