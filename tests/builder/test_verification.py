from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace
from PIL import Image

from dataset_builder.checks import Check
from dataset_builder.packaging import PackageOptions, write_dataset
from dataset_builder.packaging.sums import sums_of, sums_text
from dataset_builder.verification import verify
from rocov2_eval.errors import RejectedInput, UsageFault

from made_contents import contents, figures, file_of

SUMS = "SHA256SUMS lists every file with its sum"
IDS = "tables and images have the same ids"
READABLE = "every image can be read"
PARQUET = "Parquet files contain the same images"
SILENCE = "no file reveals held-out articles"
ARTICLES = "no article is in two splits"
NEAR = "no near duplicates across splits"
LICENCES = "every image has its licence and attribution"
BALANCE = "every stage adds up: taken = kept + dropped"
TRUTH = "the truth archive belongs to the dataset"
Packed = Callable[..., Path]


@pytest.fixture
def packed(tmp_path: Path) -> Packed:
    """Return a writer of the small dataset."""

    def write(contents_changes: dict[str, Any] | None = None, **options: Any) -> Path:
        write_dataset(contents(**(contents_changes or {})), PackageOptions(**options), tmp_path / "out")
        return tmp_path / "out"

    return write


def faults(folder: Path, *, with_truth: bool = True) -> dict[str, str]:
    """Return what is found by the checks that are not fine."""
    truth = folder.with_name(f"{folder.name}-truth.zip") if with_truth else None
    return {check.name: check.found for check in verify(folder, truth) if not check.is_fine}


def seal(folder: Path) -> None:
    """Renew the list of sums, as whoever changed a file on purpose would."""
    (folder / "SHA256SUMS").write_text(sums_text(sums_of(folder)), encoding="utf-8")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    folder = path.parent
    seal(folder if (folder / "manifest.json").exists() else folder.parent)


@pytest.mark.parametrize("images", ["folders", "archives"])
@pytest.mark.parametrize("held_out", ["test", ""])
def test_a_dataset_as_it_was_written_is_fine(packed: Packed, images: str, held_out: str) -> None:
    assert faults(packed(images=images, held_out=held_out), with_truth=bool(held_out)) == {}


def test_without_the_truth_the_checks_say_what_they_could_not_see(packed: Packed) -> None:
    checks = {check.name: check for check in verify(packed())}
    assert checks[TRUTH] == Check(name=TRUTH, is_fine=True, found="not checked: no archive was given")
    assert "needs the truth archive" in checks[SILENCE].found
    assert "not known without the truth archive" in checks[ARTICLES].found


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("README.md", "more\n", "1 changed: README.md"),
        ("notes.txt", "", "1 present but not listed: notes.txt"),
        ("report.html", None, "1 listed but missing: report.html"),
        ("SHA256SUMS", None, "SHA256SUMS is absent"),
    ],
)
def test_a_changed_added_or_absent_file_is_found(
    packed: Packed, name: str, content: str | None, found: str
) -> None:
    folder = packed()
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content, encoding="utf-8")
    assert faults(folder) == {SUMS: found}


def test_a_line_that_is_no_sum_is_refused(packed: Packed) -> None:
    folder = packed()
    (folder / "SHA256SUMS").write_text("junk\n", encoding="utf-8")
    with pytest.raises(RejectedInput, match="SHA256SUMS:1: 'junk', expected a sum"):
        verify(folder)


def test_a_row_without_image_and_an_image_without_row_are_found(packed: Packed) -> None:
    folder = packed()
    edit(folder / "valid_captions.csv", "ROCOv2_valid_000001", "ROCOv2_valid_000009")
    assert faults(folder)[IDS] == (
        "1 in valid_captions.csv without image: ROCOv2_valid_000009; "
        "1 not in valid_captions.csv: ROCOv2_valid_000001"
    )


def test_an_id_that_stands_twice_is_found(packed: Packed) -> None:
    folder = packed()
    edit(folder / "test_images.csv", "ROCOv2_test_000001\n", "ROCOv2_test_000001\n" * 2)
    assert faults(folder)[IDS] == "1 twice in test_images.csv: ROCOv2_test_000001"


def test_an_absent_table_is_found(packed: Packed) -> None:
    folder = packed()
    (folder / "train_concepts_manual.csv").unlink()
    seal(folder)
    assert faults(folder) == {IDS: "train_concepts_manual.csv is absent"}


def test_an_image_that_cannot_be_read_is_found(packed: Packed) -> None:
    folder = packed(parquet=False)
    path = folder / "train/ROCOv2_train_000002.jpg"
    path.write_bytes(path.read_bytes()[:300])
    seal(folder)
    assert list(faults(folder)) == [READABLE]


def test_another_picture_in_parquet_is_found(packed: Packed) -> None:
    folder = packed()
    path = folder / "train/ROCOv2_train_000002.jpg"
    path.write_bytes(path.read_bytes() + b"\0")
    seal(folder)
    assert faults(folder) == {PARQUET: "1 with another picture in Parquet: ROCOv2_train_000002"}


def test_captions_of_held_out_images_in_parquet_are_found(packed: Packed) -> None:
    folder = packed()
    path = folder / "data/test-00000-of-00001.parquet"
    table = pq.read_table(path)
    pq.write_table(table.append_column("caption", pa.array(["a", "b", "c"])), path)
    seal(folder)
    assert faults(folder) == {PARQUET: "1 columns of the truth in Parquet: caption"}


