from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dataset_builder.audit.licence_reporters import REPORTERS, licences_document
from dataset_builder.audit.licences import Group, Loss, forbids_commerce, licence_report
from dataset_builder.audit.licensed_images import Beside, read_licensed
from rocov2_eval.errors import RejectedInput, UsageFault

CT, XRAY, PET = "C0040405", "C1306645", "C0032743"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of a file, one line a row."""

    def write_lines(name: str, *lines: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    return write_lines


@pytest.fixture
def folder(write: Callable[..., Path]) -> Path:
    """Return a dataset of four images: the PET images are under CC BY-NC, and alone in the test split."""
    write("data/train_concepts.csv", "ID,CUIs", f"a,{CT};C0000001", f"b,{CT};C0000001")
    write("data/train_concepts_manual.csv", "ID,CUIs", f"a,{CT}", f"b,{CT}")
    write("data/test_concepts.csv", "ID,CUIs", f"c,{PET};C0000001", f"d,{PET};C0000002")
    write("data/test_concepts_manual.csv", "ID,CUIs", f"c,{PET}", f"d,{PET}")
    return write(
        "data/license_information.csv",
        "ID,PMCID,Attribution,Link",
        "a,PMC1,CC BY [Muster et al. (2019)],https://example.org",
        "b,PMC1,CC BY [Muster et al. (2019)],https://example.org",
        "c,PMC2,CC BY-NC [Beispiel (2020)],https://example.org",
        "d,PMC3,CC BY-NC [Nemo],https://example.org",
    ).parent


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC BY", False),
        ("CC BY-NC", True),
        ("CC BY-NC-SA", True),
        ("CC BY-NC-ND", True),
        ("CC BY-ND", False),
        ("NO-CC CODE", False),
        ("CC0", False),
        ("not told", False),
    ],
)
def test_a_licence_with_nc_forbids_commerce(licence: str, expected: bool) -> None:  # noqa: FBT001
    assert forbids_commerce(licence) is expected


def test_a_folder_is_tabled_by_split_modality_and_year(folder: Path) -> None:
    report = licence_report(read_licensed(folder))
    assert report.licences == {"CC BY": 2, "CC BY-NC": 2}
    assert report.tables == {
        "split": (
            Group(name="train", cc_by=2, cc_by_nc=0, other=0, without_nc=2),
            Group(name="test", cc_by=0, cc_by_nc=2, other=0, without_nc=0),
        ),
        "modality": (
            Group(name="CT", cc_by=2, cc_by_nc=0, other=0, without_nc=2),
            Group(name="PET", cc_by=0, cc_by_nc=2, other=0, without_nc=0),
        ),
        "year": (
            Group(name="2019", cc_by=2, cc_by_nc=0, other=0, without_nc=2),
            Group(name="2020", cc_by=0, cc_by_nc=1, other=0, without_nc=0),
            Group(name="not told", cc_by=0, cc_by_nc=1, other=0, without_nc=0),
        ),
    }


def test_what_would_be_lost_is_counted(folder: Path) -> None:
    report = licence_report(read_licensed(folder), floor=3)
    assert report.images == Loss(before=4, after=2)
    assert report.articles == Loss(before=3, after=1)
    assert report.concepts == Loss(before=1, after=0)
    assert [(each.cui, each.before, each.after) for each in report.fallen] == [("C0000001", 3, 2)]
    assert report.gone == {"modality": ("PET",), "split": ("test",)}


def test_attribution_csv_has_the_last_word_about_a_licence(folder: Path, write: Callable[..., Path]) -> None:
    write("data/attribution.csv", "ID,PMCID,Licence", "a,PMC1,CC0")
    assert licence_report(read_licensed(folder)).licences == {"CC BY-NC": 2, "CC BY": 1, "CC0": 1}


def test_held_out_images_without_a_licence_are_counted_as_not_told(
    folder: Path, write: Callable[..., Path]
) -> None:
    write("data/valid_images.csv", "ID", "e")
    assert licence_report(read_licensed(folder)).licences["not told"] == 1


def test_a_table_of_articles_brings_the_journal(folder: Path, write: Callable[..., Path]) -> None:
    ids = write(
        "PMC-ids.csv", "Journal Title,ISSN,Year,PMCID", "Made Radiol,1,2019,PMC1", "Other J,2,2021,PMC3"
    )
    report = licence_report(read_licensed(folder, beside=Beside(articles=(ids,))))
    assert [(group.name, group.total) for group in report.tables["journal"]] == [
        ("Made Radiol", 2),
        ("Other J", 1),
        ("not told", 1),
    ]
    assert [(group.name, group.total) for group in report.tables["year"]] == [
        ("2019", 2),
        ("2020", 1),
        ("2021", 1),
    ]


def test_what_is_not_told_comes_with_what_would_tell_it(folder: Path) -> None:
    assert licence_report(read_licensed(folder)).absent == {
        "journal": "a column journal, or a table of articles with one (--articles)"
    }


def test_the_figures_of_roco_are_those_counted_by_hand(shared: Path) -> None:
    report = licence_report(read_licensed(shared / "data/roco/figures.csv"))
    assert report.images.before == 22_477
    assert (report.licences["CC BY"], report.licences["CC BY-NC"]) == (9627, 3347)
    splits = report.tables["split"]
    assert [(group.name, group.total) for group in splits] == [
        ("train", 4895),
        ("test", 8791),
        ("validation", 8791),
    ]
    assert sum(group.cc_by for group in splits) == 9627


def test_rocov2_would_lose_a_quarter_of_these_figures_without_nc(shared: Path) -> None:
    where = [("licence", "CC BY"), ("licence", "CC BY-NC")]
    report = licence_report(read_licensed(shared / "data/roco/figures.csv", where))
    assert report.images == Loss(before=9627 + 3347, after=9627)


@pytest.mark.parametrize(
    ("lines", "error", "message"),
    [
        (["id,split", "a,train"], UsageFault, "no column of licences among id, split"),
        (["id,licence", "a,CC BY", "a,CC BY"], RejectedInput, r"table.csv:3: a stands twice"),
        (["id,licence", ",CC BY"], RejectedInput, "table.csv:2: a row without an id"),
        (["id,licence", "a,CC BY,b"], RejectedInput, "table.csv:2: expected 2 cells"),
        (["id,licence"], UsageFault, "no image is left"),
        ([], UsageFault, "no image is left"),
    ],
)
def test_broken_tables_are_refused(
    write: Callable[..., Path], lines: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read_licensed(write("table.csv", *lines))


def test_a_condition_on_a_column_that_is_not_there_is_refused(write: Callable[..., Path]) -> None:
    with pytest.raises(UsageFault, match="--where kind: no such column among id, licence"):
        read_licensed(write("table.csv", "id,licence", "a,CC BY"), [("kind", "x")])


def test_a_folder_without_licences_is_refused(write: Callable[..., Path]) -> None:
    path = write("data/train_concepts.csv", "ID,CUIs", f"a,{CT}")
    with pytest.raises(UsageFault, match=r"neither attribution\.csv nor license_information\.csv"):
        read_licensed(path.parent)


def test_concepts_of_a_part_of_the_images_are_said_to_be_of_a_part(
    write: Callable[..., Path],
) -> None:
    table = write("table.csv", "id,licence", "a,CC BY", "b,CC BY-NC")
    concepts = write("concepts.csv", "ID,CUIs", f"a,{XRAY}")
    report = licence_report(read_licensed(table, beside=Beside(concepts=(concepts,))), floor=1)
    assert "concepts are told of 1 images alone" in REPORTERS["text"](report, 5)


def test_json_has_every_group_and_loss(folder: Path) -> None:
    document = licences_document(licence_report(read_licensed(folder)))
    assert json.loads(REPORTERS["json"](licence_report(read_licensed(folder)), 0)) == document
    assert document["without_nc"]["images"] == {"before": 4, "after": 2, "lost": 2}
    assert document["by"]["split"][1] == {
        "name": "test",
        "cc_by": 0,
        "cc_by_nc": 2,
        "other": 0,
        "without_nc": 0,
    }


@pytest.mark.parametrize("style", ["text", "markdown"])
def test_reports_tell_tables_and_losses(folder: Path, style: str) -> None:
    text = REPORTERS[style](licence_report(read_licensed(folder)), 5)
    for expected in ("CC BY", "2 (100 %)", "images: 2 of 4 lost (50.0 %)", "modalities left without", "PET"):
        assert expected in text
