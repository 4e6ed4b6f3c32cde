"""The recorded multi-view set: what lies on the disk, and what is true of it."""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_view_pairs import PAIRS, viewed

from encoders.clips.clips import open_folder, read_labels
from encoders.videos.video import read_video
from envs.kuka import MIN_HEIGHT, KukaReach
from experiments.comparison import record_views
from experiments.comparison.config import ViewPairsConfig
from experiments.comparison.view_pairs import (
    ATTRIBUTES,
    attributes,
    reaching_path,
    record_pair,
    record_pairs,
)

MakeKuka = Callable[..., KukaReach]
NAMES = [f"reach_{index:04d}" for index in range(6)]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return viewed(tmp_path_factory.getbasetemp())


def files(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_every_demonstration_has_two_views_and_its_truth(folder: Path) -> None:
    expected = {"recordings.json", "labels.csv"}
    for name in NAMES:
        expected |= {f"{name}_view0.mp4", f"{name}_view1.mp4", f"{name}_truth.npz"}
        views = [read_video(folder / f"{name}_view{view}.mp4") for view in (0, 1)]
        assert [view.shape for view in views] == [(16, 32, 32, 3)] * 2
        assert abs(views[0].astype(int) - views[1]).mean() > 5
        with np.load(folder / f"{name}_truth.npz", allow_pickle=False) as truth:
            assert truth["joint_positions"].shape == (16, 7)
            assert truth["link_positions"].shape == (16, 7, 3)
            assert truth["target"].shape == (3,)
    assert set(files(folder)) == expected
    assert PAIRS.names == NAMES


def test_the_truth_is_what_the_arm_does(folder: Path, make_kuka: MakeKuka) -> None:
    env = make_kuka(camera=None)
    with np.load(folder / "reach_0002_truth.npz", allow_pickle=False) as truth:
        for pose, links in zip(truth["joint_positions"], truth["link_positions"], strict=True):
            env.set_pose(pose)
            np.testing.assert_allclose(env.link_positions(), links, atol=1e-9)


def test_the_first_camera_stands_while_the_second_moves(folder: Path) -> None:
    # The top of the picture shows the wall alone, and its corners the floor at most.
    for name in NAMES:
        still, moving = (read_video(folder / f"{name}_view{view}.mp4").astype(int) for view in (0, 1))
        unchanged = [(abs(np.diff(view, axis=0)).max(axis=(0, 3)) <= 8).mean() for view in (still, moving)]
        assert unchanged[0] > 0.3
        assert unchanged[0] > 1.2 * unchanged[1]


def test_every_video_looks_different_and_does_the_same(folder: Path) -> None:
    frames = [read_video(folder / f"{name}_view0.mp4")[0].astype(int) for name in NAMES]
    paths = []
    for name in NAMES:
        with np.load(folder / f"{name}_truth.npz", allow_pickle=False) as truth:
            paths.append(truth["joint_positions"])
    for first in range(6):
        for second in range(first):
            assert abs(frames[first] - frames[second]).mean() > 10
            assert 0.01 < abs(paths[first] - paths[second]).mean() < 1.0


def test_the_set_is_opened_as_clips_with_labels(folder: Path) -> None:
    clips = open_folder(folder, 16)
    assert list(clips.names) == NAMES
    assert [video.shape for video in clips.videos] == [(2, 16, 16, 16, 3)] * 6
    labels = read_labels(folder, clips)
    assert labels is not None
    assert labels.attributes == ATTRIBUTES
    for name, video in zip(NAMES, labels.videos, strict=True):
        with np.load(folder / f"{name}_truth.npz", allow_pickle=False) as truth:
            np.testing.assert_array_equal(video, attributes(truth["link_positions"], truth["target"]))
    together = np.concatenate(labels.videos)
    assert 0.1 < together.mean() < 0.9
    with (folder / "labels.csv").open() as file:
        assert len(list(csv.reader(file))) == 1 + 6 * 16


@pytest.mark.parametrize("name", ["reach_0001", "reach_0005"])
def test_the_same_seed_records_the_same(tmp_path: Path, folder: Path, name: str) -> None:
    # Here in this process and alone, there in a pool among others.
    record_pair(name, PAIRS, tmp_path)
    assert (tmp_path / f"{name}_truth.npz").read_bytes() == (folder / f"{name}_truth.npz").read_bytes()
    for view in (0, 1):
        mine, theirs = (read_video(place / f"{name}_view{view}.mp4") for place in (tmp_path, folder))
        np.testing.assert_array_equal(mine, theirs)


def test_recording_again_changes_nothing_and_what_is_missing_is_recorded(tmp_path: Path, folder: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    before = files(copy)
    record_pairs(PAIRS, copy, workers=1)
    assert files(copy) == before
    truth = (copy / "reach_0003_truth.npz").read_bytes()
    labels = (copy / "labels.csv").read_bytes()
    (copy / "reach_0003_truth.npz").unlink()
    (copy / "labels.csv").unlink()
    (copy / ".video-left").mkdir()
    record_pairs(PAIRS, copy, workers=1)
    after = files(copy)
    assert set(after) == set(before)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"reach_0003_view0.mp4", "reach_0003_view1.mp4", "reach_0003_truth.npz", "labels.csv"}
    assert (copy / "reach_0003_truth.npz").read_bytes() == truth
    assert (copy / "labels.csv").read_bytes() == labels


def test_labels_are_not_derived_from_a_damaged_truth(tmp_path: Path, folder: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "labels.csv").unlink()
    truth = copy / "reach_0003_truth.npz"
    whole = truth.read_bytes()
    np.savez(truth, link_positions=np.zeros((5, 7, 3)), target=np.zeros(3))
    with pytest.raises(ValueError, match=r"of shape \(5, 7, 3\), and \(16, 7, 3\).*delete it, and reach_0003 is rec"):
        record_pairs(PAIRS, copy, workers=1)
    truth.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match=r"The truth .*reach_0003_truth\.npz is damaged"):
        record_pairs(PAIRS, copy, workers=1)
    assert not (copy / "labels.csv").exists()
    truth.unlink()
    record_pairs(PAIRS, copy, workers=1)
    assert truth.read_bytes() == whole
    assert (copy / "labels.csv").read_bytes() == (folder / "labels.csv").read_bytes()


