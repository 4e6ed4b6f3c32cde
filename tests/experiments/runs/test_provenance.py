"""What a run notes of where it comes from."""

from __future__ import annotations

import sys

import pytest

from experiments.runs.provenance import ROOT, provenance


def test_a_program_of_the_checkout_is_named_by_its_place_there(monkeypatch: pytest.MonkeyPatch) -> None:
    program = ROOT / "experiments/robustness/kill_check.py"
    monkeypatch.setattr(sys, "argv", [str(program), "--kills", "3"])
    assert provenance()["command"] == ["experiments/robustness/kill_check.py", "--kills", "3"]


@pytest.mark.parametrize("program", ["experiments/imitate_kuka.py", "/usr/bin/onlooker-imitate"])
def test_any_other_program_is_named_as_it_was_called(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [program])
    assert provenance()["command"] == [program]
