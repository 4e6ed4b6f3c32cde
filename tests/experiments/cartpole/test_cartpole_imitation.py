"""Imitation on the cartpole, small: the teacher, the video, every reward, cut and resumed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import encoders
from agents import pixel_sac
from agents.auxiliary import AuxiliaryConfig
from agents.pixel_sac import LearningConfig, Preset
from agents.training import read_curve
from encoders.training.fit import FitConfig
from encoders.videos.video import read_video
from envs.embedding import VecVectorObservation
from envs.phase import phase
from experiments.cartpole import imitation, swingup
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.demonstration import filmed
from experiments.cartpole.imitation import EXPERIMENT, CartpoleImitation
from experiments.cartpole.imitation_config import CartpoleImitationConfig
from experiments.cartpole.observation import Frames, PretrainingConfig, State
from experiments.cartpole.second_encoder import Gated
from experiments.imitation.pipeline import Task
from experiments.sweep.run_rows import TABLES, TableConfig, print_runs
from experiments.sweep.scores import read_rows

TABLE = TABLES["imitate_cartpole"]

Learned = tuple[CartpoleImitationConfig, dict[str, Any]]

TINY = CartpoleImitationConfig(
    encoder="imm",
    encoder_settings=("keypoints=2",),
    learner="sac_shift",
    steps=24,
    episodes=2,
    swingup=SwingUpConfig(
        Frames(
            auxiliary=AuxiliaryConfig(),
            pretraining=PretrainingConfig(4, FitConfig(steps=4, validate_every=2, validation_batches=1)),
        ),
        preset="cpu",
        action_repeat=125,
        steps=16,
        row_episodes=1,
        device="cpu",
        learning=LearningConfig(learning_starts=10),
    ),
)


def seeing(**changes: Any) -> SwingUpConfig:
    """How the cartpole is seen, with something of it changed."""
    return replace(TINY.swingup, observe=replace(TINY.swingup.frames, **changes))


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Frames of 16 pixels, episodes of 8 steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(pixel_sac.PRESETS, "cpu", Preset(16, 2, 8, 16, 4))
        for module in ("imitation", "swingup", "demonstration", "figures"):
            patch.setattr(f"experiments.cartpole.{module}.FILM_SIZE", 32)
        yield


@pytest.fixture(scope="module")
def learned(small: None, tmp_path_factory: pytest.TempPathFactory) -> Learned:
    config = replace(TINY, out=tmp_path_factory.mktemp("imitation"))
    (result,) = EXPERIMENT.run_all(config)
    return config, result


def task_of(config: CartpoleImitationConfig) -> Task:
    """What the agent of seed 0 is to do."""
    pipeline = CartpoleImitation(config, 0)
    config.run_folder(0).mkdir(parents=True, exist_ok=True)
    return pipeline.audit(pipeline.fitted_encoder())[1]


def test_a_run_films_its_teacher_and_follows_the_video(learned: Learned) -> None:
    config, result = learned
    folder = config.run_folder(0)
    assert result["status"] == "completed"
    assert len(result["true_returns"]) == len(result["learned_returns"]) == 2
    assert result["learned_return"] < 0 <= result["true_return"]
    assert len(read_video(config.film.with_suffix(".mp4"))) == 9
    assert len(read_video(folder / "side_by_side.mp4")) == 8
    demonstration = filmed(config)
    assert demonstration.pixels.shape == (9, 16, 16, 9)
    assert demonstration.joints.shape == (9, 3)
    assert result["demonstration_return"] == demonstration.true_return
    assert [row["env_steps"] for row in read_curve(folder / "progress.csv")] == [8, 16, 24]
    page = (folder / "report.html").read_text()
    assert f"the video&#39;s returned {result['demonstration_return']:.0f}" in page
    assert (page.count("<video"), page.count("<img"), page.count('<figure class="chart"')) == (1, 2, 2)


def test_a_learner_on_frames_sees_frames_alone(learned: Learned) -> None:
    config, _ = learned
    task = task_of(config)
    venv = imitation.make_learner(config, task, 0)
    assert venv.observation_space.shape == (9, 16, 16)
    venv.close()


def test_a_learner_on_embeddings_is_not_shown_the_state(
    learned: Learned,
) -> None:
    config = replace(learned[0], learner="embedding", starts=0.0)
    task = task_of(config)
    venv = imitation.make_learner(config, task, 0)
    assert isinstance(venv, VecVectorObservation)
    assert set(venv.places) == {"embedding", "demonstration"}
    observation = venv.reset()
    assert isinstance(observation, np.ndarray)
    embeddings = task.goal.embeddings
    assert embeddings is not None
    assert observation.shape == (1, 2 * embeddings.shape[1])
    np.testing.assert_array_equal(observation[0, venv.places["demonstration"]], embeddings[1])
    venv.close()


def test_only_training_ends_episodes_where_the_video_is_lost(
    learned: Learned,
) -> None:
    config = replace(learned[0], lost=1e-6, starts=0.0)
    task = task_of(config)
    for ends in (True, False):
        venv = imitation.make_learner(config, task, 0, ends=ends)
        venv.reset()
        _, rewards, dones, infos = venv.step(np.ones((1, 1), np.float32))
        assert bool(dones[0]) == ends
        assert (rewards[0] == 0.0) == ends
        assert infos[0]["distance"] > 0
        venv.close()


@pytest.mark.parametrize(("reward", "learner"), [("tcn_huber", "sac_shift"), ("oracle", "sac_state")])
def test_only_training_begins_episodes_along_the_video(reward: str, learner: str, learned: Learned) -> None:
    config = replace(learned[0], reward=reward, learner=learner, lost=1.0, starts=1.0)
    task = task_of(config)
    for ends in (True, False):
        venv = imitation.make_learner(config, task, 0, ends=ends)
        venv.reset()
        assert ("time" in venv.reset_infos[0]) == ends
        venv.close()


def test_a_learner_on_its_state_observes_the_phase_and_not_the_video(
    learned: Learned,
) -> None:
    config = replace(learned[0], learner="sac_state")
    task = task_of(config)
    venv = imitation.make_learner(config, task, 0, ends=False)
    observation = venv.reset()
    assert isinstance(observation, np.ndarray)
    np.testing.assert_array_equal(observation[0, 5:], phase(0, 8))
    np.testing.assert_array_equal(venv.step(np.zeros((1, 1), np.float32))[0][0, 5:], phase(1, 8))  # type: ignore[call-overload]
    venv.close()


@pytest.mark.parametrize(
    ("learner", "reward"), [("embedding", "tcn_huber"), ("sac_state", "tcn_huber"), ("sac_state", "oracle")]
)
def test_a_learner_without_frames_runs_to_the_end(learned: Learned, learner: str, reward: str) -> None:
    (result,) = EXPERIMENT.run_all(replace(TINY, out=learned[0].out, learner=learner, reward=reward))
    assert (result["learner"], result["reward"]) == (learner, reward)
    assert result["agent_steps"] == 24


def test_the_table_has_a_line_a_learner_and_reward(
    learned: Learned, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, result = learned
    kept_of = {**result, "starts": config.starts}
    row = {name: kept_of[name] for name in TABLE.columns} | {"true_return": 50.0, "demonstration_return": 200.0}
    rows = [row, row | {"seed": 1, "true_return": 100.0}, row | {"reward": "oracle"}]
    lines = TABLE.markdown(rows).splitlines()[2:]
    assert [line.split(" | ")[1] for line in lines] == ["oracle", "tcn_huber"]
    assert " 50% | 24 | 2 | 75 [50, 100] | 0.38 [0.25, 0.50] |" in lines[1]
    out = tmp_path / "out"
    shutil.copytree(config.run_folder(0), out / config.variant / "seed_0")
    print_runs(TableConfig("imitate_cartpole", (out,), tmp_path / "published"))
    said = capsys.readouterr().out
    assert f"| `sac_shift` | tcn_huber | imm keypoints=2 | 50% | 24 | 1 | {result['true_return']:.0f} |" in said
    assert TABLE.markdown(read_rows(tmp_path / "published" / "imitate_cartpole.csv")) == said.rstrip()


def test_the_table_refuses_folders_without_runs_and_runs_that_do_not_go_together(
    learned: Learned, tmp_path: Path
) -> None:
    config, _ = learned
    with pytest.raises(ValueError, match=r"no completed runs in .*nothing; run imitate_cartpole\.py first"):
        TABLE.collect([tmp_path / "nothing"], "imitate_cartpole.py")
    folders = [tmp_path / name for name in ("one", "again", "other")]
    for folder in folders:
        shutil.copytree(config.run_folder(0), folder / config.variant / "seed_0")
    with pytest.raises(ValueError, match="are the same run; name it once"):
        TABLE.collect(folders[:2], "imitate_cartpole.py")
    path = folders[2] / config.variant / "seed_0" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"lost": 0.5}))
    with pytest.raises(ValueError, match="differ in lost, which the table does not tell"):
        TABLE.collect([folders[0], folders[2]], "imitate_cartpole.py")


def test_a_training_that_was_cut_goes_on_as_if_it_had_not(
    learned: Learned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swingup, "CHECKPOINT_ROWS", 1)
    configs = [replace(TINY, out=tmp_path / name) for name in ("whole", "cut")]
    for config in configs:
        for shared in ("demonstrations", "encoders", "recordings"):
            shutil.copytree(learned[0].out / shared, config.out / shared)
    (whole,) = EXPERIMENT.run_all(configs[0])

    def cut(text: object, **_: Any) -> None:
        if str(text).startswith("  16 steps"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(swingup.console, "print", cut)
        with pytest.raises(KeyboardInterrupt):
            EXPERIMENT.run_all(configs[1])
    (resumed,) = EXPERIMENT.run_all(replace(configs[1], resume=True))
    curves = [read_curve(config.run_folder(0) / "progress.csv") for config in configs]
    for name in ("env_steps", "episodes", "true_return", "learned_return"):
        assert [row[name] for row in curves[0]] == [row[name] for row in curves[1]]
    assert resumed["true_returns"] == whole["true_returns"]


@pytest.mark.parametrize("reward", ["oracle", "random"])
def test_controls_use_the_same_video(reward: str, learned: Learned, tmp_path: Path) -> None:
    config = replace(TINY, out=learned[0].out, reward=reward)
    (result,) = EXPERIMENT.run_all(config)
    assert result["reward"] == reward
    assert result["demonstration_return"] == learned[1]["demonstration_return"]


def test_a_run_that_is_there_is_refused_or_shown(learned: Learned) -> None:
    config, result = learned
    with pytest.raises(ValueError, match="add --resume"):
        EXPERIMENT.run_all(config)
    assert EXPERIMENT.run_all(replace(config, resume=True)) == [result]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": "im"}, "Did you mean 'imm'"),
        ({"reward": "tcn_hubber"}, "Did you mean 'tcn_huber'"),
        ({"reward": "pixels"}, "Allowed: tcn_huber, oracle, random"),
        ({"gamma": 1.0}, "gamma is 1.0"),
        ({"seeds": ()}, "at least one"),
        ({"lost": 0.0}, "lost is 0.0"),
        ({"starts": 1.5}, "starts is 1.5"),
        (
            {"swingup": SwingUpConfig(Frames(second=Gated()))},
            "'imm' is to be a second encoder, and an imitator has none",
        ),
        ({"swingup": SwingUpConfig(State())}, "observes no frames"),
        ({"swingup": seeing(shift=4)}, "swingup.observe.shift is 4, which has no effect here"),
        (
            {"swingup": seeing(encoder="tcn", start="recorded")},
            "observe.start is 'recorded' and swingup.observe.encoder is 'tcn', which has no effect here",
        ),
        ({"learner": "sac_shft"}, "Did you mean 'sac_shift'"),
        ({"encoder_settings": ("keypoint=2",)}, "Did you mean 'keypoints'"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **changes)


def test_another_teacher_or_view_is_another_video() -> None:
    others = [
        replace(TINY, teacher=Path("teacher")),
        replace(TINY, swingup=replace(TINY.swingup, action_repeat=100)),
        replace(TINY, swingup=seeing(camera="lookatcart")),
        replace(TINY, swingup=seeing(stack=2)),
    ]
    assert len({config.film for config in [TINY, *others]}) == 5
    assert replace(TINY, reward="oracle", steps=80, learner="sac_state").film == TINY.film


def test_a_teacher_that_cannot_be_filmed_is_refused_before_any_work(learned: Learned, tmp_path: Path) -> None:
    config = replace(TINY, out=tmp_path / "out", teacher=tmp_path / "none")
    with pytest.raises(ValueError, match="no complete run"):
        EXPERIMENT.run_all(config)
    good = learned[0].teacher_run.run_folder(0)
    shutil.copytree(good, tmp_path / "failed")
    (tmp_path / "failed" / "result.json").write_text('{"status": "failed", "reason": "cut"}')
    with pytest.raises(ValueError, match="no complete run"):
        EXPERIMENT.run_all(replace(config, teacher=tmp_path / "failed"))
    slower = replace(config, teacher=good, swingup=replace(TINY.swingup, action_repeat=100))
    with pytest.raises(ValueError, match="has action_repeat 125; it takes 100 here"):
        EXPERIMENT.run_all(slower)
    assert not (tmp_path / "out").exists()
    imitation.check_inputs(replace(config, teacher=good))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "lacks observe, preset, task, action_repeat, learning"),
        ("", "is damaged"),
        ("[1]", "holds no JSON object"),
        ("[" * 100_000, "is damaged"),
    ],
)
def test_a_teacher_whose_configuration_is_damaged_is_refused_before_any_work(
    learned: Learned, tmp_path: Path, content: str, message: str
) -> None:
    shutil.copytree(learned[0].teacher_run.run_folder(0), tmp_path / "teacher")
    (tmp_path / "teacher" / "config.json").write_text(content)
    config = replace(TINY, out=tmp_path / "out", teacher=tmp_path / "teacher")
    with pytest.raises(ValueError, match=rf"teacher's configuration .*config\.json {message}.*leave --teacher out"):
        EXPERIMENT.run_all(config)
    assert not (tmp_path / "out").exists()


def test_a_damaged_video_is_named_with_what_to_delete(learned: Learned, tmp_path: Path) -> None:
    config = replace(TINY, out=tmp_path)
    whole = learned[0].film.read_bytes()
    config.film.parent.mkdir()
    for share in (0.0, 0.3, 0.9):
        config.film.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match=r"The demonstration .*\.npz is damaged.*the teacher is filmed again"):
            filmed(config)
    with np.load(learned[0].film) as arrays:
        parts = dict(arrays)
    for name in ("pixels", "joints"):
        np.savez(config.film, **{**parts, name: parts[name][:5]})
        with pytest.raises(ValueError, match=rf"holds {name} of shape \(5, .*, and \(9, "):
            filmed(config)
    np.savez(config.film, **{**parts, "true_return": np.array(np.nan)})
    with pytest.raises(ValueError, match="holds true_return with numbers that are not finite"):
        filmed(config)


@pytest.mark.parametrize(("scale", "message"), [(0.0, "the distance scale 0.0"), (float("nan"), "was never fitted")])
def test_a_given_encoder_without_a_unit_of_distance_is_refused_before_any_work(
    tmp_path: Path, scale: float, message: str
) -> None:
    encoder = encoders.make("imm", image_size=16, channels=9, keypoints=2)
    encoder.distance_scale.fill_(scale)
    encoder.save(tmp_path / "given")
    run = seeing(folder=tmp_path / "given")
    config = replace(TINY, out=tmp_path / "out", encoder_settings=(), learner="embedding", swingup=run)
    with pytest.raises(ValueError, match=message):
        EXPERIMENT.run_all(config)
    assert not (tmp_path / "out").exists()


def test_an_encoder_of_two_views_is_refused_before_any_work(tmp_path: Path) -> None:
    config = replace(TINY, encoder="smak", encoder_settings=(), out=tmp_path / "out")
    with pytest.raises(ValueError, match="'smak' learns from 2 views of a moment, and the cartpole has one camera"):
        EXPERIMENT.run_all(config)
    assert not (tmp_path / "out").exists()
