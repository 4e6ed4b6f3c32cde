"""What a wheel installs, runs from another folder, and says where another project's files are in the way."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from small_recordings import arguments, tiny

from encoders.installation import PACKAGES

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PROGRAMS = {
    "onlooker-imitate": "imitate",
    "onlooker-imitate-kuka": "imitate_kuka",
    "onlooker-imitate-cartpole": "imitate_cartpole",
    "onlooker-swingup": "swingup_cartpole",
    "onlooker-play": "play_atari",
    "onlooker-benchmark": "benchmark",
    "onlooker-compare": "compare_encoders",
    "onlooker-fit-encoder": "fit_encoder",
    "onlooker-gpu-check": "gpu_check",
}
"""Commands, and the files of the checkout that do the same."""

SIMULATORS = {"pybullet", "mujoco", "dm_control", "ale_py"}
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
        [sys.executable, *arguments], cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=240
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


def test_every_program_of_the_checkout_is_a_command_with_the_same_function(wheel: Path) -> None:
    entries = ConfigParser(delimiters="=")
    entries.read_string(
        zipfile.ZipFile(wheel).read(f"{'-'.join(wheel.stem.split('-')[:2])}.dist-info/entry_points.txt").decode()
    )
    assert dict(entries["console_scripts"]) == {name: f"experiments.{file}:main" for name, file in PROGRAMS.items()}
    files = {path.stem for path in (ROOT / "experiments").glob("[!_]*.py")} - {"suites"}
    assert files == set(PROGRAMS.values())


def test_an_installed_command_answers_a_question_without_a_simulator(site: Path) -> None:
    done = run(site, "-X", "importtime", str(site / "bin/onlooker-benchmark"), "--help")
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.match(r"usage: \S*onlooker-benchmark ", done.stdout)
    modules = set(re.findall(r"^import time:.*\|\s+(\S+)$", done.stderr, re.MULTILINE))
    assert "experiments.benchmark" in modules
    assert not modules & SIMULATORS


def test_an_installed_command_imitates_in_the_folder_that_it_is_called_in(site: Path) -> None:
    told = run(site, "-c", "import encoders, experiments; print(encoders.__file__, experiments.__file__)")
    assert told.stdout.split() == [str(site / "encoders/__init__.py"), str(site / "experiments/__init__.py")]
    out, words = Path("runs/imitate_kuka"), arguments(tiny(Path("unused"), workers=2))
    assert words[0] == "--out"
    done = run(site, str(site / "bin/onlooker-imitate-kuka"), *words[2:])
    assert done.returncode == 0, done.stderr[-2000:]
    folder = site.parent / "elsewhere" / out / "tcn-ppo-tcn_huber-demo0/seed_0"
    assert json.loads((folder / "result.json").read_text())["status"] == "completed"
    assert (folder / "report.html").exists()
    origin = json.loads((folder / "provenance.json").read_text())
    assert origin["command"][0] == str(site / "bin/onlooker-imitate-kuka")
    assert origin["commit"] is None


def test_a_run_from_a_copy_inside_another_projects_checkout_names_no_commit(site: Path) -> None:
    git = ["git", "-C", str(site.parent), "-c", "user.name=a", "-c", "user.email=a@b"]
    (site.parent / "theirs.txt").write_text("")
    for command in (["init", "-q"], ["add", "theirs.txt"], ["commit", "-qm", "theirs"]):
        subprocess.run([*git, *command], check=True)
    program = "from experiments.runs.provenance import provenance; print(provenance()['commit'])"
    assert run(site, "-c", program).stdout.strip() == "None"


def test_everything_that_is_imported_is_declared() -> None:
    def names(requirements: list[str]) -> set[str]:
        return {canonicalize_name(Requirement(text).name) for text in requirements}

    extras = {extra: names(texts) for extra, texts in PROJECT["optional-dependencies"].items()}
    needed = names(PROJECT["dependencies"])
    optional = needed.union(*(those for extra, those in extras.items() if extra not in ("dev", "docs")))
    sources = packages_distributions()
    missing = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            # What measures is for those who work on the project.
            allowed = optional | (extras["dev"] if path.parent.name == "measurements" else set())
            for module in imported(path) - set(PACKAGES) - sys.stdlib_module_names:
                if not {canonicalize_name(name) for name in sources.get(module, ())} & allowed:
                    missing[module] = path.relative_to(ROOT).as_posix()
    assert not missing


def imported(path: Path) -> set[str]:
    """The top names of all modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


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
