"""Whole runs of the experiment, small: from nothing, again, resumed, killed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import ANY

import numpy as np
import pytest
import torch
from small_recordings import TINY, arguments, tiny

import encoders
from agents.training import read_curve
from encoders.videos.video import read_video, write_video
from experiments.kuka.config import ImitateConfig
from experiments.kuka.recordings import record_demonstration
from experiments.kuka.run import EXPERIMENT, KukaImitation
from experiments.runs.folder import claim_run_folder, run_stages
from experiments.sweep.run_rows import TABLES

pytestmark = pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")

STEPS = 600
"""Twenty episodes in both environments: long enough to be killed in the middle."""

KEYS = {
    "status",
    "encoder",
    "algo",
    "reward",
    "seed",
    "demo_seed",
    "env_steps",
    "link_error_m",
    "final_link_error_m",
    "joint_error_rad",
    "final_joint_error_rad",
    "stay_still_link_error_m",
    "triplet_accuracy_margin",
    "triplet_accuracy",
    "reward_rank_correlation",
    "env_steps_per_second",
    "wall_seconds",
}


class Run(NamedTuple):
    """A run that is complete."""

    config: ImitateConfig
    folder: Path
    result: dict[str, Any]


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def completed(recorded: Path) -> Run:
    config = tiny(recorded, steps=STEPS)
    (result,) = EXPERIMENT.run_all(config)
    return Run(config, config.run_folder(0), result)


def curve(folder: Path) -> list[dict[str, float]]:
    return [
        {key: value for key, value in row.items() if key != "seconds"} for row in read_curve(folder / "progress.csv")
    ]


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_run_leaves_all_its_files(completed: Run) -> None:
    files = {str(path.relative_to(completed.folder)) for path in completed.folder.rglob("*") if path.is_file()}
    assert {
        "config.json",
        "provenance.json",
        "stages.json",
        "result.json",
        "audit.json",
        "progress.csv",
        "curves.png",
        "distance_matrix.png",
        "side_by_side.mp4",
        "storyboard.png",
        "report.html",
        "encoder/config.json",
        "encoder/weights.safetensors",
        "agent/agent.json",
        "agent/policy.safetensors",
        "checkpoint/state.json",
        f"checkpoint/step_{STEPS}.pt",
    } <= files
    assert any(name.startswith("tensorboard/") for name in files)
    assert not [name for name in files if Path(name).name.startswith(".")]
    assert read_video(completed.folder / "side_by_side.mp4").shape[0] == 15
    np.testing.assert_array_equal(
        encoders.load(completed.folder / "encoder").embed_video(np.zeros((1, 32, 32, 3), np.uint8)),
        encoders.load(completed.config.shared_encoder(0)).embed_video(np.zeros((1, 32, 32, 3), np.uint8)),
    )


def test_the_result_says_all_that_a_table_needs(completed: Run) -> None:
    result = completed.result
    assert set(result) >= KEYS
    assert json.loads((completed.folder / "result.json").read_text()) == {**result, "digest": ANY}
    assert (result["status"], result["encoder"], result["algo"], result["reward"]) == (
        "completed",
        "tcn",
        "ppo",
        "tcn_huber",
    )
    assert (result["seed"], result["demo_seed"], result["env_steps"]) == (0, 0, STEPS)
    for key in KEYS - {"status", "encoder", "algo", "reward", "wall_seconds"}:
        assert np.isfinite(result[key])
    assert result["link_error_m"] > 0
    assert 0 <= result["triplet_accuracy_margin"] <= result["triplet_accuracy"] <= 1
    assert set(result["wall_seconds"]) == {"record", "demonstrate", "fit", "audit", "train", "evaluate"}


def test_the_likeness_of_the_video_is_in_the_audit_the_result_and_the_report(completed: Run) -> None:
    audit = json.loads((completed.folder / "audit.json").read_text())
    likeness = {key: audit[key] for key in ("video_distance", "held_out_distance")}
    assert all(value > 0 for value in likeness.values())
    assert likeness.items() <= completed.result.items()
    report = (completed.folder / "report.html").read_text()
    assert "Likeness of the video" in report
    assert "95% of held-out videos within" in report


@pytest.fixture
def unlike(tmp_path: Path) -> Path:
    """A video of colour bars that move, with a card so that no start has to be looked for."""
    colours = [(255, 255, 255), (255, 255, 0), (0, 255, 255), (0, 255, 0), (255, 0, 255), (255, 0, 0), (0, 0, 255)]
    bars = np.repeat(np.array(colours, np.uint8), 5, axis=0)[:32]
    moving = np.stack([np.roll(bars, moment, axis=0) for moment in range(10)])
    write_video(tmp_path / "bars_front.mp4", np.broadcast_to(moving[:, None], (10, 32, 32, 3)), 20)
    (tmp_path / "bars.json").write_text(json.dumps({"start": [0.0] * 7}))
    return tmp_path / "bars_front.mp4"


def test_an_unrelated_video_is_warned_of_and_imitated_all_the_same(
    recorded: Path, unlike: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(recorded, encoder="none", reward="pixels", demo=(unlike,))
    (result,) = EXPERIMENT.run_all(config)
    assert result["status"] == "completed"
    assert result["video_distance"] > 1.2 * result["held_out_distance"]
    assert "The video looks like nothing that was recorded" in " ".join(capsys.readouterr().out.split())


def test_an_unrelated_video_is_refused_on_request_before_training(recorded: Path, unlike: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(recorded / "recordings", out / "recordings")
    config = tiny(out, encoder="none", reward="pixels", demo=(unlike,), refuse_unlike=True)
    with pytest.raises(ValueError, match=r"looks like nothing that was recorded.* Leave --refuse-unlike out"):
        EXPERIMENT.run_all(config)
    assert json.loads((config.run_folder(0) / "result.json").read_text())["status"] == "failed"
    assert not (config.run_folder(0) / "progress.csv").exists()
    # Only what a run does when it comes to that differs, not the run.
    assert config.identity(0) == tiny(out, encoder="none", reward="pixels", demo=(unlike,)).identity(0)


def test_a_demonstration_of_the_scene_is_not_refused(completed: Run, recorded: Path) -> None:
    config = tiny(recorded, encoder="none", reward="pixels", demo_seed=3, refuse_unlike=True)
    (result,) = EXPERIMENT.run_all(config)
    assert result["status"] == "completed"


def test_a_result_of_figures_that_are_no_numbers_is_a_failure(tmp_path: Path) -> None:
    config = tiny(tmp_path)
    claim_run_folder(config, 0)
    with pytest.raises(ValueError, match="came to figures that are no numbers: link_error_m"):
        run_stages(config, 0, lambda *_: {"status": "completed", "link_error_m": float("nan")}, lambda *_: None)
    text = (config.run_folder(0) / "result.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["status"] == "failed"


def test_the_table_tells_joint_runs_apart_and_refuses_what_it_cannot_tell(completed: Run, tmp_path: Path) -> None:
    here = tmp_path / "frozen" / completed.config.variant / "seed_0"
    shutil.copytree(completed.folder, here)
    table = TABLES["imitate_kuka"]
    (row,) = table.collect([tmp_path / "frozen"], "imitate_kuka.py")
    assert (row["encoder"], row["link_error_m"]) == ("tcn", completed.result["link_error_m"])
    there = tmp_path / "joint" / completed.config.variant / "seed_0"
    shutil.copytree(here, there)
    for name, added in (("config", {"encoder_mode": "joint", "auxiliary": {}}), ("result", {"encoder_mode": "joint"})):
        path = there / f"{name}.json"
        content = json.loads(path.read_text()) | added
        content.pop("digest", None)
        path.write_text(json.dumps(content))
    rows = table.collect([tmp_path / "frozen", tmp_path / "joint"], "imitate_kuka.py")
    assert [row["encoder"] for row in rows] == ["tcn", "tcn (joint)"]
    path = there / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"steps": 1}))
    with pytest.raises(ValueError, match="differ in steps, which the table does not tell"):
        table.collect([tmp_path / "frozen", tmp_path / "joint"], "imitate_kuka.py")


def test_the_curve_of_a_run_is_whole_episodes(completed: Run) -> None:
    rows = curve(completed.folder)
    assert [row["env_steps"] for row in rows] == list(range(30, STEPS + 1, 30))
    assert all(row["learned_return"] < 0 and row["true_return"] < 0 for row in rows)


def test_where_a_run_came_from_is_written_down(completed: Run) -> None:
    provenance = json.loads((completed.folder / "provenance.json").read_text())
    assert provenance["command"] == sys.argv
    assert {"torch", "stable_baselines3", "pybullet"} < set(provenance["packages"])
    assert provenance["machine"]["cores"] >= 1


def test_a_second_run_is_refused_with_the_way_out(completed: Run) -> None:
    before = snapshot(completed.folder)
    with pytest.raises(ValueError, match=r"holds this run already, complete; add --resume, or choose another --out"):
        EXPERIMENT.run_all(completed.config)
    assert snapshot(completed.folder) == before


def test_resuming_a_complete_run_shows_it_and_touches_nothing(completed: Run, recorded: Path) -> None:
    before = snapshot(recorded)
    (result,) = EXPERIMENT.run_all(tiny(recorded, steps=STEPS, resume=True))
    assert result == completed.result
    assert snapshot(recorded) == before


def test_another_run_in_the_folder_is_refused_with_what_differs(completed: Run, recorded: Path) -> None:
    before = snapshot(completed.folder)
    with pytest.raises(ValueError, match=r"holds another run: steps differ.*Choose another --out"):
        EXPERIMENT.run_all(tiny(recorded, steps=STEPS + 30, resume=True))
    assert snapshot(completed.folder) == before


def test_seeds_are_refused_together_or_not_at_all(tmp_path: Path) -> None:
    config = tiny(tmp_path, seeds=(0, 1))
    claim_run_folder(config, 1)
    with pytest.raises(ValueError, match="seed_1 holds this run already, unfinished"):
        EXPERIMENT.run_all(config)
    assert not config.run_folder(0).exists()


@pytest.mark.parametrize("reward", ["oracle", "pixels", "random"])
def test_every_control_runs_on_the_same_recordings(completed: Run, recorded: Path, reward: str) -> None:
    before = snapshot(completed.config.recordings_folder)
    config = tiny(recorded, reward=reward)
    (result,) = EXPERIMENT.run_all(config)
    assert result["status"] == "completed"
    assert result["reward"] == reward
    assert set(result) >= KEYS
    assert [row["env_steps"] for row in curve(config.run_folder(0))] == [30, 60]
    assert config.recordings_folder == completed.config.recordings_folder
    assert snapshot(config.recordings_folder) == before
    # The untrained encoder is one of its own, the others share the trained one.
    shared = config.shared_encoder(0) == completed.config.shared_encoder(0)
    assert shared == (reward != "random")
    if reward == "oracle":
        assert all(row["true_return"] == pytest.approx(row["learned_return"]) for row in curve(config.run_folder(0)))
        assert result["stay_still_link_error_m"] == completed.result["stay_still_link_error_m"]


@pytest.mark.parametrize("reward", ["oracle", "pixels"])
def test_a_run_without_an_encoder_completes(completed: Run, recorded: Path, reward: str) -> None:
    config = tiny(recorded, encoder="none", reward=reward)
    (result,) = EXPERIMENT.run_all(config)
    assert result["status"] == "completed"
    assert result["link_error_m"] > 0
    assert result["triplet_accuracy"] is None
    assert result["stay_still_link_error_m"] == completed.result["stay_still_link_error_m"]
    assert not (config.run_folder(0) / "encoder").exists()
    assert (config.run_folder(0) / "side_by_side.mp4").exists()


def test_training_ends_with_whole_episodes(recorded: Path) -> None:
    (result,) = EXPERIMENT.run_all(tiny(recorded, reward="oracle", encoder="none", demo_seed=1, steps=50))
    assert result["env_steps"] == 60


def test_an_agent_folder_lost_after_training_is_written_again_without_training(
    completed: Run, recorded: Path, tmp_path: Path
) -> None:
    # As if killed between the last checkpoint and what comes after it.
    shutil.copytree(recorded, tmp_path / "out")
    config = tiny(tmp_path / "out", steps=STEPS, resume=True)
    folder = config.run_folder(0)
    shutil.rmtree(folder / "agent")
    (folder / "result.json").unlink()
    (result,) = EXPERIMENT.run_all(config)
    assert (folder / "progress.csv").read_bytes() == (completed.folder / "progress.csv").read_bytes()
    for key in KEYS - {"wall_seconds"}:
        assert result[key] == completed.result[key]
    for name in ("agent.json", "policy.safetensors"):
        assert (folder / "agent" / name).read_bytes() == (completed.folder / "agent" / name).read_bytes()


def test_the_same_command_twice_gives_the_same_curve_and_result(completed: Run, tmp_path: Path) -> None:
    # Fitted and trained anew; that recordings are the same has a test of its own.
    config = tiny(tmp_path / "other", steps=STEPS)
    shutil.copytree(completed.config.recordings_folder, config.recordings_folder)
    (result,) = EXPERIMENT.run_all(config)
    assert curve(config.run_folder(0)) == curve(completed.folder)
    for key in KEYS - {"wall_seconds", "env_steps_per_second"}:
        assert result[key] == completed.result[key]
    for name in ("encoder/weights.safetensors", "agent/policy.safetensors"):
        assert (config.run_folder(0) / name).read_bytes() == (completed.folder / name).read_bytes()


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(completed: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for part in ("recordings", "encoders"):
        shutil.copytree(completed.config.out / part, out / part)
    config = tiny(out, steps=STEPS, resume=True)
    folder = config.run_folder(0)
    made = {part: snapshot(out / part) for part in ("recordings", "encoders")}
    command = [sys.executable, "experiments/imitate_kuka.py", *arguments(config)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[3], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        until = time.monotonic() + 120
        while not (folder / "checkpoint" / "state.json").exists():
            assert process.poll() is None, "it ended before its first checkpoint"
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (folder / "result.json").exists()
    assert json.loads((folder / "checkpoint" / "state.json").read_text())["env_steps"] < STEPS
    (result,) = EXPERIMENT.run_all(config)
    assert result["status"] == "completed"
    assert curve(folder) == curve(completed.folder)
    for key in KEYS - {"wall_seconds", "env_steps_per_second"}:
        assert result[key] == completed.result[key]
    assert {part: snapshot(out / part) for part in made} == made


def test_a_video_without_truth_is_imitated_by_its_looks(completed: Run, recorded: Path, tmp_path: Path) -> None:
    source = record_demonstration(TINY, 5, tmp_path / "source")
    foreign = Path(shutil.copy(source.with_name("heldout_0005_side.mp4"), tmp_path / "mine_side.mp4"))
    # One video of two cameras is enough.
    config = tiny(recorded, demo=(foreign,))
    (result,) = EXPERIMENT.run_all(config)
    assert result["status"] == "completed"
    assert result["demo_seed"] is None
    assert result["demo"] == [str(foreign)]
    assert result["link_error_m"] is None
    assert result["env_steps"] == 60
    assert np.isfinite(result["final_distance"])


def test_a_fitted_encoder_is_taken_from_its_folder(completed: Run) -> None:
    imitation = KukaImitation(completed.config, 0)
    encoder = imitation.given_encoder(completed.folder / "encoder")
    assert float(encoder.distance_scale) > 0
    torch.manual_seed(0)
    encoders.make("tcn", image_size=32).save(completed.config.out / "never_fitted")
    with pytest.raises(ValueError, match="never fitted"):
        imitation.given_encoder(completed.config.out / "never_fitted")
