"""Presets of optimisers and schedules, and stepping through their stages."""

from __future__ import annotations

import io
import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from encoders.training.optimisers import OPTIMISERS, Stepper

BORDERS = {
    "default": [0, 100],
    "snaps": [0, 25, 50, 75, 100],
    "pouring": [0, 6, 32, 100],  # 800, 4,200 and 13,000 of 13,000
    "smak": [0, 100],
}
"""Steps at which the stages of 100 begin and end."""


def weights() -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(5))]


def gradients(step: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(3, 4, generator=generator), torch.randn(5, generator=generator)]


def advance(stepper: Stepper, trained: list[nn.Parameter], steps: range) -> list[float]:
    """Steps along made-up gradients; the rate of every step."""
    rates = []
    for step in steps:
        stepper.zero_grad()
        assert all(weight.grad is None for weight in trained)
        for weight, gradient in zip(trained, gradients(step), strict=True):
            weight.grad = gradient
        rates.append(stepper.learning_rate)
        stepper.step()
    return rates


def rates_of(preset: str, steps: int, learning_rate: float | None = None) -> list[float]:
    trained = weights()
    return advance(Stepper(trained, preset, steps, learning_rate), trained, range(steps))


def borders(preset: str, steps: int) -> list[int]:
    """Steps at which another optimiser takes over, of a training of ``steps``."""
    trained = weights()
    stepper = Stepper(trained, preset, steps)
    seen, found = stepper._optimiser, [0]
    for step in range(steps):
        advance(stepper, trained, range(step, step + 1))
        if stepper._optimiser is not seen:
            seen = stepper._optimiser
            found.append(step + 1)
    return [*found, steps]


def test_every_preset_is_tested_here_and_its_shares_make_a_whole() -> None:
    assert list(BORDERS) == list(OPTIMISERS)
    for stages in OPTIMISERS.values():
        assert sum(stage.share for stage in stages) == pytest.approx(1.0)


@pytest.mark.parametrize("preset", OPTIMISERS)
def test_the_stages_begin_where_the_paper_says(preset: str) -> None:
    assert borders(preset, 100) == BORDERS[preset]


@pytest.mark.parametrize("steps", [4, 5, 6, 7, 10, 13, 26, 90, 101])
def test_the_stages_of_any_training_fill_it_in_proportion(steps: int) -> None:
    for preset, stages in OPTIMISERS.items():
        found = borders(preset, steps)
        assert len(found) == len(stages) + 1
        for stage, (start, end) in enumerate(itertools.pairwise(found)):
            assert end - start >= 1
            assert abs((end - start) - stages[stage].share * steps) <= 1.0


