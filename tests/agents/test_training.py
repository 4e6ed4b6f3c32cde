"""Training that is cut and goes on, against training in one go."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from small_trainings import EPISODE, assert_equal, curve, start, train

from agents.training import CurveAndCheckpoint, read_curve, write_curve
from encoders.files import FileError

pytestmark = pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")


@pytest.mark.parametrize("name", ["ppo", "a2c", "sac"])
@pytest.mark.parametrize("every", [EPISODE, 2 * EPISODE])
def test_training_that_was_cut_ends_as_if_it_had_not_been(tmp_path: Path, name: str, every: int) -> None:
    steps = 8 * EPISODE
    whole = train(name, tmp_path / "whole", steps, every)
    # Cut twice, the second time right after a checkpoint or an episode after it.
    for stop in (2 * EPISODE, 5 * EPISODE):
        with pytest.raises(KeyboardInterrupt):
            train(name, tmp_path / "cut", steps, every, stop)
        assert 0 < curve(tmp_path / "cut")[-1]["env_steps"] <= stop
    torch.manual_seed(99)  # another process would have other generators
    np.random.seed(99)  # noqa: NPY002
    resumed = train(name, tmp_path / "cut", steps, every)
    assert resumed.num_timesteps == whole.num_timesteps == steps
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")
    assert_equal(resumed.policy.state_dict(), whole.policy.state_dict())
    assert_equal(resumed.get_parameters(), whole.get_parameters())
    if name == "sac":
        assert torch.equal(resumed.log_ent_coef, whole.log_ent_coef)  # type: ignore[attr-defined]
        assert resumed.replay_buffer.pos == whole.replay_buffer.pos  # type: ignore[attr-defined]


def test_a_cut_between_curve_and_checkpoint_gives_the_same_curve(tmp_path: Path) -> None:
    train("ppo", tmp_path / "whole", 6 * EPISODE)
    train("ppo", tmp_path / "cut", 6 * EPISODE)
    with pytest.raises(KeyboardInterrupt):
        train("ppo", tmp_path / "early", 6 * EPISODE, stop=2 * EPISODE)
    # The curve is ahead of the checkpoint: what follows the checkpoint is done again.
    shutil.rmtree(tmp_path / "cut" / "checkpoint")
    shutil.copytree(tmp_path / "early" / "checkpoint", tmp_path / "cut" / "checkpoint")
    train("ppo", tmp_path / "cut", 6 * EPISODE)
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")


@pytest.mark.parametrize("name", ["ppo", "a2c", "sac"])
def test_rows_of_the_curve_are_whole_episodes(tmp_path: Path, name: str) -> None:
    train(name, tmp_path, 5 * EPISODE)
    rows = curve(tmp_path)
    assert [row["env_steps"] for row in rows] == [EPISODE * count for count in range(1, 6)]
    assert [row["episodes"] for row in rows] == [2, 4, 6, 8, 10]
    for row in rows:
        assert row["true_return"] < 0
        assert row["learned_return"] < 0
        assert row["true_return"] != row["learned_return"]
    seconds = [row["seconds"] for row in read_curve(tmp_path / "progress.csv")]
    assert seconds == sorted(seconds)
    assert (tmp_path / "progress.csv").read_text().startswith("env_steps,episodes,true_return,learned_return,seconds\n")


@pytest.mark.parametrize("name", ["ppo", "a2c", "sac"])
def test_training_that_ends_within_an_episode_loses_no_row(tmp_path: Path, name: str) -> None:
    # PPO goes on to the end of the episode; the others stop within it, at their next update.
    train(name, tmp_path, 4 * EPISODE + 4, every=3 * EPISODE)
    expected = 5 if name == "ppo" else 4
    assert [row["env_steps"] for row in curve(tmp_path)] == [EPISODE * count for count in range(1, expected + 1)]


def test_the_report_sees_every_row(tmp_path: Path) -> None:
    rows: list[dict[str, float]] = []
    agent = start("ppo")
    agent.learn(3 * EPISODE, callback=CurveAndCheckpoint(tmp_path, EPISODE, 10 * EPISODE, report=rows.append))
    assert rows == read_curve(tmp_path / "progress.csv")


def test_an_absent_curve_is_empty(tmp_path: Path) -> None:
    assert read_curve(tmp_path / "progress.csv") == []


def without_seconds(folder: Path) -> list[str]:
    return [line.rpartition(",")[0] for line in (folder / "progress.csv").read_text().splitlines()]


def test_a_curve_that_was_cut_is_written_as_the_one_that_was_not(tmp_path: Path) -> None:
    train("ppo", tmp_path / "whole", 4 * EPISODE)
    with pytest.raises(KeyboardInterrupt):
        train("ppo", tmp_path / "cut", 4 * EPISODE, stop=2 * EPISODE)
    train("ppo", tmp_path / "cut", 4 * EPISODE)
    assert without_seconds(tmp_path / "cut") == without_seconds(tmp_path / "whole")
    assert without_seconds(tmp_path / "cut")[1].startswith(f"{EPISODE},2,-")


def test_a_curve_of_counts_with_decimals_is_read_and_written_without_them(tmp_path: Path) -> None:
    path = tmp_path / "progress.csv"
    path.write_text("env_steps,episodes,true_return,learned_return,seconds\n30.0,2.0,nan,-0.1,1.5\n")
    (row,) = read_curve(path)
    write_curve(path, [row])
    assert path.read_text().splitlines()[1] == "30,2,nan,-0.1,1.5"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "env_steps,episodes\n30,2\n",
        "env_steps,episodes,true_return,learned_return,seconds\n30,2,-1",
        "env_steps,episodes,true_return,learned_return,seconds\n30,2,-1,-1,one\n",
        "env_steps,episodes,true_return,learned_return,seconds\n30.5,2,-1,-1,1\n",
        "env_steps,episodes,true_return,learned_return,seconds\n-30,2,-1,-1,1\n",
        "env_steps,episodes,true_return,learned_return,seconds\ninf,2,-1,-1,1\n",
        "env_steps,episodes,true_return,learned_return,seconds\n30,2,-1,-1,1\n30,2,-1,-1,1\n",
        "env_steps,episodes,true_return,learned_return,seconds\n30,2,-1,-1,1\n60,1,-1,-1,2\n",
        "env_steps,episodes,true_return,learned_return,seconds\n30,2,-1,-1,3\n60,4,-1,-1,2\n",
        "env_steps,episodes,true_return,learned_return,seconds\n30,2,-1,-1,-3\n60,4,-1,-1,2\n",
        "\0" * 100,
    ],
)
def test_a_damaged_curve_is_one_error_that_names_it_and_the_way_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "progress.csv"
    path.write_text(text)
    with pytest.raises(FileError, match=f"{path}.*; delete it and the folder {tmp_path / 'checkpoint'} to train again"):
        read_curve(path)
