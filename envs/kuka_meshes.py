"""Decimated visual meshes of the Kuka iiwa, built once and cached.

A software rasteriser pays for triangles more than for pixels, and at 64 or 84 pixels most of the
15,000 triangles of the original arm are smaller than a pixel. Quadric decimation keeps the outline.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import pybullet_data

from encoders.files import FileError, read_bytes, read_object

if TYPE_CHECKING:
    import trimesh

MODELS = {"iiwa": "model.urdf", "iiwa_gripper": "kuka_with_gripper2.sdf"}
"""Robot name -> model file inside the ``kuka_iiwa`` folder of ``pybullet_data``."""

FACES = 480
"""Faces of the seven links and the base together after decimation."""

_LAYOUT = 1
"""Version of the cached files; a cache of another version is not used."""

_MANIFEST = "manifest.json"


def source_model(robot: str) -> Path:
    """Path of the unmodified model file of a robot."""
    return Path(pybullet_data.getDataPath()) / "kuka_iiwa" / MODELS[robot]


def default_cache() -> Path:
    """The user's cache folder for decimated robots."""
    return Path(platformdirs.user_cache_dir("onlooker")) / "kuka"


def decimated_model(robot: str, faces: int = FACES, cache: Path | None = None) -> Path:
    """Path of a model file whose visual meshes are decimated, building it if needed.

    The folder carries a manifest of checksums; one that is incomplete or damaged is built again.

    Args:
        robot: A key of ``MODELS``.
        faces: Faces of all arm links together.
        cache: Folder to build in; the user's cache folder by default.

    Returns:
        Path of a URDF or SDF file that pybullet can load; collision shapes stay the original ones.

    Raises:
        ValueError: If the cache folder cannot be written.
    """
    source = source_model(robot)
    root = default_cache() if cache is None else cache
    key = f"{robot}-{faces}-v{_LAYOUT}-{_digest(source)[:12]}"
    folder = root / key
    if _is_intact(folder, source):
        return folder / source.name
    try:
        root.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=root))
    except OSError as error:
        raise ValueError(
            f"The mesh cache {root} cannot be written ({error.strerror}); "
            "set XDG_CACHE_HOME to a folder that can, or use render_quality='reference'."
        ) from error
    try:
        _build(source, building, faces)
        if _is_intact(folder, source):
            # Another process was faster, and may be reading its meshes by now.
            return folder / source.name
        if folder.exists():
            damaged = Path(tempfile.mkdtemp(prefix=f".{key}-damaged-", dir=root))
            folder.replace(damaged / "old")
            shutil.rmtree(damaged)
        building.replace(folder)
    except OSError:
        # Another process finished the same build first; its folder is as good as ours.
        if not _is_intact(folder, source):
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder / source.name


def _build(source: Path, folder: Path, faces: int) -> None:
    """Copies a model with its meshes into a folder, decimates the visual ones, adds a manifest."""
    # A second to import, for what is done once a machine.
    import trimesh

    shutil.copy(source, folder / source.name)
    shutil.copytree(source.parent / "meshes", folder / "meshes", ignore=shutil.ignore_patterns("*.mtl"))
    visuals = {path: _load(path) for path in sorted((folder / "meshes").glob("link_*.obj"))}
    total = sum(len(mesh.faces) for mesh in visuals.values())
    for path, mesh in visuals.items():
        small = mesh.simplify_quadric_decimation(face_count=max(24, round(faces * len(mesh.faces) / total)))
        # Colours come from the model file; a material beside the mesh would override them.
        small.visual = trimesh.visual.ColorVisuals()
        small.export(path, include_normals=True)
    manifest = {str(path.relative_to(folder)): _digest(path) for path in sorted(folder.rglob("*.*"))}
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=2))


def _load(path: Path) -> trimesh.Trimesh:
    """A mesh with one vertex a position: seams between texture patches would stop the decimation."""
    import trimesh

    mesh = trimesh.load_mesh(path)
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    return mesh


def _is_intact(folder: Path, source: Path) -> bool:
    """Whether every file of the model exists and matches the manifest.

    Args:
        folder: The cached model's.
        source: The unmodified model file.
    """
    what, remedy = "mesh cache's file", "it is built again"
    try:
        manifest = read_object(folder / _MANIFEST, what, remedy, _files(source))
        return all(
            hashlib.sha256(read_bytes(folder / name, what, remedy)).hexdigest() == digest
            for name, digest in manifest.items()
        )
    except FileError:
        return False


def _files(source: Path) -> list[str]:
    """Files of a model that are copied, relative to its folder."""
    meshes = [path for path in (source.parent / "meshes").glob("*.*") if path.suffix != ".mtl"]
    return [source.name, *(str(path.relative_to(source.parent)) for path in meshes)]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
