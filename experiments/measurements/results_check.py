"""Derives every table of figures in the README and the docs from the committed results, and fails where one differs."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from encoders.files import read_object, read_text, write_atomically
from experiments.any_environment import table as any_environment
from experiments.comparison.tables import markdown as comparison_table
from experiments.measurements import compatibility
from experiments.robustness import tables as robustness
from experiments.runs import command_line
from experiments.sweep.run_rows import TABLES as RUN_TABLES
from experiments.sweep.score_tables import differences, improvements, markdown, summary
from experiments.sweep.scores import read_rows

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "experiments/results"


def _imitation() -> str:
    return RUN_TABLES["imitate_kuka"].markdown(read_rows(RESULTS / "imitate_kuka.csv"))


def _encoders(name: str) -> str:
    whole = {"seed", "steps", "parameters"}
    records = [
        {key: int(value) if key in whole else _number(value) for key, value in record.items()}
        for record in read_rows(RESULTS / f"{name}.csv")
    ]
    return comparison_table(records).strip()


def _scores(*names: str) -> str:
    """The table of one grid, or of several of which a cell that they share counts once."""
    rows = [row for name in names for row in read_rows(RESULTS / f"{name}.csv")]
    once = {(row["method"], row["algo"], row["task"], row["seed"]): row for row in rows}
    return markdown(summary(list(once.values())))


def _measured(path: Path) -> dict[str, Any]:
    return read_object(path, "committed result", "measure it again, or check it out again")


def _any_environment() -> str:
    files = sorted(path for path in RESULTS.glob("any_*.csv") if not path.stem.endswith("_curves"))
    return any_environment.markdown([read_rows(path) for path in files])


def _improvements(name: str) -> str:
    return markdown(improvements(read_rows(RESULTS / f"{name}.csv")))


def _differences(name: str) -> str:
    return markdown(differences(read_rows(RESULTS / f"{name}.csv")))


def _throughput() -> str:
    lines = [
        "| cameras | environments | steps a second | physics / render / embed / update / rest | "
        "84 px frames a second, usual / ours | ratio | structural similarity |",
        "|---|---|---|---|---|---|---|",
    ]
    for path in sorted(RESULTS.glob("throughput_*.json")):
        figures = _measured(path)
        loop, render, config = figures["loop"], figures["render"], figures["config"]
        shares = " / ".join(f"{loop['share'][part]:.0%}" for part in ("physics", "render", "embed", "update", "rest"))
        frames = f"{render['usual_frames_per_second']:,.0f} / {render['fast_frames_per_second']:,.0f}"
        lines.append(
            f"| {', '.join(config['cameras'])} | {config['envs']} | {loop['env_steps_per_second']:,.0f} | {shares} "
            f"| {frames} | {render['speedup']:.1f} | {render['structural_similarity']:.3f} |"
        )
    return "\n".join(lines)


def _masks() -> str:
    """A line a mask, a column a game: what moves over what does not, and the recall of objects; over masks' seeds."""
    found: dict[str, dict[str, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for row in read_rows(RESULTS / "mask_quality.csv"):
        path = Path(row["mask"])
        found[path.parent.name.rsplit("-", 1)[0] or row["mask"]][row["game"]].append(row)
    games = list(next(iter(found.values())))
    lines = [f"| mask trained on | masks | {' | '.join(games)} |", "|---" * (len(games) + 2) + "|"]
    for mask, by_game in found.items():
        cells = []
        for rows in by_game.values():
            ratio = f"{_mean(rows, 'moving_ratio', 1)}; " if rows[0]["moving_ratio"] else ""
            cells.append(f"{ratio}recall {_mean(rows, 'recall', 2)}")
        lines.append(f"| {mask} | {len(by_game[games[0]])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(rows: list[dict[str, str]], column: str, digits: int, per: float = 1.0) -> str:
    """Mean over rows, with the least and the most where there are several; ``per`` 100 for percent."""
    values = [per * float(row[column]) for row in rows]
    mean = f"{sum(values) / len(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def _keypoints(name: str) -> str:
    """A line a kind of keypoints; those of given folders go by the cell or the fit whose seeds they are."""
    lines = ["| keypoints | seeds | cart | pole tip | mean |", "|---|---|---|---|---|"]
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in read_rows(RESULTS / f"{name}.csv"):
        folders = [part for part in Path(row["keypoints"]).parts if part != "encoder"]
        found[folders[-2] if len(folders) > 1 else row["keypoints"]].append(row)
    for kind, mine in found.items():
        cells = [_mean(mine, key, 2, per=100) for key in ("cart_error", "tip_error", "mean_error")]
        lines.append(f"| {kind} | {len(mine)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _atari_throughput() -> str:
    figures = _measured(RESULTS / "atari_throughput.json")
    parts = list(figures["loops"]["plain"]["share"])
    lines = [f"| A2C | steps a second | time a step, plain is 1 | {' / '.join(parts)} |", "|---|---|---|---|"]
    for variant, loop in figures["loops"].items():
        shares = " / ".join(f"{loop['share'][part]:.0%}" for part in parts)
        lines.append(f"| {variant} | {loop['steps_per_second']:,.0f} | {loop['times_plain']:.2f} | {shares} |")
    return "\n".join(lines)


def _render_speed() -> str:
    figures = _measured(RESULTS / "render_speed.json")
    lines = ["| drawn by | frames a second | times dm_control's |", "|---|---|---|"]
    for name, rate in figures["frames_per_second"].items():
        lines.append(f"| {name} | {rate:,.0f} | {figures['ratio_to_dm_control'][name]:.1f} |")
    return "\n".join(lines)


def _update_speed() -> str:
    figures = _measured(RESULTS / "update_speed.json")
    rates = figures["updates_per_second"]
    stages = list(next(iter(rates.values())))
    lines = [f"| agent | {' | '.join(stages)} | last over first |", "|---" * (len(stages) + 2) + "|"]
    for agent, found in rates.items():
        shown = " | ".join(f"{found[stage]:.1f}" if stage in found else "" for stage in stages)
        lines.append(f"| `{agent}` | {shown} | {list(found.values())[-1] / found[stages[0]]:.1f} |")
    megabytes = figures["buffer_megabytes"]
    steps = figures["config"]["swingup"]["steps"]
    shown = f"frames of {steps:,} steps: Stable-Baselines3 {megabytes['stable_baselines3']:,.0f} MB"
    return "\n".join([*lines, "", f"Replay buffer, {shown}, ours {megabytes['ours']:,.0f} MB."])


def _demo_memory() -> str:
    lines = ["| read as | seconds of video | memory, MB | seconds |", "|---|---|---|---|"]
    for row in _measured(RESULTS / "demo_memory.json")["readers"]:
        lines.append(f"| {row['reader']} | {row['video_seconds']} | {row['megabytes']:,.0f} | {row['seconds']:.1f} |")
    return "\n".join(lines)


def _imitation_cost() -> str:
    lines = [
        "| environment | drawn, steps a second | with encoder and reward | time, drawn is 1 |",
        "|---|---|---|---|",
    ]
    for env_id, found in _measured(RESULTS / "imitation_cost.json")["environments"].items():
        lines.append(f"| `{env_id}` | {found['drawn']:,.0f} | {found['imitating']:,.0f} | {found['ratio']:.2f} |")
    return "\n".join(lines)


TABLES: Mapping[str, Callable[[], str]] = {
    "imitate_kuka": _imitation,
    "imitate_cartpole": lambda: RUN_TABLES["imitate_cartpole"].markdown(read_rows(RESULTS / "imitate_cartpole.csv")),
    "compare_encoders": partial(_encoders, "compare_encoders"),
    "compare_extra": partial(_encoders, "compare_extra"),
    "compare_large": partial(_encoders, "compare_large"),
    "kuka_encoders": partial(_scores, "kuka_encoders"),
    "kuka_encoders_improvements": partial(_improvements, "kuka_encoders"),
    "kuka_backbones": partial(_scores, "kuka_backbones"),
    "kuka_demonstrations": partial(_scores, "kuka_demonstrations"),
    "kuka_agents": partial(_scores, "kuka_agents"),
    "kuka_joint": partial(_scores, "kuka_joint"),
    "any_environment": _any_environment,
    "atari_attention": partial(_scores, "atari_attention"),
    "cartpole_variants": partial(_scores, "cartpole_variants"),
    "cartpole_variants_differences": partial(_differences, "cartpole_variants"),
    "cartpole_precision": partial(_scores, "cartpole_precision"),
    "cartpole_precision_differences": partial(_differences, "cartpole_precision"),
    "cartpole_joint_differences": partial(_differences, "cartpole_joint"),
    "cartpole_landmarks": partial(_scores, "cartpole_landmarks"),
    "cartpole_keypoints": partial(_scores, "cartpole_keypoints", "cartpole_joint"),
    "throughput": _throughput,
    "compatibility": lambda: compatibility.markdown(read_rows(RESULTS / "compatibility.csv")),
    "mask_quality": _masks,
    "keypoint_quality": partial(_keypoints, "keypoint_quality"),
    "keypoint_quality_joint": partial(_keypoints, "keypoint_quality_joint"),
    "atari_throughput": _atari_throughput,
    "render_speed": _render_speed,
    "update_speed": _update_speed,
    "demo_memory": _demo_memory,
    "imitation_cost": _imitation_cost,
    "damage_check": lambda: robustness.damages(_measured(RESULTS / "damage_check.json")),
    "kill_check": lambda: robustness.kills(_measured(RESULTS / "kill_check.json")),
    "leak_check": lambda: robustness.leaks(_measured(RESULTS / "leak_check.json")),
}
"""The function that derives each table; on a page it stands between ``<!-- table NAME -->`` and ``<!-- end -->``."""


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def differing(text: str, made: Mapping[str, str]) -> dict[str, str]:
    """The tables of a page that are not what the results say.

    Args:
        text: A page.
        made: What the tables should be, by their names.

    Returns:
        What each of those that differ should be, by its name.
    """
    return {match[1]: made[match[1]] for match in _marked(text) if match[2].strip() != made[match[1]].strip()}


def check_marks(pages: Mapping[Path, str]) -> None:
    """Checks that every table has a place; a table may stand on several pages.

    Args:
        pages: Texts by their files.

    Raises:
        ValueError: If a table is marked that nothing makes, or one that is made is nowhere marked.
    """
    marked = {match[1] for text in pages.values() for match in _marked(text)}
    unknown, missing = sorted(marked - TABLES.keys()), sorted(TABLES.keys() - marked)
    if unknown or missing:
        raise ValueError(f"Tables marked that nothing makes: {unknown}; tables made that are not marked: {missing}.")


def _marked(text: str) -> list[re.Match[str]]:
    return list(re.finditer(r"<!-- table (\w+) -->\n(.*?)<!-- end -->", text, re.DOTALL))


def replaced(text: str, tables: Mapping[str, str]) -> str:
    """The text with some of its marked tables put in anew."""
    for match in reversed(_marked(text)):
        if match[1] in tables:
            text = text[: match.start(2)] + tables[match[1]].strip() + "\n" + text[match.end(2) :]
    return text


@dataclass(frozen=True)
class CheckConfig:
    """Settings of the check.

    Attributes:
        pages: Markdown files with tables, and folders of such files.
        write: Put the right tables in instead of complaining.
    """

    pages: tuple[Path, ...] = (ROOT / "README.md", ROOT / "docs")
    write: bool = False


def _files(pages: Sequence[Path]) -> list[Path]:
    """The pages, with those in folders."""
    return [file for page in pages for file in (sorted(page.rglob("*.md")) if page.is_dir() else [page])]


def check(config: CheckConfig) -> None:
    """Compares, or writes.

    Raises:
        ValueError: If a table differs or has no place, or there is no such file.
    """
    texts = {file: read_text(file, "page", "name those that there are with --pages") for file in _files(config.pages)}
    check_marks(texts)
    made = {name: make() for name, make in TABLES.items()}
    wrong = {file: tables for file, text in texts.items() if (tables := differing(text, made))}
    if config.write:
        for file, tables in wrong.items():
            write_atomically(file, replaced(texts[file], tables).encode())
    elif wrong:
        file, tables = next(iter(wrong.items()))
        name, table = next(iter(tables.items()))
        places = "; ".join(f"{file}: {', '.join(tables)}" for file, tables in wrong.items())
        raise ValueError(
            f"Tables that differ from experiments/results: {places}. `python -m "
            f"experiments.measurements.results_check --write` puts the right ones in. {name} should be:\n{table}"
        )


def main() -> int:
    """Checks; 0 if every table is right, 2 if one differs."""
    return command_line.run(CheckConfig, check, __doc__)


if __name__ == "__main__":
    sys.exit(main())
