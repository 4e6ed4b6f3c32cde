"""The runs that are killed: an imitation and a benchmark of every suite, as short as they can be.

As a program it runs the benchmark in a folder; called again it goes on with it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from agents.auxiliary import AuxiliaryConfig
from agents.pixel_sac import LearningConfig
from encoders.training.fit import FitConfig
from envs.atari import AtariConfig
from experiments.atari.config import AtariRunConfig, MaskConfig
from experiments.atari.suite import AtariSuite
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.observation import Frames, Observe, PretrainingConfig, State
from experiments.cartpole.suite import CartpoleSuite
from experiments.kuka.config import ImitateConfig
from experiments.kuka.suite import KukaSuite
from experiments.robustness.tiny_recordings import TINY
from experiments.runs import command_line
from experiments.suites import SUITES, Entry
from experiments.sweep.benchmark import benchmark
from experiments.sweep.config import AGAIN, BenchmarkConfig
from experiments.sweep.suite import Suite

FIT = FitConfig(steps=12, validate_every=3, validation_batches=2)

# Two environments a worker: a batch of one frame is calculated in another order than one of more.
KUKA = ImitateConfig(record=TINY, fit=FIT, envs=4, workers=2, threads=1, horizon=15, steps=600)

CARTPOLE = SwingUpConfig(
    action_repeat=125,
    steps=64,
    row_episodes=1,
    episodes=2,
    device="cpu",
    learning=LearningConfig(learning_starts=40),
)

OBSERVATIONS: dict[str, Observe] = {
    "sac_state": State(),
    "sac_ae": Frames(
        auxiliary=AuxiliaryConfig(videos=2),
        pretraining=PretrainingConfig(4, FitConfig(steps=4, validate_every=2, validation_batches=1)),
    ),
}
"""What agents on the cartpole observe."""

ATARI = AtariRunConfig(
    steps=960,
    row_steps=80,
    episodes=4,
    atari=AtariConfig(max_frames=200, noop_max=10),
    auxiliary=AuxiliaryConfig(videos=2),
    training=MaskConfig(1_000, FitConfig(steps=4, validate_every=2, validation_batches=1)),
)

TINY_SUITES: dict[str, Suite] = {
    "kuka_reach": KukaSuite(KUKA),
    "cartpole": CartpoleSuite(CARTPOLE, OBSERVATIONS),
    "atari": AtariSuite(ATARI),
}
"""Every suite with settings for seconds."""

GRIDS = {
    "kuka_reach": {"encoders": ["tcn"], "rewards": ["tcn_huber", "oracle"], "seeds": [0], "steps": KUKA.steps},
    "cartpole": {
        "encoders": ["sac_state", "sac_ae"],
        "algos": ["sac"],
        "rewards": ["task"],
        "seeds": [0],
        "steps": CARTPOLE.steps,
    },
    "atari": {
        "encoders": ["none", "attention"],
        "algos": ["a2c"],
        "rewards": ["game"],
        "tasks": [3],
        "seeds": [0],
        "steps": ATARI.steps,
    },
}
"""The grid of every suite's benchmark, as in a preset."""


def imitation(out: Path) -> list[str]:
    """The command of the imitation."""
    names = ("envs", "workers", "threads", "horizon", "steps")
    flags: dict[str, object] = {name: getattr(KUKA, name) for name in names}
    default = ImitateConfig()
    for part in ("record", "fit"):
        ours, theirs = asdict(getattr(KUKA, part)), asdict(getattr(default, part))
        flags |= {f"{part}.{name}": value for name, value in ours.items() if value != theirs[name]}
    words = [word for name, value in flags.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return [sys.executable, "-m", "experiments.imitate_kuka", *words, "--out", str(out), "--resume"]


def benchmark_of_all(out: Path) -> list[str]:
    """The command of the benchmark."""
    return [sys.executable, "-m", "experiments.robustness.kill_runs", str(out)]


COMMANDS: dict[str, Callable[[Path], list[str]]] = {"imitation": imitation, "benchmark": benchmark_of_all}
"""The commands that are killed, by name; the same command resumes."""


def write_preset(folder: Path, env: str) -> Path:
    """Writes the preset of a suite into a folder, unless it is there."""
    path = folder / f"{env}_tiny.toml"
    if path.exists():
        return path
    lines = [f"{name} = {value!r}".replace("'", '"') for name, value in {"env": env, **GRIDS[env]}.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]))
    return path


def main() -> int:
    """Benchmarks every suite in a folder below the one that is given; stops at the first that does not end well."""
    out = Path(sys.argv.pop(1))
    SUITES.update({name: Entry.of(suite) for name, suite in TINY_SUITES.items()})
    for env in GRIDS:
        preset = write_preset(out.with_name(f"{out.name}_presets"), env)

        def work(config: BenchmarkConfig) -> None:
            if benchmark(config):
                raise ValueError(f"Some runs in {config.out} failed; the same command goes on with them.")

        sys.argv[1:] = ["--preset", str(preset), "--out", str(out / env), "--workers", "2"]
        status = command_line.run(BenchmarkConfig, work, __doc__, AGAIN)
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
