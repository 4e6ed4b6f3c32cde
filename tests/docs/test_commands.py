"""The commands of the documentation: all have flags that their programs take, and those that are not long are run."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doc_pages import LONG, PAGES, ROOT, SCRIPTS, blocks, commands, name_of
from small_recordings import arguments, tiny

from encoders import plugins, registry
from experiments.benchmark import BenchmarkConfig
from experiments.runs import command_line

PROGRAM = re.compile(r"experiments/(\w+)\.py")
FOREIGN = {"rl_zoo3.train"}
"""Programs of other projects."""

TINY = {
    "experiments.imitate_kuka": arguments(tiny(Path("runs/imitate_kuka"))),
}
"""Flags that make a program one of seconds."""

BASH = [(page, block) for page in PAGES for block in blocks(page, "bash")]


def module_of(command: list[str]) -> tuple[str, list[str]]:
    """The module that a command runs, and its flags."""
    if command[0] in SCRIPTS:
        return SCRIPTS[command[0]].partition(":")[0], command[1:]
    program, *flags = command[1:]
    if program == "-m":
        return flags[0], flags[1:]
    found = PROGRAM.fullmatch(program)
    assert found is not None, f"{command} runs no program of this project"
    assert (ROOT / program).exists(), f"there is no {program}"
    return f"experiments.{found[1]}", flags


def call(module: str, flags: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit status of a program."""
    monkeypatch.setattr(sys, "argv", [module, *flags])
    try:
        status: int = importlib.import_module(module).main()
    except SystemExit as stop:
        status = int(stop.code or 0)
    return status


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The module ``mine`` that the guide to one's own encoder writes and commands name; forgotten after the test."""
    (tmp_path / "mine.py").write_text(blocks(ROOT / "docs/guides/own-encoder.md", "python")[0])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_ENCODERS", dict(registry._ENCODERS))
    monkeypatch.setenv(plugins.VARIABLE, "")
    yield
    sys.modules.pop("mine", None)


def test_every_command_has_flags_that_its_program_takes(
    own_module: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = command_line.run

    def parse(config: type[Any], _: object, *rest: Any) -> int:
        return run(config, check, *rest)

    def check(config: Any) -> None:
        if isinstance(config, BenchmarkConfig) and config.preset != "mine.toml":
            config.grid  # noqa: B018 - refuses a preset that does not exist

    monkeypatch.setattr(command_line, "run", parse)
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    parsed = 0
    for page, block in BASH:
        for command in commands(block, tmp_path):
            if command[0] == "make":
                assert set(command[1:]) <= set(targets), f"{name_of(page)}: {command}"
            if command[0] not in ("python", *SCRIPTS):
                continue
            module, flags = module_of(command)
            if module in FOREIGN:
                continue
            assert call(module, flags, monkeypatch) == 0, f"{name_of(page)}: {command}\n{capsys.readouterr().err}"
            parsed += 1
    assert parsed > 50


@pytest.mark.parametrize("page", sorted({name_of(page) for page, block in BASH if not LONG.match(block)}))
def test_commands_that_are_not_long_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks(ROOT / page, "bash"):
        if LONG.match(block):
            continue
        for command in commands(block, tmp_path):
            if command[0] in ("python", *SCRIPTS):
                module, flags = module_of(command)
                small = [] if "--help" in flags else TINY.get(module, [])
                assert call(module, [*flags, *small], monkeypatch) == 0, command


def test_wrong_flags_and_programs_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    block = "for s in 0 1; do\n  python experiments/imitate_kuka.py --seed $s \\\n    --demo a.mp4 # no such flag\ndone"
    first, second = commands(block, tmp_path)
    assert second == ["python", "experiments/imitate_kuka.py", "--seed", "1", "--demo", "a.mp4"]
    module, flags = module_of(first)
    assert call(module, flags, monkeypatch) == 2
    assert "--seed" in capsys.readouterr().err
    with pytest.raises(AssertionError, match=r"there is no experiments/watch\.py"):
        module_of(["python", "experiments/watch.py"])
    with pytest.raises(AssertionError, match=r"not found|No such file"):
        commands("rm -r /", tmp_path)
