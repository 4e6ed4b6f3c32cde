"""Embeddings number by number: mean 0, deviation about 1."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from encoders.files import write_atomically

FILE = "standardisation.safetensors"

LEAST = 0.05
"""Added to every deviation, as a share of the whole embedding's, so that what hardly ever changes stays small."""


class Standardisation(NamedTuple):
    """What embeddings are standardised by.

    Attributes:
        mean: (D,) float32.
        deviation: (D,) float32, above 0.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def save(self, folder: Path) -> None:
        """Writes ``standardisation.safetensors`` into a folder, beside the encoder's files."""
        write_atomically(folder / FILE, save(self._asdict()))


def measure(embeddings: NDArray[np.float32]) -> Standardisation:
    """Means and deviations of embeddings.

    Args:
        embeddings: (N, D) float32.

    Raises:
        ValueError: If there are fewer than two, or all of them are the same.
    """
    if embeddings.ndim != 2 or len(embeddings) < 2:
        raise ValueError(f"Standardisation takes embeddings (N, D) of at least two frames; got {embeddings.shape}.")
    variance = embeddings.var(axis=0, dtype=np.float64)
    whole = float(np.sqrt(variance.mean()))
    if not whole > 0:
        raise ValueError("All frames have the same embedding; train the encoder for longer, or leave it as it comes.")
    deviation = np.sqrt(variance) + LEAST * whole
    return Standardisation(embeddings.mean(axis=0, dtype=np.float64).astype(np.float32), deviation.astype(np.float32))


def standardised(embeddings: NDArray[np.float32], by: Standardisation) -> NDArray[np.float32]:
    """Embeddings less their mean, over their deviation: (..., D) -> (..., D) float32."""
    scaled: NDArray[np.float32] = (embeddings - by.mean) / by.deviation
    return scaled
