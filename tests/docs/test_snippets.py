"""The snippets of the documentation run as they stand, one after the other on each page."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from doc_pages import PAGES, README, ROOT, blocks, name_of

import encoders
from encoders.videos.video import write_video

LEFT = "runs/imitate_kuka/tcn-ppo-tcn_huber-demo0/seed_0/encoder"
"""What ``make imitate`` leaves, and snippets load."""

PROBES = {
    "docs/guides/own-video.md": "assert embeddings.shape == (12, 32)",
    "docs/guides/own-encoder.md": """
mine = encoders.make("mine", width=4)
mine.loss(batch).loss.backward()
assert mine.embed(batch.frames).shape == embeddings.shape == (16, 32)
assert mine.layers[0].weight.grad.abs().sum() > 0
env.reset(seed=0)
assert env.step(env.action_space.sample())[1] < 0
""",
    "docs/guides/own-environment.md": "assert reward < 0",
    "docs/guides/joint-training.md": "assert agent.num_timesteps == 20",
    "docs/guides/device.md": "assert encoder.device == choose_device('auto')",
    "docs/design/files.md": "assert encoder.name == 'tcn'",
}
"""What is true after a page's snippets."""

RUN = """
import os, sys, pathlib
for folder, source in zip(sys.argv[1::2], sys.argv[2::2]):
    os.chdir(folder)
    exec(compile(source, folder, "exec"), {"__name__": "__main__"})
    print("ran", folder)
"""


def test_the_snippets_run(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = encoders.make("tcn")
    encoder.distance_scale.fill_(1.0)
    frames = np.random.default_rng(0).integers(0, 255, (12, 96, 96, 3), dtype=np.uint8)
    arguments, folders = [], []
    for page, probe in PROBES.items():
        folder = tmp_path / Path(page).stem
        folders.append(folder)
        encoder.save(folder / LEFT)
        write_video(folder / "video.mp4", frames, 10)
        source = "\n".join(blocks(ROOT / page, "python"))
        assert ("1_000_000" in source) == (page == "docs/guides/joint-training.md")
        arguments += [str(folder), f"{source.replace('1_000_000', '20')}\n{probe}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"ran {folders[-1]}"


def test_every_snippet_is_on_a_page_that_is_run() -> None:
    with_snippets = {name_of(page) for page in PAGES if blocks(page, "python")}
    assert with_snippets == {*PROBES, "README.md"}
    # The README's encoder is the guide's, word for word.
    assert blocks(README, "python") == blocks(ROOT / "docs/guides/own-encoder.md", "python")[:1]


def test_the_examples_are_shown_as_they_are() -> None:
    environment = blocks(ROOT / "docs/guides/own-environment.md", "python")[0]
    assert environment == (ROOT / "examples/my_environment.py").read_text()
    (entry_points,) = blocks(ROOT / "docs/guides/own-encoder.md", "toml")
    assert entry_points in (ROOT / "examples/onlooker_example/pyproject.toml").read_text()
