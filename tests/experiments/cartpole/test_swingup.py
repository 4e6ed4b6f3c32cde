"""Runs on the cartpole, small: every kind of observation, cut and resumed, and what is refused before any work."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
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
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.figures import draw_points
from experiments.cartpole.landmarks import Landmarks
from experiments.cartpole.observation import OBSERVATIONS, Frames, PretrainingConfig, State, name_of, observation
from experiments.cartpole.pretraining import first_encoder, new_encoder
from experiments.cartpole.recordings import back_and_forth, read_recording, record
from experiments.cartpole.second_encoder import Distilled, Gated, Observed
from experiments.cartpole.suite import CartpoleSuite
from experiments.cartpole.swingup import train_all
from experiments.measurements import keypoint_quality, render_speed
from experiments.measurements.keypoint_quality import KeypointQualityConfig, linear_error
from experiments.measurements.render_speed import RenderConfig
from experiments.runs import command_line
from experiments.sweep.grid import Cell, preset_names, read_preset

KEYPOINTS = Frames(
    "imm",
    ("keypoints=2",),
    auxiliary=AuxiliaryConfig(videos=2, own_optimizer=True),
    precision="float32",
    pretraining=PretrainingConfig(4, FitConfig(steps=4, validate_every=2, validation_batches=1)),
)

LATENT = replace(KEYPOINTS, encoder="autoencoder", settings=())

SHIFTED = replace(LATENT, auxiliary=AuxiliaryConfig(weight=0.0), shift=4)

TINY = SwingUpConfig(
    KEYPOINTS,
    preset="cpu",
    action_repeat=125,
    steps=48,
    row_episodes=1,
    episodes=2,
    device="cpu",
    learning=LearningConfig(learning_starts=12),
)


def seeing(**changes: Any) -> SwingUpConfig:
    """The run on keypoints, with some of what it observes changed."""
    return replace(TINY, observe=replace(KEYPOINTS, **changes))


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
def joint(small: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[SwingUpConfig, dict[str, Any]]:
    config = replace(TINY, out=tmp_path_factory.mktemp("joint"))
    (result,) = train_all(config)
    return config, result


def test_a_run_leaves_everything_that_a_run_leaves(joint: tuple[SwingUpConfig, dict[str, Any]]) -> None:
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
    joint: tuple[SwingUpConfig, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
        train_all(cut)
    monkeypatch.setattr(swingup.SharedEncoderSAC, "train", train)
    (result,) = train_all(replace(cut, resume=True))
    assert result["agent_steps"] == 48
    ours, theirs = (load_file(config.run_folder(0) / "agent" / "policy.safetensors") for config in (cut, whole))
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    "config",
    [
        replace(TINY, observe=State()),
        replace(TINY, observe=Landmarks(noise=0.5, places=3)),
        seeing(mode="frozen"),
        seeing(start="recorded"),
        replace(TINY, observe=SHIFTED),
        replace(seeing(encoder="tcn", settings=("videos=2", "negative_range=4")), steps=16),
    ],
    ids=lambda config: config.observe.name,
)
def test_other_kinds_of_runs(config: SwingUpConfig, tmp_path: Path) -> None:
    config = replace(config, out=tmp_path)
    (result,) = train_all(config)
    assert result["status"] == "completed"
    assert (config.run_folder(0) / "swingup.mp4").exists()
    if config.fits:
        fitted, own = config.shared_encoder(0), config.run_folder(0) / "encoder"
        same = (fitted / "weights.safetensors").read_bytes() == (own / "weights.safetensors").read_bytes()
        assert same == (config.frames.mode == "frozen")


@pytest.mark.parametrize("role", [Distilled, Gated])
def test_a_second_encoder_stays_as_it_is_and_a_cut_run_goes_on(
    role: type[Distilled | Gated], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe = replace(SHIFTED, second=role("imm", ("keypoints=2",)))
    configs = [replace(TINY, observe=observe, out=tmp_path / name) for name in ("whole", "cut")]
    whole, cut = configs
    (result,) = train_all(whole)
    assert result["second_encoder"] == "imm"
    assert encoders.load(whole.run_folder(0) / "encoder").name == "autoencoder"
    assert (whole.run_folder(0) / "keypoints.png").exists()
    # It is the one that an agent on frozen keypoints alone sees, and is shared with it.
    alone = replace(seeing(mode="frozen"), out=whole.out)
    shared, kept = alone.shared_encoder(0), whole.run_folder(0) / "second_encoder"
    assert (shared / "weights.safetensors").read_bytes() == (kept / "weights.safetensors").read_bytes()
    train = swingup.SharedEncoderSAC.train

    def until(agent: Any, **given: int) -> None:
        if agent.num_timesteps == 44:
            raise KeyboardInterrupt
        train(agent, **given)

    monkeypatch.setattr(swingup.SharedEncoderSAC, "train", until)
    with pytest.raises(KeyboardInterrupt):
        train_all(cut)
    monkeypatch.setattr(swingup.SharedEncoderSAC, "train", train)
    train_all(replace(cut, resume=True))
    ours, theirs = (load_file(config.run_folder(0) / "agent" / "policy.safetensors") for config in configs)
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=0, equal_nan=True)


def test_an_agent_sees_the_second_encoders_embedding_beside_its_frames() -> None:
    config = replace(TINY, observe=replace(LATENT, second=Gated("imm", ("keypoints=2",))))
    assert config.through_second is not None
    second = new_encoder(config.through_second).frozen()
    env = swingup.make_env(config, second, 0)
    observation, _ = env.reset()
    assert observation["pixels"].shape == (9, 16, 16)
    wanted = second.embed(torch.from_numpy(observation["pixels"][None]))[0].numpy()
    np.testing.assert_array_equal(observation["embedding"], wanted)
    assert env.observation_space.contains(observation)
    env.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: seeing(mode="frozen", second=Gated()), "'imm', is for an encoder that the agent trains"),
        (lambda: Distilled(weight=0.0), "finite and above 0"),
        (lambda: Gated("imn"), "Did you mean 'imm'"),
        (lambda: seeing(second=Gated("imm", ("keypoint=2",))), "Did you mean 'keypoints'"),
    ],
)
def test_a_wrong_second_encoder_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_second_encoder_is_part_of_what_makes_a_run() -> None:
    plain = replace(TINY, observe=LATENT)
    gated, distilled, observed = (
        replace(TINY, observe=replace(LATENT, second=role("imm", ("keypoints=2",))))
        for role in (Gated, Distilled, Observed)
    )
    content = {"encoder": "imm", "settings": ("keypoints=2",)}
    assert plain.identity(0)["observe"]["second"] is None
    assert "pretraining" not in plain.identity(0)["observe"]
    assert "pretraining" in gated.identity(0)["observe"]
    assert gated.identity(0)["observe"]["second"] == {"role": "gated", **content}
    assert observed.identity(0)["observe"]["second"] == {"role": "observed", **content}
    assert distilled.identity(0)["observe"]["second"] == {"role": "distilled", "weight": 100.0, **content}
    assert len({config.variant for config in (plain, gated, distilled, observed)}) == 4
    assert observed.through_second == gated.through_second


def test_what_does_not_apply_is_no_part_of_what_makes_a_run() -> None:
    along = replace(TINY, observe=LATENT)
    added = replace(along, observe=replace(LATENT, auxiliary=AuxiliaryConfig(videos=2)))
    assert along.identity(0)["observe"]["auxiliary"]["own_optimizer"]
    assert not added.identity(0)["observe"]["auxiliary"]["own_optimizer"]
    none = {"weight": 0.0}
    for changes, loss in (({}, none), ({"shift": 4}, none), ({"encoder": "imm", "mode": "frozen"}, {})):
        one, other = (
            replace(
                config, observe=replace(config.frames, auxiliary=replace(config.frames.auxiliary, **loss), **changes)
            )
            for config in (along, added)
        )
        assert one != other
        assert one.identity(0) == other.identity(0)
    learning = replace(TINY.learning, mean_start=False)
    for observe in (State(), Landmarks(), replace(KEYPOINTS, mode="frozen")):
        config = replace(TINY, observe=observe)
        assert replace(config, learning=learning).identity(0) == config.identity(0)
    assert replace(TINY, learning=learning).identity(0) != TINY.identity(0)
    assert State().content.keys() == {"kind"}


def test_a_run_is_named_by_what_it_observes() -> None:
    assert SwingUpConfig(preset="cpu").variant == "swingup-sac_shift-cpu"
    for name, observe in OBSERVATIONS.items():
        assert name_of(observe) == name
    assert TINY.variant == "swingup-imm-keypoints=2-loss=1-cpu"
    others = [
        *(seeing(**changes) for changes in ({"mode": "frozen"}, {"start": "recorded"}, {"shift": 2}, {"settings": ()})),
        replace(TINY, observe=Landmarks(noise=0.5)),
        replace(TINY, observe=Landmarks(held=True)),
        replace(TINY, observe=Landmarks(places=3)),
    ]
    assert len({config.variant for config in [TINY, *others]}) == 8


def test_a_given_encoder_is_used(joint: tuple[SwingUpConfig, dict[str, Any]], tmp_path: Path) -> None:
    folder = joint[0].run_folder(0) / "encoder"
    config = replace(seeing(settings=(), folder=folder, mode="frozen"), out=tmp_path, steps=16)
    train_all(config)
    given, kept = (path / "weights.safetensors" for path in (folder, config.run_folder(0) / "encoder"))
    assert given.read_bytes() == kept.read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "swing-up"}, "Did you mean 'swingup'"),
        ({"preset": "papers"}, "Did you mean 'paper'"),
        ({"steps": 4}, "a row takes 8 steps"),
        ({"seeds": (1, 1)}, "each once"),
        ({"action_repeat": 0}, "at least 1"),
        ({"learning": LearningConfig(gamma=1.0)}, "set mean_start to false"),
        ({"learning": LearningConfig(learning_starts=0)}, "learning_starts 0 there is none"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **changes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: observation("sac_inm"), "Unknown observation 'sac_inm'. Did you mean 'sac_imm'"),
        (lambda: seeing(encoder="imn"), "Did you mean 'imm'"),
        (lambda: seeing(settings=("keypoint=3",)), "Did you mean 'keypoints'"),
        (lambda: seeing(settings=("keypoints=17",)), "16 positions"),
        (lambda: seeing(settings=("channels=3",)), "leave them out"),
        (lambda: seeing(mode="froze"), "Did you mean 'frozen'"),
        (lambda: seeing(start="record"), "Did you mean 'recorded'"),
        (lambda: seeing(camera="fix"), "Did you mean 'fixed'"),
        (lambda: seeing(stack=0), "stack is 0; it must be at least 1"),
        (lambda: seeing(shift=-1), "shift is -1; it must be at least 0"),
        (lambda: seeing(shift=4, mode="frozen"), "a shift of 4 is for an encoder that the agent trains"),
        (lambda: seeing(folder=Path("x")), "leave the encoder's settings and its start out"),
        (lambda: seeing(settings=(), folder=Path("x"), start="recorded"), "leave the encoder's settings and its start"),
        (lambda: Landmarks(noise=-1.0), "at least 0"),
        (lambda: Landmarks(places=1), "at least 2"),
        (lambda: Landmarks(stack=0), "stack is 0"),
        (lambda: SwingUpConfig(State()).frames, "sac_state-.* observes no frames"),
    ],
)
def test_wrong_observations_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("flags", "observe"),
    [
        ("", OBSERVATIONS["sac_shift"]),
        ("--observe.shift 2", replace(OBSERVATIONS["sac_shift"], shift=2)),  # type: ignore[arg-type]
        (
            "observe:sac_imm --observe.mode frozen --steps 2000",
            Frames("imm", mode="frozen", auxiliary=AuxiliaryConfig()),
        ),
        ("--steps 2000 observe:sac-landmarks --observe.noise 0.3", Landmarks(noise=0.3)),
        ("observe:sac_state", State()),
        (
            "observe:sac_ae observe.second:distilled --observe.second.weight 5 --observe.second.settings keypoints=4",
            Frames(auxiliary=AuxiliaryConfig(), second=Distilled("imm", ("keypoints=4",), 5.0)),
        ),
    ],
)
def test_the_command_line_takes_a_named_observation_and_what_is_changed_of_it(
    flags: str, observe: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["swingup_cartpole.py", *flags.split()])
    found: list[SwingUpConfig] = []
    assert command_line.run(SwingUpConfig, found.append, None) == 0
    assert found[0].observe == observe
    assert found[0].steps == (2_000 if "--steps" in flags else 12_500)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("observe:sac_imm --observe.settings keypoint=3", "error: Unknown encoder setting 'keypoint'. Did you mean"),
        ("observe:sac_landmarks --observe.noise -1", "error: noise is -1.0; it must be finite and at least 0."),
        (
            "observe:sac_ae observe.second:distilled --observe.second.weight 0",
            "error: The weight of the distillation is",
        ),
    ],
)
def test_a_wrong_observation_is_one_line_of_the_command_line(
    flags: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["swingup_cartpole.py", *flags.split()])
    assert command_line.run(SwingUpConfig, print, None) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(message)


@pytest.mark.parametrize(
    "flags",
    [
        "observe:sac_state --observe.shift 3",
        "observe:sac_imm --observe.noise 1",
        "observe:sac --observe.second.encoder imm",
    ],
)
def test_what_does_not_apply_cannot_be_given(flags: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["swingup_cartpole.py", *flags.split()])
    with pytest.raises(SystemExit) as stop:
        command_line.run(SwingUpConfig, print, None)
    assert stop.value.code == 2


@pytest.mark.parametrize(
    "learning", [LearningConfig(gamma=1.0), LearningConfig(learning_starts=0), LearningConfig(mean_start=False)]
)
def test_an_agent_that_trains_no_encoder_needs_no_mean_to_start_at(learning: LearningConfig) -> None:
    config = replace(TINY, observe=State(), learning=learning)
    assert config.learning == learning


def test_a_second_encoder_that_does_not_fit_in_memory_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = Gated("imm", ("keypoints=2", "features=heat_maps"))
    config = replace(TINY, observe=replace(LATENT, second=second), out=tmp_path)
    assert config.through_second is not None
    frames = config.kept_steps * 3 * 16 * 16
    memory = SimpleNamespace(
        available=frames + config.kept_steps * 8 * new_encoder(config.through_second).embedding_dim - 1
    )
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(ValueError, match="for its vectors"):
        train_all(config)
    assert not any(tmp_path.iterdir())
    memory.available += 1
    swingup.check_inputs(config)


def test_a_buffer_that_does_not_fit_is_refused_with_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pixel_sac.PRESETS, "cpu", Preset(480, 2, 8, 16, 4))
    with pytest.raises(ValueError, match=r"takes 6912\.0 GB for its frames"):
        replace(TINY, steps=10**7, learning=LearningConfig(buffer_size=10**7))


def test_an_encoder_for_other_frames_is_refused_before_any_work(tmp_path: Path) -> None:
    encoders.make("imm", image_size=24, channels=9).save(tmp_path / "other")
    config = replace(seeing(settings=(), folder=tmp_path / "other"), out=tmp_path / "run")
    with pytest.raises(ValueError, match=r"made for frames of shape \(B, 9, 24, 24\)"):
        train_all(config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("changes", [{"mode": "frozen"}, {"start": "recorded"}, {}])
def test_an_encoder_of_two_views_is_refused_before_any_work(changes: dict[str, Any], tmp_path: Path) -> None:
    config = replace(seeing(encoder="smak", settings=(), **changes), out=tmp_path / "out")
    with pytest.raises(ValueError, match="'smak' learns from 2 views of a moment, and the cartpole has one camera"):
        train_all(config)
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
    config = replace(seeing(settings=(), folder=tmp_path / "given"), out=tmp_path / "run")
    with pytest.raises(ValueError, match=rf"distance.scale (of )?{scale}"):
        train_all(config)
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
    run = replace(seeing(stack=1, start="recorded"), out=tmp_path)
    rows = keypoint_quality.judge(KeypointQualityConfig((0,), 4, out=tmp_path / "q.csv", swingup=run))
    assert [row["keypoints"] for row in rows] == ["trained", "untrained", "random points"]
    assert (tmp_path / "q.csv").exists()
    assert (tmp_path / "keypoints_seed0.png").exists()


def test_a_given_encoders_keypoints_are_judged_as_a_new_ones(tmp_path: Path) -> None:
    run = replace(TINY, out=tmp_path)
    new = keypoint_quality.judge(KeypointQualityConfig((0,), 4, out=tmp_path / "new.csv", swingup=run))
    torch.manual_seed(0)
    new_encoder(run).save(tmp_path / "untrained")
    new_encoder(seeing(encoder="autoencoder_imm", stack=1)).save(tmp_path / "single")
    folders = (tmp_path / "untrained", tmp_path / "single")
    rows = keypoint_quality.judge(KeypointQualityConfig((0,), 4, folders, tmp_path / "given.csv", run))
    assert [row["keypoints"] for row in rows] == [str(folder) for folder in folders]
    (untrained,) = [row for row in new if row["keypoints"] == "untrained"]
    assert rows[0] == {**untrained, "keypoints": str(folders[0]), "seed": ""}
    new_encoder(replace(run, observe=LATENT)).save(tmp_path / "none")
    with pytest.raises(ValueError, match="'autoencoder', which has no keypoints"):
        keypoint_quality.judge(KeypointQualityConfig((0,), 4, (tmp_path / "none",), tmp_path / "q.csv", run))


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (SwingUpConfig(Frames("autoencoder")), "'autoencoder' has no keypoints"),
        (SwingUpConfig(Frames("imm", second=Gated("tcn"))), "leave second out"),
    ],
)
def test_a_run_whose_keypoints_cannot_be_judged_is_refused(run: SwingUpConfig, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KeypointQualityConfig(swingup=run)


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
    suite = CartpoleSuite(SwingUpConfig())
    settings = (
        "observe.mode=frozen",
        "learning.learning_rate=2e-4",
        "observe.auxiliary.weight=0.5",
        "learning.layer_norm=false",
        "observe.precision=float32",
        "encoder.keypoints=4",
    )
    cell = Cell("cartpole", suite.method("sac_imm@mine", "sac", "task", settings), 2, 5, 1_250)
    config = suite.config(cell, Path("here"))
    assert (config.frames.mode, config.task, config.seeds) == ("frozen", "balance", (5,))
    assert config.learning.learning_rate == 2e-4
    assert config.frames.auxiliary.weight == 0.5
    assert config.learning.layer_norm is False
    assert config.frames.precision == "float32"
    assert config.frames.settings == ("keypoints=4",)
    assert suite.folder(cell, Path("here")) == Path("here/balance-sac_imm@mine-cpu/seed_5")
    second = suite.method(
        "sac_ae@mine",
        "sac",
        "task",
        (
            "observe.second.settings=keypoints=4,features=heat_maps",
            "observe.second=distilled",
            "observe.second.weight=3",
        ),
    )
    config = suite.config(Cell("cartpole", second, 0, 0, 1_250), Path("here"))
    assert config.frames.second == Distilled("imm", ("keypoints=4", "features=heat_maps"), 3.0)
    assert config.frames.settings == ()
    with pytest.raises(ValueError, match="Unknown observation"):
        suite.method("tcn", "sac", "task", ())
    with pytest.raises(ValueError, match=r"settings of 'sac' cannot be used: layer_norm=no: Unknown switch 'no'"):
        suite.method("sac", "sac", "task", ("learning.layer_norm=no",))
    with pytest.raises(
        ValueError, match=r"settings of 'sac' cannot be used: n_steps=1\.5: It must be a value of type int"
    ):
        suite.method("sac", "sac", "task", ("learning.n_steps=1.5",))
    with pytest.raises(ValueError, match="'sac_state' sees through no encoder"):
        suite.method("sac_state", "sac", "task", ("encoder.keypoints=4",))
    with pytest.raises(ValueError, match="Unknown setting of State 'shift'"):
        suite.method("sac_state", "sac", "task", ("observe.shift=4",))


def test_a_preset_sets_an_encoders_own_names_that_the_run_has_too() -> None:
    suite = CartpoleSuite(SwingUpConfig())
    settings = (
        "observe.encoder=tcn",
        "encoder.hidden=32",
        "encoder.videos=3",
        "learning.hidden=64",
        "observe.auxiliary.videos=5",
    )
    config = suite.config(Cell("cartpole", suite.method("sac_imm@tcn", "sac", "task", settings), 0, 0, 1_250), Path())
    assert (config.frames.encoder, config.frames.settings) == ("tcn", ("hidden=32", "videos=3"))
    assert (config.learning.hidden, config.frames.auxiliary.videos) == (64, 5)


@pytest.mark.parametrize("preset", [name for name in preset_names() if name.startswith("cartpole")])
def test_presets_of_the_cartpole_are_whole(preset: str) -> None:
    grid = read_preset(preset)
    suite = CartpoleSuite(SwingUpConfig())
    for encoder in grid.encoders:
        suite.method(encoder, "sac", "task", tuple(grid.encoder_settings.get(encoder, ())))


def spread_after_first_updates(mean_start: bool) -> float:
    learning = LearningConfig(mean_start=mean_start)
    config = SwingUpConfig(
        Frames(shift=4, precision="float32"), preset="cpu", steps=1_250, learning=learning, device="cpu"
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
    (first,) = train_all(short)
    (extended,) = train_all(replace(short, steps=48, resume=True))
    (whole,) = train_all(straight)
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
        SwingUpConfig(label="../../x")
