"""Scores of a benchmark: from rows of text to tables and curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from encoders.files import write_csv
from experiments.suites import scoring
from experiments.sweep.score_curves import charts
from experiments.sweep.score_tables import differences, every_run, improvements, markdown, summary
from experiments.sweep.scores import CURVE_COLUMNS, Row, columns, grouped, read_rows, reference_scores


def row(method: str, seed: int, score: float | None, task: int = 0, algo: str = "ppo") -> Row:
    done = score is not None
    return dict.fromkeys(columns(scoring("kuka_reach")), "") | {
        "env": "kuka_reach",
        "method": method,
        "algo": algo,
        "task": str(task),
        "seed": str(seed),
        "steps": "100",
        "status": "completed" if done else "failed",
        "score": str(score) if done else "",
        "link_error_m": str(-score) if score is not None else "",
        "random_score": "-0.5",
        "random_return": "-20",
    }


ROWS = [
    row("tcn", 0, -0.2),
    row("tcn", 1, None),
    row("oracle", 0, -0.1),
    row("oracle", 1, -0.1),
    row("none", 0, -0.4),
    row("none", 1, -0.3),
]


def points(method: str, seed: int, true: list[float], learned: list[float], algo: str = "ppo") -> list[Row]:
    return [
        {
            "method": method,
            "algo": algo,
            "task": "0",
            "seed": str(seed),
            "env_steps": str(50 * number),
            "true_return": str(values[0]),
            "learned_return": str(values[1]),
        }
        for number, values in enumerate(zip(true, learned, strict=True), start=1)
    ]


def test_scores_are_normalised_by_the_random_policy_and_the_oracle() -> None:
    tcn, oracle, none = grouped(ROWS)
    assert tcn.scores is not None
    assert oracle.scores is not None
    assert none.scores is not None
    np.testing.assert_allclose(oracle.scores, [[1, 1]])
    np.testing.assert_allclose(none.scores, [[0.25, 0.5]])
    # 0.3 of 0.4, and a failed run that counts with the random policy's score.
    np.testing.assert_allclose(tcn.scores, [[0.75, 0]])


def test_a_failed_run_is_counted_and_never_dropped() -> None:
    table = summary(ROWS)
    lines = {str(line[0]): line for line in table.rows}
    assert lines["tcn"][3] == "1"
    assert lines["none"][3] == "0"
    assert "n = 6 runs" in table.caption
    assert "1 failed" in table.caption


def test_every_run_is_listed_raw() -> None:
    table = every_run(ROWS)
    assert len(table.rows) == len(ROWS)
    assert list(table.rows[0]) == ["tcn, ppo", "0", "0", "completed", "-0.2", "20.00", None, None, None]
    assert list(table.rows[1]) == ["tcn, ppo", "0", "1", "failed", None, None, None, None, None]


def test_the_oracle_is_that_of_the_agent_that_does_best_with_it() -> None:
    rows = [row("oracle", 0, -0.3), row("oracle", 0, -0.1, algo="sac"), row("oracle", 1, -0.2, algo="sac")]
    assert reference_scores(rows, "score") == {"0": pytest.approx(-0.15)}
    assert reference_scores([*rows, row("tcn", 0, -0.2, task=1)], "score") is None


def test_without_an_oracle_there_are_raw_figures_alone() -> None:
    rows = [row("tcn", seed, -0.2 - 0.01 * seed) for seed in range(3)]
    table = summary(rows)
    (line,) = table.rows
    assert "normalised score" not in table.columns and "Normalised score" not in table.caption
    assert len(line) == len(table.columns)
    assert str(line[4]).startswith("21.00 [")
    assert improvements(rows).rows == []
    assert [chart.title for chart in charts(rows, points("tcn", 0, [-9, -8], [-4, -2]))] == ["Learned return"]


def test_methods_are_compared_pair_by_pair() -> None:
    table = improvements(ROWS)
    assert table.columns == ["", "tcn, ppo", "oracle, ppo", "none, ppo"]
    lines = {str(line[0]): line for line in table.rows}
    assert lines["oracle, ppo"][3] == "1.00 [1.00, 1.00]"
    assert lines["oracle, ppo"][2] == ""


def test_differences_are_of_the_raw_figure_and_of_runs_that_have_it() -> None:
    table = differences(ROWS)
    lines = {str(line[0]): line for line in table.rows}
    assert table.columns[1:] == ["tcn, ppo", "oracle, ppo", "none, ppo"]
    assert lines["oracle, ppo"][3] == "-25.00 [-30.00, -20.00]"
    assert lines["oracle, ppo"][2] == ""
    # One of its two runs has failed.
    assert lines["tcn, ppo"][2] == "10.00"


def test_a_method_that_failed_on_a_whole_task_is_not_compared() -> None:
    rows = [*ROWS, row("oracle", 0, -0.1, task=1), row("none", 0, None, task=1)]
    lines = {str(line[0]): line for line in differences(rows).rows}
    assert lines["oracle, ppo"][3] == ""


def test_curves_are_on_the_steps_that_all_runs_have() -> None:
    rows = [row("oracle", 0, -0.1), row("oracle", 1, -0.1)]
    curves = points("oracle", 0, [-20, -10, -5], [-4, -2, -1]) + points("oracle", 1, [-20, -15], [-8, -2])
    efficiency, learned = charts(rows, curves)
    (series,) = efficiency.series
    np.testing.assert_array_equal(series.x, [50, 100])
    # The oracle ends at -10 on average: -20 is a random policy's.
    np.testing.assert_allclose(series.y, [0, 0.75])
    np.testing.assert_allclose(learned.series[0].y, [0, 0.625])


def test_rows_come_back_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    write_csv(path, ROWS, columns(scoring("kuka_reach")))
    assert read_rows(path) == ROWS
    assert markdown(summary(read_rows(path))) == markdown(summary(ROWS))


def test_missing_scores_are_reported_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"scores\.csv is missing; run the benchmark"):
        read_rows(tmp_path / "scores.csv")


def test_a_curve_names_its_run() -> None:
    assert set(points("tcn", 0, [0.0], [0.0])[0]) == set(CURVE_COLUMNS)
