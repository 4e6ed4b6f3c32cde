"""A comparison of encoders: every variant is trained and judged with every seed, then tabulated."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from encoders.clips.clips import open_folder, read_labels
from encoders.device import choose_device, device_content, plain_memory_errors
from encoders.files import write_atomically
from envs.kuka import JOINTS
from experiments.comparison.config import CompareConfig
from experiments.comparison.judging import Split, check_variants, run_cell, split_clips
from experiments.comparison.tables import markdown, write_tables
from experiments.comparison.view_pairs import record_pairs
from experiments.runs.allocator import keep_freed_memory
from experiments.runs.arrays import Layout, read_layout
from experiments.runs.claims import check_claim, claim
from experiments.runs.provenance import provenance
from experiments.sweep.launchers import spread


def open_split(config: CompareConfig) -> Split:
    """Opens the clips with their labels and, where they were recorded, their true states.

    Raises:
        ValueError: If a file is missing or damaged, or the labels do not match.
    """
    clips = open_folder(config.folder, config.image_size, config.memory_mb * 2**20)
    truths = [config.folder / f"{name}_truth.npz" for name in clips.names]
    states: list[NDArray[np.float64]] | None = None
    if all(path.exists() for path in truths):
        states = [
            read_links(path, video.shape[1]).reshape(-1, 3 * JOINTS)
            for path, video in zip(truths, clips.videos, strict=True)
        ]
    extra = open_folder(config.extra_folder, config.image_size, config.memory_mb * 2**20) if config.extra else None
    return split_clips(clips, read_labels(config.folder, clips), states, extra)


def read_links(path: Path, frames: int) -> NDArray[np.float64]:
    """True positions of the links in a recorded video, (frames, 7, 3) metres.

    Raises:
        ValueError: If the file is damaged, or has not one row a frame.
    """
    layout = {"link_positions": Layout((frames, JOINTS, 3))}
    return read_layout(path, "truth", "copy or record it again, or delete it to judge without", layout)[
        "link_positions"
    ]


def _work(job: tuple[str, int], config: CompareConfig) -> dict[str, Any]:
    torch.set_num_threads(config.threads)
    name, seed = job
    folder, device = config.out / name / f"seed_{seed}", choose_device(config.device)
    with plain_memory_errors():
        return run_cell(name, seed, open_split(config), config.fit, config.image_size, config.stem, folder, device)


def compare(config: CompareConfig) -> None:
    """Runs every variant with every seed and writes ``table.csv``, ``table.md`` and ``table.png``."""
    console = Console(stderr=True)
    choose_device(config.device)
    left_out = {"encoders", "seeds", "out", "workers", "device", "plugin"}
    settings = {key: value for key, value in asdict(config).items() if key not in left_out}
    identity = settings | device_content(config.device)
    check_claim(config.out, "config.json", identity)
    if config.clips is None:
        record_pairs(config.record, config.folder, config.workers)
        if config.extra:
            record_pairs(config.extra_record, config.extra_folder, config.workers)
    check_variants(config.encoders, open_split(config), config.image_size, config.stem)
    # Only now: a mistake in the clips should not take the folder.
    claim(config.out, "config.json", identity)
    write_atomically(config.out / "provenance.json", json.dumps(provenance(), indent=2).encode())
    jobs = [(name, seed) for name in config.encoders for seed in config.seeds]
    results = []
    with spread(partial(_work, config=config), jobs, config.workers, keep_freed_memory, each=1) as done:
        for result in track(done, description="Encoders", total=len(jobs), transient=True, console=console):
            results.append(result)
            console.print(
                f"{result['variant']}, seed {result['seed']}: alignment error {result['alignment_error']:.1%}"
            )
    order = {name: position for position, name in enumerate(config.encoders)}
    results.sort(key=lambda result: (order[result["variant"]], result["seed"]))
    write_tables(results, config.out)
    console.print(markdown(results))
