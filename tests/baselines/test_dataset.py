"""Reading a dataset folder: what is read, and every way in which it can disagree with itself."""

from __future__ import annotations

import csv
import runpy
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from baselines.data.cache import open_cache
from baselines.data.dataset import read_articles, read_attributions, read_examples
from baselines.data.labels import label_matrix, label_order
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.shelf.csv_files import write_csv

PET = "C0032743"
TOOL = Path(__file__).parents[2] / "tools" / "make_image_dataset.py"


def test_a_split_is_read_with_all_that_is_needed(tiny_dataset: Path) -> None:
    train = read_examples(tiny_dataset, "train", ["captions", "concepts", "concepts_manual"])
    assert len(train) == 36
    assert (train.ids[0], train.files[0].name) == ("tiny_train_000000", "tiny_train_000000.jpg")
    assert (train.captions or ())[1] == "CT of the abdomen."
    assert (train.concepts or ())[2] == ("C1306645", "C0817096")
    assert train.concepts_manual == train.concepts


def test_what_is_not_needed_is_not_read(tiny_dataset: Path) -> None:
    train = read_examples(tiny_dataset, "train", ["captions"])
    assert train.concepts is None
    assert [Path(path).name for path, _ in train.inputs] == ["train_captions.csv"]


def test_the_bundled_sample_can_be_read(sample: Path) -> None:
    valid = read_examples(sample, "valid", ["captions", "concepts", "concepts_manual"])
    assert len(valid.named_files) == 13


def test_the_pictures_of_a_split_can_be_cached(tiny_dataset: Path, tmp_path: Path) -> None:
    valid = read_examples(tiny_dataset, "valid")
    assert open_cache(valid.named_files, tmp_path / "cache", 48).ids == valid.ids


def test_a_held_out_split_needs_no_truth(own_dataset: Path) -> None:
    ids = [f"tiny_test_{i:06d}" for i in reversed(range(18))]
    for table in own_dataset.glob("test_*.csv"):
        table.unlink()
    write_csv(own_dataset / "test_images.csv", ["ID"], [[image_id] for image_id in ids])
    assert list(read_examples(own_dataset, "test").ids) == ids


def test_pictures_alone_can_be_predicted(own_dataset: Path) -> None:
    for table in own_dataset.glob("test_*.csv"):
        table.unlink()
    assert read_examples(own_dataset, "test").ids[:2] == ("tiny_test_000000", "tiny_test_000001")


@pytest.mark.parametrize("place", ["folder", "archive"])
def test_pictures_may_lie_in_another_folder_or_an_archive(own_dataset: Path, place: str) -> None:
    expected = [path.name for path in read_examples(own_dataset, "valid").files]
    if place == "folder":
        (own_dataset / "valid").rename(own_dataset / "valid_images")
    else:
        shutil.make_archive(str(own_dataset / "valid_images"), "zip", own_dataset, "valid")
        shutil.rmtree(own_dataset / "valid")
    assert [path.name for path in read_examples(own_dataset, "valid", ["concepts"]).files] == expected


def test_concepts_are_normalised(own_dataset: Path) -> None:
    _rewrite(own_dataset / "valid_concepts.csv", 0, " c0040405 ;C0817096;C0040405;")
    assert (read_examples(own_dataset, "valid", ["concepts"]).concepts or ())[0] == ("C0040405", "C0817096")


def test_an_image_without_concepts_has_none(own_dataset: Path) -> None:
    _rewrite(own_dataset / "valid_concepts.csv", 0, "")
    valid = read_examples(own_dataset, "valid", ["concepts"])
    assert (valid.concepts or ())[0] == ()
    assert [item.code for item in valid.findings] == ["R502"]


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="no such folder"):
        read_examples(tmp_path / "nowhere", "train")


def test_a_missing_table_is_told_with_those_there_are(own_dataset: Path) -> None:
    (own_dataset / "train_captions.csv").unlink()
    with pytest.raises(MissingResource, match=r"no train_captions\.csv, found .*train_concepts\.csv"):
        read_examples(own_dataset, "train", ["captions"])


def test_a_missing_picture_is_named_by_its_id(own_dataset: Path) -> None:
    (own_dataset / "train" / "tiny_train_000003.jpg").unlink()
    with pytest.raises(RejectedInput, match=r"1 of the 36 images .*, such as 'tiny_train_000003'"):
        read_examples(own_dataset, "train", ["concepts"])


def test_a_split_without_pictures_is_told(own_dataset: Path) -> None:
    shutil.rmtree(own_dataset / "train")
    with pytest.raises(MissingResource, match="no picture of the train split"):
        read_examples(own_dataset, "train", ["concepts"])


