"""What a wheel installs, runs from another folder, and says where another project's files are in the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from encoders.installation import PACKAGES

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves a folder behind, and would take what is in an older one."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([*PIP, "wheel", source, "--no-deps", "--no-build-isolation", "-w", built], check=True)
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed") / "site"
    subprocess.run([*PIP, "install", "--no-deps", "--target", folder, wheel], check=True)
    return folder


@pytest.fixture
def site(installed: Path, tmp_path: Path) -> Path:
    """A copy, which a test may damage."""
    return Path(shutil.copytree(installed, tmp_path / "site"))


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in an empty folder, with the installed packages before those of the checkout."""
    elsewhere = site.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=120
    )


def test_a_wheel_has_every_file_of_its_packages_and_no_other(wheel: Path) -> None:
    here = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith("onlooker-")}
    assert packed == here
    assert {"experiments/presets/kuka_encoders.toml", "experiments/results/kuka_encoders.csv"} <= packed


def test_an_installed_benchmark_knows_its_presets_in_any_folder(site: Path) -> None:
    done = run(site, "-m", "experiments.benchmark", "--preset", "kuka_encoders", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "tcn" in done.stdout
    found = run(site, "-c", "import experiments.sweep.grid as grid; print(grid.__file__); print(*grid.preset_names())")
    path, names = found.stdout.splitlines()[-2:]
    assert Path(path).is_relative_to(site)
    assert names.split() == sorted(preset.stem for preset in (ROOT / "experiments/presets").glob("*.toml"))


def test_modules_of_another_project_in_a_package_of_ours_are_reported(site: Path) -> None:
    assert "UserWarning" not in run(site, "-c", "import agents").stderr
    (site / "agents/guardrail.py").write_text("")
    done = run(site, "-c", "import agents")
    assert done.returncode == 0
    assert "1 modules of another project are in it (agents/guardrail.py" in done.stderr
    assert "an environment of its own" in done.stderr


def test_a_package_that_another_project_has_overwritten_is_refused(site: Path) -> None:
    (site / "agents/__init__.py").write_text("class Agent: ...")
    done = run(site, "-c", "import experiments")
    assert done.returncode == 1
    assert "ImportError" in done.stderr
    assert f"{site / 'agents/__init__.py'} is not Onlooker's any more" in done.stderr


def test_a_package_that_hides_one_of_ours_is_refused_with_both_their_places(site: Path) -> None:
    other = site.parent / "elsewhere/agents/__init__.py"
    other.parent.mkdir(parents=True)
    other.write_text("class Agent: ...")
    done = run(site, "-c", "import experiments")
    assert done.returncode == 1
    assert f"package 'agents' is {site / 'agents'}, but Python finds {other} by that name" in done.stderr
