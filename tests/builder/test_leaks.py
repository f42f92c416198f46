from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataset_builder.cli import run
from dataset_builder.dataset_tables import Dataset, Row, read_dataset
from dataset_builder.leaks import LeakReport, LeaksOfKind, find_leaks, leaks_document, normalised
from rocov2_eval.errors import ExitCode, RejectedInput, UsageFault
from rocov2_eval.rendering.render import to_json, to_text


@pytest.fixture
def write_table(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of a CSV file, one line a row."""

    def write(*lines: str, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    return write


def noise(seed: int, quality: int = 95, side: int = 96) -> bytes:
    """Return a JPEG file of coarse noise; another quality shows the same."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(
        buffer, "JPEG", quality=quality
    )
    return buffer.getvalue()


def check(report: LeakReport, kind: str) -> LeaksOfKind:
    return next(each for each in report.checks if each.kind == kind)


def rows_of(*rows: tuple[str, str, str, str]) -> Dataset:
    return Dataset(
        path="made",
        rows=tuple(
            Row(image_id=image_id, split=split, article=article, caption=caption)
            for image_id, split, article, caption in rows
        ),
    )


def rocov2_folder(folder: Path) -> Path:
    """Write three splits: PMC1 is in train and test, one picture in valid and test, no caption twice."""
    folder.mkdir()
    table: Sequence[tuple[str, str, str, str, bytes]] = (
        ("t1", "train", "PMC1", "Chest.", noise(1)),
        ("t2", "train", "PMC2", "Pelvis.", noise(2)),
        ("v1", "valid", "PMC3", "Skull.", noise(3)),
        ("e1", "test", "PMC1", "Heart.", noise(4)),
        ("e2", "test", "PMC4", "Knee.", noise(3, quality=60)),
    )
    for split in ("train", "valid", "test"):
        (folder / split).mkdir()
        mine = [row for row in table if row[1] == split]
        lines = ["ID,Caption", *(f"{row[0]},{row[3]}" for row in mine)]
        (folder / f"{split}_captions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for row in mine:
            (folder / split / f"{row[0]}.jpg").write_bytes(row[4])
    lines = ["ID,PMCID,Attribution,Link", *(f"{row[0]},{row[2]},,https://example.org" for row in table)]
    (folder / "license_information.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def hold_out_test(folder: Path) -> dict[str, bytes]:
    """Leave of the test split its ids and pictures alone, and return the files of its truth."""
    licences = (folder / "license_information.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    truth = {
        "test_captions.csv": (folder / "test_captions.csv").read_bytes(),
        "license_information.csv": "".join([licences[0], *licences[4:]]).encode(),
        "report.html": b"\xff",
    }
    (folder / "license_information.csv").write_text("".join(licences[:4]), encoding="utf-8")
    (folder / "test_captions.csv").unlink()
    (folder / "test_images.csv").write_text("ID\ne1\ne2\n", encoding="utf-8")
    return truth


def test_roco_has_the_articles_of_1195_in_both_test_and_validation(shared: Path) -> None:
    where = [("kind", "radiology"), ("split", "test"), ("split", "validation")]
    report = find_leaks(read_dataset(shared / "data/roco/figures.csv", where=where))
    articles = check(report, "articles")
    assert report.splits == {"test": 8179, "validation": 8180}
    assert (len(articles.leaks), articles.distinct, articles.looked_at) == (1195, 13_626, 16_359)
    assert articles.between() == {("test", "validation"): 1195}


def test_articles_of_several_splits_are_found_in_a_folder(tmp_path: Path) -> None:
    (leak,) = check(find_leaks(read_dataset(rocov2_folder(tmp_path / "data"))), "articles").leaks
    assert leak.key == "PMC1"
    assert leak.images == {"test": ("e1",), "train": ("t1",)}


def test_near_duplicate_pictures_of_several_splits_are_found_in_a_folder(tmp_path: Path) -> None:
    images = check(find_leaks(read_dataset(rocov2_folder(tmp_path / "data"))), "images")
    assert [leak.images for leak in images.leaks] == [{"test": ("e2",), "valid": ("v1",)}]
    assert (images.looked_at, images.distinct) == (5, 4)


def test_processes_find_what_one_process_finds(tmp_path: Path) -> None:
    dataset = read_dataset(rocov2_folder(tmp_path / "data"))
    assert find_leaks(dataset) == find_leaks(dataset, workers=2)


def test_pictures_may_lie_in_the_folders_that_the_archives_unpack_to(tmp_path: Path) -> None:
    folder = rocov2_folder(tmp_path / "data")
    for split in ("train", "valid", "test"):
        (folder / split).rename(folder / f"{split}_images")
    assert len(check(find_leaks(read_dataset(folder)), "images").leaks) == 1


def test_a_picture_that_cannot_be_read_is_counted(tmp_path: Path) -> None:
    folder = rocov2_folder(tmp_path / "data")
    (folder / "train/t1.jpg").write_bytes(noise(1)[:500])
    images = check(find_leaks(read_dataset(folder)), "images")
    assert (images.looked_at, images.without) == (4, 1)


def test_a_folder_without_licences_and_pictures_says_what_was_not_checked(tmp_path: Path) -> None:
    folder = rocov2_folder(tmp_path / "data")
    (folder / "license_information.csv").unlink()
    for split in ("train", "valid", "test"):
        (folder / split).rename(tmp_path / split)
    report = find_leaks(read_dataset(folder))
    assert check(report, "articles").not_checked == "license_information.csv is absent or names no article"
    assert str(check(report, "images").not_checked).startswith("no folder of images")
    assert check(report, "captions").not_checked is None
    assert "No leaks found (articles and images not checked)." in to_text(leaks_document(report))


def test_a_folder_of_concepts_alone_still_tells_the_ids(tmp_path: Path) -> None:
    folder = rocov2_folder(tmp_path / "data")
    for split in ("train", "valid", "test"):
        (folder / f"{split}_captions.csv").rename(folder / f"{split}_concepts.csv")
    report = find_leaks(read_dataset(folder))
    assert check(report, "captions").not_checked == "no table of captions exists"
    assert len(check(report, "articles").leaks) == 1


def test_a_picture_of_the_held_out_split_that_another_split_has_is_found(tmp_path: Path) -> None:
    folder = rocov2_folder(tmp_path / "data")
    hold_out_test(folder)
    (folder / "test/e1.jpg").write_bytes(noise(1))
    report = find_leaks(read_dataset(folder))
    assert report.splits == {"test": 2, "train": 2, "valid": 1}
    assert {"test": ("e1",), "train": ("t1",)} in [leak.images for leak in check(report, "images").leaks]


def test_articles_and_captions_of_the_held_out_split_are_said_to_be_unknown(tmp_path: Path) -> None:
    folder = rocov2_folder(tmp_path / "data")
    hold_out_test(folder)
    (folder / "test/e2.jpg").write_bytes(noise(5))
    report = find_leaks(read_dataset(folder))
    assert [each.unknown_splits for each in report.checks] == [("test",), (), ("test",)]
    text = to_text(leaks_document(report))
    assert "0 of 3 in several splits; 2 images have no article, among them all of test" in text
    assert text.endswith("No leaks found (articles of test not known; captions of test not known).\n")
    assert leaks_document(report).data["checks"]["articles"]["unknown_splits"] == ["test"]


def test_the_archive_of_the_truth_tells_them(tmp_path: Path) -> None:
    folder = rocov2_folder(tmp_path / "data")
    truth = hold_out_test(folder)
    truth["test_captions.csv"] = b"ID,Caption\ne1,CHEST\ne2,Knee.\n"
    report = find_leaks(read_dataset(folder, truth=truth), with_images=False)
    assert [leak.key for leak in check(report, "articles").leaks] == ["PMC1"]
    assert [leak.images for leak in check(report, "captions").leaks] == [{"test": ("e1",), "train": ("t1",)}]


def test_the_command_takes_the_archive_that_lies_beside_the_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = rocov2_folder(tmp_path / "data")
    truth = hold_out_test(folder)
    assert run(["leaks", str(folder), "--no-images"]) == ExitCode.OK
    for place in (tmp_path / "data-truth.zip", tmp_path / "elsewhere.zip"):
        with zipfile.ZipFile(place, "w") as archive:
            for name, content in truth.items():
                archive.writestr(name, content)
    assert run(["leaks", str(folder), "--no-images"]) == ExitCode.INPUT_REJECTED
    (tmp_path / "data-truth.zip").unlink()
    assert run(["leaks", str(folder), "--no-images", "--truth", str(place)]) == ExitCode.INPUT_REJECTED
    assert "PMC1     test: e1; train: t1" in capsys.readouterr().out


def test_an_archive_of_the_truth_does_not_go_with_a_table(write_table: Callable[..., Path]) -> None:
    with pytest.raises(UsageFault, match="the archive of a held-out truth needs a dataset folder"):
        read_dataset(write_table("id,split,doi", "i,a,1", "j,b,1"), truth={})


def test_a_table_of_the_truth_that_is_no_text_is_refused(tmp_path: Path) -> None:
    folder = rocov2_folder(tmp_path / "data")
    hold_out_test(folder)
    with pytest.raises(RejectedInput, match=r"truth/test_captions\.csv: .* expected UTF-8"):
        read_dataset(folder, truth={"test_captions.csv": b"ID,Caption\ne1,\xff\n"})


def test_pictures_are_left_alone_on_request(tmp_path: Path) -> None:
    report = find_leaks(read_dataset(rocov2_folder(tmp_path / "data")), with_images=False)
    assert check(report, "images").not_checked == "not asked for"


@pytest.mark.parametrize(
    "caption",
    [
        "Chest X-ray, PA view.",
        "chest x-ray pa view",
        "  CHEST\u00a0X\u2010RAY (PA view) ",
        "Chest X_ray; PA view",
    ],
)
def test_captions_are_identical_but_for_case_punctuation_and_blanks(caption: str) -> None:
    assert normalised(caption) == "chest x ray pa view"


def test_identical_captions_of_several_splits_are_found() -> None:
    report = find_leaks(
        rows_of(
            ("a", "train", "", "CT of the chest."),
            ("b", "train", "", "CT of the chest"),
            ("c", "test", "", "ct of the CHEST"),
            ("d", "test", "", "MRI"),
            ("e", "test", "", "—"),
        )
    )
    captions = check(report, "captions")
    assert [leak.images for leak in captions.leaks] == [{"test": ("c",), "train": ("a", "b")}]
    assert (captions.distinct, captions.looked_at, captions.without) == (2, 4, 1)


def test_an_article_in_three_splits_counts_between_each_two() -> None:
    report = find_leaks(rows_of(("a", "x", "P", ""), ("b", "y", "P", ""), ("c", "z", "P", "")))
    assert check(report, "articles").between() == {("x", "y"): 1, ("x", "z"): 1, ("y", "z"): 1}


@pytest.mark.parametrize(
    ("column", "first", "second", "leaks"),
    [
        ("pmcid", "PMC1", "pmc1", 1),
        ("PMC ID", "1", "01", 1),
        ("article", "PMC1", "1", 1),
        ("article", "PMC1", "PMC2", 0),
        ("pmcid", "unknown", "Unknown", 0),
        ("article", "1", "01", 0),
    ],
)
def test_pmcids_are_compared_however_they_are_spelt(
    write_table: Callable[..., Path], column: str, first: str, second: str, leaks: int
) -> None:
    path = write_table(f"id,split,{column}", f"i,a,{first}", f"j,b,{second}")
    report = find_leaks(read_dataset(path, {"article": column}))
    assert leaks == len(check(report, "articles").leaks)


def test_a_kind_that_no_image_has_was_not_checked() -> None:
    report = find_leaks(rows_of(("a", "x", "", "one"), ("b", "y", "", "two")), with_images=False)
    assert check(report, "articles").not_checked == "no image has an article"
    assert to_text(leaks_document(report)).endswith("No leaks found (articles and images not checked).\n")


def test_a_kind_that_one_split_alone_has_was_not_checked() -> None:
    report = find_leaks(rows_of(("a", "x", "P1", "one"), ("b", "y", "", "two")), with_images=False)
    assert check(report, "articles").not_checked == "only images of x have an article"


def test_a_file_name_that_is_too_long_for_any_file_names_none(write_table: Callable[..., Path]) -> None:
    path = write_table("id,split,doi,file_name", f"i,a,1,{'x' * 5000}", "j,b,2,y.jpg")
    assert [row.image for row in read_dataset(path).rows] == [None, None]


def test_equal_ids_of_two_splits_are_two_images(write_table: Callable[..., Path]) -> None:
    path = write_table("id,split,article", "1,a,P1", "1,b,P2")
    assert not find_leaks(read_dataset(path)).has_leaks


def test_columns_are_guessed_whatever_their_case(write_table: Callable[..., Path]) -> None:
    path = write_table("Image ID,Subset,PMCID,Caption", "i,a,P1,one", "j,b,P1,two")
    dataset = read_dataset(path)
    assert dataset.columns == {"id": "Image ID", "split": "Subset", "article": "PMCID", "caption": "Caption"}


def test_columns_may_be_named(write_table: Callable[..., Path]) -> None:
    path = write_table("id,split,pmcid,patient", "i,a,P1,x", "j,b,P2,x")
    assert not find_leaks(read_dataset(path)).has_leaks
    assert find_leaks(read_dataset(path, {"article": "patient"})).has_leaks


def test_pictures_named_by_a_column_are_read_from_the_folder_of_the_table(
    tmp_path: Path, write_table: Callable[..., Path]
) -> None:
    (tmp_path / "a.jpg").write_bytes(noise(1))
    (tmp_path / "b.jpg").write_bytes(noise(1, quality=50))
    path = write_table("id,split,file_name", "i,train,a.jpg", "j,test,b.jpg", "k,test,absent.jpg")
    images = check(find_leaks(read_dataset(path)), "images")
    assert sorted(images.leaks[0].images.values()) == [("i",), ("j",)]
    assert images.without == 1


def test_a_file_with_tabs_is_read(write_table: Callable[..., Path]) -> None:
    path = write_table("id\tsplit\tcaption", "i\ta\tone, two", "j\tb\tone two", name="table.tsv")
    assert find_leaks(read_dataset(path)).has_leaks


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["name,split,doi"], "expected a header and rows below it"),
        ([], "expected a header and rows below it"),
        (["id,split", "i,a", "j"], ":3: expected 2 cells"),
        (["id,split,doi", "i,a,1", "i,a,2"], "'i' occurs 2 times in a"),
        (["id,split,doi", "i,a,1", "j,,2"], "1 row without id or split"),
        (["id,split,doi", "i,a,1", '"' + "j" * 200_000 + '",a,1'], ":3: field larger than field limit"),
    ],
)
def test_a_broken_table_is_refused(
    write_table: Callable[..., Path], lines: Sequence[str], message: str
) -> None:
    with pytest.raises(RejectedInput, match=message):
        read_dataset(write_table(*lines))