def test_two_pictures_of_one_image_are_refused(own_dataset: Path) -> None:
    Image.new("L", (8, 8)).save(own_dataset / "train" / "tiny_train_000003.png")
    with pytest.raises(RejectedInput, match="'tiny_train_000003' has two pictures"):
        read_examples(own_dataset, "train", ["concepts"])


def test_an_image_without_a_caption_row_is_named(own_dataset: Path) -> None:
    rows = _rows(own_dataset / "train_captions.csv")
    write_csv(own_dataset / "train_captions.csv", ("ID", "Caption"), rows[:-1])
    with pytest.raises(RejectedInput, match=r"train_captions\.csv: no row for 1 image .*'tiny_train_000035'"):
        read_examples(own_dataset, "train", ["captions", "concepts"])


@pytest.mark.parametrize(
    ("table", "need", "cell", "message"),
    [
        ("train_captions.csv", "captions", "  ", "'tiny_train_000003': the caption is empty"),
        (
            "train_concepts.csv",
            "concepts",
            "C12;chest",
            "'tiny_train_000003': 'CHEST' is not a CUI such as C0040405",
        ),
    ],
)
def test_a_cell_that_cannot_be_trained_on_is_told_with_its_line(
    own_dataset: Path, table: str, need: str, cell: str, message: str
) -> None:
    _rewrite(own_dataset / table, 3, cell)
    with pytest.raises(RejectedInput) as caught:
        read_examples(own_dataset, "train", [need])  # type: ignore[list-item]
    assert [(item.line, item.message) for item in caught.value.findings] == [(5, message)]


def test_an_archive_that_is_none_is_refused(own_dataset: Path) -> None:
    (own_dataset / "train_images.zip").write_bytes(b"PK no")
    with pytest.raises(RejectedInput, match=r"train_images\.zip: cannot be opened"):
        read_examples(own_dataset, "train", ["concepts"])


def test_what_a_mac_adds_to_an_archive_is_no_picture(own_dataset: Path) -> None:
    with zipfile.ZipFile(own_dataset / "valid_images.zip", "w") as archive:
        archive.writestr("__MACOSX/valid/tiny_valid_000000.jpg", b"")
    assert len(read_examples(own_dataset, "valid", ["concepts"])) == 18


def test_attributions_are_read(sample: Path) -> None:
    assert read_attributions(sample)["sample_train_000001"].startswith("rocov2-eval sample")


def test_attributions_without_their_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "license_information.csv").write_text("name,licence\n")
    with pytest.raises(RejectedInput, match="no column ID, Attribution, found name, licence"):
        read_attributions(tmp_path)


def test_labels_are_ordered_by_frequency_then_cui() -> None:
    assert label_order([("C3", "C1"), ("C2", "C1"), ("C4",)]) == ("C1", "C2", "C3", "C4")


def test_rare_labels_are_left_out() -> None:
    assert label_order([("C3", "C1"), ("C2", "C1")], fewest=2) == ("C1",)


def test_concepts_that_are_no_label_are_counted() -> None:
    matrix, outside = label_matrix([("C1", "C9"), (), ("C2",)], ("C2", "C1"))
    assert matrix.tolist() == [[False, True], [False, False], [True, False]]
    assert outside.tolist() == [1, 0, 0]


def test_the_tool_lays_out_groups_in_one_split_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images = _image_table(tmp_path)
    _run_tool(monkeypatch, str(images), str(tmp_path / "out"))
    splits = {
        s: read_examples(tmp_path / "out", s, ["captions", "concepts"]).ids
        for s in ("train", "valid", "test")
    }
    groups = [{image_id.partition("_")[0] for image_id in ids} for ids in splits.values()]
    assert sum(map(len, splits.values())) == 120
    assert sum(map(len, groups)) == len(set().union(*groups)) == 60
    assert "train\tone\t" in capsys.readouterr().err


def test_the_tool_tests_on_the_source_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = _image_table(tmp_path)
    _run_tool(monkeypatch, str(images), str(tmp_path / "out"), "--leave-out", "two")
    test = read_examples(tmp_path / "out", "test", ["captions"])
    assert {image_id.rpartition("_")[2] for image_id in test.ids} == {"two"}
    assert len(test) == 60


def test_the_tool_makes_captions_of_the_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = _image_table(tmp_path)
    _run_tool(monkeypatch, str(images), str(tmp_path / "out"))
    captions = read_examples(tmp_path / "out", "train", ["captions"]).captions or ()
    assert all(
        "X-ray" in text and "chest" in text.lower() and "anterior-posterior" in text for text in captions
    )
    assert len(set(captions)) == 4


