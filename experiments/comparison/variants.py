"""Encoder variants of the papers' tables, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import encoders
from encoders.base import EncoderConfig
from encoders.errors import check_choice

RGB = 3
"""Channels of a clip's frames."""


@dataclass(frozen=True)
class Variant:
    """An encoder as it stands in a table.

    Attributes:
        encoder: Registered name.
        settings: Its config, where it differs from the default.
        trained: Whether it is trained; the controls are not.
        share: Share of the iterations that it is trained for.
        own_stem: Whether it keeps its own stem instead of the one that all are compared on.
    """

    encoder: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    trained: bool = True
    share: float = 1.0
    own_stem: bool = False


VARIANTS: dict[str, Variant] = {
    "tcn_single_view": Variant("tcn"),
    "tcn_multi_view": Variant("tcn", {"objective": "multi_view"}),
    "tcn_n_pairs": Variant("tcn", {"objective": "n_pairs"}),
    "smak_12": Variant("smak", {"levels": "12"}),
    "smak_13": Variant("smak", {"levels": "13"}),
    "smak_23": Variant("smak", {"levels": "23"}),
    "smak_123": Variant("smak"),
    "smak_123_third": Variant("smak", share=1 / 3),
    "smak_softmax": Variant("smak", {"normalisation": "softmax"}),
    "smak_extended": Variant("smak", {"extended": True}),
    "untrained": Variant("tcn", trained=False, own_stem=True),
    "pretrained_pooled": Variant("pooled", own_stem=True),
}
"""The rows of the papers' tables by name. Any registered encoder's name is a variant too: its defaults, trained."""


LARGE: dict[str, Variant] = {
    "tcn_large": Variant(
        "tcn",
        {
            "objective": "n_pairs",
            "backbone": "residual",
            "pooling": "flatten",
            "hidden": 256,
            "norm": 10**0.5,
            "videos": 16,
            "negative_range": 9,
        },
        own_stem=True,
    ),
}
"""Variants for many videos and many iterations, that no table of the papers has. Batches span whole recordings of 50
frames, and the norm makes a temperature of 0.1."""


def variant_of(name: str) -> Variant:
    """The variant of a name.

    Raises:
        ValueError: If it is neither a variant nor a registered encoder.
    """
    registered = {encoder: Variant(encoder, own_stem=True) for encoder in encoders.names()}
    known = {**registered, **VARIANTS, **LARGE}
    check_choice("encoder or variant", name, known)
    return known[name]


def encoder_config(variant: Variant, image_size: int, stem: Mapping[str, Any]) -> EncoderConfig:
    """The validated settings of a variant's encoder.

    Args:
        variant: Which.
        image_size: Width and height of the clips, pixels.
        stem: Settings of the stem that variants are compared on.

    Raises:
        ValueError: If it does not take such frames.
    """
    settings = dict(variant.settings) if variant.own_stem else {**stem, **variant.settings}
    return encoders.configure(variant.encoder, image_size=image_size, channels=RGB, **settings)
