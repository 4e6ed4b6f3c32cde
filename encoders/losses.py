"""Representation losses as pure functions of embeddings, and the pairs of frames that some of them compare."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from torch import Tensor

from encoders.base import FrameBatch


class TripletTerms(NamedTuple):
    """A triplet loss, and the share of triplets that violate its margin.

    Attributes:
        loss: Mean hinge, () float.
        violations: Share of triplets inside the margin, () float in [0, 1].
    """

    loss: Tensor
    violations: Tensor


def squared_distances(left: Tensor, right: Tensor) -> Tensor:
    """Squared Euclidean distance of every row of ``left`` to every row of ``right``: (N, D), (M, D) -> (N, M)."""
    left, right = _whole(left), _whole(right)
    products = _products(left, right)
    return (left.square().sum(1)[:, None] + right.square().sum(1)[None] - 2.0 * products).clamp(min=0.0)


def _whole(embeddings: Tensor) -> Tensor:
    """Embeddings in float32 at least."""
    return embeddings if embeddings.dtype == torch.float64 else embeddings.float()


def _products(left: Tensor, right: Tensor) -> Tensor:
    """Inner product of every row with every row: (N, D), (M, D) -> (N, M).

    Also within ``torch.autocast``: in bfloat16, products of long embeddings would be rounded by more than the distances
    between neighbours.
    """
    with torch.autocast(left.device.type, enabled=False):
        return left @ right.T


def triplet_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Mean of max(0, margin + |a - p|^2 - |a - n|^2) over the rows.

    Sermanet et al., Time-Contrastive Networks, 2018, equation 1, with the hinge of Schroff et al., FaceNet, 2015.

    Args:
        anchor: (B, D) float.
        positive: (B, D) float.
        negative: (B, D) float.
        margin: Squared distance by which the negative should be further away.

    Returns:
        () float.

    Raises:
        ValueError: If the shapes differ or are not two-dimensional, or there are no rows.
    """
    if anchor.ndim != 2 or not anchor.shape == positive.shape == negative.shape or len(anchor) == 0:
        shapes = [tuple(part.shape) for part in (anchor, positive, negative)]
        raise ValueError(f"triplet_loss takes three embeddings of one shape (B, D), B at least 1; got {shapes}.")
    near = (anchor - positive).square().sum(dim=1)
    far = (anchor - negative).square().sum(dim=1)
    return F.relu(margin + near - far).mean()


def masked_triplet_loss(embeddings: Tensor, positives: Tensor, negatives: Tensor, margin: float) -> TripletTerms:
    """``triplet_loss`` over every triplet that two masks allow, each frame embedded once.

    Args:
        embeddings: (N, D) float.
        positives: (N, N) bool: column j may be the positive of anchor i.
        negatives: (N, N) bool: column j may be the negative of anchor i.
        margin: Squared distance by which a negative should be further away than a positive.

    Returns:
        The mean over all allowed triplets, and the share of them inside the margin.

    Raises:
        ValueError: If the embeddings are not two-dimensional, a mask is not (N, N), or no triplet is allowed.
    """
    if embeddings.ndim != 2:
        raise ValueError(f"masked_triplet_loss takes embeddings of shape (N, D); got {tuple(embeddings.shape)}.")
    count = len(embeddings)
    if positives.shape != (count, count) or negatives.shape != (count, count):
        raise ValueError(
            f"masks must be ({count}, {count}) for {count} embeddings; "
            f"got {tuple(positives.shape)} and {tuple(negatives.shape)}."
        )
    allowed = positives[:, :, None] & negatives[:, None, :]
    total = allowed.sum()
    if total == 0:
        raise ValueError("No frame of the batch has both a positive and a negative; sample longer stretches of video.")
    distances = squared_distances(embeddings, embeddings)
    hinge = F.relu(margin + distances[:, :, None] - distances[:, None, :]) * allowed
    return TripletTerms(hinge.sum() / total, (hinge > 0).sum() / total)


