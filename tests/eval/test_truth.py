from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.formats import Source, Table
from rocov2_eval.records import Task
from rocov2_eval.truth import SPLITS, Place, Truth, find_truth, sample_folder
from rocov2_eval.validation import read_run

ROWS = [("a", "C1;C2"), ("b", "C3")]
Read = Callable[..., tuple[Table, Truth]]
Dataset = Callable[..., Path]


def run_of(text: str, task: Task = "concepts") -> Table:
    return read_run(Source(path="run.csv", sha256="0" * 64, text=text), EDITIONS["rocov2"], task)


def search(run: Table, *folders: Path, task: Task = "concepts", **options: str) -> Truth:
    places = [Place(path=folder, origin=f"place {n}") for n, folder in enumerate(folders)]
    return find_truth(run, task, EDITIONS["rocov2"], places, **options)


def codes(error: RejectedInput) -> list[tuple[str, int | None]]:
    return [(item.code, item.line) for item in error.findings if item.severity == "error"]


def test_the_truth_of_a_folder_without_splits_is_found(dataset: Dataset) -> None:
    truth = search(run_of("a,C1\n"), dataset(concepts=ROWS))

    expected = ["a", "b"], ["C1;C2", "C3"], None
    assert expected == (truth.table.image_ids, truth.table.cells, truth.split)


@pytest.mark.parametrize("split", SPLITS)
def test_the_split_is_told_by_the_ids_of_the_run(sample: Path, split: str) -> None:
    run = run_of(f"sample_{split}_000001,C1\n")

    assert split == search(run, sample).split


def test_the_split_with_the_most_ids_of_the_run_is_taken(dataset: Dataset) -> None:
    dataset("valid_", concepts=[("a", "C1"), ("b", "C1"), ("c", "C1")])
    folder = dataset("test_", concepts=[("c", "C1"), ("d", "C1")])
    expected = "valid"

    assert expected == search(run_of("a,C1\nb,C1\nc,C1\nd,C1\n"), folder).split


def test_a_split_asked_for_is_taken_whatever_the_ids_say(dataset: Dataset) -> None:
    dataset("valid_", concepts=[("a", "C1")])
    folder = dataset("test_", concepts=[("b", "C1")])
    expected = "test"

    assert expected == search(run_of("a,C1\n"), folder, split="test").split


def test_a_file_may_be_named_itself(dataset: Dataset) -> None:
    folder = dataset("test_", concepts=ROWS)

    truth = search(run_of("z,C1\n"), folder / "test_concepts.csv")

    expected = ["a", "b"], "test"
    assert expected == (truth.table.image_ids, truth.split)


def test_the_first_place_with_ids_of_the_run_is_taken(dataset: Dataset, sample: Path) -> None:
    folder = dataset("test_", concepts=ROWS)

    truth = search(run_of("a,C1\n"), sample, folder)

    assert str(folder / "test_concepts.csv") == truth.table.path


@pytest.mark.parametrize("lacks", ["; does not exist", ""], ids=["absent", "empty"])
def test_a_place_without_a_truth_of_the_task_is_not_passed_over(
    lacks: str, sample: Path, tmp_path: Path
) -> None:
    place = tmp_path / "absent" if lacks else tmp_path
    held = "" if lacks else "\n    it is empty"
    with pytest.raises(MissingResource, match=rf"(?s){place}  \(place 0{lacks}\){held}\nName the dataset"):
        search(run_of("sample_valid_000001,C1\n"), place, sample)


def test_a_run_whose_ids_are_nowhere_is_told_where_was_looked(sample: Path, dataset: Dataset) -> None:
    other = dataset(concepts=ROWS)
    with pytest.raises(MissingResource) as caught:
        search(run_of("z_1,C1\n"), sample, other)

    expected = [str(sample), "place 0", str(other), "place 1", "'z_1'", "--truth DIR", "ROCOV2_DATA"]
    assert expected == [part for part in expected if part in str(caught.value)]


def test_captions_are_looked_for_in_the_caption_file(dataset: Dataset) -> None:
    folder = dataset("test_", captions=[("a", "x, y")], concepts=ROWS)

    truth = search(run_of("a,x\n", "captions"), folder, task="captions")

    expected = ["x, y"], None
    assert expected == (truth.table.cells, truth.concepts)


