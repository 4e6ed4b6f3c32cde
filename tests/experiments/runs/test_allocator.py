"""Freed memory stays with the process."""

import platform
import subprocess
import sys

import pytest

MEGABYTES = 200

PROGRAM = f"""
import psutil, torch
from experiments.runs.allocator import keep_freed_memory

held = lambda: psutil.Process().memory_info().rss / 2**20
if {{kept}}:
    assert keep_freed_memory()
torch.ones(10)
before = held()
tensor = torch.ones({MEGABYTES} * 2**18)
del tensor
print(held() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
@pytest.mark.parametrize(("kept", "least", "most"), [(False, -50, 50), (True, MEGABYTES - 50, MEGABYTES + 50)])
def test_freed_memory_is_kept_for_the_next_tensor(kept: bool, least: int, most: int) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(kept=kept)], check=True, capture_output=True, text=True, timeout=60
    )

    assert least < float(run.stdout.split()[-1]) < most