def test_a_folder_of_another_configuration_is_refused_and_left_alone(folder: Path) -> None:
    before = files(folder)
    with pytest.raises(ValueError, match=r"holds another run: seed, videos differ"):
        record_pairs(replace(PAIRS, videos=7, seed=1), folder, workers=1)
    assert files(folder) == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"videos": 1}, "videos must be at least 2 and frames at least 8; got 1 and 50"),
        ({"frames": 7}, "frames at least 8; got 235 and 7"),
        ({"image_size": 33}, "image_size is 33; mp4 needs an even number, from 16 to 1024"),
        ({"image_size": 14}, "image_size is 14"),
        ({"image_size": 1026}, "image_size is 1026"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ViewPairsConfig(**settings)


def test_a_path_passes_its_target_above_the_floor_and_never_halts(make_kuka: MakeKuka) -> None:
    env = make_kuka(camera=None)
    for seed in range(15):
        path, at_target = reaching_path(env, 50, np.random.default_rng(seed))
        target = env.hand_of(at_target)
        links = []
        for pose in path:
            env.set_pose(pose)
            links.append(env.link_positions())
        positions = np.stack(links)
        assert path.shape == (50, 7)
        assert (path >= env.joint_lower).all()
        assert (path <= env.joint_upper).all()
        assert positions[:, 2:, 2].min() >= MIN_HEIGHT / 2
        assert np.linalg.norm(np.diff(path, axis=0), axis=1).min() > 0.005
        # Somewhere in the middle it is at the target, which it comes to and leaves again.
        columns = dict(zip(ATTRIBUTES, attributes(positions, target).T, strict=True))
        there = int(np.linalg.norm(positions[:, -1] - target, axis=1).argmin())
        assert 0.4 < there / 49 < 0.6
        assert columns["at_target"][there]
        assert not columns["at_target"][[0, -1]].any()
        assert columns["reaching"][: there - 2].sum() > there / 3
        assert columns["leaving"][there + 2 :].sum() > (49 - there) / 3


def test_attributes_by_hand() -> None:
    # The hand goes along x towards a target at 1 m, and 2 cm beyond.
    hand = np.array([0.70, 0.76, 0.85, 0.91, 0.999, 1.02])
    links = np.zeros((6, 7, 3))
    links[:, -1, 0] = hand
    links[:, -1, 2] = [0.0, 0.0, 2.0, 0.0, 0.0, 0.0]
    links[:, 3, 2] = [2.0, 0.0, 0.0, 0.0, 0.0, 2.0]
    target = np.array([1.0, 0.0, 0.0])
    found = dict(zip(ATTRIBUTES, attributes(links, target).T.astype(int).tolist(), strict=True))
    assert found["elbow_high"] == [1, 0, 0, 0, 0, 1]
    assert found["hand_high"] == [0, 0, 1, 0, 0, 0]
    assert found["arm_stretched"][2] == 1
    links[2, -1, 2] = 0.0
    found = dict(zip(ATTRIBUTES, attributes(links, target).T.astype(int).tolist(), strict=True))
    # Distances 30, 24, 15, 9, 0.1 and 2 cm.
    assert found["near_target"] == [0, 1, 1, 1, 1, 1]
    assert found["at_target"] == [0, 0, 0, 1, 1, 1]
    # Their slopes, centred: -6, -7.5, -7.5, -7.45, -3.5 and 1.9 cm a frame.
    assert found["reaching"] == [1, 1, 1, 1, 1, 0]
    assert found["leaving"] == [0, 0, 0, 0, 0, 1]


def test_standing_still_is_neither_reaching_nor_leaving() -> None:
    links = np.zeros((5, 7, 3))
    found = dict(zip(ATTRIBUTES, attributes(links, np.array([0.5, 0.0, 0.0])).T, strict=True))
    assert not found["reaching"].any()
    assert not found["leaving"].any()
    assert not found["near_target"].any()


def test_the_command_line_records_and_tells_mistakes_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, folder: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    given = ["--out", str(copy), "--record.videos", "6", "--record.frames", "16", "--workers", "1"]
    monkeypatch.setattr(sys, "argv", ["record_views.py", *given, "--record.image-size", "32"])
    assert record_views.main() == 0
    assert "6 demonstrations from 2 cameras in" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["record_views.py", *given, "--record.image-size", "33"])
    assert record_views.main() == 2
    assert capsys.readouterr().err.startswith("error: image_size is 33")