def test_a_broken_parquet_file_is_refused(packed: Packed) -> None:
    folder = packed()
    (folder / "data/test-00000-of-00001.parquet").write_bytes(b"PAR1junk")
    with pytest.raises(RejectedInput, match=r"test-00000-of-00001\.parquet: cannot be read"):
        verify(folder)


@pytest.mark.parametrize("told", ["PMC7008", "10.1234/example.8", "https://doi.org/10.1234/EXAMPLE.8)."])
@pytest.mark.parametrize("name", ["README.md", "manifest.json", "attribution.csv", "train_captions.csv"])
def test_an_article_that_a_text_tells_is_found(packed: Packed, told: str, name: str) -> None:
    folder = packed()
    old = {"README.md": "research", "manifest.json": "Captions", "attribution.csv": "A case, number 2"}
    edit(folder / name, old.get(name, "patient 2"), told)
    assert list(faults(folder)) == [SILENCE]


def test_a_doi_that_only_begins_alike_tells_nothing(packed: Packed) -> None:
    folder = packed()
    edit(folder / "README.md", "research", "10.1234/example.88 and PMC70089")
    assert faults(folder) == {}


def test_metadata_of_a_held_out_image_are_found(packed: Packed) -> None:
    folder = packed(parquet=False)
    path = folder / "test/ROCOv2_test_000002.jpg"
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        image.save(path, "JPEG", comment=b"from PMC 1234567")
    seal(folder)
    assert faults(folder, with_truth=False) == {
        SILENCE: "1 image files that name an article: ROCOv2_test_000002 (PMC 1234567)"
    }


def test_a_table_of_the_truth_in_the_public_folder_is_found(packed: Packed) -> None:
    folder = packed()
    (folder / "test_captions.csv").write_text("ID,Caption\n", encoding="utf-8")
    seal(folder)
    assert faults(folder) == {SILENCE: "1 tables of the truth: test_captions.csv"}


def test_credits_without_ids_are_no_fault(packed: Packed) -> None:
    assert faults(packed(credits="collective")) == {}


def test_an_article_in_two_splits_is_found(packed: Packed) -> None:
    folder = packed()
    edit(folder / "attribution.csv", "PMC7005", "PMC7001")
    assert faults(folder) == {ARTICLES: "1 in two splits: PMC7001 (train, valid)"}


def test_a_picture_in_two_splits_is_found(packed: Packed) -> None:
    same = figures()
    same[-1] = replace(same[-1], image=same[0].image)
    folder = packed(
        {"figures": same, "read": lambda each: file_of(same[0] if each.pmcid == "PMC7009" else each)}
    )
    found = faults(folder)
    assert list(found) == [NEAR]
    assert "like ROCOv2_train_000001" in found[NEAR]


def test_an_unknown_licence_and_an_image_without_attribution_are_found(packed: Packed) -> None:
    folder = packed()
    edit(folder / "attribution.csv", "ROCOv2_train_000001,PMC7001", "ROCOv2_train_000077,PMC7001")
    edit(folder / "attribution.csv", "CC BY,", "all rights reserved,")
    found = faults(folder)
    assert list(found) == [LICENCES]
    assert "1 in attribution.csv without image: ROCOv2_train_000077" in found[LICENCES]
    assert "1 not in attribution.csv: ROCOv2_train_000001" in found[LICENCES]
    assert "6 without a known licence" in found[LICENCES]


def test_a_stage_that_does_not_add_up_is_found(packed: Packed) -> None:
    folder = packed()
    edit(folder / "manifest.json", '"kept": 9', '"kept": 8')
    assert faults(folder) == {BALANCE: "captions: 12 taken, 8 kept, 3 dropped"}


def test_a_manifest_without_counts_is_not_fine(packed: Packed) -> None:
    assert faults(packed({"counts": ()})) == {BALANCE: "manifest.json has no counts of the stages"}


def test_the_truth_of_another_edition_is_found(packed: Packed, tmp_path: Path) -> None:
    folder = packed()
    with zipfile.ZipFile(tmp_path / "out-truth.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    edited = tmp_path / "unpacked/test_concepts.csv"
    edited.write_text(edited.read_text(encoding="utf-8").replace("000003", "000004"), encoding="utf-8")
    shutil.make_archive(str(tmp_path / "out-truth"), "zip", tmp_path / "unpacked")
    found = faults(folder)
    assert list(found) == [TRUTH]
    assert "manifest.json has" in found[TRUTH]
    assert "out-truth.zip.sha256 has another sum" in found[TRUTH]
    assert (
        "1 only in concepts: ROCOv2_test_000004; 1 absent from concepts: ROCOv2_test_000003" in found[TRUTH]
    )


def test_a_broken_truth_archive_is_refused(packed: Packed, tmp_path: Path) -> None:
    folder = packed()
    (tmp_path / "out-truth.zip").write_bytes(b"junk")
    with pytest.raises(RejectedInput, match=r"out-truth\.zip: cannot be unpacked"):
        faults(folder)


def test_a_folder_that_is_no_finished_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match=r"no manifest\.json, expected the folder of a finished dataset"):
        verify(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"dataset": 1}', '{"dataset": {}, "counts": [3]}'])
def test_a_broken_manifest_is_refused(packed: Packed, text: str) -> None:
    folder = packed()
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(RejectedInput, match=r"manifest\.json: "):
        verify(folder)
