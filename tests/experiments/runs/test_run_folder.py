"""A run's folder: what is damaged in it, who works in it, what goes on for more steps."""

from __future__ import annotations

import json
import multiprocessing as mp
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from instant_runs import Counting, count, counted

from agents.factory import ALGORITHMS
from experiments.atari.config import AtariRunConfig
from experiments.cartpole.config import SwingUpConfig
from experiments.kuka.config import ImitateConfig
from experiments.runs.folder import completed, read_result, run_seeds, write_result
from experiments.suites import get
from experiments.sweep.grid import Cell


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_run_goes_on_for_more_steps_and_keeps_its_result(tmp_path: Path) -> None:
    config = Counting(tmp_path, steps=10)
    (first,) = run_seeds(config, count)
    more = replace(config, steps=25, resume=True)
    (second,) = run_seeds(more, count)
    folder = config.run_folder(0)
    assert (first["counted"], second["counted"]) == (10, 25)
    # It went on from the checkpoint.
    assert (first["this_time"], second["this_time"]) == (10, 15)
    assert json.loads((folder / "result_10.json").read_text()) == {**first, "digest": ANY}
    assert json.loads((folder / "result.json").read_text()) == {**second, "digest": ANY}
    assert json.loads((folder / "config.json").read_text())["steps"] == 25
    (extension,) = json.loads((folder / "provenance.json").read_text())["extensions"]
    assert extension["steps"] == "10 to 25"
    assert {"command", "started", "commit"} < set(extension)
    # Another time it is the same run, complete.
    before = files(tmp_path)
    assert run_seeds(more, count) == [second]
    assert files(tmp_path) == before


def test_a_run_that_was_killed_while_it_was_extended_can_be_extended_again(tmp_path: Path) -> None:
    config = Counting(tmp_path, steps=10)
    (first,) = run_seeds(config, count)
    folder = config.run_folder(0)
    (folder / "result.json").rename(folder / "result_10.json")
    (second,) = run_seeds(replace(config, steps=25, resume=True), count)
    assert second["counted"] == 25
    assert json.loads((folder / "result_10.json").read_text()) == {**first, "digest": ANY}


@pytest.mark.parametrize(
    ("steps", "resume", "reason", "message"),
    [
        (5, True, "", r"It has been asked for 10 steps already, and what is trained is not taken back"),
        (25, False, "", r"10 there and 25 here\. Add --resume to go on for more steps"),
        (25, True, "The rate falls.", r"10 there and 25 here\. The rate falls\. Choose another --out"),
    ],
)
def test_more_or_fewer_steps_are_refused_with_the_reason(
    tmp_path: Path, steps: int, resume: bool, reason: str, message: str
) -> None:
    config = Counting(tmp_path, steps=10)
    run_seeds(config, count)
    before = files(tmp_path)
    with pytest.raises(ValueError, match=message):
        run_seeds(replace(config, steps=steps, resume=resume, reason=reason), count)
    assert files(tmp_path) == before


def test_a_finished_run_without_its_checkpoint_is_not_begun_anew(tmp_path: Path) -> None:
    config = Counting(tmp_path, steps=10)
    run_seeds(config, count)
    (config.run_folder(0) / "checkpoint" / "state.json").unlink()
    before = files(tmp_path)
    with pytest.raises(ValueError, match=r"state\.json, is missing, so it cannot go on for more"):
        run_seeds(replace(config, steps=25, resume=True), count)
    assert files(tmp_path) == before


def test_a_run_says_why_more_steps_would_be_another_training() -> None:
    for algo in ALGORITHMS:
        assert f"The learning rate of {algo!r} falls along all 600" in ImitateConfig(algo=algo).bound_to(600)
    assert SwingUpConfig().bound_to(12_500) == ""
    assert "has lost the first of them" in SwingUpConfig().bound_to(12_501)
    assert AtariRunConfig().bound_to(200_000) == ""
    assert "start anew halfway" in AtariRunConfig().bound_to(199_999)


def test_a_cell_of_a_benchmark_is_not_extended_behind_its_back(tmp_path: Path) -> None:
    suite = get("cartpole")
    cells = [Cell("cartpole", suite.method("sac_state", "sac", "task", ()), 0, 0, steps) for steps in (1_250, 2_500)]
    folder = suite.folder(cells[0], tmp_path)
    folder.mkdir(parents=True)
    config = suite.config(cells[0], tmp_path)  # type: ignore[attr-defined]
    (folder / "config.json").write_text(json.dumps(config.identity(0), default=str))
    suite.check(cells[0], tmp_path)
    with pytest.raises(ValueError, match="holds another run: steps differ"):
        suite.check(cells[1], tmp_path)


DAMAGE = ("", "{", "{}", "[]", "null", "[" * 100_000, '{"train": "1"}', "\x00", '{"status": []}')


