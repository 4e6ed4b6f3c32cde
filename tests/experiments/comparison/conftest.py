"""The clips that encoders are compared on."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_view_pairs import viewed


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return viewed(tmp_path_factory.getbasetemp())
