"""What the documentation says of memory is what the shipped recipes need."""

from __future__ import annotations

from pathlib import Path

import pytest
import write_memory

from baselines.config import read_recipe

pytestmark = pytest.mark.slow  # networks of billions of weights are laid out


def test_the_page_has_the_sizes_of_the_shipped_recipes() -> None:
    assert write_memory.main(["--check"]) == 0


def test_a_page_with_other_numbers_is_stale_until_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before {write_memory.START} old {write_memory.END} after", encoding="utf-8")
    monkeypatch.setattr(write_memory, "PAGE", page)
    monkeypatch.setattr(write_memory, "table", lambda: "new\n")
    assert [write_memory.main(words) for words in (["--check"], [], ["--check"])] == [1, 0, 0]


def test_adapters_leave_the_weights_of_biomedlm_out_of_the_checkpoints() -> None:
    size = write_memory.size_of(read_recipe("captions_biomedlm_lora"))
    assert (size.trained // 100_000, size.memory // 2**30) == (1152, 6)
    assert size.last == size.trained * 4 * 3
    assert size.best == size.trained * 4