@pytest.mark.parametrize(
    ("lines", "columns", "where", "message"),
    [
        (
            ["figure,split", "i,a"],
            {},
            (),
            "no column of ids among figure, split; name it with --column id=",
        ),
        (["id,part", "i,a"], {}, (), "no column of splits among id, part"),
        (
            ["id,split", "i,a"],
            {"article": "pmid"},
            (),
            "--column article pmid: no such column among id, split",
        ),
        (["id,split", "i,a"], {}, [("kind", "x")], "--where kind: no such column"),
        (["id,split", "i,a"], {}, [("id", "x")], "no row has --where id=x"),
    ],
)
def test_a_column_that_is_not_there_is_named(
    write_table: Callable[..., Path],
    lines: Sequence[str],
    columns: dict[str, str],
    where: Sequence[tuple[str, str]],
    message: str,
) -> None:
    with pytest.raises(UsageFault, match=message):
        read_dataset(write_table(*lines), columns, where)  # type: ignore[arg-type]


def test_a_single_split_is_refused(write_table: Callable[..., Path]) -> None:
    path = write_table("id,split,doi", "i,a,1", "j,a,1")
    with pytest.raises(UsageFault, match="expected at least two splits, found a"):
        find_leaks(read_dataset(path))


def test_a_table_with_nothing_to_look_at_is_refused(write_table: Callable[..., Path]) -> None:
    with pytest.raises(UsageFault, match=r"nothing to compare \(articles: no column of articles"):
        find_leaks(read_dataset(write_table("id,split", "i,a", "j,b")))


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match=r"expected train_captions\.csv"):
        read_dataset(tmp_path)


def test_columns_do_not_go_with_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="--column and --where need a CSV file"):
        read_dataset(tmp_path, where=[("kind", "radiology")])


def test_the_document_holds_every_leak() -> None:
    report = find_leaks(rows_of(*((f"{s}{i}", s, f"P{i}", "") for i in range(9) for s in "ab")))
    document = json.loads(to_json(leaks_document(report)))
    assert (
        9
        == document["checks"]["articles"]["in_several_splits"]
        == len(document["checks"]["articles"]["leaks"])
    )
    assert document["checks"]["articles"]["between"] == [{"splits": ["a", "b"], "count": 9}]


def test_the_text_shows_a_few_examples() -> None:
    report = find_leaks(rows_of(*((f"{s}{i}", s, f"P{i}", "") for i in range(9) for s in "ab")))
    text = to_text(leaks_document(report))
    assert (
        "articles: 9 of 9 in several splits\n  a and b: 9\n\n  article  where\n  P0       a: a0; b: b0\n"
        in text
    )
    assert "… and 4 more; --format json lists all" in text
