"""Tables on a console: no cell is ever cut."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from instant_runs import Counting
from rich.console import Console

from experiments.kuka.run import result_line
from experiments.runs.tables import print_results, print_table

RESULT = {
    "link_error_m": 0.0194,
    "stay_still_link_error_m": 0.4071,
    "joint_error_rad": 0.0312,
    "reward_rank_correlation": 0.987,
    "env_steps_per_second": 1234.5,
}


def printed(width: int, lines: list[dict[str, str]], title: str = "title") -> str:
    console = Console(file=io.StringIO(), width=width)
    print_table(console, title, lines)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_every_text_is_there_whole_at_any_width(width: int) -> None:
    lines = [{"encoder": "tcn[bold]", "standing still": "40.7 cm", "a setting": "backbone=efficientnet_lite0"}] * 2
    said = printed(width, lines)
    assert "…" not in said
    for text in (*lines[0], *lines[0].values()):
        assert said.count(text) >= 1


def test_the_table_of_imitations_is_one_table_in_a_pipe_of_80_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Counting(tmp_path, 10, seeds=(0, 1))
    console = Console(file=io.StringIO(), width=80)
    print_results(console, "tcn-ppo-tcn_huber-demo0", config, [RESULT, RESULT], result_line)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "│    1 │     1.9 cm │        40.7 cm │    5% │   0.031 rad │  0.99 │   1,2" in said
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize("damage", [{"link_error_m": "0.0194"}, {"joint_error_rad": "x"}, {"env_steps_per_second": []}])
def test_a_result_with_texts_for_numbers_is_named_by_its_file(tmp_path: Path, damage: dict[str, object]) -> None:
    config = Counting(tmp_path, 10)
    path = config.run_folder(0) / "result.json"
    with pytest.raises(ValueError, match=r"result\.json is damaged .*; delete it and add --resume") as error:
        print_results(Console(file=io.StringIO()), "runs", config, [RESULT | damage], result_line)
    assert str(path) in str(error.value)
