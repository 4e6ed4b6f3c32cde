"""Provenance of a run: versions, commit, machine, command."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("onlooker", "torch", "stable_baselines3", "gymnasium", "pybullet", "numpy", "av")

ROOT = Path(__file__).parents[2]
"""The checkout, or where the packages are installed."""


def provenance() -> dict[str, Any]:
    """Versions, commit, machine and command, enough to run it again."""
    return {
        "command": _command(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
    }


def _command() -> list[str]:
    """The command line; a program of the checkout by its place there, since ``python -m`` gives the whole path."""
    program = Path(sys.argv[0])
    inside = program.is_absolute() and program.is_relative_to(ROOT / "experiments")
    return [program.relative_to(ROOT).as_posix() if inside else sys.argv[0], *sys.argv[1:]]


def _commit() -> str | None:
    """The commit of the checkout, with a mark if files differ from it; None outside a checkout."""
    # An installed copy may lie in the checkout of another project, which does not know this file.
    head = None if _git("ls-files", "--error-unmatch", __file__) is None else _git("rev-parse", "HEAD")
    return head and head + ("+changes" if _git("status", "--porcelain") else "")


def _git(*words: str) -> str | None:
    """What Git says about the folder that this file lies in; None if nothing."""
    here = Path(__file__).parent
    try:
        done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout.strip()
