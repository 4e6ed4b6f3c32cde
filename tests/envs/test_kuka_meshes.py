"""The cache of decimated meshes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pybullet
import pytest
import trimesh

from envs import kuka_meshes
from envs.kuka_meshes import FACES, MODELS, decimated_model, source_model


def faces(model: Path) -> int:
    return sum(len(trimesh.load(path, force="mesh").faces) for path in (model.parent / "meshes").glob("link_*.obj"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def inodes(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_ino for path in folder.rglob("*")}


@pytest.mark.parametrize("robot", MODELS)
def test_a_model_is_built_into_the_folder_given_and_loads(robot: str, tmp_path: Path) -> None:
    model = decimated_model(robot, cache=tmp_path / "new" / "folder")
    assert model.is_relative_to(tmp_path / "new" / "folder")
    assert model.name == MODELS[robot]
    client = pybullet.connect(pybullet.DIRECT)
    try:
        if model.suffix == ".sdf":
            (body,) = pybullet.loadSDF(str(model), physicsClientId=client)[:1]
        else:
            body = pybullet.loadURDF(str(model), physicsClientId=client)
        assert pybullet.getNumJoints(body, physicsClientId=client) >= 7
        shapes = pybullet.getVisualShapeData(body, physicsClientId=client)
        assert any(str(model.parent) in shape[4].decode() for shape in shapes)
    finally:
        pybullet.disconnect(client)


def test_the_visual_meshes_have_few_faces_and_their_old_size(tmp_path: Path) -> None:
    model = decimated_model("iiwa", cache=tmp_path)
    assert faces(source_model("iiwa")) > 10 * FACES
    assert 0.8 * FACES < faces(model) < 1.2 * FACES
    for path in sorted((model.parent / "meshes").glob("link_*.obj")):
        original = trimesh.load(source_model("iiwa").parent / "meshes" / path.name, force="mesh")
        assert trimesh.load(path, force="mesh").bounds == pytest.approx(original.bounds, abs=0.02)


def test_more_faces_can_be_asked_for_beside_the_others(tmp_path: Path) -> None:
    coarse, fine = (decimated_model("iiwa", number, tmp_path) for number in (560, 2000))
    assert coarse != fine
    assert faces(coarse) < 700 < 1700 < faces(fine)


def test_collision_shapes_and_the_model_file_are_the_unmodified_ones(tmp_path: Path) -> None:
    model, source = decimated_model("iiwa", cache=tmp_path), source_model("iiwa")
    assert model.read_bytes() == source.read_bytes()
    collision = sorted((source.parent / "meshes").glob("*.stl"))
    assert collision
    for path in collision:
        assert (model.parent / "meshes" / path.name).read_bytes() == path.read_bytes()


def test_a_second_call_uses_what_the_first_built(tmp_path: Path) -> None:
    model = decimated_model("iiwa", cache=tmp_path)
    before = inodes(tmp_path)
    assert decimated_model("iiwa", cache=tmp_path) == model
    assert inodes(tmp_path) == before


def test_two_builds_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (decimated_model("iiwa", cache=tmp_path / name) for name in "ab")
    assert contents(first.parent) == contents(second.parent)


def overwrite(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize("name", ["meshes/link_3.obj", "meshes/link_3.stl", "model.urdf", "manifest.json"])
@pytest.mark.parametrize(
    "damage",
    [Path.unlink, overwrite(b""), overwrite(b"\xff\xfe\x80"), overwrite(b"{}"), overwrite(b"[]")],
    ids=["deleted", "emptied", "binary", "empty object", "list"],
)
def test_a_damaged_or_deleted_file_is_built_again(tmp_path: Path, name: str, damage: Callable[[Path], object]) -> None:
    model = decimated_model("iiwa", cache=tmp_path)
    whole = contents(tmp_path)
    damage(model.parent / name)
    if name == "manifest.json":
        (model.parent / "meshes" / "link_0.obj").unlink()
    assert decimated_model("iiwa", cache=tmp_path) == model
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("content", ["[" * 100_000, '{"model.urdf": 3}', "complete but for a mesh", "a pipe"])
def test_a_manifest_that_vouches_for_less_than_the_model_is_built_again(tmp_path: Path, content: str) -> None:
    model = decimated_model("iiwa", cache=tmp_path)
    whole = contents(tmp_path)
    manifest = model.parent / "manifest.json"
    if content == "complete but for a mesh":
        vouched = json.loads(manifest.read_text())
        del vouched["meshes/link_3.obj"]
        content = json.dumps(vouched)
        (model.parent / "meshes" / "link_3.obj").write_bytes(b"")
    if content == "a pipe":
        manifest.unlink()
        os.mkfifo(manifest)
    else:
        manifest.write_text(content)
    assert decimated_model("iiwa", cache=tmp_path) == model
    assert contents(tmp_path) == whole


def test_nothing_but_the_built_folder_stays_in_the_cache(tmp_path: Path) -> None:
    model = decimated_model("iiwa", cache=tmp_path)
    (model.parent / "model.urdf").write_text("damaged")
    decimated_model("iiwa", cache=tmp_path)
    assert list(tmp_path.iterdir()) == [model.parent]


def test_a_build_that_another_process_finished_meanwhile_is_left_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Somebody may be loading from it already, so that it must not be moved away.
    other = decimated_model("iiwa", cache=tmp_path / "other")
    place = tmp_path / "cache" / other.parent.name
    build = kuka_meshes._build

    def overtaken(source: Path, folder: Path, number: int) -> None:
        build(source, folder, number)
        shutil.copytree(other.parent, place)
        os.utime(place, (0, 0))

    monkeypatch.setattr(kuka_meshes, "_build", overtaken)
    assert decimated_model("iiwa", cache=tmp_path / "cache").parent == place
    assert place.stat().st_mtime == 0


def test_a_cache_that_cannot_be_written_is_a_value_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in (tmp_path / "file" / "below", tmp_path / "file"):
        with pytest.raises(ValueError, match=f"mesh cache {root} cannot be written"):
            decimated_model("iiwa", cache=root)


def test_the_default_cache_follows_the_users_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = decimated_model("iiwa")
    assert model.is_relative_to(tmp_path / "onlooker" / "kuka")
    assert "meshes/link_0.obj" in json.loads((model.parent / "manifest.json").read_text())
