"""Speed of the Kuka: the renderer against pybullet's own call, and the training loop by its parts."""

from __future__ import annotations

import itertools
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import psutil
import torch
from rich.console import Console
from skimage.metrics import structural_similarity
from stable_baselines3 import PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

import encoders
from agents import factory
from encoders.base import channels_first
from encoders.clips.clip_pool import ClipPool
from encoders.clips.clips import open_folder, sample_batch
from encoders.clips.prefetch import Prefetcher
from encoders.errors import check_choice
from encoders.files import write_json
from encoders.precision import PRECISIONS, uses_bfloat16
from encoders.training.optimisers import Stepper
from envs.bullet import pybullet
from envs.embedding import VecDropObservation, VecEmbeddingObservation
from envs.kuka import JOINTS, KukaReach
from envs.kuka_scene import CAMERAS, FAR, NEAR
from envs.workers import vectorised
from experiments.imitation.demonstration import Demonstration, goal_of
from experiments.imitation.pipeline import Task
from experiments.kuka.imitation import NOT_SHOWN, film, make_learner
from experiments.kuka.motions import minimum_jerk
from experiments.kuka.recordings import RecordConfig, make_env
from experiments.runs import command_line
from experiments.runs.tables import print_table
from rewards.goal import Scales
from rewards.huber import HuberConfig

UPDATES = 5
"""Updates of PPO that are timed alone."""


@dataclass(frozen=True)
class ThroughputConfig:
    """Settings of the measurement.

    Attributes:
        cameras: Cameras of the loop.
        image_size: Width and height of the loop's frames, pixels.
        encoder: Registered name of the encoder, untrained: training does not change its speed.
        algo: The agent.
        precision: In what the encoder calculates: auto, float32 or bfloat16.
        envs: Environments stepped together.
        workers: Processes that they are spread over.
        updates: Updates of the loop that are timed.
        poses: Poses that are rendered to time and compare the renderers.
        clips: Folder of multi-view videos; tells how long a training on them waits for decoding.
        memory_mb: Memory that decoded frames take at most then, megabytes.
        out: JSON file of the figures, or None.
    """

    cameras: tuple[str, ...] = ("front", "side")
    image_size: int = 64
    encoder: str = "tcn"
    algo: str = "ppo"
    precision: str = "auto"
    envs: int = 32
    workers: int = 2
    updates: int = 10
    poses: int = 200
    clips: Path | None = None
    memory_mb: int = 1024
    out: Path | None = None

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, PRECISIONS)


def renderers(poses: int, size: int = 84) -> dict[str, float]:
    """Frames a second of pybullet's own call and of ours at the same poses, and their similarity.

    The usual call is ``getCameraImage`` on the unmodified model with the shadow on.
    """
    rng = np.random.default_rng(0)
    reference = KukaReach(camera=None, look="bare", render_quality="reference")
    fast = KukaReach(camera=None, look="bare")
    reference.reset(seed=0)
    fast.reset(seed=0)
    camera = CAMERAS["front"]
    view = pybullet.computeViewMatrix(camera.eye, camera.target, (0, 0, 1))
    projection = pybullet.computeProjectionMatrixFOV(camera.field_of_view, 1.0, NEAR, FAR)
    spent = {"usual": 0.0, "fast": 0.0}
    likeness = []
    fast.np_random = rng
    for _ in range(poses):
        pose = fast.random_pose()
        fast.set_pose(pose)
        reference.set_pose(pose)
        started = time.perf_counter()
        pybullet.getCameraImage(
            size,
            size,
            view,
            projection,
            shadow=1,
            renderer=pybullet.ER_TINY_RENDERER,
            physicsClientId=reference.client,
        )
        between = time.perf_counter()
        ours = fast.frame("front", size)
        spent["fast"] += time.perf_counter() - between
        spent["usual"] += between - started
        likeness.append(structural_similarity(ours, reference.frame("front", size), channel_axis=2))
    reference.close()
    fast.close()
    return {
        "usual_frames_per_second": poses / spent["usual"],
        "fast_frames_per_second": poses / spent["fast"],
        "speedup": spent["usual"] / spent["fast"],
        "structural_similarity": float(np.mean(likeness)),
    }


def processor_seconds() -> float:
    """Processor time of this process and of the workers that it has, seconds; waiting is no part of it."""
    own = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (own, *own.children()))


def stepping(venv: VecEnv, steps: int) -> float:
    """Processor seconds an environment step of random actions; closes the environments."""
    rng = np.random.default_rng(0)
    venv.reset()
    started = processor_seconds()
    for _ in range(steps):
        venv.step(rng.uniform(-1, 1, (venv.num_envs, JOINTS)).astype(np.float32))
    spent = processor_seconds() - started
    venv.close()
    return spent / (steps * venv.num_envs)


def _arm(record: RecordConfig, camera: tuple[str, ...] | None, horizon: int) -> gym.Env[Any, Any]:
    """One environment of the loop before anything is embedded; picklable as a partial."""
    return Monitor(make_env(record, camera, horizon))


