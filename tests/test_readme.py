"""The README's snippets run as they stand, one after the other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

import encoders
from encoders.videos.video import write_video

README = Path(__file__).parents[1] / "README.md"

PROBE = """
import numpy as np, torch
observation, _ = env.reset(seed=0)
print("reward", env.step(env.action_space.sample())[1])
"""

NEW_ENCODER = """
import torch
from encoders.base import FrameBatch
mine = encoders.make("mine", width=4)
time = torch.arange(0, 32, 2)
batch = FrameBatch(torch.randint(0, 256, (16, 3, 64, 64), dtype=torch.uint8), torch.zeros(16).long(), time * 0, time)
mine.loss(batch).loss.backward()
print("mine", tuple(mine.embed(batch.frames).shape), mine.layers[0].weight.grad.abs().sum() > 0)
"""


def test_the_snippets_run(tmp_path: Path) -> None:
    mine, reward, joint = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    torch.manual_seed(0)
    encoder = encoders.make("tcn")
    encoder.distance_scale.fill_(1.0)
    encoder.save(tmp_path / "runs/imitate_kuka/tcn-ppo-tcn_huber-demo0/seed_0/encoder")
    frames = np.random.default_rng(0).integers(0, 255, (12, 96, 96, 3), dtype=np.uint8)
    write_video(tmp_path / "video.mp4", frames, 10)
    assert "1_000_000" in joint
    shorter = joint.replace("1_000_000", "20") + "print('steps', agent.num_timesteps)"
    script = mine + reward + PROBE + NEW_ENCODER + shorter
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (value,) = re.findall(r"reward (-?[\d.]+)", done.stdout)
    assert float(value) < 0
    assert "mine (16, 32) tensor(True)" in done.stdout
    assert "steps 20" in done.stdout