@pytest.mark.parametrize("preset", OPTIMISERS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_training_shorter_than_its_stages_has_a_step_of_the_first_ones(preset: str, steps: int) -> None:
    trained = weights()
    before = [weight.detach().clone() for weight in trained]
    rates = advance(Stepper(trained, preset, steps), trained, range(steps))
    if len(OPTIMISERS[preset]) >= 3:
        assert rates == pytest.approx([stage.learning_rate for stage in OPTIMISERS[preset][:steps]])
    assert not any(torch.equal(weight, old) for weight, old in zip(trained, before, strict=True))


def test_the_default_rises_to_its_rate_and_falls_to_nothing() -> None:
    rates = rates_of("default", 200)
    assert rates[0] == pytest.approx(1e-3 / 25)
    assert max(rates) == pytest.approx(1e-3, rel=1e-3)
    # One cycle: three tenths up, the rest down.
    top = rates.index(max(rates))
    assert 58 <= top <= 62
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < 1e-6


def test_snaps_falls_to_a_tenth_with_every_quarter() -> None:
    assert rates_of("snaps", 100) == pytest.approx([0.1] * 25 + [0.01] * 25 + [0.001] * 25 + [0.0001] * 25)


def test_smak_falls_by_a_twentieth_69_times() -> None:
    rates = rates_of("smak", 69)
    assert rates == pytest.approx([1e-4 * 0.95**step for step in range(69)])
    half = rates_of("smak", 138)
    assert half[::2] == pytest.approx(rates)


def test_pouring_goes_from_plain_to_momentum_to_adam() -> None:
    # The first 800, then up to 4,200 of 13,000 steps, at a hundredth of them.
    trained = weights()
    reference = [weight.detach().clone() for weight in trained]
    stepper = Stepper(trained, "pouring", 130)
    speed = [torch.zeros_like(weight) for weight in reference]
    for step in range(42):
        assert stepper.learning_rate == pytest.approx(1e-2)
        advance(stepper, trained, range(step, step + 1))
        for weight, velocity, gradient in zip(reference, speed, gradients(step), strict=True):
            velocity.mul_(0.9 if step > 8 else 0.0).add_(gradient)
            weight.sub_(1e-2 * velocity)
        for weight, expected in zip(trained, reference, strict=True):
            torch.testing.assert_close(weight.detach(), expected)
    assert stepper.learning_rate == pytest.approx(1e-4)
    # Adam's first step is one rate long in every direction.
    advance(stepper, trained, range(42, 43))
    for weight, old, gradient in zip(trained, reference, gradients(42), strict=True):
        torch.testing.assert_close(weight.detach(), old - 1e-4 * gradient.sign(), atol=1e-6, rtol=0)
    assert advance(stepper, trained, range(43, 130)) == pytest.approx([1e-4] * 87)


def test_weight_decay_pulls_at_weights_without_a_gradient() -> None:
    for preset, pulled in (("default", True), ("smak", True), ("snaps", False), ("pouring", False)):
        weight = nn.Parameter(torch.full((4,), 2.0))
        stepper = Stepper([weight], preset, 10)
        for _ in range(3):
            weight.grad = torch.zeros(4)
            stepper.step()
        assert bool((weight < 2.0).all()) is pulled
        assert pulled or bool((weight == 2.0).all())


@pytest.mark.parametrize("preset", OPTIMISERS)
def test_another_learning_rate_scales_every_stage(preset: str) -> None:
    first = OPTIMISERS[preset][0].learning_rate
    assert rates_of(preset, 40, first / 4) == pytest.approx([rate / 4 for rate in rates_of(preset, 40)])


@pytest.mark.parametrize("preset", OPTIMISERS)
def test_a_state_goes_on_bit_for_bit_in_every_stage(preset: str) -> None:
    steps = 40
    found = borders(preset, steps)
    middles = [(start + end) // 2 for start, end in itertools.pairwise(found)]
    for cut in sorted({*middles, *found[1:-1], steps - 1}):
        whole = weights()
        stepper = Stepper(whole, preset, steps)
        advance(stepper, whole, range(cut))
        # As a checkpoint has it: on the disk, and read without running code.
        buffer = io.BytesIO()
        torch.save(stepper.state_dict(), buffer)
        kept = [weight.detach().clone() for weight in whole]
        rates = advance(stepper, whole, range(cut, steps))

        buffer.seek(0)
        state: dict[str, Any] = torch.load(buffer, weights_only=True)
        again = [nn.Parameter(weight) for weight in kept]
        resumed = Stepper(again, preset, steps)
        resumed.load_state_dict(state)
        assert advance(resumed, again, range(cut, steps)) == rates
        for ours, theirs in zip(again, whole, strict=True):
            assert torch.equal(ours, theirs)


def test_frozen_parameters_are_left_out() -> None:
    trained = weights()
    trained[1].requires_grad_(False)
    before = trained[1].detach().clone()
    stepper = Stepper(trained, "default", 10)
    trained[0].grad = torch.ones(3, 4)
    stepper.step()
    assert torch.equal(trained[1], before)
    assert len(stepper.state_dict()["optimizer"]["param_groups"][0]["params"]) == 1


def test_nothing_to_train_and_unknown_presets_are_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"Unknown optimiser preset 'snap'\. Did you mean 'snaps'\?.*default"):
        Stepper(weights(), "snap", 10)
    frozen = weights()
    for weight in frozen:
        weight.requires_grad_(False)
    for parameters in (frozen, []):
        with pytest.raises(ValueError, match="Every parameter is frozen: there is nothing to train"):
            Stepper(parameters, "default", 10)