def test_the_tool_divides_by_group_what_one_source_alone_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [_image_table(tmp_path / "a"), _image_table(tmp_path / "b", sources=("three",), modality=PET)]
    _run_tool(monkeypatch, *map(str, images), str(tmp_path / "out"), "--leave-out", "two", "three")
    sources = [
        {image_id.rpartition("_")[2] for image_id in read_examples(tmp_path / "out", split, ["concepts"]).ids}
        for split in ("train", "test")
    ]
    assert sources == [{"one", "three"}, {"two", "three"}]


def test_the_tool_takes_no_more_of_a_source_than_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run_tool(monkeypatch, str(_image_table(tmp_path)), str(tmp_path / "out"), "--most", "10")
    assert sum(len(_rows(path)) for path in (tmp_path / "out").glob("*_concepts.csv")) == 20


def test_real_captions_name_the_modality_of_their_picture_and_stay_in_one_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roco = tmp_path / "roco"
    roco.mkdir()
    texts = ["Chest X-ray {}", "CT {}", "X-ray and CT {}", "Case {}"]
    captions = [(f"R{i}", texts[i % 4].format(i)) for i in range(400)]
    write_csv(roco / "captions.csv", ("ID", "Caption"), captions)
    write_csv(roco / "figures.csv", ("roco_id", "pmcid"), [(f"R{i}", f"PMC{i // 8}") for i in range(400)])
    images = _image_table(tmp_path)
    _run_tool(monkeypatch, str(images), str(tmp_path / "out"), "--captions", str(roco))
    said = {
        split: read_examples(tmp_path / "out", split, ["captions"]).captions or ()
        for split in ("train", "test")
    }
    assert all(text.startswith("Chest X-ray") for text in said["train"])
    articles = [{int(text.split()[-1]) // 8 for text in texts} for texts in said.values()]
    assert not articles[0] & articles[1]


@pytest.mark.slow
def test_the_openly_licensed_pictures_can_be_laid_out_and_cached(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run_tool(monkeypatch, str(shared / "data" / "images"), str(tmp_path / "out"))
    train = read_examples(tmp_path / "out", "train", ["captions", "concepts"])
    cached = open_cache(train.named_files, tmp_path / "cache", 64)
    assert len(train) == 1508
    assert not cached.broken
    assert np.ptp(cached.images, axis=(1, 2, 3)).min() > 0


def _rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def _rewrite(path: Path, row: int, cell: str) -> None:
    rows = _rows(path)
    rows[row][1] = cell
    write_csv(path, ("ID", "Caption" if "captions" in path.name else "CUIs"), rows)


def _image_table(folder: Path, sources: tuple[str, ...] = ("one", "two"), modality: str = "C1306645") -> Path:
    """Write 60 groups of two pictures, an equal part of them of each source."""
    images = folder / "images"
    (images / "files").mkdir(parents=True)
    header = [
        "file",
        "source",
        "group",
        "licence",
        "modality",
        "region",
        "direction",
        "radiology",
        "text",
        "credit",
    ]
    rows = []
    for i in range(120):
        source = sources[i * len(sources) // 120]
        name = f"g{i // 2}_{i}_{source}.png"
        Image.new("L", (8, 8), i).save(images / "files" / name)
        rows.append([name, source, f"g{i // 2}", "CC0", modality, "C0817096", "C1999039", "1", "", "nobody"])
    write_csv(images / "images.csv", header, rows)
    return images


def _run_tool(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [str(TOOL), *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(TOOL), run_name="__main__")
    assert ended.value.code == 0


def test_images_of_one_article_share_a_number_and_one_without_is_its_own(tmp_path: Path) -> None:
    table = tmp_path / "license_information.csv"
    table.write_text("ID,PMCID,Attribution,Link\na,PMC2,,\nb,PMC1,,\nc,PMC2,,\nd,,,\n")

    articles = read_articles(tmp_path, ["a", "b", "c", "d", "e"])
    assert articles is not None
    assert articles.tolist() == [0, 1, 0, 2, 3]


def test_no_article_is_made_up_where_no_table_tells_it(tmp_path: Path) -> None:
    absent = read_articles(tmp_path, ["a"])
    (tmp_path / "license_information.csv").write_text("ID,PMCID,Attribution,Link\na,,,\n")
    assert (absent, read_articles(tmp_path, ["a"])) == (None, None)
