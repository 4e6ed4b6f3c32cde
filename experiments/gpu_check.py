"""Times encoders and agents on a GPU against the processor of the same machine, and compares what they calculate."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.console import Console

from encoders.device import CPU, CUDA, check_device, choose_device
from encoders.errors import check_choice
from encoders.files import write_json
from experiments.runs import command_line
from experiments.runs.folder import make_folder
from experiments.runs.tables import Line, print_table

if TYPE_CHECKING:
    from experiments.measurements.device_parts import Sizes

NAMES = ("fit", "embed", "ppo_kuka", "sac_cartpole", "a2c_atari")


@dataclass(frozen=True)
class GPUCheckConfig:
    """Settings of the check.

    Attributes:
        device: What is compared with the processor: cuda, or cpu, which compares it with itself.
        parts: fit and embed, of an encoder; ppo_kuka, sac_cartpole (of the preset paper) and a2c_atari, of agents.
        tiny: Calculate as little as possible: whether everything runs, in seconds.
        out: JSON file of the figures, written again after each part.
    """

    device: str = CUDA
    parts: tuple[str, ...] = NAMES
    tiny: bool = False
    out: Path = Path("runs/gpu_check.json")

    def __post_init__(self) -> None:
        check_device(self.device)
        for name in self.parts:
            check_choice("part", name, NAMES)
        if not self.parts:
            raise ValueError(f"parts names nothing; name at least one of {', '.join(NAMES)}.")


def check(config: GPUCheckConfig) -> bool:
    """Runs every part on both devices; prints and writes after each, so that a check that is cut still tells something.

    Args:
        config: The check.

    Returns:
        Whether all results are within their tolerances.
    """
    device = choose_device(config.device)
    # Imported here, so that a question or a mistake on the command line is answered at once.
    from experiments.measurements.device_parts import TINY, Sizes

    console, sizes = Console(), TINY if config.tiny else Sizes()
    make_folder(config.out.parent, "--out")
    found: dict[str, Any] = {"machine": machine(device), "tiny": config.tiny, "parts": {}}
    for name in config.parts:
        found["parts"][name] = compare(name, device.type, sizes)
        console.print(", ".join(f"{key} {text}" for key, text in line_of(name, found["parts"][name]).items()))
        write_json(config.out, found)
    title = f"{found['machine']['device']} against {found['machine']['cores']} cores of the processor"
    print_table(console, title, [line_of(name, part) for name, part in found["parts"].items()])
    return all(part["within"] for part in found["parts"].values())


def compare(name: str, device: str, sizes: Sizes) -> dict[str, Any]:
    """The figures of a part on both devices.

    Args:
        name: Of the part.
        device: cpu or cuda; it is compared with the processor.
        sizes: How much is calculated.
    """
    from experiments.measurements.device_parts import PARTS

    part = PARTS[name]
    here = part.run(CPU, sizes, None)
    there = part.run(device, sizes, here.weights)
    difference = float(np.linalg.norm(there.outputs - here.outputs) / np.linalg.norm(here.outputs))
    return {
        "cpu_seconds": here.seconds,
        "seconds": there.seconds,
        "speedup": here.seconds / there.seconds,
        "compared": part.compared,
        "difference": difference,
        "tolerance": part.tolerance,
        # A difference that is no number is none within a tolerance.
        "within": difference <= part.tolerance,
    }


def line_of(name: str, part: Mapping[str, Any]) -> Line:
    """A part's line of the table."""
    return {
        "part": name,
        "processor": f"{part['cpu_seconds']:.2f} s",
        "device": f"{part['seconds']:.2f} s",
        "speedup": f"{part['speedup']:.2f}",
        "difference": f"{part['difference']:.2g} of {part['tolerance']:g}",
        "within": "yes" if part["within"] else "NO",
    }


def machine(device: torch.device) -> dict[str, Any]:
    """What the check ran on."""
    name = torch.cuda.get_device_name(device) if device.type == CUDA else platform.machine()
    return {"device": name, "cores": os.cpu_count(), "torch": torch.__version__, "python": platform.python_version()}


def main() -> int:
    """Checks; 0 if all results agree, 1 if some do not, 2 if the user has something to mend."""
    agree = True

    def work(config: GPUCheckConfig) -> None:
        nonlocal agree
        agree = check(config)

    return command_line.run(GPUCheckConfig, work, __doc__) or (0 if agree else command_line.FAILED)


if __name__ == "__main__":
    sys.exit(main())