def test_concepts_beside_captions_are_read_where_a_breakdown_needs_them(dataset: Dataset) -> None:
    folder = dataset("test_", captions=[("a", "x, y")], concepts=ROWS)

    truth = search(run_of("a,x\n", "captions"), folder, task="captions", facets=True)

    assert truth.concepts == ["C1;C2"]


def test_a_comma_that_cuts_a_reference_is_a_finding(dataset: Dataset) -> None:
    folder = dataset("test_", captions=[("a", "x")])
    (folder / "test_captions.csv").write_text("ID,Caption\na,x, y\n", encoding="utf-8")

    truth = search(run_of("a,x\n", "captions"), folder, task="captions")

    expected = [("R501", "warning", 2)]
    assert expected == [(item.code, item.severity, item.line) for item in truth.findings]


def test_manual_concepts_come_in_the_order_of_the_truth(dataset: Dataset) -> None:
    folder = dataset("test_", concepts=ROWS, concepts_manual=[("b", "C3"), ("a", "")])
    expected = ["", "C3"]

    assert expected == search(run_of("a,C1\n"), folder).manual


def test_without_the_file_there_are_no_manual_concepts(dataset: Dataset) -> None:
    assert search(run_of("a,C1\n"), dataset(concepts=ROWS)).manual is None


def test_an_image_that_the_manual_file_lacks_is_a_finding(dataset: Dataset) -> None:
    folder = dataset(concepts=ROWS, concepts_manual=[("a", "C1")])
    expected = ["R503"]

    assert expected == [item.code for item in search(run_of("a,C1\n"), folder).findings]


def test_an_image_that_the_manual_file_lacks_is_no_matter_to_an_edition_without_secondary_score(
    read: Read, dataset: Dataset
) -> None:
    folder = dataset(concepts=ROWS, concepts_manual=[("a", "C1")])
    expected: list[str] = []

    truth = read("a|C1\n", folder, edition="imageclef-2022")[1]

    assert expected == [item.code for item in truth.findings]


def test_images_without_concepts_are_a_warning_that_counts_them(dataset: Dataset) -> None:
    truth = search(run_of("a,C1\n"), dataset(concepts=[("a", ""), ("b", " "), ("c", "C1")]))

    expected = [("R502", "warning", "2 of 3 images have no concept")]
    assert expected == [(item.code, item.severity, item.message) for item in truth.findings]


def test_empty_captions_of_the_truth_are_no_missing_concepts(dataset: Dataset) -> None:
    folder = dataset(captions=[("a", ""), ("b", "x")])
    expected: tuple[object, ...] = ()

    assert expected == search(run_of("a,x\n", "captions"), folder, task="captions").findings


def test_names_of_concepts_are_read_from_the_mapping_beside_the_truth(dataset: Dataset) -> None:
    folder = dataset(concepts=ROWS)
    (folder / "cui_mapping.csv").write_text('CUI,Canonical name\nC1,"Chest, whole"\nC2,Bone\n')
    expected = {"C1": "Chest, whole", "C2": "Bone"}

    assert expected == search(run_of("a,C1\n"), folder).names


def test_every_file_read_is_listed_with_its_digest(dataset: Dataset) -> None:
    folder = dataset("test_", concepts=ROWS, concepts_manual=ROWS)
    paths = [folder / "test_concepts.csv", folder / "test_concepts_manual.csv"]

    expected = tuple((str(path), hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths)
    assert expected == search(run_of("a,C1\n"), folder).inputs


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", [("R501", None)]),
        ("ID,CUIs\n", [("R501", None)]),
        ("ID,CUIs\na,C1\nb,C1\na,C2\n", [("R501", 4)]),
        ("ID,CUIs\na,C1\n\n", [("R501", 3)]),
        ("ID,CUIs\na,C1,C2\n", [("R501", 2), ("R501", None)]),
    ],
)
def test_a_broken_truth_is_rejected_with_its_lines(
    dataset: Dataset, content: str, expected: list[tuple[str, int | None]]
) -> None:
    folder = dataset(concepts=ROWS)
    (folder / "concepts.csv").write_text(content, encoding="utf-8")

    with pytest.raises(RejectedInput) as caught:
        search(run_of("a,C1\n"), folder)

    assert expected == codes(caught.value)


