"""Encoders fitted on people's own videos."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import encoders
from encoders.base import Encoder
from encoders.clips.recordings import recordings_in
from encoders.metrics import sample_triplets, triplet_accuracy
from encoders.training import fit as fitting
from encoders.training.fit import FitConfig
from encoders.videos.video import write_video
from experiments.any_environment.clips import own_clips, split
from experiments.any_environment.config import ImitationConfig
from experiments.any_environment.encoder_fit import fit_encoder
from experiments.any_environment.environment import EnvironmentConfig
from experiments.any_environment.fit_config import FitEncoderConfig
from experiments.any_environment.motion import changes, moving
from experiments.any_environment.run import check_inputs
from experiments.fit_encoder import main

ENCODER, SMALL = "tcn", ("videos=2",)

TINY = FitConfig(steps=6, validate_every=3, validation_batches=1)


def square(moments: np.ndarray, row: int = 8) -> np.ndarray:
    """A white square that is so many pixels from the left in every frame, (T, 32, 32, 3) uint8."""
    frames = np.zeros((len(moments), 32, 32, 3), np.uint8)
    for frame, place in zip(frames, moments, strict=True):
        frame[row : row + 8, place : place + 8] = 255
    return frames


def film(folder: Path, count: int = 5) -> Path:
    """Videos in which a square goes from left to right, at other heights."""
    for number in range(count):
        write_video(folder / f"clip{number}.mp4", square(np.arange(24), 4 * number), 10)
    return folder


@pytest.fixture
def config(tmp_path: Path) -> FitEncoderConfig:
    return FitEncoderConfig(film(tmp_path / "clips"), tmp_path / "encoder", ENCODER, SMALL, 32, device="cpu", fit=TINY)


def test_the_command_leaves_an_encoder_that_an_imitation_takes(
    config: FitEncoderConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--clips", str(config.clips), "--out", str(config.out), "--image-size", "32", "--device", "cpu"]
    flags += ["--encoder-settings", *SMALL]
    flags += ["--fit.steps", "6", "--fit.validate-every", "3", "--fit.validation-batches", "1", "--threads", "1"]
    monkeypatch.setattr("sys.argv", ["fit_encoder.py", *flags])
    assert main() == 0
    encoder = encoders.load(config.out)
    report = json.loads((config.out / "report.json").read_text())
    assert report["distance_scale"] == pytest.approx(float(encoder.distance_scale))
    assert report["distance_scale"] > 0
    assert len(report["learned_from"]) == 4
    assert len(report["held_out"]) == 1
    assert set(report["learned_from"]) | set(report["held_out"]) == {f"clip{n}.mp4" for n in range(5)}
    assert report["fps"] == pytest.approx(10)
    assert 0 <= report["triplet_accuracy"] <= 1
    said = capsys.readouterr()
    assert f"{report['triplet_accuracy']:.1%}" in said.out + said.err
    imitation = ImitationConfig(
        env=EnvironmentConfig("InvertedPendulum-v5", horizon=14, image_size=32), encoder_folder=config.out
    )
    check_inputs(imitation)
    with pytest.raises(ValueError, match="64"):
        check_inputs(replace(imitation, env=replace(imitation.env, image_size=64)))


def test_the_report_judges_the_encoder_on_what_was_held_out(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    for number in range(3):
        # There and back, so that what is far in time may look alike.
        there = np.concatenate([np.arange(12), np.arange(12)[::-1]])
        write_video(clips / f"{number}.mp4", square(there, 8 * number), 10)
    config = FitEncoderConfig(clips, tmp_path / "encoder", ENCODER, SMALL, 32, validation=0.4, device="cpu", fit=TINY)
    report = fit_encoder(config)
    encoder = encoders.load(config.out)
    own = own_clips(recordings_in(clips), 32, 2, None).clips
    (held,) = report["held_out"]
    embeddings = encoder.embed_video(own.videos[own.names.index(held)][0])
    triplets = sample_triplets(len(embeddings), 100, 3, 10, np.random.default_rng([0, 5]))
    assert report["triplet_accuracy"] == triplet_accuracy(embeddings, triplets, 0.0).plain
    assert report["triplet_accuracy"] < 1


def test_a_training_that_was_cut_goes_on_to_the_same_weights(
    config: FitEncoderConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_encoder(config)
    again = replace(config, out=tmp_path / "again")
    write = fitting.write_checkpoint

    def cut(*arguments: Any) -> None:
        write(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "write_checkpoint", cut)
    with pytest.raises(KeyboardInterrupt):
        fit_encoder(again)
    monkeypatch.undo()
    assert not (again.out / "report.json").exists()
    fit_encoder(again)
    first, second = (encoders.load(folder).state_dict() for folder in (config.out, again.out))
    assert all((first[name] == second[name]).all() for name in first)


def test_a_folder_that_belongs_to_something_else_is_refused_before_videos_are_read(
    config: FitEncoderConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_encoder(config)
    monkeypatch.setattr("experiments.any_environment.encoder_fit.own_clips", lambda *_: pytest.fail("videos were read"))
    with pytest.raises(ValueError, match=r"holds another run: seed differ\(s\)"):
        fit_encoder(replace(config, seed=1))
    film(config.clips, 6)
    with pytest.raises(ValueError, match=r"holds another run: videos differ\(s\)"):
        fit_encoder(config)
    other = config.out.parent / "other"
    other.mkdir()
    (other / "thesis.tex").touch()
    with pytest.raises(ValueError, match="is not empty, and holds no training of this command"):
        fit_encoder(replace(config, out=other))
    with pytest.raises(ValueError, match="is no folder"):
        fit_encoder(replace(config, out=other / "thesis.tex"))


def test_videos_in_which_nothing_moves_or_too_little_does_are_refused_and_leave_nothing(
    config: FitEncoderConfig, tmp_path: Path
) -> None:
    for number in range(3):
        write_video(tmp_path / "still" / f"{number}.mp4", square(np.zeros(20, int)), 10)
    with pytest.raises(ValueError, match="Nothing moves in any of these videos"):
        fit_encoder(replace(config, clips=tmp_path / "still"))
    for number in range(3):
        write_video(tmp_path / "short" / f"{number}.mp4", square(np.arange(3), number), 10)
    with pytest.raises(ValueError, match=r"0 of 3 video\(s\) have \d+ moments at which something moves"):
        fit_encoder(replace(config, clips=tmp_path / "short"))
    with pytest.raises(ValueError, match=r"1 of 1 video\(s\) have"):
        fit_encoder(replace(config, clips=film(tmp_path / "one", 1)))
    (config.clips / "poor.mov").write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"poor\.mov"):
        fit_encoder(config)
    assert not config.out.exists()


def test_a_video_that_is_too_short_is_left_out_with_a_word(
    config: FitEncoderConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(config.clips / "short.mp4", square(np.arange(3)), 10)
    report = fit_encoder(config)
    assert report["left_out"] == {"short.mp4": 3}
    said = capsys.readouterr()
    assert "short.mp4 (3)" in said.out + said.err


def test_an_objective_of_two_views_takes_recordings_of_two_and_refuses_one(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    for number in range(3):
        for view in range(2):
            write_video(clips / f"take{number}_view{view}.mp4", square(np.arange(24), 8 * view + number), 10)
    config = FitEncoderConfig(
        clips,
        tmp_path / "encoder",
        encoder=ENCODER,
        encoder_settings=("objective=n_pairs", "videos=2"),
        image_size=32,
        fit=TINY,
    )
    encoder: Encoder = encoders.make("tcn", image_size=32, objective="n_pairs")
    assert encoder.sampling.views == 2
    report = fit_encoder(replace(config, device="cpu"))
    assert set(report["learned_from"]) | set(report["held_out"]) == {"take0", "take1", "take2"}
    with pytest.raises(ValueError, match=r"clip\d\.mp4 has 1 view\(s\) and this encoder's objective needs 2"):
        fit_encoder(replace(config, clips=film(tmp_path / "single"), out=tmp_path / "second"))


def test_moments_at_which_nothing_moves_are_left_out(tmp_path: Path) -> None:
    pausing = np.concatenate([np.arange(10), np.full(10, 9), np.arange(10, 20)])
    write_video(tmp_path / "a.mp4", square(pausing), 10)
    own = own_clips(recordings_in(tmp_path), 32, 2, None)
    assert own.fps == pytest.approx(10)
    assert own.clips.videos[0].shape == (1, 20, 32, 32, 3)


def test_changes_of_long_videos_are_those_of_all_successive_frames() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1100, 2, 2, 3), np.uint8)
    flat = frames.reshape(len(frames), -1).astype(float)
    np.testing.assert_allclose(changes(frames), np.linalg.norm(np.diff(flat, axis=0), axis=1), rtol=1e-6)
    assert len(changes(frames[:1])) == 0
    assert moving(frames, 0.0).tolist() == list(range(1100))


def test_some_clips_are_held_out_and_never_all(tmp_path: Path) -> None:
    own = own_clips(recordings_in(film(tmp_path)), 32, 2, None).clips
    for share, held in ((0.2, 1), (0.4, 2), (0.99, 4), (0.01, 1)):
        learned, validation = split(own, share, np.random.default_rng(0))
        assert len(validation) == held
        assert sorted([*learned.names, *validation.names]) == sorted(own.names)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"fps": 0.0}, r"fps is 0\.0"),
        ({"validation": 1.0}, r"validation is 1\.0"),
        ({"threads": 0}, "threads"),
        ({"encoder": "tcm"}, "tcm"),
        ({"encoder_settings": ("image_size=32",)}, "The frames settle image_size"),
        ({"device": "tpu"}, "tpu"),
    ],
)
def test_settings_that_are_none_are_refused(changed: dict[str, Any], complaint: str, config: FitEncoderConfig) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(config, **changed)
