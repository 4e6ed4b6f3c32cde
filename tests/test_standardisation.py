"""Standardisation of embeddings: by hand, and what cannot be standardised."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from encoders.standardisation import LEAST, measure, standardised

EMBEDDINGS = np.array([[1.0, 5.0], [3.0, 5.0], [5.0, 5.0], [7.0, 5.0]], np.float32)
"""The first number deviates by the root of 5 from a mean of 4, the second one never changes."""


def test_means_and_deviations_are_those_calculated_by_hand() -> None:
    by = measure(EMBEDDINGS)
    whole = np.sqrt(5.0 / 2)
    np.testing.assert_allclose(by.mean, [4.0, 5.0])
    np.testing.assert_allclose(by.deviation, [np.sqrt(5.0) + LEAST * whole, LEAST * whole], rtol=1e-6)
    found = standardised(EMBEDDINGS, by)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, 0], np.array([-3.0, -1.0, 1.0, 3.0]) / by.deviation[0], rtol=1e-6)
    np.testing.assert_array_equal(found[:, 1], 0.0)


def test_scale_and_offset_of_an_embedding_make_no_difference() -> None:
    moved = EMBEDDINGS * 8 - 3
    np.testing.assert_allclose(
        standardised(moved, measure(moved)), standardised(EMBEDDINGS, measure(EMBEDDINGS)), rtol=1e-5
    )


def test_it_is_kept_in_a_file(tmp_path: Path) -> None:
    by = measure(EMBEDDINGS)
    by.save(tmp_path)
    kept = load_file(tmp_path / "standardisation.safetensors")
    np.testing.assert_array_equal(kept["mean"], by.mean)
    np.testing.assert_array_equal(kept["deviation"], by.deviation)


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        (EMBEDDINGS[:1], "at least two frames"),
        (EMBEDDINGS[0], "at least two frames"),
        (np.ones((4, 2), np.float32), "the same embedding"),
    ],
)
def test_what_has_no_deviation_is_refused(embeddings: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure(embeddings)
