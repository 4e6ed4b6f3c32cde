"""Runs on the cartpole, small: every kind of variant, cut and resumed, and what is refused before any work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file
from stable_baselines3.common.vec_env import DummyVecEnv

import encoders
from agents import pixel_sac
from agents.auxiliary import AuxiliaryConfig
from agents.pixel_sac import LearningConfig, Preset
from agents.training import read_curve
from encoders.training.fit import FitConfig
from encoders.videos.video import read_video
from experiments.cartpole import swingup
from experiments.cartpole.config import PretrainingConfig, SwingConfig
from experiments.cartpole.figures import draw_points
from experiments.cartpole.pretraining import first_encoder, new_encoder
from experiments.cartpole.recordings import back_and_forth, read_recording, record
from experiments.cartpole.suite import CartpoleSuite
from experiments.cartpole.swingup import swing_all
from experiments.measurements import keypoint_quality, render_speed
from experiments.measurements.keypoint_quality import KeypointQualityConfig, linear_error
from experiments.measurements.render_speed import RenderConfig
from experiments.sweep.grid import Cell, preset_names, read_preset

TINY = SwingConfig(
    variant="sac_imm",
    preset="cpu",
    action_repeat=125,
    steps=48,
    row_episodes=1,
    episodes=2,
    precision="float32",
    device="cpu",
    encoder_settings=("keypoints=2",),
    learning=LearningConfig(learning_starts=12),
    auxiliary=AuxiliaryConfig(videos=2, own_optimizer=True),
    pretraining=PretrainingConfig(4, FitConfig(steps=4, validate_every=2, validation_batches=1)),
)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Frames of 16 pixels, episodes of 8 steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(pixel_sac.PRESETS, "cpu", Preset(16, 2, 8, 16, 4))
        patch.setattr("experiments.cartpole.figures.MOMENTS", (2, 6))
        patch.setattr("experiments.cartpole.figures.FILM_SIZE", 32)
        patch.setattr(swingup, "FILM_SIZE", 32)
        yield


@pytest.fixture(scope="module")
def joint(small: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[SwingConfig, dict[str, Any]]:
    config = replace(TINY, out=tmp_path_factory.mktemp("joint"))
    (result,) = swing_all(config)
    return config, result


def test_a_run_leaves_everything_that_a_run_leaves(joint: tuple[SwingConfig, dict[str, Any]]) -> None:
    config, result = joint
    folder = config.run_folder(0)
    assert result["status"] == "completed"
    assert (result["agent_steps"], result["frames"]) == (48, 6_000)
    assert len(result["returns"]) == 2
    assert result["true_return"] == pytest.approx(np.mean(result["returns"]))
    assert json.loads((folder / "result.json").read_text()) == {**result, "digest": ANY}
    assert {"config.json", "provenance.json", "curves.png", "keypoints.png"} <= {path.name for path in folder.iterdir()}
    assert [row["env_steps"] for row in read_curve(folder / "progress.csv")] == [8, 16, 24, 32, 40, 48]
    assert len(read_video(folder / "swingup.mp4")) == 8
    page = (folder / "report.html").read_text()
    assert f"returns {result['true_return']:.0f} on average" in page
    assert (page.count("<video"), page.count("<img"), page.count('<figure class="chart"')) == (1, 1, 1)
    assert encoders.load(folder / "encoder").name == "imm"


def test_a_cut_run_ends_in_the_same_weights(
    joint: tuple[SwingConfig, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = joint
    cut = replace(TINY, out=tmp_path)
    train = swingup.SharedEncoderSAC.train

    def until(agent: Any, **given: int) -> None:
        if agent.num_timesteps == 44:
            raise KeyboardInterrupt
        train(agent, **given)

    monkeypatch.setattr(swingup.SharedEncoderSAC, "train", until)
    with pytest.raises(KeyboardInterrupt):
        swing_all(cut)
    monkeypatch.setattr(swingup.SharedEncoderSAC, "train", train)
    (result,) = swing_all(replace(cut, resume=True))
    assert result["agent_steps"] == 48
    ours, theirs = (load_file(config.run_folder(0) / "agent" / "policy.safetensors") for config in (cut, whole))
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"variant": "sac_state", "encoder_settings": ()},
        {"variant": "sac_landmarks", "encoder_settings": (), "landmark_noise": 0.5, "landmark_places": 3},
        {"encoder_mode": "frozen"},
        {"encoder_start": "recorded"},
        {"variant": "sac_shift", "encoder_settings": ()},
        {"variant": "sac_imm", "encoder": "tcn", "encoder_settings": ("videos=2", "negative_range=4"), "steps": 16},
    ],
)
def test_other_kinds_of_runs(changes: dict[str, Any], tmp_path: Path) -> None:
    config = replace(TINY, out=tmp_path, **changes)
    (result,) = swing_all(config)
    assert result["status"] == "completed"
    assert (config.run_folder(0) / "swingup.mp4").exists()
    if config.pretrained:
        fitted, own = config.shared_encoder(0), config.run_folder(0) / "encoder"
        same = (fitted / "weights.safetensors").read_bytes() == (own / "weights.safetensors").read_bytes()
        assert same == (config.encoder_mode == "frozen")


@pytest.mark.parametrize("role", ["hint", "gated"])
def test_a_second_encoder_stays_beside_the_one_that_learns_and_a_cut_run_goes_on(
    role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = {"encoder_settings": (), "beside": "imm", "beside_settings": ("keypoints=2",), "beside_role": role}
    configs = [replace(TINY, variant="sac_shift", out=tmp_path / name, **beside) for name in ("whole", "cut")]
    whole, cut = configs
    (result,) = swing_all(whole)
    assert result["beside"] == "imm"
    assert encoders.load(whole.run_folder(0) / "encoder").name == "autoencoder"
    assert (whole.run_folder(0) / "keypoints.png").exists()
    # It is the one that an agent on frozen keypoints alone sees, and is shared with it.
    alone = replace(TINY, encoder_mode="frozen", out=whole.out)
    shared, kept = alone.shared_encoder(0), whole.run_folder(0) / "beside"
    assert (shared / "weights.safetensors").read_bytes() == (kept / "weights.safetensors").read_bytes()
    train = swingup.SharedEncoderSAC.train

    def until(agent: Any, **given: int) -> None:
        if agent.num_timesteps == 44:
            raise KeyboardInterrupt
        train(agent, **given)

    monkeypatch.setattr(swingup.SharedEncoderSAC, "train", until)
    with pytest.raises(KeyboardInterrupt):
        swing_all(cut)
    monkeypatch.setattr(swingup.SharedEncoderSAC, "train", train)
    swing_all(replace(cut, resume=True))
    ours, theirs = (load_file(config.run_folder(0) / "agent" / "policy.safetensors") for config in configs)
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=0, equal_nan=True)


def test_an_agent_sees_the_second_encoders_embedding_beside_its_frames() -> None:
    config = replace(TINY, variant="sac_ae", encoder_settings=(), beside="imm", beside_settings=("keypoints=2",))
    assert config.second is not None
    second = new_encoder(config.second).frozen()
    env = swingup.make_env(config, second, 0)
    observation, _ = env.reset()
    assert observation["pixels"].shape == (9, 16, 16)
    wanted = second.embed(torch.from_numpy(observation["pixels"][None]))[0].numpy()
    np.testing.assert_array_equal(observation["embedding"], wanted)
    assert env.observation_space.contains(observation)
    env.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder_mode": "frozen", "beside": "imm"}, "it trains none; use sac_ae"),
        ({"variant": "sac_state", "encoder_settings": (), "beside": "imm"}, "it trains none; use sac_ae"),
        ({"beside_settings": ("keypoints=2",)}, "add --beside imm"),
        ({"beside_role": "hint"}, "no encoder is beside the agent's own; add --beside imm"),
        ({"beside": "imm", "beside_role": "gate"}, "Did you mean 'gated'"),
        ({"hint_weight": 0.0}, "finite and above 0"),
        ({"beside": "imn"}, "Did you mean 'imm'"),
        ({"beside": "imm", "beside_settings": ("keypoint=2",)}, "keypoints"),
    ],
)
def test_a_wrong_second_encoder_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **changes)


def test_a_second_encoder_is_part_of_what_makes_a_run() -> None:
    plain = replace(TINY, variant="sac_ae", encoder_settings=())
    beside = replace(plain, beside="imm", beside_settings=("keypoints=2",))
    assert "beside" not in plain.identity(0)
    assert beside.identity(0)["beside_settings"] == ("keypoints=2",)
    assert "pretraining" in beside.identity(0)
    assert beside.name != plain.name
    hint, observed = (replace(beside, beside_role=role) for role in ("hint", "observed"))
    assert hint.identity(0).items() >= {"beside_role": "hint", "hint_weight": 100.0}.items()
    assert beside.identity(0)["beside_role"] == "gated"
    assert "hint_weight" not in beside.identity(0)
    # As runs from before there were roles.
    assert not {"beside_role", "hint_weight"} & set(observed.identity(0) | plain.identity(0))
    assert len({beside.name, hint.name, observed.name}) == 3
    assert observed.second == beside.second


def test_the_optimizer_of_a_loss_is_part_of_what_makes_a_run_where_there_is_the_loss() -> None:
    along = replace(TINY, variant="sac_ae", encoder_settings=())
    added = replace(along, auxiliary=AuxiliaryConfig(videos=2))
    assert along.identity(0)["auxiliary"]["own_optimizer"]
    # As runs from before there was a choice.
    assert "own_optimizer" not in added.identity(0)["auxiliary"]
    for changes in ({"variant": "sac"}, {"variant": "sac_shift"}, {"variant": "sac_imm", "encoder_mode": "frozen"}):
        assert replace(along, **changes).identity(0) == replace(added, **changes).identity(0)


def test_a_given_encoder_is_used(joint: tuple[SwingConfig, dict[str, Any]], tmp_path: Path) -> None:
    folder = joint[0].run_folder(0) / "encoder"
    config = replace(TINY, out=tmp_path, encoder_settings=(), encoder_folder=folder, encoder_mode="frozen", steps=16)
    swing_all(config)
    given, kept = (path / "weights.safetensors" for path in (folder, config.run_folder(0) / "encoder"))
    assert given.read_bytes() == kept.read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variant": "sac_inm"}, "Did you mean 'sac_imm'"),
        ({"task": "swing-up"}, "Did you mean 'swingup'"),
        ({"preset": "papers"}, "Did you mean 'paper'"),
        ({"encoder_settings": ("keypoint=3",)}, "Did you mean 'keypoints'"),
        ({"encoder_settings": ("keypoints=17",)}, "16 positions"),
        ({"encoder_settings": ("channels=3",)}, "leave them out"),
        ({"variant": "sac_state"}, "sees the truth"),
        ({"variant": "sac_landmarks", "encoder_settings": (), "landmark_noise": -1.0}, "at least 0"),
        ({"landmark_noise": 0.1}, "is for sac_landmarks alone"),
        ({"landmarks_held": True}, "is for sac_landmarks alone"),
        ({"landmark_places": 3}, "are for sac_landmarks alone"),
        ({"variant": "sac_landmarks", "encoder_settings": (), "landmark_places": 1}, "at least 2"),
        ({"steps": 4}, "a row takes 8 steps"),
        ({"seeds": (1, 1)}, "each once"),
        ({"action_repeat": 0}, "at least 1"),
        ({"variant": "sac_shift", "encoder_settings": (), "encoder_mode": "frozen"}, "frozen one has none"),
        ({"encoder_folder": Path("x")}, "leave --encoder-settings"),
        ({"learning": LearningConfig(gamma=1.0)}, "set mean_start to false"),
        ({"learning": LearningConfig(learning_starts=0)}, "learning_starts 0 there is none"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **changes)


@pytest.mark.parametrize(
    "learning", [LearningConfig(gamma=1.0), LearningConfig(learning_starts=0), LearningConfig(mean_start=False)]
)
def test_an_agent_that_trains_no_encoder_needs_no_mean_to_start_at(learning: LearningConfig) -> None:
    config = replace(TINY, variant="sac_state", encoder_settings=(), learning=learning)
    assert config.learning == learning


def test_a_second_encoder_that_does_not_fit_in_memory_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = {"beside": "imm", "beside_settings": ("keypoints=2", "features=heat_maps")}
    config = replace(TINY, variant="sac_ae", encoder_settings=(), out=tmp_path, **beside)
    assert config.second is not None
    frames = config.kept_steps * 3 * 16 * 16
    memory = SimpleNamespace(available=frames + config.kept_steps * 8 * new_encoder(config.second).embedding_dim - 1)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(ValueError, match="for what is beside"):
        swing_all(config)
    assert not any(tmp_path.iterdir())
    memory.available += 1
    swingup.check_inputs(config)


def test_a_buffer_that_does_not_fit_is_refused_with_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pixel_sac.PRESETS, "cpu", Preset(480, 2, 8, 16, 4))
    with pytest.raises(ValueError, match=r"takes 6912\.0 GB for its frames"):
        replace(TINY, steps=10**7, learning=LearningConfig(buffer_size=10**7))


def test_an_encoder_for_other_frames_is_refused_before_any_work(tmp_path: Path) -> None:
    encoders.make("imm", image_size=24, channels=9).save(tmp_path / "other")
    config = replace(TINY, out=tmp_path / "run", encoder_settings=(), encoder_folder=tmp_path / "other")
    with pytest.raises(ValueError, match=r"made for frames of shape \(B, 9, 24, 24\)"):
        swing_all(config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("changes", [{"encoder_mode": "frozen"}, {"encoder_start": "recorded"}, {}])
def test_an_encoder_of_two_views_is_refused_before_any_work(changes: dict[str, Any], tmp_path: Path) -> None:
    config = replace(TINY, variant="sac_imm", encoder="smak", encoder_settings=(), out=tmp_path / "out", **changes)
    with pytest.raises(ValueError, match="'smak' learns from 2 views of a moment, and the cartpole has one camera"):
        swing_all(config)
    assert not (tmp_path / "out").exists()


def test_recorded_actions_bring_the_cart_back_and_both_tasks_in() -> None:
    actions = back_and_forth(125, np.random.default_rng(0))
    assert actions.shape == (125, 1)
    assert np.abs(actions).max() <= 1
    made = record(4, 0, 16, 8, 1, "fixed", "fast")
    assert made.frames.shape == (4, 125, 16, 16, 3)
    inside = (made.landmarks[:, :, 0, 0] > 0) & (made.landmarks[:, :, 0, 0] < 15)
    assert inside.mean() > 0.9
    # Image rows count downwards: a hanging pole's tip is below the cart.
    first = made.landmarks[:, 0, 1, 1] > made.landmarks[:, 0, 0, 1]
    assert first.tolist() == [True, False, True, False]
    training, validation = made.clips
    assert (len(training), len(validation)) == (2, 2)


def test_a_recording_of_another_size_is_refused(tmp_path: Path) -> None:
    places = {"landmarks": np.zeros((2, 3, 2, 2)), "joints": np.zeros((2, 3, 2)), "velocities": np.zeros((2, 3, 2))}
    np.savez(tmp_path / "seed_0.npz", frames=np.zeros((2, 3, 8, 8, 3), np.uint8), **places)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"frames of shape \(2, 3, 8, 8, 3\), and \(2, 3, 16, 16, 9\) is asked"):
        read_recording(tmp_path / "seed_0.npz", (2, 3, 16, 16, 9))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_a_truncated_recording_is_one_error_that_names_it(tmp_path: Path, share: float) -> None:
    path = tmp_path / "seed_0.npz"
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8, 3), np.uint8)
    truth = {"landmarks": np.zeros((2, 3, 2, 2)), "joints": np.zeros((2, 3, 2)), "velocities": np.zeros((2, 3, 2))}
    np.savez_compressed(path, frames=frames, **truth)  # type: ignore[arg-type]
    np.testing.assert_array_equal(read_recording(path, (2, 3, 8, 8, 3)).frames, frames)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(
        ValueError, match=r"The recording .*seed_0\.npz is damaged.*delete it, and it is recorded again"
    ):
        read_recording(path, (2, 3, 8, 8, 3))


def test_a_small_recording_that_would_take_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "seed_0.npz"
    np.savez_compressed(path, frames=np.zeros((20, 30, 64, 64, 9), np.uint8))
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match="bytes, more than the"):
        read_recording(path, (2, 3, 8, 8, 3))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf")])
def test_a_given_encoder_without_a_unit_of_distance_is_refused_before_any_work(scale: float, tmp_path: Path) -> None:
    encoder = encoders.make("imm", image_size=16, channels=9)
    encoder.distance_scale.fill_(scale)
    encoder.save(tmp_path / "given")
    config = replace(TINY, out=tmp_path / "run", encoder_settings=(), encoder_folder=tmp_path / "given")
    with pytest.raises(ValueError, match=rf"distance.scale (of )?{scale}"):
        swing_all(config)
    assert not (tmp_path / "run").exists()


def test_the_linear_map_is_fitted_on_one_half_and_judged_on_what_is_in_sight() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(4, 50, 6))
    landmarks = (points[..., :4] * 20 + 3).reshape(4, 50, 2, 2)
    assert linear_error(points, landmarks, 32).max() < 1e-9
    landmarks[3, 7] = 1e3
    assert linear_error(points, landmarks, 32).max() < 1e-9
    random = linear_error(rng.uniform(size=(4, 50, 6)), landmarks, 32)
    assert random.min() > 0.1


def test_keypoints_are_judged_beside_their_controls(tmp_path: Path) -> None:
    world = replace(TINY, stack=1, encoder_start="recorded", out=tmp_path)
    rows = keypoint_quality.judge(KeypointQualityConfig((0,), 4, out=tmp_path / "q.csv", world=world))
    assert [row["keypoints"] for row in rows] == ["trained", "untrained", "random points"]
    assert (tmp_path / "q.csv").exists()
    assert (tmp_path / "keypoints_seed0.png").exists()


def test_a_given_encoders_keypoints_are_judged_as_a_new_ones(tmp_path: Path) -> None:
    world = replace(TINY, out=tmp_path)
    new = keypoint_quality.judge(KeypointQualityConfig((0,), 4, out=tmp_path / "new.csv", world=world))
    torch.manual_seed(0)
    new_encoder(world).save(tmp_path / "untrained")
    new_encoder(replace(world, variant="sac_ae_imm", stack=1)).save(tmp_path / "single")
    folders = (tmp_path / "untrained", tmp_path / "single")
    rows = keypoint_quality.judge(KeypointQualityConfig((0,), 4, folders, tmp_path / "given.csv", world))
    assert [row["keypoints"] for row in rows] == [str(folder) for folder in folders]
    (untrained,) = [row for row in new if row["keypoints"] == "untrained"]
    assert rows[0] == {**untrained, "keypoints": str(folders[0]), "seed": ""}
    new_encoder(replace(world, variant="sac", encoder_settings=())).save(tmp_path / "none")
    with pytest.raises(ValueError, match="'autoencoder', which has no keypoints"):
        keypoint_quality.judge(KeypointQualityConfig((0,), 4, (tmp_path / "none",), tmp_path / "q.csv", world))


@pytest.mark.parametrize(
    ("world", "message"),
    [
        (SwingConfig(variant="sac_ae"), "'autoencoder' has no keypoints"),
        (SwingConfig(variant="sac_imm", beside="tcn"), "leave beside out"),
    ],
)
def test_a_world_whose_keypoints_cannot_be_judged_is_refused(world: SwingConfig, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KeypointQualityConfig(world=world)


def test_keypoints_are_drawn_where_they_are() -> None:
    drawn = draw_points(np.zeros((64, 64, 3), np.uint8), np.array([[0.25, 0.75]]))
    rows, columns = np.nonzero(drawn.any(axis=2))
    assert rows.mean() == pytest.approx(47.5)
    assert columns.mean() == pytest.approx(15.5)


def test_drawing_is_timed_beside_dm_control(tmp_path: Path) -> None:
    result = render_speed.measure(RenderConfig(32, 0.05, 1, tmp_path / "r.json", tmp_path / "r.png"))
    assert result["ratio_to_dm_control"]["dm_control"] == 1
    assert result["ratio_to_dm_control"]["fast"] > 2
    assert (tmp_path / "r.png").exists()


def test_the_benchmark_gives_settings_to_run_learning_and_encoder() -> None:
    world = CartpoleSuite(SwingConfig())
    settings = (
        "encoder_mode=frozen",
        "learning_rate=2e-4",
        "weight=0.5",
        "layer_norm=false",
        "precision=float32",
        "keypoints=4",
    )
    cell = Cell("cartpole", world.method("sac_imm@mine", "sac", "task", settings), 2, 5, 1_250)
    config = world.config(cell, Path("here"))
    assert (config.encoder_mode, config.task, config.seeds) == ("frozen", "balance", (5,))
    assert config.learning.learning_rate == 2e-4
    assert config.auxiliary.weight == 0.5
    assert config.learning.layer_norm is False
    assert config.precision == "float32"
    assert config.encoder_settings == ("keypoints=4",)
    assert world.folder(cell, Path("here")) == Path("here/balance-sac_imm@mine-cpu/seed_5")
    beside = world.method(
        "sac_ae@mine", "sac", "task", ("beside=imm", "beside_settings=keypoints=4,features=heat_maps")
    )
    config = world.config(Cell("cartpole", beside, 0, 0, 1_250), Path("here"))
    assert (config.beside, config.beside_settings) == ("imm", ("keypoints=4", "features=heat_maps"))
    assert config.encoder_settings == ()
    with pytest.raises(ValueError, match="Unknown variant"):
        world.method("tcn", "sac", "task", ())
    with pytest.raises(ValueError, match="layer_norm=no of 'sac' cannot be used: Unknown switch 'no'"):
        world.method("sac", "sac", "task", ("layer_norm=no",))
    with pytest.raises(ValueError, match=r"n_steps=1\.5 of 'sac' cannot be used"):
        world.method("sac", "sac", "task", ("n_steps=1.5",))


@pytest.mark.parametrize("preset", [name for name in preset_names() if name.startswith("cartpole")])
def test_presets_of_the_cartpole_are_whole(preset: str) -> None:
    grid = read_preset(preset)
    world = CartpoleSuite(SwingConfig())
    for encoder in grid.encoders:
        world.method(encoder, "sac", "task", tuple(grid.encoder_settings.get(encoder, ())))


def spread_after_first_updates(mean_start: bool) -> float:
    learning = LearningConfig(mean_start=mean_start)
    config = SwingConfig(
        variant="sac_shift", preset="cpu", steps=1_250, learning=learning, device="cpu", precision="float32"
    )
    venv = DummyVecEnv([lambda: swingup.make_env(config, None, seed=1)])
    agent = swingup.new_agent(config, venv, first_encoder(config, 1), 1)
    agent.learn(config.steps)
    venv.close()
    frames = torch.as_tensor(agent.replay_buffer.sample(128).observations)  # type: ignore[union-attr]
    with torch.no_grad():
        return float(agent.critic.features_extractor(frames).std(dim=0).mean())


@pytest.mark.slow
def test_an_encoder_tells_frames_apart_after_its_first_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pixel_sac.PRESETS, "cpu", Preset(64, 2, 64, 256, 16))
    spread = spread_after_first_updates(mean_start=True)
    assert spread > 0.1
    assert spread > 2 * spread_after_first_updates(mean_start=False)


def test_a_finished_run_that_goes_on_for_more_steps_is_the_longer_run(small: None, tmp_path: Path) -> None:
    # Its buffer is full long before the end, as that of the longer run is.
    run = replace(TINY, steps=32, learning=LearningConfig(learning_starts=12, buffer_size=16))
    short, straight = replace(run, out=tmp_path / "short"), replace(run, out=tmp_path / "straight", steps=48)
    (first,) = swing_all(short)
    (extended,) = swing_all(replace(short, steps=48, resume=True))
    (whole,) = swing_all(straight)
    assert (extended["agent_steps"], extended["returns"]) == (48, whole["returns"])
    folders = [config.run_folder(0) for config in (short, straight)]
    ours, theirs = ([{**row, "seconds": 0} for row in read_curve(folder / "progress.csv")] for folder in folders)
    assert ours == theirs
    weights = [load_file(folder / "agent" / "policy.safetensors") for folder in folders]
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name], rtol=0, atol=0, equal_nan=True)
    assert json.loads((folders[0] / "result_32.json").read_text()) == {**first, "digest": ANY}


def test_a_label_is_no_path() -> None:
    with pytest.raises(ValueError, match=r"label is '\.\./\.\./x'; it names a folder, so it must not be a path"):
        SwingConfig(label="../../x")
