"""Damaged files: each kind of damage, what is said of readers that misbehave, and a small part of the whole check."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from broken_readers import CONTENT, HANGING, ORIGINALS, OUTCOMES, SOUND

from encoders.videos.video import write_video
from experiments.robustness import damage_agents, damage_records, damage_videos
from experiments.robustness.damage_check import DamageConfig, check_damage, make_originals, plan
from experiments.robustness.damage_pool import Task, read_all
from experiments.robustness.damages import DAMAGES, INVERTED_MOOV, damage, inverted, moov
from experiments.robustness.tables import GOOD


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("content", [b"ab", b"aa", bytes(1_000), CONTENT.encode()])
def test_damage_changes_a_file_and_is_the_same_every_time(kind: str, content: bytes) -> None:
    for seed in range(30):
        changed = damage(content, kind, np.random.default_rng(seed))
        assert changed != content
        assert changed == damage(content, kind, np.random.default_rng(seed))
        assert len(changed) == len(content) or (kind == "truncated" and content.startswith(changed))


def test_swapped_stretches_are_all_still_there() -> None:
    content = bytes(range(256))
    for seed in range(30):
        assert sorted(DAMAGES["swapped"](content, np.random.default_rng(seed))) == sorted(content)


def test_one_bit_and_one_byte_are_all_that_changes() -> None:
    content = bytes(100)
    for kind, bits in (("one bit flipped", 1), ("one byte inverted", 8)):
        changed = damage(content, kind, np.random.default_rng(0))
        assert sum(byte.bit_count() for byte in changed) == bits
        assert sum(byte > 0 for byte in changed) == 1


def test_the_moov_of_an_mp4_is_found_and_inverted_byte_by_byte(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", damage_videos.picture(), 10)
    content = (tmp_path / "clip.mp4").read_bytes()
    places = moov(content)
    assert content[places[4] : places[8]] == b"moov"
    assert content[places[0] : places[4]] == len(places).to_bytes(4, "big")
    changed = inverted(content, places[5])
    assert (changed[places[5]], changed[: places[5]]) == (0xFF ^ ord("o"), content[: places[5]])
    with pytest.raises(ValueError, match="no box 'moov'"):
        moov(b"\x00\x00\x00\x08free")


def test_what_a_reader_does_with_a_damaged_file_has_a_name(tmp_path: Path) -> None:
    folder = tmp_path / "originals"
    files = make_originals(ORIGINALS, folder)
    tasks = [Task(number, number, names[0], "one byte inverted") for number, names in enumerate(files)]
    found = {ORIGINALS[task.original].name: verdict for task, verdict in read_all(ORIGINALS, tasks, folder, 0, 2)}
    assert {name: verdict.outcome for name, verdict in found.items()} == {
        reader.__name__: outcome for reader, outcome in OUTCOMES.items()
    }
    assert found["crash"].reason == "exit code -11"
    assert found["swell"].megabytes > 250


def test_a_reader_that_hangs_is_ended_and_followed_by_another(tmp_path: Path) -> None:
    originals = (HANGING, SOUND)
    make_originals(originals, tmp_path)
    tasks = [Task(0, 0, "file.txt", "truncated"), Task(1, 1, "file.txt", "truncated")]
    found = [verdict.outcome for _, verdict in read_all(originals, tasks, tmp_path, 0, 1, hang_seconds=2.0)]
    assert found == ["hang", "undetectable"]


def test_what_no_rule_of_a_format_can_tell_is_no_fault_of_its_reader(tmp_path: Path) -> None:
    make_originals((SOUND,), tmp_path / "originals")
    ((_, verdict),) = read_all((SOUND,), [Task(0, 0, "file.txt", "truncated")], tmp_path / "originals", 0, 1)
    assert verdict.outcome == "undetectable"


def test_counts_are_written_and_files_that_were_not_taken_well_are_kept(tmp_path: Path) -> None:
    config = DamageConfig(files=12, out=tmp_path / "counts.json", keep=tmp_path / "kept")
    found = check_damage(config, ORIGINALS[:2])
    counts = json.loads((tmp_path / "counts.json").read_text())
    assert (counts["files"], counts["outcomes"]["wrong"], counts["outcomes"]["refused"]) == (12, 6, 6)
    assert counts["by_kind"]["refuse: file.txt"] == {kind: {"refused": 1} for kind in DAMAGES}
    assert "torch" in counts["provenance"]["packages"]
    rows = list(csv.DictReader((tmp_path / "kept" / "kept.csv").open()))
    assert {row["damage"] for row in rows if row["outcome"] == "wrong"} == set(DAMAGES)
    for damaged in found:
        kept = tmp_path / "kept" / f"{damaged.task.number}-wrong" / "file.txt"
        assert kept.exists() == (damaged.verdict.outcome == "wrong")
        if kept.exists():
            assert kept.read_bytes() == damaged.task.content(CONTENT.encode(), config.seed)


def test_every_kind_of_file_meets_every_kind_of_damage_and_every_byte_of_moov_is_inverted(tmp_path: Path) -> None:
    video = damage_videos.ORIGINALS[:1]
    files = make_originals((*video, SOUND), tmp_path)
    tasks = plan((*video, SOUND), files, tmp_path, 10_000)
    places = moov((tmp_path / "0" / "clip.mp4").read_bytes())
    assert sorted(task.place for task in tasks if task.damage == INVERTED_MOOV) == list(places)
    assert len({task.number for task in tasks}) == len(tasks) == 10_000
    tally = Counter((task.file, task.damage) for task in tasks if task.damage != INVERTED_MOOV)
    assert set(tally) == {(file, kind) for file in ("clip.mp4", "file.txt") for kind in DAMAGES}


def test_what_is_sound_differs_from_what_is_not(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text('{"status": "completed", "seeds": [0, 1], "error": 0.5}')
    for text, sound in (
        ('{"status": "completed", "seeds": [0, 7], "error": 0.9}', True),
        ('{"status": "completed", "seeds": [0], "error": 0.5}', False),
        ('{"status": "completed", "seeds": [0, 1], "errol": 0.5}', False),
        ('{"status": "compluted", "seeds": [0, 1], "error": 0.5}', False),
        ('{"status": "completed", "seeds": [0, 1], "error": 5}', False),
        ('{"status": "completed"', False),
    ):
        (tmp_path / "new.json").write_text(text)
        assert damage_records.sound_json(tmp_path / "old.json", tmp_path / "new.json") is sound
    damage_agents.make_curve(tmp_path)
    whole = (tmp_path / "progress.csv").read_text()
    first, second, *rest = whole.splitlines()
    third = rest.pop(0)
    for lines, sound in (
        ([first, second], True),
        ([first, second.replace("1600.0", "1700.0"), third], True),
        ([first, third, second], False),
        ([first, second[:30]], False),
        ([first, second.replace("1600.0", "1600.5")], False),
    ):
        (tmp_path / "cut.csv").write_text("\n".join(lines))
        assert damage_agents.sound_curve(tmp_path / "progress.csv", tmp_path / "cut.csv") is sound


@pytest.mark.parametrize("original", damage_videos.ORIGINALS, ids=lambda original: original.name)
def test_half_a_video_is_not_sound(tmp_path: Path, original: damage_videos.Original) -> None:
    original.make(tmp_path)
    (path,) = tmp_path.iterdir()
    half = tmp_path / f"half{path.suffix}"
    half.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 1])
    assert original.sound(path, path)
    assert not original.sound(path, half)


def test_damaged_files_are_refused_by_name_or_read_right_or_reported_with_numbers() -> None:
    found = check_damage(DamageConfig(files=150, out=None))
    assert len(found) == 150
    assert [damaged for damaged in found if damaged.verdict.outcome not in GOOD] == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"kinds": ("mp3",)}, "Unknown kind of file 'mp3'"), ({"files": 0}, "at least one file"), ({"seed": -1}, "seed")],
)
def test_what_cannot_be_checked_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DamageConfig(**settings)  # type: ignore[arg-type]
