"""The packages import one another along the allowed edges alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "encoders": set(),
    "envs": {"encoders"},
    "rewards": {"encoders"},
    "agents": {"encoders"},
    "experiments": {"encoders", "envs", "rewards", "agents"},
}


ROOMS: dict[str, set[str]] = {
    "runs": set(),
    "report": {"runs"},
    "sweep": {"runs", "report", "suites"},
    "suites": {"sweep"},
    **{room: {"runs", "report", "sweep"} for room in ("atari", "imitation", "comparison")},
    **{room: {"runs", "report", "sweep", "imitation"} for room in ("kuka", "cartpole", "any_environment")},
}
"""What a part of ``experiments`` may import of the others; doors and measurements, which nobody imports, may all."""


def imported_modules(source: str) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules.update(f"{node.module}.{alias.name}" for alias in node.names)
    return modules


def imported_packages(source: str) -> set[str]:
    return {module.split(".")[0] for module in imported_modules(source)} & set(ALLOWED)


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, f"{package} has no modules"
    wrong = {
        str(path.relative_to(ROOT)): sorted(edges)
        for path in files
        if (edges := imported_packages(path.read_text()) - ALLOWED[package] - {package})
    }
    assert not wrong


def test_the_reader_of_imports_sees_every_form() -> None:
    source = "import envs.kuka as k, os\ndef f():\n    from rewards.huber import x\nfrom . import agents\nimport re"
    assert imported_packages(source) == {"envs", "rewards"}


def test_the_reader_of_imports_tells_modules_of_a_package_apart() -> None:
    source = "from experiments import suites\nfrom experiments.kuka.run import check\nimport experiments.runs.folder"
    assert imported_modules(source) == {
        "experiments.suites",
        "experiments.kuka.run.check",
        "experiments.runs.folder",
    }


@pytest.mark.parametrize("room", ROOMS)
def test_a_part_of_the_experiments_imports_only_what_it_may(room: str) -> None:
    folder = ROOT / "experiments" / room
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    assert files, f"experiments/{room} has no modules"
    wrong = {}
    for path in files:
        modules = (module.split(".") for module in imported_modules(path.read_text()))
        others = {parts[1] for parts in modules if parts[0] == "experiments"} - ROOMS[room] - {room}
        if others:
            wrong[str(path.relative_to(ROOT))] = sorted(others)
    assert not wrong
