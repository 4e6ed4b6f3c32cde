"""Updates a second of agents on pixels, and the gain of each optimisation."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
from rich.console import Console
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv
from tyro.conf import AvoidSubcommands

from agents import pixel_sac
from agents.auxiliary import AuxiliaryConfig, AuxiliaryLossCallback
from agents.frame_buffer import FrameReplayBuffer
from agents.shared_sac import SharedEncoderSAC
from encoders.errors import check_at_least
from encoders.files import write_json
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.observation import OBSERVATIONS, Frames, observation
from experiments.cartpole.pretraining import new_encoder
from experiments.cartpole.swingup import make_env
from experiments.runs import command_line
from experiments.runs.allocator import keep_freed_memory
from experiments.runs.tables import print_table
from experiments.sweep.launchers import spread

STAGES = ("stable_baselines3", "one_encoding", "channels_last", "bfloat16", "kept_memory")
"""Each has what those before it have; an agent without an encoder has the first two alone."""

PLAYED = 300
"""Steps of random actions in the buffer."""

PER_UPDATE = 40
"""Updates of an agent without an encoder for one of an agent with one; each takes a hundredth of the time."""


@dataclass(frozen=True)
class UpdateSpeedConfig:
    """Settings of the measurement.

    Attributes:
        observations: What the agents observe, by the names of ``swingup_cartpole.py``.
        updates: Updates of each agent and stage in a turn; 40 times as many of those without an encoder.
        turns: Times that everything is timed, one after another; the fastest turn of each counts.
        threads: Cores that a process keeps busy.
        out: JSON file of the figures, or None.
        swingup: The run; of what it observes the camera, stack, quality, precision and loss count.
    """

    observations: tuple[str, ...] = tuple(OBSERVATIONS)
    updates: int = 20
    turns: int = 3
    threads: int = 1
    out: Path | None = None
    swingup: Annotated[SwingUpConfig, AvoidSubcommands] = field(
        default_factory=lambda: SwingUpConfig(observe=Frames(auxiliary=AuxiliaryConfig(), precision="bfloat16"))
    )

    def __post_init__(self) -> None:
        for name in self.observations:
            observation(name)
        if not self.observations:
            raise ValueError("observations names nothing; name at least one.")
        check_at_least(1, {"updates": self.updates, "turns": self.turns, "threads": self.threads})
        known, seen = Frames(), self.swingup.frames
        own = ("encoder", "settings", "mode", "start", "folder", "shift", "second")
        given = [name for name in own if getattr(seen, name) != getattr(known, name)]
        if given:
            raise ValueError(f"Every observation is timed as its name says; leave {', '.join(given)} out.")
        for name in self.observations:
            self.run_of(name)

    def run_of(self, name: str) -> SwingUpConfig:
        """The run of a named observation."""
        observe = observation(name)
        if isinstance(observe, Frames):
            observe = observe.as_in(self.swingup.frames)
        return replace(self.swingup, observe=observe)


class FiveEncodings(SharedEncoderSAC):
    """The same networks under Stable-Baselines3's own step, which encodes a batch five times."""

    train = SAC.train


def updates_per_second(config: UpdateSpeedConfig, name: str, stage: str) -> float:
    """Times an agent's updates, in a process that has done nothing else.

    Args:
        config: What is timed.
        name: Of what the agent observes.
        stage: The last of the means that it has.
    """
    has = STAGES[: STAGES.index(stage) + 1]
    torch.set_num_threads(config.threads)
    if "kept_memory" in has:
        keep_freed_memory()
    run = config.run_of(name)
    torch.manual_seed(0)
    encoder = new_encoder(run) if run.sees_frames else None
    if encoder is not None and "channels_last" not in has:
        encoder.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    low = "bfloat16" in has and run.bfloat16
    agent = pixel_sac.make(
        DummyVecEnv([lambda: make_env(run, None, 0)]),
        encoder,
        run.sizes,
        run.learning,
        run.kept_steps,
        run.frames.shift if run.sees_frames else 0,
        seed=0,
        bfloat16=low,
        device=run.agent_device,
    )
    own_loss = run.own_loss if run.sees_frames else AuxiliaryConfig(weight=0.0)
    callback = AuxiliaryLossCallback(own_loss, bfloat16=low)
    agent.learn(PLAYED, callback=callback)
    # The hook goes when training ends; what is timed is the training's step alone.
    callback.on_training_start({}, {})
    step = agent.train if "one_encoding" in has else FiveEncodings.train.__get__(agent)
    step(gradient_steps=2, batch_size=run.sizes.batch_size)
    updates = config.updates * (1 if run.sees_frames else PER_UPDATE)
    started = time.perf_counter()
    step(gradient_steps=updates, batch_size=run.sizes.batch_size)
    return updates / (time.perf_counter() - started)


def buffer_megabytes(config: UpdateSpeedConfig) -> dict[str, float]:
    """Memory that the frames of a run take, in Stable-Baselines3's buffer and in ours."""
    run = config.run_of("sac")
    env = make_env(run, None, 0)
    spaces = env.observation_space, env.action_space
    ours = FrameReplayBuffer(run.kept_steps, *spaces).frames.nbytes
    theirs = ReplayBuffer(run.kept_steps, *spaces)
    env.close()
    both = theirs.observations.nbytes + theirs.next_observations.nbytes
    return {"stable_baselines3": both / 2**20, "ours": ours / 2**20}


def measure(config: UpdateSpeedConfig) -> None:
    """Times everything in turns and prints it."""
    best: dict[str, dict[str, float]] = {}
    for _ in range(config.turns):
        for name in config.observations:
            known = STAGES if config.run_of(name).sees_frames else STAGES[:2]
            for stage in known:
                # A process each: what memory one has freed and kept would serve the next one.
                with spread(partial(updates_per_second, config, name), [stage], 1) as done:
                    (rate,) = done
                found = best.setdefault(name, {})
                found[stage] = max(rate, found.get(stage, 0.0))
    lines = [
        {
            "agent": name,
            **{stage: f"{rates[stage]:.1f}" if stage in rates else "" for stage in STAGES},
            "last over first": f"{list(rates.values())[-1] / rates[STAGES[0]]:.2f}",
        }
        for name, rates in best.items()
    ]
    title = f"updates/s, {config.swingup.preset_name}, {config.threads} thread(s)"
    print_table(Console(stderr=True), title, lines)
    megabytes = buffer_megabytes(config)
    Console(stderr=True).print(f"frames of {config.swingup.kept_steps:,} steps, MB: {megabytes}", highlight=False)
    figures: dict[str, Any] = {
        "updates_per_second": best,
        "buffer_megabytes": megabytes,
        "config": asdict(config),
        "preset": config.swingup.preset_name,
    }
    if config.out is not None:
        write_json(config.out, figures)


def main() -> int:
    """Measures; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(UpdateSpeedConfig, measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
