"""Concepts of all captions of files, in one process or several."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from dataset_builder.concepts import caption_shards
from dataset_builder.concepts.caption_shards import (
    MENTION_COLUMNS,
    caption_files,
    extract_files,
    read_captions,
    workers_for,
)
from dataset_builder.concepts.concept_names import everyday_names
from dataset_builder.concepts.extraction import ExtractionOptions
from dataset_builder.concepts.model_pack import build_pack
from rocov2_eval.concept_extraction import Mention
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault

OPTIONS = ExtractionOptions()


@dataclass(frozen=True, kw_only=True)
class Everyday:
    """Finds three words, with what lies within them."""

    identity: str = "everyday@0"

    def extract(self, texts: Sequence[str]) -> list[tuple[Mention, ...]]:
        return [tuple(self.found(text)) for text in texts]

    def found(self, text: str) -> Iterator[Mention]:
        cuis = {"CT": "C0040405", "chest": "C0817096", "Plain X-ray": "C1306645", "X-ray": "C1306645"}
        for word, cui in cuis.items():
            for match in re.finditer(word, text):
                yield Mention(
                    start=match.start(),
                    end=match.end(),
                    text=word,
                    cui=cui,
                    name=word,
                    types=("T060",),
                    accuracy=1.0,
                )


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for a model pack."""
    monkeypatch.setattr(caption_shards, "open_extractor", lambda _: nullcontext(Everyday()))
    return Path("everyday.zip")


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    path = tmp_path / "captions.csv"
    path.write_text('ID,Caption\na,"CT of the chest, chest CT"\nb,nothing\nc,Plain X-ray\n', encoding="utf-8")
    return path


def test_each_image_has_a_row_of_concepts(captions: Path, opened: Path) -> None:
    found = extract_files([captions], opened, OPTIONS)
    assert found.concepts == (("a", "C0040405;C0817096"), ("b", ""), ("c", "C1306645"))


def test_mentions_have_places_and_reasons(captions: Path, opened: Path) -> None:
    found = extract_files([captions], opened, ExtractionOptions(blacklist=("C0817096",)))
    rows = [dict(zip(MENTION_COLUMNS, cells, strict=True)) for cells in found.mentions]
    assert [(row["ID"], row["start"], row["text"], row["removed"]) for row in rows] == [
        ("a", 0, "CT", ""),
        ("a", 23, "CT", ""),
        ("a", 10, "chest", "blacklist"),
        ("a", 17, "chest", "blacklist"),
        ("c", 0, "Plain X-ray", ""),
        ("c", 6, "X-ray", "nested"),
    ]


def test_shards_add_up_and_progress_is_told(
    captions: Path, opened: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = extract_files([captions], opened, OPTIONS)
    monkeypatch.setattr(caption_shards, "SHARD", 2)
    steps = []
    assert extract_files([captions], opened, OPTIONS, progress=lambda *at: steps.append(at)) == whole
    assert steps == [(2, 3), (3, 3)]


@pytest.mark.slow
def test_two_workers_find_what_one_finds(tmp_path: Path) -> None:
    pack = tmp_path / "everyday.zip"
    build_pack(everyday_names(), pack)
    path = tmp_path / "many.csv"
    rows = "".join(f"i{i},CT of the {('chest', 'pelvis', 'skull')[i % 3]} {i}\n" for i in range(2500))
    path.write_text(f"ID,Caption\n{rows}", encoding="utf-8")
    assert extract_files([path], pack, OPTIONS, workers=2) == extract_files([path], pack, OPTIONS)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_pack_that_is_not_there_is_told(tmp_path: Path, workers: int) -> None:
    path = tmp_path / "many.csv"
    path.write_text("ID,Caption\n" + "".join(f"i{i},CT\n" for i in range(1001)), encoding="utf-8")
    with pytest.raises(MissingResource, match="model pack"):
        extract_files([path], tmp_path / "none.zip", OPTIONS, workers=workers)


@pytest.mark.parametrize(
    ("captions", "processors", "workers"),
    [(1, 8, 1), (6_834, 2, 1), (19_999, 8, 1), (20_000, 8, 2), (20_000, 1, 1), (1_000_000, 8, 8)],
)
def test_another_worker_starts_where_there_is_enough_for_it(
    captions: int, processors: int, workers: int
) -> None:
    assert workers_for(captions, processors) == workers


def test_a_dataset_folder_has_its_captions_by_split(tmp_path: Path) -> None:
    for split in ("valid", "train"):
        (tmp_path / f"{split}_captions.csv").write_text(f"ID,Caption\n{split},x\n", encoding="utf-8")
    assert read_captions(caption_files(tmp_path)) == [("train", "x"), ("valid", "x")]


def test_a_folder_without_captions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match=r"no file \*_captions\.csv"):
        caption_files(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ID,Text\na,b\n", "no column Caption"),
        ("ID,Caption\n,b\n", ":2: a row without an ID"),
        ("ID,Caption\na,b\na,c\n", ":3: a occurs twice"),
    ],
)
def test_broken_captions_are_refused_with_their_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "captions.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RejectedInput, match=message):
        read_captions([path])
