from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataset_builder.study.licences import forbids_commerce, licences_document, read_images
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.rendering.render import render
from rocov2_eval.shelf.csv_files import read_rows

CT, PET = "C0040405", "C0032743"


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


def data_of(folder: Path, articles: Path | None = None, *, floor: int = 10) -> dict[str, Any]:
    return dict(licences_document("made", read_images(folder, articles), floor=floor).data)


def totals(groups: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    return [(group["name"], group["all"], group["lost"]) for group in groups]


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC BY", False),
        ("CC BY-NC", True),
        ("CC BY-NC-SA", True),
        ("CC BY-ND", False),
        ("NO-CC CODE", False),
        ("CC0", False),
        ("not known", False),
    ],
)
def test_a_licence_with_nc_forbids_commerce(licence: str, expected: bool) -> None:  # noqa: FBT001
    assert forbids_commerce(licence) is expected


def test_a_folder_is_tabled_by_split_modality_and_year(folder: Path) -> None:
    data = data_of(folder)
    assert data["licences"] == {"CC BY": 2, "CC BY-NC": 2}
    assert totals(data["by"]["split"]) == [("train", 2, 0), ("test", 2, 2)]
    assert totals(data["by"]["modality"]) == [("CT", 2, 0), ("PET", 2, 2)]
    assert totals(data["by"]["year"]) == [("2019", 2, 0), ("2020", 1, 1), ("not known", 1, 1)]
    train = data["by"]["split"][0]
    assert (train["cc_by"], train["cc_by_nc"], train["other"]) == (2, 0, 0)


def test_what_would_be_lost_is_counted(folder: Path) -> None:
    lost = data_of(folder, floor=3)["without_nc"]
    assert lost["images"] == {"before": 4, "after": 2, "lost": 2}
    assert lost["articles"] == {"before": 3, "after": 1, "lost": 2}
    assert lost["concepts"] == {"before": 1, "after": 0, "lost": 1}
    assert lost["fallen_concepts"] == {"C0000001": {"before": 3, "after": 2, "lost": 1}}


def test_attribution_csv_has_the_last_word_about_a_licence(folder: Path, write: Callable[..., Path]) -> None:
    write("data/attribution.csv", "ID,PMCID,Licence", "a,PMC1,CC0")
    assert data_of(folder)["licences"] == {"CC BY-NC": 2, "CC BY": 1, "CC0": 1}


def test_a_table_of_articles_brings_journal_and_year(folder: Path, write: Callable[..., Path]) -> None:
    ids = write(
        "PMC-ids.csv", "Journal Title,ISSN,Year,PMCID", "Made Radiol,1,2019,PMC1", "Other J,2,2021,PMC3"
    )
    by = data_of(folder, ids)["by"]
    assert totals(by["journal"]) == [("Made Radiol", 2, 0), ("Other J", 1, 1), ("not known", 1, 1)]
    assert totals(by["year"]) == [("2019", 2, 0), ("2020", 1, 1), ("2021", 1, 1)]


def test_the_figures_of_roco_are_those_counted_by_hand(shared: Path, write: Callable[..., Path]) -> None:
    rows = [row for _, row in read_rows(shared / "data/roco/figures.csv")]
    lines = [f"{number},,{row['licence']}" for number, row in enumerate(rows)]
    data = data_of(write("data/attribution.csv", "ID,PMCID,Licence", *lines).parent)
    assert data["without_nc"]["images"]["before"] == 22_477
    assert (data["licences"]["CC BY"], data["licences"]["CC BY-NC"]) == (9627, 3347)


@pytest.mark.parametrize(
    ("name", "lines", "error", "message"),
    [
        ("train_concepts.csv", ["ID,CUIs", "a,"], UsageFault, r"neither attribution\.csv nor license_inf"),
        ("attribution.csv", ["ID,PMCID,Licence"], RejectedInput, "no image in its tables"),
        ("attribution.csv", ["ID,PMCID", "a,PMC1"], RejectedInput, r"attribution\.csv:1: no column Licence"),
        (
            "attribution.csv",
            ["ID,PMCID,Licence", "a"],
            RejectedInput,
            r"attribution\.csv:2: expected 3 cells",
        ),
    ],
)
def test_broken_folders_are_refused(
    write: Callable[..., Path], name: str, lines: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read_images(write(f"data/{name}", *lines).parent)


@pytest.mark.parametrize("style", ["text", "markdown"])
def test_reports_have_tables_losses_and_what_is_not_known(folder: Path, style: str) -> None:
    text = render(licences_document("made", read_images(folder), floor=3), style)
    for expected in ("made: 4 images", "50.0 %", "no image remains of modality PET", "journal not known"):
        assert expected in text