def n_pairs_loss(anchor: Tensor, positive: Tensor, regularisation: float = 0.0) -> Tensor:
    """Multi-class n-pairs loss: every other pair's positive is a negative.

    Sohn, Improved Deep Metric Learning with Multi-class N-pair Loss Objective, 2016, equation 4 (the
    softmax form) with the L2 penalty of its section 3.2.2.

    Args:
        anchor: (B, D) float, one view.
        positive: (B, D) float, the same moments from another view.
        regularisation: Weight of the mean squared norm of the embeddings.

    Returns:
        () float.

    Raises:
        ValueError: If the shapes differ or there are fewer than two pairs.
    """
    if anchor.ndim != 2 or anchor.shape != positive.shape or len(anchor) < 2:
        raise ValueError(
            "n_pairs_loss takes two embeddings of one shape (B, D) with at least 2 pairs; "
            f"got {tuple(anchor.shape)} and {tuple(positive.shape)}."
        )
    anchor, positive = _whole(anchor), _whole(positive)
    logits = _products(anchor, positive)
    labels = torch.arange(len(anchor), device=anchor.device)
    norms = anchor.square().sum(1).mean() + positive.square().sum(1).mean()
    return F.cross_entropy(logits, labels) + regularisation * norms


def grouped_n_pairs_loss(anchor: Tensor, positive: Tensor, group: Tensor, regularisation: float = 0.0) -> Tensor:
    """Mean ``n_pairs_loss`` of every group of pairs: the negatives of a pair are the others of its video.

    Moments of another video differ by how they look; those of the same video differ by what happens.

    Args:
        anchor: (B, D) float, one view.
        positive: (B, D) float, the same moments from another view.
        group: (B,) integer, which video a pair is from.
        regularisation: Weight of the mean squared norm of the embeddings.

    Returns:
        () float.

    Raises:
        ValueError: If the shapes differ, there are no pairs, or a group has fewer than two.
    """
    if group.shape != anchor.shape[:1] or group.numel() == 0:
        raise ValueError(f"group must be ({len(anchor)},), one entry a pair, at least one; got {tuple(group.shape)}.")
    losses = [
        n_pairs_loss(anchor[group == index], positive[group == index], regularisation) for index in torch.unique(group)
    ]
    return torch.stack(losses).mean()


def thresholded_reconstruction_loss(output: Tensor, target: Tensor, threshold: float) -> Tensor:
    """Mean squared error in which elements with a squared error below a threshold count as zero.

    Wu, Khetarpal and Precup, Self-Supervised Attention-Aware Reinforcement Learning, 2021: the norm with threshold
    delta; the mean over all elements, as their published code has it, in place of the sum.

    Args:
        output: (B, ...) float.
        target: (B, ...) float.
        threshold: delta; 0 gives the plain mean squared error.

    Returns:
        () float.

    Raises:
        ValueError: If the shapes differ, there are no elements, or the threshold is not at least 0.
    """
    if output.shape != target.shape or output.numel() == 0 or not threshold >= 0:
        raise ValueError(
            "thresholded_reconstruction_loss takes two tensors of one shape, not empty, and a threshold of at least 0; "
            f"got {tuple(output.shape)}, {tuple(target.shape)} and {threshold}."
        )
    errors = (output - target).square()
    return (errors * (errors >= threshold)).mean()


def source_frames(batch: FrameBatch) -> Tensor:
    """For every frame of a batch the index of the next one of its video and view; the last one's is the first.

    Returns:
        (N,) int64.

    Raises:
        ValueError: If a frame has no other one of its video and view beside it.
    """
    source = torch.empty_like(batch.video)
    for video, view in torch.unique(torch.stack([batch.video, batch.view]), dim=1).T:
        members = torch.nonzero((batch.video == video) & (batch.view == view)).flatten()
        if len(members) < 2:
            raise ValueError(f"Video {int(video)} has a single frame in the batch; a pair takes two.")
        source[members] = members.roll(-1)
    return source
