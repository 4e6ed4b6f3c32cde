"""The check of kills: its own parts, on commands that are written for it."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest
import torch
import tyro

from experiments.kuka.config import ImitateConfig
from experiments.robustness import kill_check, kill_runs, trouble
from experiments.robustness.kill_check import KillConfig, Life, check_kills
from experiments.robustness.kill_runs import GRIDS, TINY_SUITES, write_preset
from experiments.robustness.process_tree import Tree
from experiments.robustness.run_differences import differences, litter
from experiments.sweep.grid import read_preset

COUNTING = """
import json, os, sys, time
from pathlib import Path

out = Path(sys.argv[1])
(out / "checkpoint").mkdir(parents=True, exist_ok=True)
lock, state = out / ".lock", out / "checkpoint" / "state.json"
try:
    os.kill(int(lock.read_text()), 0)
    sys.stderr.write(f"error: another command is at work in {out}\\n")
    sys.exit(2)
except (FileNotFoundError, ValueError, ProcessLookupError):
    lock.write_text(str(os.getpid()))
try:
    number = json.loads(state.read_text())["number"] if state.exists() else 0
    while number < 20:
        time.sleep(0.1)
        number += FACTOR
        (out / "new.json").write_text(json.dumps({"number": number}))
        (out / "new.json").replace(state)
    (out / "result.json").write_text(json.dumps({"number": number, "seconds": time.time()}))
except KeyboardInterrupt:
    sys.stderr.write("stopped: The same command goes on.\\n")
    sys.exit(130)
