"""What programs load: no simulator but their own, and little before there is something to do."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SIMULATORS = {"pybullet", "mujoco", "dm_control", "ale_py"}

HEAVY = {"matplotlib", "scipy", "sklearn", "trimesh", "ray", "mujoco", "dm_control", "skimage", "networkx"}
"""What a question about flags needs none of."""

DOORS = (
    "imitate",
    "imitate_kuka",
    "imitate_cartpole",
    "swingup_cartpole",
    "play_atari",
    "benchmark",
    "compare_encoders",
    "fit_encoder",
)

MOST_SECONDS = 4.0
"""Of the processors for an answer to ``--help``: twice what it takes, torch's own start being most of it."""


def loaded(*arguments: str) -> set[str]:
    """The modules that Python imports for a program, which must end well."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return set(re.findall(r"^import time:.*\|\s+(\S+)$", done.stderr, re.MULTILINE))


@pytest.mark.parametrize(
    ("program", "own"),
    [
        ("import experiments.kuka.run; from experiments import suites; suites.get('kuka_reach')", {"pybullet"}),
        ("import experiments.atari.run; from experiments import suites; suites.get('atari')", {"ale_py"}),
        ("import experiments.cartpole.swingup; from experiments import suites; suites.get('cartpole')", set()),
        ("from experiments.measurements import results_check as r; r.check(r.CheckConfig())", set()),
    ],
)
def test_a_program_loads_no_simulator_but_its_own(program: str, own: set[str]) -> None:
    modules = loaded("-c", program)
    assert "experiments" in modules
    assert modules & SIMULATORS == own


def test_the_parts_that_all_runs_share_load_no_simulator() -> None:
    names = [f"experiments.runs.{path.stem}" for path in (ROOT / "experiments" / "runs").glob("[!_]*.py")]
    modules = loaded("-c", f"import {', '.join(names)}")
    assert set(names) <= modules
    assert not modules & SIMULATORS


@pytest.mark.parametrize("door", DOORS)
def test_a_question_about_flags_is_answered_at_once(door: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    modules = loaded(f"experiments/{door}.py", "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "tyro" in modules
    assert not modules & HEAVY
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < MOST_SECONDS
