"""Representation losses, against values and gradients worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from encoders.losses import (
    grouped_n_pairs_loss,
    masked_triplet_loss,
    n_pairs_loss,
    squared_distances,
    thresholded_reconstruction_loss,
    triplet_loss,
)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_squared_distances_are_those_of_every_row_to_every_row() -> None:
    left, right = torch.tensor([[0.0, 0.0], [3.0, 0.0]]), torch.tensor([[0.0, 4.0], [1.0, 1.0], [3.0, 0.0]])
    assert squared_distances(left, right).tolist() == [[16.0, 2.0, 9.0], [25.0, 5.0, 0.0]]


def test_distances_between_neighbours_are_not_rounded_in_training_in_bfloat16() -> None:
    # Of length 10, half apart: rounded to bfloat16, products of about 100 are wrong by up to a quarter.
    angle = 0.05 * torch.arange(20)
    embeddings = 10 * torch.stack([angle.cos(), angle.sin()], dim=1)
    exact = squared_distances(embeddings, embeddings)
    assert exact[0, 1].item() == pytest.approx(0.25, rel=0.01)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(squared_distances(embeddings, embeddings), exact)
        pairs = n_pairs_loss(embeddings[1:], embeddings[:-1])
    assert torch.equal(pairs, n_pairs_loss(embeddings[1:], embeddings[:-1]))


def test_squared_distances_are_never_negative_for_long_embeddings() -> None:
    points = (10 * random(50, 32)).float()
    distances = squared_distances(points, points)
    assert distances.min() >= 0.0
    torch.testing.assert_close(distances, torch.cdist(points, points).square(), atol=1e-2, rtol=1e-4)


def test_triplet_loss_and_its_gradient_are_those_worked_out_by_hand() -> None:
    # Row 0: 4 + 1 - 4 = 1, active. Row 1: 4 + 0 - 9 < 0, satisfied. The mean halves everything.
    anchor = torch.tensor([[0.0, 0.0], [0.0, 0.0]], requires_grad=True)
    positive = torch.tensor([[1.0, 0.0], [0.0, 0.0]], requires_grad=True)
    negative = torch.tensor([[0.0, 2.0], [3.0, 0.0]], requires_grad=True)
    loss = triplet_loss(anchor, positive, negative, margin=4.0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0.5
    # d/da = 2 (n - p), d/dp = 2 (p - a), d/dn = 2 (a - n), halved.
    assert anchor.grad is not None and anchor.grad.tolist() == [[-1.0, 2.0], [0.0, 0.0]]
    assert positive.grad is not None and positive.grad.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert negative.grad is not None and negative.grad.tolist() == [[0.0, -2.0], [0.0, 0.0]]


@pytest.mark.parametrize("shapes", [((3, 2), (3, 2), (2, 2)), ((2,), (2,), (2,)), ((3, 2), (3, 1), (3, 2))])
def test_triplets_of_different_shapes_are_refused(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match="one shape"):
        triplet_loss(*(torch.zeros(shape) for shape in shapes), margin=1.0)


@pytest.mark.parametrize("margin", [0.0, 2.0, 30.0])
def test_masked_triplet_loss_equals_a_loop_over_the_triplets(margin: float) -> None:
    generator = torch.Generator().manual_seed(1)
    embeddings = random(7, 3).requires_grad_()
    positives = torch.rand(7, 7, generator=generator) < 0.4
    negatives = torch.rand(7, 7, generator=generator) < 0.3
    terms = []
    for a in range(7):
        for p in range(7):
            for n in range(7):
                if positives[a, p] and negatives[a, n]:
                    near = (embeddings[a] - embeddings[p]).square().sum()
                    far = (embeddings[a] - embeddings[n]).square().sum()
                    terms.append(torch.relu(margin + near - far))
    expected = torch.stack(terms).mean()
    (wanted,) = torch.autograd.grad(expected, embeddings)
    result = masked_triplet_loss(embeddings, positives, negatives, margin)
    (gradient,) = torch.autograd.grad(result.loss, embeddings)
    torch.testing.assert_close(result.loss, expected)
    torch.testing.assert_close(gradient, wanted)
    assert result.violations.item() == pytest.approx(sum(bool(term > 0) for term in terms) / len(terms))


def test_masked_triplet_loss_of_one_triplet_a_row_is_triplet_loss() -> None:
    anchor, positive, negative = random(4, 3, seed=1), random(4, 3, seed=2), random(4, 3, seed=3)
    nothing, one = torch.zeros(4, 4, dtype=torch.bool), torch.eye(4, dtype=torch.bool)
    positives = torch.zeros(12, 12, dtype=torch.bool)
    negatives = positives.clone()
    positives[:4] = torch.cat([nothing, one, nothing], dim=1)
    negatives[:4] = torch.cat([nothing, nothing, one], dim=1)
    result = masked_triplet_loss(torch.cat([anchor, positive, negative]), positives, negatives, 2.0)
    torch.testing.assert_close(result.loss, triplet_loss(anchor, positive, negative, 2.0))


def test_a_batch_without_a_triplet_or_with_masks_of_another_size_is_refused() -> None:
    one, none = torch.ones(3, 3, dtype=torch.bool), torch.zeros(3, 3, dtype=torch.bool)
    # A positive for one anchor and a negative for another make no triplet either.
    split = none.clone()
    split[0, 1] = True
    other = none.clone()
    other[1, 0] = True
    for positives, negatives in [(one, none), (none, one), (split, other)]:
        with pytest.raises(ValueError, match="No frame"):
            masked_triplet_loss(torch.zeros(3, 2), positives, negatives, 1.0)
    with pytest.raises(ValueError, match="masks must be"):
        masked_triplet_loss(torch.zeros(4, 2), one, one, 1.0)


def test_n_pairs_loss_and_its_gradient_are_those_worked_out_by_hand() -> None:
    anchor = torch.eye(2, dtype=torch.float64, requires_grad=True)
    positive = torch.eye(2, dtype=torch.float64, requires_grad=True)
    loss = n_pairs_loss(anchor, positive)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)))
    # Row 0 has the logits (1, 0): d/da_0 = (1 - s) (p_1 - p_0) / 2 with s = e / (e + 1); the rest by symmetry.
    pull = (1 - math.e / (math.e + 1)) / 2
    expected = torch.tensor([[-pull, pull], [pull, -pull]], dtype=torch.float64)
    torch.testing.assert_close(anchor.grad, expected)
    torch.testing.assert_close(positive.grad, expected)


def test_the_penalty_of_n_pairs_adds_both_mean_squared_norms() -> None:
    anchor, positive = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0], [0.0, 0.0]])
    added = n_pairs_loss(anchor, positive, 0.1) - n_pairs_loss(anchor, positive)
    assert added.item() == pytest.approx(0.1 * (2.5 + 4.5))


def test_n_pairs_prefers_the_right_partners() -> None:
    anchor = 3 * torch.eye(4)
    assert n_pairs_loss(anchor, anchor) < 0.01 < 5.0 < n_pairs_loss(anchor, anchor.roll(1, dims=0))


@pytest.mark.parametrize(("left", "right"), [((1, 3), (1, 3)), ((2, 3), (3, 3)), ((3,), (3,))])
def test_n_pairs_refuses_a_single_pair_and_different_shapes(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least 2 pairs"):
        n_pairs_loss(torch.zeros(left), torch.zeros(right))


def test_grouped_n_pairs_loss_is_the_mean_over_the_groups_worked_out_by_hand() -> None:
    # Group 7 has the logits ((1, 0), (0, 1)), group 2 the logits ((2, 0), (0, 8)); they stand in turns.
    anchor = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    positive = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 4.0]])
    group = torch.tensor([7, 2, 7, 2])
    one = math.log(1 + math.exp(-1))
    other = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-8))) / 2
    assert grouped_n_pairs_loss(anchor, positive, group).item() == pytest.approx((one + other) / 2)
    # Mean squared norms: 1 + 1 of group 7, (1 + 4) / 2 + (4 + 16) / 2 of group 2.
    penalised = grouped_n_pairs_loss(anchor, positive, group, 0.1)
    assert penalised.item() == pytest.approx((one + other) / 2 + 0.1 * (2 + 12.5) / 2)


def test_grouped_n_pairs_refuses_a_group_of_one_pair_and_groups_of_another_length() -> None:
    pairs = torch.zeros(3, 2)
    with pytest.raises(ValueError, match="at least 2 pairs"):
        grouped_n_pairs_loss(pairs, pairs, torch.tensor([0, 0, 1]))
    for group in (torch.tensor([0, 0]), torch.zeros(3, 1, dtype=torch.int64)):
        with pytest.raises(ValueError, match=r"group must be \(3,\), one entry a pair"):
            grouped_n_pairs_loss(pairs, pairs, group)


@pytest.mark.parametrize(
    "loss",
    [
        lambda a, p: triplet_loss(a, p, a.flip(0), 2.0),
        lambda a, p: n_pairs_loss(a, p, 0.05),
        lambda a, p: grouped_n_pairs_loss(a, p, torch.tensor([1, 0, 0, 1]), 0.05),
    ],
)
def test_gradients_agree_with_finite_differences(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    assert torch.autograd.gradcheck(loss, (random(4, 3).requires_grad_(), random(4, 3, seed=1).requires_grad_()))


def test_the_threshold_drops_exactly_the_elements_below_it() -> None:
    output = torch.tensor([[0.0, 0.5, 1.0, 2.0]], requires_grad=True)
    target = torch.zeros(1, 4)
    # Squared errors 0, 0.25, 1 and 4: at 0.25 the second counts, just above it does not.
    assert thresholded_reconstruction_loss(output, target, 0.25).item() == pytest.approx(5.25 / 4)
    loss = thresholded_reconstruction_loss(output, target, 0.2500001)
    assert loss.item() == pytest.approx(5.0 / 4)
    loss.backward()
    assert output.grad is not None and output.grad[0].tolist() == pytest.approx([0.0, 0.0, 2.0 / 4, 4.0 / 4])
    assert thresholded_reconstruction_loss(output, target, 0.0).item() == pytest.approx(5.25 / 4)


def test_a_thresholded_reconstruction_refuses_other_shapes_and_a_negative_threshold() -> None:
    with pytest.raises(ValueError, match="one shape"):
        thresholded_reconstruction_loss(torch.zeros(2, 3), torch.zeros(2, 4), 0.1)
    with pytest.raises(ValueError, match=r"-0\.1"):
        thresholded_reconstruction_loss(torch.zeros(2), torch.zeros(2), -0.1)


def test_losses_of_nothing_are_refused() -> None:
    nothing = torch.zeros(0, 4)
    with pytest.raises(ValueError, match="B at least 1"):
        triplet_loss(nothing, nothing, nothing, 1.0)
    with pytest.raises(ValueError, match="at least one"):
        grouped_n_pairs_loss(nothing, nothing, torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match="not empty"):
        thresholded_reconstruction_loss(nothing, nothing, 0.1)


def test_a_threshold_that_is_no_number_is_refused_rather_than_taken_for_a_perfect_reconstruction() -> None:
    with pytest.raises(ValueError, match="threshold of at least 0"):
        thresholded_reconstruction_loss(torch.zeros(2, 3), torch.ones(2, 3), float("nan"))
