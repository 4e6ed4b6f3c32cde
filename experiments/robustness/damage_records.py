"""Originals of records for the damage check: cards, truths, encoders, labels, presets and run files."""

from __future__ import annotations

import csv
import io
import json
import math
import tomllib
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch

import encoders
from encoders.clips.clips import Clips, read_labels
from encoders.training.fit import FitConfig, fit
from experiments import suites
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.observation import Frames, PretrainingConfig
from experiments.cartpole.pretraining import recorded
from experiments.kuka.config import ImitateConfig
from experiments.kuka.demonstrations import read_demonstration
from experiments.kuka.recordings import RecordConfig, read_start, record_all
from experiments.robustness.damage_originals import Original, checksummed
from experiments.robustness.damage_videos import picture
from experiments.runs.folder import Stopwatch, run_seeds, run_stages
from experiments.sweep import benchmark
from experiments.sweep.grid import Grid, read_preset
from experiments.sweep.suite import write_random_figures

RECORDED = RecordConfig(
    demos=2, play=2, heldout=2, validation=1, demo_frames=12, play_frames=12, image_size=16, cameras=("front",)
)

FITTED = FitConfig(steps=4, validate_every=2, validation_batches=1)

CARTPOLE = SwingUpConfig(
    Frames(start="recorded", pretraining=PretrainingConfig(4)), preset="cpu", action_repeat=125, steps=64
)

ENDINGS = ("completed", "failed")
"""Possible statuses of a result."""


def make_recordings(folder: Path) -> None:
    """Records demonstrations and random play of the Kuka."""
    record_all(RECORDED, folder, workers=1)


def read_recordings(folder: Path) -> object:
    """Records what is missing, and reads a demonstration with its card and truth."""
    record_all(RECORDED, folder, workers=1)
    video = folder / f"{RECORDED.names['heldout'][0]}_front.mp4"
    found = read_demonstration((video,), RECORDED)
    truth = {"joint_positions": found.states, "link_positions": found.links}
    return {"frames": found.frames, "start": read_start(video, RECORDED), **truth}


def read_cartpole(folder: Path) -> object:
    """Reads random play on the cartpole; recorded if it is not there."""
    return asdict(recorded(replace(CARTPOLE, out=folder), 0))


def clips(size: int = 16) -> Clips:
    """Two videos in memory."""
    frames = picture()[:, :size, :size]
    return Clips((frames[None], frames[None, ::-1]), ("there", "back"))


def make_encoder(folder: Path) -> None:
    """Saves an encoder with a distance scale."""
    torch.manual_seed(0)
    encoder = encoders.make("tcn", image_size=16, embedding_dim=8, hidden=16)
    encoder.distance_scale.fill_(0.5)
    encoder.save(folder)


def read_encoder(folder: Path) -> object:
    """Loads it."""
    encoder = encoders.load(folder)
    return {"name": encoder.name, "config": asdict(encoder.config), "weights": encoder.state_dict()}


class _CutError(Exception):
    """Ends a fit between two validations."""


def _cut(figures: dict[str, float]) -> None:
    raise _CutError


def make_fit(folder: Path) -> None:
    """Trains an encoder up to its first checkpoint."""
    try:
        read_fit(folder, cut=True)
    except _CutError:
        return
    raise ValueError(f"{folder} holds no cut fit; choose another.")


def read_fit(folder: Path, cut: bool = False) -> object:
    """Goes on with the training, and gives the weights that it ends in."""
    torch.manual_seed(0)
    encoder = encoders.make("tcn", image_size=16, embedding_dim=8, hidden=16)
    fitted = fit(encoder, clips(), clips(), FITTED, 0, folder, _cut if cut else None)
    return fitted.state_dict()


def make_labels(folder: Path) -> None:
    """Writes labels of two videos."""
    rows = [f"{name},{frame},{frame % 2},{int(frame > 9)}" for name in clips().names for frame in range(len(picture()))]
    (folder / "labels.csv").write_text("\n".join(["name,frame,moves,shines", *rows, ""]))


def read_label_file(folder: Path) -> object:
    """Reads them."""
    labels = read_labels(folder, clips())
    assert labels is not None
    return {"attributes": labels.attributes, "videos": labels.videos}


def make_preset(folder: Path) -> None:
    """Writes a preset of one's own."""
    lines = (
        'env = "kuka_reach"',
        'encoders = ["tcn", "tcn@large", "none"]',
        'rewards = ["tcn_huber", "oracle"]',
        "tasks = [0, 1, 2]",
        "seeds = [0, 1, 2]",
        "steps = 48000",
        "[encoder_settings]",
        '"tcn@large" = ["embedding_dim=64", "hidden=256"]',
        "",
    )
    (folder / "own.toml").write_text("\n".join(lines))


