"""Kill check: runs must survive kills at random moments, full or read-only disks, Ctrl-C, and each other."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from encoders.errors import check_choice
from encoders.files import read_object, write_json
from experiments.robustness.kill_runs import COMMANDS
from experiments.robustness.process_tree import Tree
from experiments.robustness.run_differences import differences, litter
from experiments.robustness.trouble import TROUBLES, Trouble
from experiments.runs import command_line
from experiments.runs.folder import make_folder
from experiments.runs.provenance import provenance

PATIENCE = 600.0
"""Seconds that a run may take at most; the check stops if one takes longer."""

END_SECONDS = 180.0
"""Seconds within which a command ends one of whose processes was killed; a benchmark runs its other cells first."""

ORPHAN_SECONDS = 15.0
"""Seconds within which all others end when the command itself was killed."""

FIRST_MOMENT = 0.5
"""Seconds after a start before which nothing is killed."""

console = Console()


@dataclass(frozen=True)
class KillConfig:
    """Settings of the check.

    Attributes:
        kills: Kills in all, of imitations and benchmarks in turn.
        longest: Seconds from a start to a kill at most; a run that is over by then goes unharmed.
        works: imitation and benchmark, or one of them.
        troubles: Other things to survive, by name; all by default.
        seed: Of moments and victims.
        folder: Where the runs are; what is done there already is not done again.
        out: JSON file of the results; None for none.
    """

    kills: int = 30
    longest: float = 20.0
    works: tuple[str, ...] = tuple(COMMANDS)
    troubles: tuple[str, ...] = tuple(TROUBLES)
    seed: int = 0
    folder: Path = Path("runs/kill_check")
    out: Path | None = Path("experiments/results/kill_check.json")

    def __post_init__(self) -> None:
        for name in self.works:
            check_choice("work", name, COMMANDS)
        for name in self.troubles:
            check_choice("trouble", name, TROUBLES)
        if not self.works or self.kills < 0 or self.longest <= FIRST_MOMENT or self.seed < 0:
            raise ValueError(
                f"works are {self.works}, kills {self.kills}, longest {self.longest} and seed {self.seed}; name at "
                f"least one work, and kill at least {FIRST_MOMENT} s after a start."
            )


@dataclass
class Life:
    """A run from its start to its end, with the kills between.

    Attributes:
        work: What it was.
        kills: One entry a kill: victim, moment, and how the command ended.
        differences: What differs from the run that was left alone.
        litter: What unfinished writes have left.
        problem: Why it did not come to its end; empty if it did.
    """

    work: str
    kills: list[dict[str, Any]] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    litter: list[str] = field(default_factory=list)
    problem: str = ""

    @property
    def survived(self) -> bool:
        """Whether it ended like an undisturbed run, and every kill was noticed in time."""
        noticed = all(kill["ended"] and not kill["orphans"] for kill in self.kills)
        return not self.problem and not self.differences and noticed


def reference(config: KillConfig, work: str) -> Path:
    """The folder of a run that is left alone; it is made if it is not there.

    Raises:
        ValueError: If it does not end well.
    """
    out = config.folder / "undisturbed" / work
    done = out.with_suffix(".json")
    if not done.exists():
        console.print(f"{work}, undisturbed", highlight=False)
        tree = Tree(COMMANDS[work](out), out.with_suffix(".log"))
        try:
            status = tree.wait(PATIENCE)
        finally:
            tree.end()
        if status != 0:
            raise ValueError(f"The undisturbed {work} ended with {status}; {tree.log} says why.")
        write_json(done, {"seconds": tree.seconds})
    return out


def kill_until(config: KillConfig, work: str, out: Path, most: int, rng: np.random.Generator) -> Life:
    """Starts a run again and again, each time killing one of its processes, until it comes to its end.

    Args:
        config: How late a kill comes at most.
        work: What is run.
        out: Its folder.
        most: Kills at most; then it is left alone.
        rng: Source of moments and victims.
    """
    life, expected = Life(work), config.folder / "undisturbed" / work
    whole = read_object(expected.with_suffix(".json"), "note", "delete it", ("seconds",))["seconds"]
    while not life.problem:
        tree = Tree(COMMANDS[work](out), out.with_suffix(".log"))
        moment = rng.uniform(FIRST_MOMENT, max(FIRST_MOMENT, min(config.longest, whole)))
        try:
            status = tree.wait(moment if len(life.kills) < most else PATIENCE)
            if status is None and len(life.kills) < most:
                life.kills.append(_kill(tree, rng))
            elif status == 0:
                life.differences = differences(expected, out)
                life.litter = litter(out)
                return life
            else:
                life.problem = f"It ended with {status}: {_last_line(tree.said)}"
        finally:
            tree.end()
    return life


def _kill(tree: Tree, rng: np.random.Generator) -> dict[str, Any]:
    """Kills one process of a command and waits for the end of the others."""
    members = tree.members()
    victim = members[int(rng.integers(len(members)))]
    moment = tree.seconds
    victim.process.kill()
    started = time.monotonic()
    # Without its resource tracker a command goes on to its end.
    status = tree.wait(PATIENCE if victim.role == "resource tracker" else END_SECONDS)
    ended = time.monotonic() - started
    return {
        "victim": victim.role,
        "after_seconds": round(moment, 2),
        "status": status,
        "ended": status is not None,
        "end_seconds": round(ended, 2),
        "orphans": tree.left(ORPHAN_SECONDS),
        "traceback": "Traceback" in tree.said,
        "last_line": _last_line(tree.said) if status != -signal.SIGKILL else "",
    }


def _last_line(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def lives(config: KillConfig) -> Iterator[Life]:
    """Runs of the works in turn, until there were as many kills as asked for."""
    left, number = config.kills, 0
    while left > 0:
        work = config.works[number % len(config.works)]
        out = config.folder / "killed" / f"{number:03d}_{work}"
        done = out.with_suffix(".json")
        if done.exists():
            life = Life(**json.loads(done.read_text()))
        else:
            # As many kills for one life as for another.
            most = -(-left // 2) if left < len(config.works) else left
            life = kill_until(config, work, out, most, np.random.default_rng([config.seed, number]))
            write_json(done, vars(life))
        yield life
        left -= len(life.kills)
        number += 1


def check_kills(config: KillConfig) -> bool:
    """Kills runs, makes other trouble, and writes what came of it.

    Returns:
        Whether everything was survived.

    Raises:
        ValueError: If the folder cannot be made, or an undisturbed run does not end well.
    """
    # What a shell starts in the background ignores Ctrl-C, and so would the commands that are tried.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    make_folder(config.folder, "--folder")
    started = time.monotonic()
    for work in config.works:
        reference(config, work)
    found = []
    for life in lives(config):
        found.append(life)
        console.print(
            f"{life.work}: {len(life.kills)} kills, {'survived' if life.survived else 'NOT survived'} {life.problem}",
            highlight=False,
            markup=False,
        )
    troubles: dict[str, Trouble] = {}
    for name in config.troubles:
        for work in config.works:
            trouble = _troubled(config, name, work)
            if trouble is not None:
                troubles[f"{name}, {work}"] = trouble
                console.print(f"{name}, {work}: {trouble.outcome} {trouble.message}", highlight=False, markup=False)
    if config.out is not None:
        write_json(config.out, summary(config, found, troubles) | {"seconds": round(time.monotonic() - started)})
    return all(life.survived for life in found) and all(trouble.good for trouble in troubles.values())


def _troubled(config: KillConfig, name: str, work: str) -> Trouble | None:
    """The outcome of a kind of trouble; None where it does not apply to this work."""
    out = config.folder / "troubled" / f"{name.replace(' ', '_')}_{work}"
    done = out.with_suffix(".json")
    if done.exists():
        return Trouble(**json.loads(done.read_text()))
    trouble = TROUBLES[name](work, config.folder / "undisturbed" / work, out)
    write_json(done, vars(trouble))
    return trouble


def summary(config: KillConfig, found: Sequence[Life], troubles: dict[str, Trouble]) -> dict[str, Any]:
    """Counts, and every life and trouble."""
    kills = [kill for life in found for kill in life.kills]
    return {
        "kills": len(kills),
        "victims": dict(sorted(Counter(kill["victim"] for kill in kills).items())),
        "lives": len(found),
        "survived": sum(life.survived for life in found),
        "ended_alike": sum(not life.problem and not life.differences for life in found),
        "commands_that_hung": sum(not kill["ended"] for kill in kills),
        "orphans": sum(len(kill["orphans"]) for kill in kills),
        "tracebacks": sum(kill["traceback"] for kill in kills),
        "files_left_by_unfinished_writes": sum(len(life.litter) for life in found),
        "troubles": {name: trouble.outcome for name, trouble in troubles.items()},
        "every_life": [vars(life) for life in found],
        "every_trouble": {name: vars(trouble) for name, trouble in troubles.items()},
        "seed": config.seed,
        "provenance": provenance(),
    }


def main() -> int:
    """Checks; 0 if everything was survived, 1 if not, 2 if the user has something to mend."""
    survived = True

    def work(config: KillConfig) -> None:
        nonlocal survived
        survived = check_kills(config)

    return command_line.run(KillConfig, work, __doc__) or (0 if survived else 1)


if __name__ == "__main__":
    sys.exit(main())
