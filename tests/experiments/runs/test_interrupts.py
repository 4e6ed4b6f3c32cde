"""Ctrl-C and SIGTERM: one line, soon, nobody left behind, and the run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from small_recordings import TINY, arguments, tiny

from encoders.training.fit import FitConfig
from experiments.kuka.config import ImitateConfig

ROOT = Path(__file__).parents[3]


def stopped(
    config: ImitateConfig, seen: Callable[[Path], bool], number: int, all_of_them: bool
) -> tuple[int, str, str]:
    """Runs it until something is seen in its folder, and sends it a signal, and as a terminal does its workers too.

    Returns:
        Exit status, stdout, and the last line on stderr.
    """
    flags = ["--encoder", config.encoder, "--reward", config.reward]
    command = [sys.executable, "experiments/imitate_kuka.py", *arguments(config), *flags]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 200
        while not seen(config.out) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        family = psutil.Process(process.pid).children(recursive=True)
        (os.killpg if all_of_them else os.kill)(process.pid, number)
        before = time.monotonic()
        try:
            said, complained = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        # Three seconds on a machine that has nothing else to do.
        assert time.monotonic() - before < 20
        psutil.wait_procs(family, timeout=5)
        assert not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert "Traceback" not in complained
    return process.returncode, said, complained.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("number", "all_of_them"), [(signal.SIGINT, True), (signal.SIGTERM, False)], ids=["ctrl-c", "sigterm"]
)
def test_a_training_that_is_stopped_names_its_checkpoint(tmp_path: Path, number: int, all_of_them: bool) -> None:
    config = tiny(tmp_path / "out", encoder="none", reward="oracle", steps=20_000, envs=4, workers=2)
    status, _, line = stopped(
        config, lambda out: bool(list(out.glob("*/seed_0/checkpoint/state.json"))), number, all_of_them
    )
    folder = config.run_folder(0)
    assert status == 128 + number
    assert line.startswith(
        f"stopped: The same command with --resume goes on. The last checkpoint in {folder} is after "
    )
    assert not (folder / "result.json").exists()


def test_recordings_that_are_stopped_say_nothing_more(tmp_path: Path) -> None:
    config = tiny(tmp_path / "out", workers=2, envs=2, fit=FitConfig(steps=6, validate_every=3, validation_batches=2))
    config = replace(config, record=replace(TINY, demos=400, play=400))
    status, _, line = stopped(config, lambda out: bool(list(out.glob("recordings/*/*_truth.npz"))), signal.SIGINT, True)
    assert status == 130
    assert line.startswith("stopped: The same command with --resume goes on. There is no checkpoint in ")