def read_preset_file(folder: Path) -> object:
    """Reads it."""
    return asdict(read_preset(str(folder / "own.toml")))


def _run(folder: Path) -> ImitateConfig:
    return ImitateConfig(out=folder, resume=True)


def _result(folder: Path, watch: Stopwatch) -> dict[str, Any]:
    with watch.stage("train"):
        pass
    return {"status": "completed", "link_error_m": 0.125, "seed": 0, "wall_seconds": dict.fromkeys(watch.seconds, 1.0)}


def read_run(folder: Path) -> object:
    """Goes on with a run of one stage, and gives its result."""
    return run_seeds(_run(folder), lambda config, seed: run_stages(config, seed, _result, lambda folder, result: None))


def make_cut_run(folder: Path) -> None:
    """A run that was killed before its result was written."""
    read_run(folder)
    (_run(folder).run_folder(0) / "result.json").unlink()


def make_benchmark(folder: Path) -> None:
    """The mark of a folder of runs, and the figures of a random policy."""
    (folder / "benchmark.json").write_text(json.dumps({"format": benchmark.FORMAT}))
    write_random_figures(suites.get("kuka_reach").random_figures_file(0, folder), -0.25, -12.5)


def read_benchmark(folder: Path) -> object:
    """Reads both."""
    benchmark.check_folder(folder)
    return suites.get("kuka_reach").random_figures(0, folder)


def sound_json(undamaged: Path, damaged: Path) -> bool:
    """Whether a text is JSON with the same keys, and values of the same types: digits have no checksum."""
    try:
        old, new = (json.loads(path.read_text()) for path in (undamaged, damaged))
    except (ValueError, RecursionError):
        return False
    return _alike(old, new)


def _alike(old: Any, new: Any) -> bool:
    if type(old) is not type(new):
        return False
    if isinstance(old, dict):
        good_ending = "status" not in old or new.get("status") in ENDINGS
        return old.keys() == new.keys() and good_ending and all(_alike(old[key], new[key]) for key in old)
    if isinstance(old, list):
        return len(old) == len(new) and all(_alike(*pair) for pair in zip(old, new, strict=True))
    return not isinstance(old, float) or math.isfinite(new) or not math.isfinite(old)


def sound_record(undamaged: Path, damaged: Path) -> bool:
    """As JSON where it is; archives have checksums, and videos are judged elsewhere."""
    return undamaged.suffix == ".json" and sound_json(undamaged, damaged)


def sound_run(undamaged: Path, damaged: Path) -> bool:
    """As JSON; the names of stages are free."""
    if undamaged.name != "stages.json":
        return sound_json(undamaged, damaged)
    try:
        seconds = json.loads(damaged.read_text())
    except (ValueError, RecursionError):
        return False
    return isinstance(seconds, dict) and all(
        type(value) in (int, float) and 0 <= value < math.inf for value in seconds.values()
    )


def sound_labels(undamaged: Path, damaged: Path) -> bool:
    """Whether every frame still has labels of 0 or 1, under as many names."""
    old, new = _rows(undamaged), _rows(damaged)
    return (
        new is not None
        and old is not None
        and [row[:2] for row in old] == [row[:2] for row in new]
        and len(old[0]) == len(set(new[0]))
        and all(len(row) == len(new[0]) and set(row[2:]) <= {"0", "1"} for row in new[1:])
    )


def _rows(path: Path) -> list[list[str]] | None:
    try:
        return list(csv.reader(io.StringIO(path.read_text("utf-8"), newline=""), strict=True))
    except (csv.Error, UnicodeDecodeError):
        return None


def sound_preset(undamaged: Path, damaged: Path) -> bool:
    """Whether a text is TOML of known keys: what a user might have written."""
    try:
        return tomllib.loads(damaged.read_text("utf-8")).keys() <= {part.name for part in fields(Grid)}
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False


ORIGINALS = (
    Original(
        "recording",
        make_recordings,
        read_recordings,
        sound_record,
        ("recordings.json", "heldout_0000.json", "heldout_0000_truth.npz"),
        weight=2,
    ),
    Original("cartpole recording", read_cartpole, read_cartpole, checksummed, weight=2),
    Original("encoder", make_encoder, read_encoder, sound_record, weight=2),
    Original("cut fit", make_fit, read_fit, sound_record),
    Original("labels", make_labels, read_label_file, sound_labels, weight=2),
    Original("preset", make_preset, read_preset_file, sound_preset, weight=2),
    Original("complete run", read_run, read_run, sound_run, ("**/*.json",)),
    Original("cut run", make_cut_run, read_run, sound_run, ("**/*.json",)),
    Original("benchmark", make_benchmark, read_benchmark, sound_json),
)