@pytest.mark.parametrize(
    ("edition", "text"),
    [
        ("imageclef-2018", "a\tC1;C2\nb\tC3\n"),
        ("imageclef-2022", "a|C1;C2\nb|C3\n"),
        ("imageclef-2023", "ID\tcuis\na\tC1;C2\nb\tC3\n"),
        ("imageclef-2023", "a|C1;C2\nb|C3\n"),
        ("imageclef-2024", "a,C1;C2\r\nb,C3\r\n"),
        ("imageclef-2018", "ID,CUIs\na,C1;C2\nb,C3\n"),
        ("imageclef-2022", "ID,CUIs\na,C1;C2\nb,C3\n"),
        ("imageclef-2023", "ID,CUIs\na,C1;C2\nb,C3\n"),
    ],
)
def test_a_truth_is_read_in_the_own_form_of_the_edition_or_in_the_layout(
    read: Read, tmp_path: Path, edition: str, text: str
) -> None:
    path = tmp_path / "concepts.csv"
    path.write_bytes(text.encode())
    delimiter = EDITIONS[edition].concepts.dialect.delimiter.replace("auto", "|")

    truth = read(f"a{delimiter}C1\n", path, edition=edition)[1]

    expected = ["a", "b"], ["C1;C2", "C3"]
    assert expected == (truth.table.image_ids, truth.table.cells)


def test_a_caption_truth_of_2025_needs_no_header(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text("a,x\nb,y\n", encoding="utf-8")
    expected = ["a", "b"]

    truth = read("ID,Caption\na,x\n", path, "captions", "imageclef-2025")[1]

    assert expected == truth.table.image_ids


@pytest.mark.parametrize(
    ("edition", "expected"),
    [("rocov2", ["COVID_1", "b"]), ("imageclef-2022", ["COVID_1", "b"]), ("imageclef-2024", ["b"])],
)
def test_ids_of_the_truth_that_hold_the_capitals_id_vanish_where_the_evaluator_skips_them(
    read: Read, dataset: Dataset, edition: str, expected: list[str]
) -> None:
    folder = dataset(concepts=[("COVID_1", "C1"), ("b", "C2")])
    delimiter = EDITIONS[edition].concepts.dialect.delimiter

    assert expected == read(f"b{delimiter}C1\n", folder, edition=edition)[1].table.image_ids


def test_a_file_with_a_name_of_its_own_goes_with_its_manual_file(tmp_path: Path) -> None:
    (tmp_path / "gold.tsv").write_text("ID,CUIs\na,C1\n", encoding="utf-8")
    (tmp_path / "gold_manual.tsv").write_text("ID,CUIs\na,C2\n", encoding="utf-8")

    truth = search(run_of("a,C1\n"), tmp_path / "gold.tsv")

    expected = ["C2"], None
    assert expected == (truth.manual, truth.split)


def test_captions_in_a_file_with_a_name_of_its_own_have_no_concepts(tmp_path: Path) -> None:
    (tmp_path / "gold.csv").write_text("ID,Caption\na,x\n", encoding="utf-8")
    (tmp_path / "Noneconcepts.csv").write_text("ID,CUIs\na,C1\n", encoding="utf-8")

    truth = search(run_of("a,x\n", "captions"), tmp_path / "gold.csv", task="captions")

    assert truth.concepts is None


def test_the_bundled_sample_has_every_split_of_both_tasks() -> None:
    expected = sorted(f"{split}_{task}.csv" for split in SPLITS for task in ("captions", "concepts"))

    found = {path.name for path in sample_folder().glob("*.csv")}
    assert expected == sorted(found.intersection(expected))


def test_a_truth_of_the_other_task_is_rejected(dataset: Dataset) -> None:
    folder = dataset("test_", captions=[("a", "x")])

    with pytest.raises(RejectedInput) as caught:
        search(run_of("a,C1\n"), folder / "test_captions.csv")

    assert codes(caught.value) == [("R501", 1)]
