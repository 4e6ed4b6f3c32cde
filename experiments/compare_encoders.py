"""Compares encoders: trains and judges them on the same clips, several seeds, and writes the papers' tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from encoders.clips.clips import open_folder, read_labels
from encoders.errors import check_seeds
from encoders.files import write_atomically, write_csv
from encoders.networks.backbones import BackboneConfig
from encoders.training.fit import FitConfig
from envs.kuka import JOINTS
from experiments.comparison.variants import (
    VARIANTS,
    Split,
    check_variants,
    encoder_config,
    run_cell,
    split_clips,
    variant_of,
)
from experiments.comparison.view_pairs import ViewPairsConfig, record_pairs
from experiments.report.figures import save_figure
from experiments.runs import command_line
from experiments.runs.allocator import keep_freed_memory
from experiments.runs.arrays import Layout, read_layout
from experiments.runs.claims import check_claim, claim
from experiments.runs.provenance import provenance
from experiments.sweep.intervals import bootstrap_interval
from experiments.sweep.launchers import spread

FIGURES = (
    ("alignment_error", "alignment error"),
    ("classification_error", "classification error"),
    ("alignment_accuracy_l2", "alignment accuracy (L2, 1 frame)"),
    ("alignment_accuracy_cosine", "alignment accuracy (cosine, 1 frame)"),
    ("kendalls_tau", "Kendall's tau"),
    ("rank_correlation", "rank correlation with the state"),
)
"""Columns of the table: key, title."""


@dataclass(frozen=True)
class CompareConfig:
    """What is compared.

    Attributes:
        encoders: Variants of the papers' tables, or registered names.
        clips: Folder of NAME_view0.mp4, NAME_view1.mp4 and on; the recorded Kuka set without one.
        seeds: One training a seed.
        image_size: Width and height that frames are scaled to, pixels.
        out: Folder of results.
        workers: Trainings at a time.
        threads: Threads of one training; another number gives other rounding.
        memory_mb: Memory that the decoded frames of one training take at most, megabytes.
        backbone: The stem that all variants of the tables are compared on, frozen if it is pretrained.
        weights: File of the stem's standard weights, where its package ships none.
        dropout: Share of the stem's channels that are dropped in training.
        fit: How they are trained.
        record: The Kuka set.
        extra: Further demonstrations of the Kuka set, recorded with the next seed, to learn from alone.
    """

    encoders: tuple[str, ...] = tuple(VARIANTS)
    clips: Path | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    image_size: int = 64
    out: Path = Path("runs/compare_encoders")
    workers: int = 2
    threads: int = 1
    memory_mb: int = 1024
    backbone: str = "efficientnet_lite0"
    weights: str = ""
    dropout: float = 0.2
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(steps=900, patience=100, colour_jitter=0.5, feature_copies=3)
    )
    record: ViewPairsConfig = field(default_factory=ViewPairsConfig)
    extra: int = 0

    def __post_init__(self) -> None:
        for name in self.encoders:
            encoder_config(variant_of(name), self.image_size, self.stem)
        unique = len(set(self.encoders)) == len(self.encoders) and len(set(self.seeds)) == len(self.seeds)
        if not self.encoders or not self.seeds or min(self.seeds) < 0 or not unique:
            raise ValueError(
                "Name at least one encoder and one seed, each once, and no seed negative; "
                f"got {self.encoders}, {self.seeds}."
            )
        check_seeds(self.seeds)
        if self.extra and self.clips is not None:
            raise ValueError("extra demonstrations are recorded for the Kuka set; put yours into --clips.")
        if self.extra < 0 or self.extra == 1:
            raise ValueError(f"extra is {self.extra}; it must be 0 for none, or at least 2.")
        if min(self.workers, self.threads, self.memory_mb) < 1:
            raise ValueError(
                "workers, threads and memory_mb must be at least 1; "
                f"got {self.workers}, {self.threads} and {self.memory_mb}."
            )

    @property
    def stem(self) -> dict[str, Any]:
        """Settings of the stem for every encoder that is compared on it."""
        settings: dict[str, Any] = {"backbone": self.backbone, "weights": self.weights, "dropout": self.dropout}
        return {**settings, "freeze": BackboneConfig(image_size=self.image_size, **settings).pretrained}

    @property
    def folder(self) -> Path:
        """Where the clips are."""
        return self.clips if self.clips is not None else self.out / "clips"

    @property
    def extra_folder(self) -> Path:
        """Where the further demonstrations are."""
        return self.out / "extra"

    @property
    def extra_record(self) -> ViewPairsConfig:
        """What is recorded for them."""
        return replace(self.record, videos=self.extra, seed=self.record.seed + 1)


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
    """The true positions of the links beside a video, (frames, 7, 3) metres.

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
    return run_cell(
        name, seed, open_split(config), config.fit, config.image_size, config.stem, config.out / name / f"seed_{seed}"
    )


def compare(config: CompareConfig) -> None:
    """Runs every variant with every seed and writes ``table.csv``, ``table.md`` and ``table.png``."""
    console = Console(stderr=True)
    left_out = {"encoders", "seeds", "out", "workers"}
    identity = {key: value for key, value in asdict(config).items() if key not in left_out}
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


def markdown(results: Sequence[dict[str, Any]]) -> str:
    """The table: one row a variant, mean over seeds [95% interval]; a single seed has no interval."""
    columns = [(key, title) for key, title in FIGURES if key in results[0]]
    lines = [
        "| encoder | steps | parameters | seeds | " + " | ".join(title for _, title in columns) + " |",
        "|---" * (4 + len(columns)) + "|",
    ]
    for name in dict.fromkeys(result["variant"] for result in results):
        rows = [result for result in results if result["variant"] == name]
        cells = []
        for key, _ in columns:
            form = ".1%" if key.endswith("error") or "accuracy" in key else ".3f"
            cells.append(bootstrap_interval([row[key] for row in rows], np.mean).text(form))
        head = f"| {name} | {rows[0]['steps']:,} | {rows[0]['parameters']:,} | {len(rows)} | "
        lines.append(head + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_tables(results: Sequence[dict[str, Any]], folder: Path) -> None:
    """Writes the results as CSV, one row a seed, and as Markdown and a figure, one row a variant."""
    write_csv(folder / "table.csv", results, list(results[0]))
    write_atomically(folder / "table.md", markdown(results).encode())
    names = list(dict.fromkeys(result["variant"] for result in results))
    keys = [(key, title) for key, title in FIGURES[:2] if key in results[0]]
    figure = Figure(figsize=(4.5 * len(keys) + 1.5, 0.34 * len(names) + 1.3), layout="constrained")
    panels = figure.subplots(1, len(keys), sharey=True, squeeze=False)[0]
    for panel, (key, title) in zip(panels, keys, strict=True):
        for row, name in enumerate(names):
            values = [100 * result[key] for result in results if result["variant"] == name]
            panel.plot(values, [row] * len(values), "o", color="#0072B2", alpha=0.5)
            panel.plot(np.mean(values), row, "|", color="#D55E00", markersize=16, markeredgewidth=2)
        panel.set(xlabel=f"{title}, %", xlim=(0, None))
        panel.grid(alpha=0.3, axis="x")
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    save_figure(figure, folder / "table.png")


def main() -> int:
    """Compares; 0 if it worked, 2 if the user has something to mend."""
    return command_line.run(CompareConfig, compare, __doc__)


if __name__ == "__main__":
    sys.exit(main())
