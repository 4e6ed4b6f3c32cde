"""Environments leave nothing behind, and the check would see it if they did."""

from __future__ import annotations

import json
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from kept_objects import keep_memory_and_files

from experiments.robustness import leak_check
from experiments.robustness.leak_check import ENVIRONMENTS, LeakConfig


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_an_environment_leaves_nothing_behind(env: str, tmp_path: Path) -> None:
    out = tmp_path / "leaks.json"
    figures = leak_check.measure(LeakConfig((env,), resets=20, copies=20, warm_up=10, out=out))
    assert json.loads(out.read_text())["envs"] == figures
    for work, seen in figures[env].items():
        # What was drawn with is freed in pieces of tens of MB; 20 environments that stay would take 100 MB and more.
        assert seen["after"]["memory_mb"] - seen["before"]["memory_mb"] < (20 if work == "resets" else 80), work
        for name in ("files", "threads", "processes"):
            assert seen["after"][name] <= seen["before"][name], (work, name)


def test_the_check_sees_what_is_kept(tmp_path: Path) -> None:
    # In a process of its own: one that has run many tests has hundreds of freed MB to use again.
    with ProcessPoolExecutor(1, mp.get_context("spawn")) as pool:
        seen = pool.submit(keep_memory_and_files, tmp_path).result(timeout=120)
    assert seen["after"]["memory_mb"] - seen["before"]["memory_mb"] > 60
    assert seen["middle"]["files"] - seen["before"]["files"] == 10
    assert seen["after"]["files"] - seen["before"]["files"] == 20


@pytest.mark.parametrize("wrong", [{"envs": ("kuca",)}, {"resets": 0}, {"envs": ()}], ids=str)
def test_nothing_to_count_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"Did you mean 'kuka'|There must be an environment"):
        LeakConfig(**wrong)  # type: ignore[arg-type]
