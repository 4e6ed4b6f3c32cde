"""An imitation in environments that nothing here names, from nothing to its page."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from agents.training import CurveAndCheckpoint
from encoders.files import read_json
from encoders.training.fit import FitConfig, fit
from encoders.videos.video import write_video
from experiments.any_environment.config import ImitationConfig, TeacherConfig
from experiments.any_environment.environment import EnvironmentConfig, find
from experiments.any_environment.learner import extent
from experiments.any_environment.play import PlayConfig, held_actions, load_or_record, moments_of, random_play
from experiments.any_environment.run import EXPERIMENT, GymnasiumImitation, check_inputs, share
from experiments.imitate import main, work
from experiments.imitation import pipeline
from experiments.runs import command_line

TINY = ImitationConfig(
    algo="ppo",
    env=EnvironmentConfig("InvertedPendulum-v5", horizon=14, image_size=32),
    envs=2,
    workers=1,
    threads=1,
    steps=56,
    episodes=2,
    play=PlayConfig(episodes=6, validation=2, demonstrations=2),
    teacher=TeacherConfig(steps=224, attempts=2),
    fit=FitConfig(steps=4, validate_every=2, validation_batches=1),
)

Finished = tuple[ImitationConfig, dict[str, Any]]


def curve(folder: Path) -> list[list[str]]:
    """The learning curve without its seconds."""
    return [line.split(",")[:-1] for line in (folder / "progress.csv").read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    config = replace(TINY, out=tmp_path_factory.mktemp("imitation"))
    return config, EXPERIMENT.run_all(config)[0]


def test_a_run_leaves_everything_that_runs_leave(finished: Finished) -> None:
    config, result = finished
    folder = config.run_folder(0)
    names = ("report.html", "progress.csv", "audit.json", "encoder/config.json", "agent/agent.json", "side_by_side.mp4")
    assert all((folder / name).exists() for name in names)
    assert result["env_steps"] == 56
    assert result["true_return"] == np.mean(result["true_returns"])
    assert result["share"] == share(result["true_return"], result["random_return"], result["demonstration_return"])
    # The state can be set, so the imitation begins where the video does.
    assert result["starts_where_the_video_does"]
    assert result["start_distance"] == 0.0


def test_another_reward_shares_the_play_and_the_teacher(finished: Finished) -> None:
    config, result = finished
    made = {path: path.stat().st_mtime_ns for path in config.out.rglob("*.npz") if "seed_0" not in path.parts}
    oracle = EXPERIMENT.run_all(replace(config, encoder="none", reward="oracle"))[0]
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert oracle["demonstration_return"] == result["demonstration_return"]
    assert oracle["reward_rank_correlation"] > 0.99


def test_a_video_from_elsewhere_is_imitated_from_the_state_that_looks_like_its_beginning(
    finished: Finished, tmp_path: Path
) -> None:
    config, _ = finished
    write_video(tmp_path / "mine.mp4", np.load(config.film_file)["frames"][0], 10)
    config = replace(config, demo=tmp_path / "mine.mp4", demo_start=0.2)
    result = EXPERIMENT.run_all(config)[0]
    assert result["demonstration_return"] is None
    assert result["share"] is None
    assert result["start_distance"] > 0
    assert "nobody knows" in (config.run_folder(0) / "report.html").read_text()


def test_a_video_can_wait_for_the_agent(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    config, fixed = finished
    flags = [
        "--env.id",
        config.env.id,
        "--env.horizon",
        "14",
        "--env.image-size",
        "32",
        "--envs",
        "2",
        "--workers",
        "1",
    ]
    flags += [
        "--algo",
        "ppo",
        "--threads",
        "1",
        "--steps",
        "56",
        "--episodes",
        "2",
        "--out",
        str(config.out),
        "--clock",
        "progress",
    ]
    flags += ["--play.episodes", "6", "--play.validation", "2", "--play.demonstrations", "2", "--teacher.steps", "224"]
    flags += [
        "--teacher.attempts",
        "2",
        "--fit.steps",
        "4",
        "--fit.validate-every",
        "2",
        "--fit.validation-batches",
        "1",
    ]
    monkeypatch.setattr("sys.argv", ["imitate.py", *flags])
    encoders = {path: path.stat().st_mtime_ns for path in (config.out / "encoders").rglob("*.safetensors")}
    assert main() == 0
    # Play, teacher and encoder are those of the fixed clock; the run is another.
    assert {path: path.stat().st_mtime_ns for path in (config.out / "encoders").rglob("*.safetensors")} == encoders
    folder = replace(config, clock="progress").run_folder(0)
    assert folder != config.run_folder(0)
    result = read_json(folder / "result.json", "a result", "")
    assert (fixed["clock"], fixed["progress"]) == ("fixed", None)
    assert result["clock"] == "progress"
    assert 0 <= result["progress"] <= 1
    assert result["progress"] * 14 * 2 % 1 == pytest.approx(0)
    assert result["demonstration_return"] == fixed["demonstration_return"]
    assert "share of the demonstration that was reached" in (folder / "report.html").read_text()


def test_an_encoder_learns_from_videos_of_ones_own_too(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, _ = finished
    frames = np.load(config.play_file)["frames"]
    clips = tmp_path / "clips"
    write_video(clips / "mine.mp4", frames[0], 30)
    write_video(clips / "short.mp4", frames[0][:2], 30)
    own = replace(config, clips=clips)
    assert own.shared_encoder(0) != config.shared_encoder(0)
    assert own.identity(0)["clips"].keys() == {"mine.mp4", "short.mp4"}
    learned: list[tuple[str, ...]] = []
    monkeypatch.setattr(pipeline, "fit", lambda *given: learned.append(given[1].names) or fit(*given))  # type: ignore[func-returns-value]
    GymnasiumImitation(own, 0).fitted_encoder()
    # Both are at the environment's rate, without stills; the short one is left out.
    assert learned[0][-1] == "mine.mp4"
    assert "short.mp4" not in learned[0]
    assert (own.shared_encoder(0) / "config.json").exists()
    # Another content by the same name is another encoder.
    write_video(clips / "mine.mp4", frames[1], 30)
    assert replace(own).shared_encoder(0) != own.shared_encoder(0)


def test_clips_that_nothing_is_learned_from_or_that_are_damaged_are_refused(finished: Finished, tmp_path: Path) -> None:
    config, _ = finished
    for changes in ({"encoder": "none", "reward": "oracle"}, {"encoder_folder": tmp_path}, {"reward": "random"}):
        with pytest.raises(ValueError, match="clips are what an encoder learns from"):
            replace(config, clips=tmp_path, **changes)
    with pytest.raises(ValueError, match="holds no videos"):
        check_inputs(replace(config, clips=tmp_path))
    (tmp_path / "poor.mp4").write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"poor\.mp4"):
        check_inputs(replace(config, clips=tmp_path))


def test_discrete_actions_are_learned_by_ppo_and_refused_for_sac(tmp_path: Path) -> None:
    config = replace(TINY, env=EnvironmentConfig("CartPole-v1", horizon=14, image_size=32), out=tmp_path)
    result = EXPERIMENT.run_all(config)[0]
    assert result["demonstration_return"] >= 8
    with pytest.raises(ValueError, match="sac takes real-valued actions, and 'CartPole-v1' has discrete ones"):
        check_inputs(replace(config, algo="sac"))


def test_a_cut_training_goes_on_bit_for_bit(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, _ = finished
    for shared in ("recordings", "teachers", "demonstrations", "encoders"):
        shutil.copytree(config.out / shared, tmp_path / shared)
    add_row = CurveAndCheckpoint._add_row

    def cut_at_the_second(callback: CurveAndCheckpoint, steps: int) -> None:
        if callback._rows:
            raise KeyboardInterrupt
        add_row(callback, steps)

    monkeypatch.setattr(CurveAndCheckpoint, "_add_row", cut_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        EXPERIMENT.run_all(replace(config, out=tmp_path))
    monkeypatch.undo()
    again = replace(config, out=tmp_path, resume=True)
    assert len(curve(again.run_folder(0))) == 2
    EXPERIMENT.run_all(again)
    assert curve(again.run_folder(0)) == curve(config.run_folder(0))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"env": EnvironmentConfig("Reachr-v5")}, "Name an id that Gymnasium knows"),
        ({"env": EnvironmentConfig("no_such_package:Mine-v0")}, "imports 'no_such_package', which fails"),
        ({"env": EnvironmentConfig("Reacher-v5", ("colour=3",))}, "'Reacher-v5' cannot be made"),
        ({"env": EnvironmentConfig("Reacher-v5", horizon=51)}, "at most 50 steps of 1; name fewer"),
        ({"env": EnvironmentConfig("Blackjack-v1")}, "Episodes of 'Blackjack-v1' have no step limit"),
        ({"demo": Path("no.mp4")}, r"no\.mp4"),
        ({"teacher": TeacherConfig(algo="sac"), "env": EnvironmentConfig("CartPole-v1")}, "use --teacher.algo ppo"),
    ],
)
def test_what_cannot_be_imitated_is_refused_before_any_work(
    changes: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=complaint):
        EXPERIMENT.run_all(replace(TINY, out=tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"demo_start": 1.0}, "demo_start and demo_stop cut a video, and there is none"),
        ({"demo": Path("a.mp4"), "demo_start": 2.0, "demo_stop": 1.0}, "must begin at 0 or later, and stop after"),
        ({"encoder": "none"}, "encoder 'none' has none"),
        ({"starts": 1.5}, "starts is 1.5"),
        ({"encoder": "tcm"}, "tcm"),
        ({"clock": "progres"}, "progress"),
        ({"workers": 3}, "it must be from 1 to envs"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(TINY, **changes)


def test_an_argument_of_the_environment_is_read_as_a_literal_or_as_text() -> None:
    config = EnvironmentConfig("x-v0", ("size=3", "look=plain", "fast=true", "place=(1, 2.5)"))
    assert config.arguments == {"size": 3, "look": "plain", "fast": True, "place": (1, 2.5)}
    with pytest.raises(ValueError, match="'size' of the environment is no NAME=VALUE"):
        EnvironmentConfig("x-v0", ("size",))


def test_held_actions_that_are_reversed_add_up_to_little() -> None:
    space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    actions = held_actions(space, 4_000, True, np.random.default_rng(0))
    assert actions.shape == (4_000, 2)
    assert np.abs(np.cumsum(actions, axis=0)[-1]).max() <= 20
    held = held_actions(spaces.Discrete(3), 100, True, np.random.default_rng(0))
    assert set(held.tolist()) == {0, 1, 2}
    assert (np.diff(held) != 0).sum() < 60


def test_a_recording_is_the_same_again_and_one_of_other_episodes_is_refused(tmp_path: Path) -> None:
    environment = find(TINY.env)
    first, second = (
        load_or_record(tmp_path / f"{n}.npz", environment, 2, 3, lambda: random_play(environment)) for n in range(2)
    )
    assert (first.frames == second.frames).all()
    assert (first.snapshots["qpos"] == second.snapshots["qpos"]).all()
    with pytest.raises(ValueError, match="delete it, and it is recorded again"):
        load_or_record(tmp_path / "0.npz", environment, 3, 3, lambda: random_play(environment))


def test_the_command_says_in_one_line_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["imitate.py", "--env.id", "Reachr-v5"])
    assert command_line.run(ImitationConfig, work, None) == command_line.TO_MEND
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "Reachr" in said[0]


def test_moments_follow_one_another_even_without_any_numbers() -> None:
    np.testing.assert_array_equal(moments_of(np.arange(6).reshape(2, 3)), np.arange(6))
    # dm_control's arm has a part of its snapshot for sites, and no sites.
    assert moments_of(np.empty((2, 3, 0, 3))).shape == (6, 0, 3)


def test_far_from_a_video_in_which_little_moves_is_as_far_as_play_goes() -> None:
    own = np.linspace(0.0, 10.0, 11)[:, None]
    # Medians of distances 1 to 10, of which there are 10, 9, ... 1.
    assert extent(np.array([[5.0], [5.1]]), own) == 4.0
    assert extent(np.array([[0.0], [20.0]]), own) == 20.0


def test_tasks_of_dm_control_are_seen_by_their_first_camera_unless_another_is_named() -> None:
    free = "render_kwargs={'camera_id': -1}"
    configs = [
        EnvironmentConfig("dm_control/reacher-easy-v0", kwargs, image_size=32)
        for kwargs in ((), ("render_kwargs={'camera_id': 0}",), (free,))
    ]
    pictures = []
    for config in configs:
        env = find(config).make()
        pictures.append(env.reset(seed=0)[0]["pixels"])
        env.close()
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).any()
    assert EnvironmentConfig("Reacher-v5").arguments == {}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"rollout": -1}, "rollout is -1; it must be at least 0"),
        ({"episodes": 0}, "episodes is 0; it must be at least 1"),
        ({"starts": 1.5}, "starts must be from 0 to 1"),
        ({"effort": -0.1}, "effort is -0.1"),
        ({"clock": "progres"}, "Did you mean 'progress'"),
        ({"encoder": "none"}, "encoder 'none' has none; use --reward pixels or oracle"),
        ({"demo_start": 1.0}, "cut a video, and there is none"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(TINY, **changes)