"""
"""Counts to twenty and notes every number; goes on where it was killed."""


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    for commands in (kill_check.COMMANDS, trouble.COMMANDS):
        monkeypatch.setitem(commands, "imitation", command(COUNTING.replace("FACTOR", "1")))


def command(program: str) -> object:
    return lambda out: [sys.executable, "-c", program, str(out)]


def small(folder: Path, **settings: object) -> KillConfig:
    config = {"kills": 3, "longest": 0.9, "works": ("imitation",), "troubles": (), "folder": folder / "runs"}
    return KillConfig(**{**config, "out": folder / "result.json", **settings})  # type: ignore[arg-type]


def test_a_command_that_goes_on_survives(counting: None, tmp_path: Path) -> None:
    assert check_kills(small(tmp_path, troubles=("interrupt", "second command")))
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["kills"] == 3 and result["victims"] == {"parent": 3}
    assert result["survived"] == result["lives"] == result["ended_alike"]
    assert result["troubles"] == {"interrupt, imitation": "survived", "second command, imitation": "survived"}


def test_what_is_done_is_not_done_again(counting: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_kills(small(tmp_path))
    before = json.loads((tmp_path / "result.json").read_text())
    monkeypatch.setitem(kill_check.COMMANDS, "imitation", command("raise SystemExit(1)"))
    assert check_kills(small(tmp_path))
    after = json.loads((tmp_path / "result.json").read_text())
    assert after["every_life"] == before["every_life"]


def test_a_command_that_forgets_what_it_counted_does_not_survive(
    counting: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_check.reference(small(tmp_path), "imitation")
    forgetful = COUNTING.replace("FACTOR", "3").replace("0.1", "0.15")
    monkeypatch.setitem(kill_check.COMMANDS, "imitation", command(forgetful))
    assert not check_kills(small(tmp_path))
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["survived"] == 0
    assert any("number" in what for life in result["every_life"] for what in life["differences"])


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (COUNTING.replace("FACTOR", "1").replace("except KeyboardInterrupt:", "except ArithmeticError:"), "traceback"),
        (COUNTING.replace("FACTOR", "1").replace("sys.exit(130)", "sys.exit(1)"), "the exit status is 1"),
        (COUNTING.replace("FACTOR", "1").replace("sys.exit(130)", "time.sleep(4); sys.exit(130)"), "it took 4"),
        (COUNTING.replace("FACTOR", "1").replace("The same command", "This"), "does not say how to go on"),
    ],
)
def test_ctrl_c_that_is_not_taken_well_fails(
    counting: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, reason: str
) -> None:
    monkeypatch.setitem(trouble.COMMANDS, "imitation", command(program))
    found = trouble.interrupt("imitation", tmp_path / "undisturbed", tmp_path / "out")
    assert found.outcome == "FAILED"
    assert reason in found.message


def test_a_second_command_that_runs_too_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        trouble.COMMANDS, "imitation", command(COUNTING.replace("FACTOR", "1").replace("sys.exit(2)", "pass"))
    )
    assert trouble.second_command("imitation", tmp_path / "undisturbed", tmp_path / "out").outcome == "FAILED"


def test_a_tree_finds_processes_that_outlive_their_parent(tmp_path: Path) -> None:
    program = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    tree = Tree([sys.executable, "-c", f"{program}; print('started', flush=True); time.sleep(60)"], tmp_path / "log")
    try:
        while "started" not in tree.said:
            assert tree.seconds < 20
        assert sorted(member.role for member in tree.members()) == ["parent", "worker"]
        tree.parent.kill()
        assert tree.wait(5) == -signal.SIGKILL
        assert tree.left(0.2) == ["worker"]
    finally:
        tree.end()
    assert tree.left(5) == []


def write_run(folder: Path, **changes: object) -> Path:
    content = {
        "result.json": json.dumps({"error": 0.5, "wall_seconds": {"train": changes.get("spent", 1.0)}}),
        "progress.csv": f"env_steps,seconds\n30,{changes.get('spent', 1.0)}\n",
        "encoder/weights.safetensors": "weights",
        "curves.png": str(changes.get("spent", 1.0)),
        "log.txt": str(changes),
    }
    for name, text in {**content, **changes.get("files", {})}.items():  # type: ignore[dict-item]
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    torch.save({"weight": torch.full((2,), changes.get("tensor", 1.0))}, folder / "step_3.pt")
    return folder


def test_runs_that_differ_in_their_times_alone_are_alike(tmp_path: Path) -> None:
    old = write_run(tmp_path / "old")
    assert differences(old, write_run(tmp_path / "new", spent=9.0, files={".state.json-x7": ""})) == []
    assert litter(tmp_path / "new") == [".state.json-x7"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"files": {"result.json": '{"error": 0.6}'}}, "result.json: "),
        ({"files": {"progress.csv": "env_steps,seconds\n60,1.0\n"}}, "progress.csv: "),
        ({"files": {"encoder/weights.safetensors": "other"}}, "encoder/weights.safetensors: other bytes"),
        ({"files": {"more.json": "{}"}}, "more.json is left over"),
        ({"tensor": 2.0}, "step_3.pt: other tensors"),
    ],
)
def test_every_other_difference_is_reported(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    old, new = write_run(tmp_path / "old"), write_run(tmp_path / "new", **changes)
    (found,) = differences(old, new)
    assert found.startswith(message)
    (new / "progress.csv").unlink()
    assert "progress.csv is missing" in differences(old, new)


@pytest.mark.parametrize(
    ("life", "survived"),
    [
        (Life("imitation"), True),
        (Life("imitation", differences=["result.json: other"]), False),
        (Life("imitation", problem="It ended with 1"), False),
        (Life("imitation", kills=[{"ended": False, "orphans": []}]), False),
        (Life("imitation", kills=[{"ended": True, "orphans": ["worker"]}]), False),
        (Life("imitation", kills=[{"ended": True, "orphans": []}]), True),
    ],
)
def test_what_surviving_is(life: Life, survived: bool) -> None:
    assert life.survived is survived


def test_the_imitation_is_the_one_that_its_settings_say(tmp_path: Path) -> None:
    words = kill_runs.imitation(tmp_path)
    config = tyro.cli(ImitateConfig, args=words[3:])
    assert config.identity(0) == kill_runs.KUKA.identity(0)
    assert config.resume and config.out == tmp_path and config.workers == 2


@pytest.mark.parametrize("env", GRIDS)
def test_every_suite_has_a_preset_whose_cells_can_be_run(tmp_path: Path, env: str) -> None:
    grid = read_preset(str(write_preset(tmp_path, env)))
    cells = grid.cells(grid.methods(TINY_SUITES[env].method), TINY_SUITES[env].steps)
    assert len(cells) == 2 and {cell.env for cell in cells} == {env}
    for cell in cells:
        TINY_SUITES[env].folder(cell, tmp_path)


def test_what_cannot_be_checked_is_refused() -> None:
    for settings, message in (
        ({"works": ("dance",)}, "Unknown work 'dance'"),
        ({"troubles": ("rain",)}, "Unknown trouble 'rain'"),
        ({"longest": 0.1}, "at least 0.5 s after a start"),
    ):
        with pytest.raises(ValueError, match=message):
            KillConfig(**settings)  # type: ignore[arg-type]