def loop(config: ThroughputConfig) -> dict[str, Any]:
    """Steps a second of the training loop, how many cores it keeps busy, and each part's share of the processor's time.

    Parts are told by adding one after the other to environments that are stepped as in the loop: as many of them, in
    as many workers, with moving arms. A part alone is up to twice as fast, with the caches and the cores to itself.
    ``physics`` has the way to the workers and back in it; ``rest`` is the policy's actions and what is kept of a step.
    """
    horizon = 50
    record = RecordConfig(cameras=config.cameras, image_size=config.image_size)
    env = make_env(record, config.cameras, horizon)
    env.reset(seed=0)
    path = minimum_jerk(env.random_pose(), env.random_pose(), horizon + 1)
    frames = np.stack([film(env, path, camera, config.image_size) for camera in config.cameras], axis=1)
    env.close()
    torch.manual_seed(0)
    encoder = encoders.make(config.encoder, image_size=config.image_size, channels=3).eval()
    encoder.distance_scale.fill_(1.0)
    goal = goal_of(Demonstration(frames), encoder, horizon)
    assert goal.embeddings is not None
    bfloat16 = uses_bfloat16(config.precision, encoder, channels_first(frames[:, 0]))
    torch.set_num_threads(1)
    embedded = partial(
        VecEmbeddingObservation, encoder=encoder.frozen(bfloat16), demonstration=goal.embeddings, drop=NOT_SHOWN
    )
    rungs: dict[str, tuple[tuple[str, ...] | None, Callable[[VecEnv], VecEnv]]] = {
        "physics": (None, partial(VecDropObservation, key="goal")),
        "render": (config.cameras, partial(VecDropObservation, key="pixels")),
        "embed": (config.cameras, embedded),
    }

    def learner() -> VecEnv:
        task = Task(goal, Scales(1.0, 1.0, 1.0), encoder, {"joint_positions": path[0]})
        return make_learner(record, task, "tcn_huber", HuberConfig(), config.envs, config.workers, bfloat16)

    steps = 2 * horizon
    spent = {
        name: stepping(
            vectorised([partial(_arm, record, cameras, horizon)] * config.envs, config.workers, wrap, None), steps
        )
        for name, (cameras, wrap) in rungs.items()
    } | {"reward": stepping(learner(), steps)}
    venv = learner()
    agent = factory.make(config.algo, venv, horizon, seed=0)
    batch = config.envs * horizon
    agent.learn(batch)
    clock, started = time.perf_counter(), processor_seconds()
    agent.learn(batch * config.updates)
    seconds = (time.perf_counter() - clock) / (batch * config.updates)
    whole = (processor_seconds() - started) / (batch * config.updates)
    update = float("nan")
    if isinstance(agent, PPO):
        started = processor_seconds()
        for _ in range(UPDATES):
            agent.train()
        update = (processor_seconds() - started) / (UPDATES * batch)
    venv.close()
    before = itertools.chain([0.0], spent.values())
    parts = {name: upto - less for (name, upto), less in zip(spent.items(), before, strict=False)} | {"update": update}
    parts["rest"] = whole - sum(value for value in parts.values() if np.isfinite(value))
    return {
        "env_steps_per_second": 1 / seconds,
        "cores_busy": whole / seconds,
        "share": {name: value / whole for name, value in parts.items()},
    }


def feeding(config: ThroughputConfig, folder: Path, steps: int = 100) -> dict[str, float]:
    """Speed at which a folder of videos feeds a training from its first step on, in one thread.

    Args:
        config: Encoder, frame size and memory bound.
        folder: Multi-view videos.
        steps: Steps of the training.

    Returns:
        ``waiting_share`` of the time, ``first_batch_seconds``, ``seconds`` of all steps, ``stretches`` of the videos
        that batches were drawn from (0: all that there are, from the first step on), ``peak_memory_mb`` of the
        process.
    """
    torch.set_num_threads(1)
    clips = open_folder(folder, config.image_size, config.memory_mb * 2**20)
    encoder = encoders.make(config.encoder, image_size=config.image_size)
    stepper = Stepper(encoder.parameters(), "default", steps)
    rng, numbers = np.random.default_rng(0), itertools.count()
    with (
        ClipPool(clips, encoder.sampling, seed=0) as pool,
        Prefetcher(lambda: sample_batch(pool.at(next(numbers)), encoder.sampling, rng)) as batches,
    ):
        started = time.perf_counter()
        for step in range(steps):
            stepper.zero_grad()
            batch = batches.next()
            if step == 0:
                first = batches.waiting_seconds
            encoder.loss(batch).loss.backward()  # type: ignore[no-untyped-call]
            stepper.step()
        waiting, seconds = batches.waiting_share, time.perf_counter() - started
        stretches = 0 if pool.schedule is None else pool.schedule.resident(steps - 1).stop
    return {
        "waiting_share": waiting,
        "first_batch_seconds": first,
        "seconds": seconds,
        "stretches": stretches,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
    }


def measure(config: ThroughputConfig) -> None:
    """Times everything and prints it."""
    console = Console()
    if config.clips is not None:
        fed = feeding(config, config.clips)
        console.print(
            f"training on {config.clips}: {fed['waiting_share']:.1%} of {fed['seconds']:.0f} s waits for frames, "
            f"{fed['first_batch_seconds']:.1f} s of it for the first batch, drawn from "
            f"{fed['stretches'] or 'all'} stretches, at most {fed['peak_memory_mb']:,.0f} MB of memory"
        )
        return
    render, whole = renderers(config.poses), loop(config)
    console.print(
        f"84 px: usual call {render['usual_frames_per_second']:,.0f} frames/s, "
        f"ours {render['fast_frames_per_second']:,.0f} ({render['speedup']:.1f}x), "
        f"structural similarity {render['structural_similarity']:.3f}"
    )
    shares = {name: f"{value:.0%}" for name, value in whole["share"].items()}
    title = (
        f"{whole['env_steps_per_second']:,.0f} steps a second on {whole['cores_busy']:.1f} cores; shares of their time"
    )
    print_table(console, title, [shares])
    if config.out is not None:
        write_json(config.out, {"config": asdict(config), "render": render, "loop": whole})


def main() -> int:
    """Measures; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(ThroughputConfig, measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
