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


def imported_packages(source: str) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules.add(node.module)
    return {module.split(".")[0] for module in modules} & set(ALLOWED)


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
