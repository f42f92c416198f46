"""What the tests of the scorer's modules share."""

from __future__ import annotations

from pathlib import Path

import pytest

import concept_pack


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the archive of a small model pack of MedCAT; its folder lies beside it."""
    return concept_pack.make_pack(tmp_path_factory.mktemp("pack"))