@pytest.mark.parametrize("content", DAMAGE, ids=range(len(DAMAGE)))
@pytest.mark.parametrize("name", ["result.json", "config.json", "stages.json", "provenance.json"])
def test_a_damaged_file_is_named_with_what_to_delete_and_then_the_run_goes_on(
    tmp_path: Path, name: str, content: str
) -> None:
    config = Counting(tmp_path, steps=10)
    (whole,) = run_seeds(config, count)
    folder = config.run_folder(0)
    if name != "result.json":
        (folder / "result.json").unlink()
    path = folder / name
    path.write_text(content)
    resumed = replace(config, resume=True)
    refused = False
    try:
        (result,) = run_seeds(resumed, count)
    except ValueError as error:
        refused = True
        assert str(path) in str(error) or (name == "config.json" and "holds another run" in str(error))
        assert "delete" in str(error) or "Choose another --out" in str(error)
        assert "line 1 column" not in str(error)
        path.unlink()
        (result,) = run_seeds(resumed, count)
    assert result["counted"] == whole["counted"]
    assert refused or name in ("stages.json", "provenance.json", "result.json")
    assert completed(folder)
    assert json.loads((folder / "config.json").read_text()) == json.loads(json.dumps(config.identity(0)))
    assert "packages" in json.loads((folder / "provenance.json").read_text()) or not refused


def test_bytes_that_are_no_text_are_refused_by_name(tmp_path: Path) -> None:
    config = Counting(tmp_path, steps=10)
    run_seeds(config, count)
    path = config.run_folder(0) / "result.json"
    path.write_bytes(b'{"status": "\xff"}')
    with pytest.raises(ValueError, match=r"result\.json is damaged.*delete it and add --resume"):
        run_seeds(replace(config, resume=True), count)


def test_a_provenance_that_a_kill_has_cost_is_written_again(tmp_path: Path) -> None:
    config = Counting(tmp_path, steps=10, resume=True)
    folder = config.run_folder(0)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config.identity(0), indent=2))
    run_seeds(config, count)
    assert "packages" in json.loads((folder / "provenance.json").read_text())


def test_what_a_run_left_without_its_configuration_is_not_taken_without_a_word(tmp_path: Path) -> None:
    config = Counting(tmp_path, steps=10)
    run_seeds(config, count)
    (config.run_folder(0) / "config.json").unlink()
    with pytest.raises(ValueError, match=r"without its config\.json; if it is this very run, add --resume"):
        run_seeds(config, count)
    assert run_seeds(replace(config, resume=True), count)[0]["counted"] == 10


@dataclass(frozen=True)
class Failing:
    """Work that ends in an error."""

    error: Exception

    def __call__(self, config: Counting, seed: int) -> dict[str, Any]:
        """Fails."""
        return counted(config, seed, self.error)


@pytest.mark.parametrize("error", [ChildProcessError("A worker was killed by signal 9"), OSError(28, "No space left")])
def test_a_worker_that_died_is_noted_in_the_result_and_the_run_goes_on(tmp_path: Path, error: OSError) -> None:
    config = Counting(tmp_path, steps=10)
    with pytest.raises(type(error)):
        run_seeds(config, Failing(error))
    result = json.loads((config.run_folder(0) / "result.json").read_text())
    assert result["status"] == "failed"
    assert str(error) == result["reason"]
    assert run_seeds(replace(config, resume=True), count)[0]["status"] == "completed"


def test_a_run_that_is_stopped_names_its_last_checkpoint(tmp_path: Path) -> None:
    config = Counting(tmp_path, steps=10)
    with pytest.raises(KeyboardInterrupt) as stopped:
        run_seeds(config, Failing(KeyboardInterrupt()))  # type: ignore[arg-type]
    assert stopped.value.__notes__ == [f"The last checkpoint in {config.run_folder(0)} is after 10 steps."]
    assert not (config.run_folder(0) / "result.json").exists()


def test_two_processes_do_not_work_on_one_run_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    config = Counting(tmp_path, steps=10, resume=True)
    first = mp.get_context("spawn").Process(target=run_seeds, args=(replace(config, sleep=600), count))
    first.start()
    deadline = time.monotonic() + 120
    while not (config.run_folder(0) / "checkpoint" / "state.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(ValueError, match=r"Another process is at work on the run in .*seed_0; wait for it"):
        run_seeds(config, count)
    first.kill()
    first.join()
    assert run_seeds(config, count)[0]["counted"] == 10


def test_a_result_with_another_figure_or_name_is_refused_and_one_without_a_digest_taken(tmp_path: Path) -> None:
    result = {
        "status": "completed",
        "link_error_m": 0.012,
        "scores": [1.0, 2.5],
        "demo": None,
        "wall_seconds": {"fit": 1.5},
    }
    write_result(tmp_path, result)
    path = tmp_path / "result.json"
    assert read_result(tmp_path) == result
    written = path.read_text()
    for old, new in (("0.012", "0.112"), ("link_error_m", "link_erroR_m"), ("wall_seconds", "waml_seconds")):
        path.write_text(written.replace(old, new))
        with pytest.raises(ValueError, match=r"result\.json holds other figures than were written"):
            read_result(tmp_path)
    path.write_text(json.dumps(result))
    assert read_result(tmp_path) == result
