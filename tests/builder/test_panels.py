"""Compound figures taken apart: boxes, names, parts of captions, and a whole build."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataset_builder.cli import run
from dataset_builder.panels import cut_out, panel_name, split_name, upright_pixels
from dataset_builder.stages import compound
from dataset_builder.stages.caption_panels import caption_parts
from dataset_builder.stages.picture_panels import panels_of
from rocov2_eval.records import FloatArray, IntArray
from rocov2_eval.shelf.pictures import PixelArray, Unreadable

from made_articles import PICTURE_NAME, TABLES, article
from s3_server import Bucket

CAPTION = "Brain of an adult. (A) Axial image of the head. (B) Coronal image of the neck."


def panel(seed: int, height: int = 160, width: int = 160) -> PixelArray:
    """Return something like a photograph: soft grey clouds over the whole picture."""
    coarse = np.random.default_rng(seed).integers(40, 215, (5, 5)).astype(np.uint8)
    soft = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(soft.convert("RGB"))


def row(level: int, *widths: int, gutter: int = 8) -> PixelArray:
    """Return panels side by side."""
    bar = np.full((160, gutter, 3), level, np.uint8)
    parts = [part for seed, width in enumerate(widths) for part in (panel(seed, width=width), bar)]
    return np.concatenate(parts[:-1], axis=1)


def png(pixels: PixelArray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("level", [0, 255])
def test_panels_of_a_row_are_found_to_the_pixel(level: int) -> None:
    assert panels_of(row(level, 160, 120, 200)) == ((0, 0, 160, 160), (168, 0, 120, 160), (296, 0, 200, 160))


def test_panels_of_a_column_are_found_within_a_margin() -> None:
    column = np.ascontiguousarray(row(255, 160, 160).transpose(1, 0, 2))
    framed = np.pad(column, ((20, 5), (30, 7), (0, 0)), constant_values=255)

    assert panels_of(framed) == ((30, 20, 160, 160), (30, 188, 160, 160))


def grid() -> PixelArray:
    bar = np.full((8, 328, 3), 255, np.uint8)
    return np.concatenate([row(255, 160, 160), bar, row(255, 160, 160)])


@pytest.mark.parametrize(
    "pixels", [panel(1), grid(), row(255, 160, 160, gutter=0)], ids=["one", "grid", "touching"]
)
def test_what_is_not_certain_has_no_panels(pixels: PixelArray) -> None:
    assert panels_of(pixels) == ()


@pytest.mark.parametrize(
    ("caption", "parts"),
    [
        (
            CAPTION,
            ("Brain of an adult. Axial image of the head", "Brain of an adult. Coronal image of the neck"),
        ),
        ("A: CT of the chest. B: MRI.", ("CT of the chest", "MRI")),
        ("a) axial slice b) coronal slice", ("axial slice", "coronal slice")),
    ],
)
def test_a_caption_is_divided_by_its_leading_letters(caption: str, parts: tuple[str, str]) -> None:
    assert caption_parts(caption, 2) == parts


@pytest.mark.parametrize(
    "caption",
    [
        "",
        "CT of the chest.",
        "(A-B) Axial CT. (C) MRI.",
        "(A) CT. (C) MRI.",
        "(A) CT. (B) MRI. (C) PET.",
        "(B) CT. (A) MRI.",
        "(A) CT. (B) MRI. The same mass as in (A).",
        "CT shows an aneurysm (a) compressing the artery (b).",
        "Axial (A) and coronal (B) images.",
        "(A) CT. (B) MRI. The left panel is enlarged.",
        "(A) CT of the chest. (B) MRI of the chest. Arrows: metastases.",
        "(A) CT of the chest. (B) MRI of the chest; CT, computed tomography.",
    ],
)
def test_a_caption_whose_parts_are_not_certain_is_not_divided(caption: str) -> None:
    assert caption_parts(caption, 2) is None


@pytest.mark.parametrize("name", ["g01.jpg", "g01", "a#b.jpg", "g01.jpg#xywh=0,0,0,4", "g01.jpg#xywh=0,0,4"])
def test_a_name_without_a_box_is_a_whole_file(name: str) -> None:
    assert split_name(name) == (name, None)


def test_a_name_tells_where_its_panel_is() -> None:
    name = panel_name("a#b.jpg", (8, 0, 160, 120))

    assert name == "a#b.jpg#xywh=8,0,160,120"
    assert split_name(name) == ("a#b.jpg", (8, 0, 160, 120))


def test_a_panel_is_cut_out_without_loss() -> None:
    pixels = row(255, 160, 120)
    cut = cut_out(png(pixels), (168, 0, 120, 160))

    assert isinstance(cut, bytes)
    assert np.array_equal(decoded(cut), pixels[:, 168:])


def test_a_picture_that_is_stored_turned_is_taken_apart_upright() -> None:
    pixels = row(255, 160, 120)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn to the right
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", exif=exif)

    upright = upright_pixels(file.getvalue())
    assert not isinstance(upright, Unreadable)
    boxes = panels_of(upright)
    assert boxes == ((0, 0, 160, 160), (0, 168, 160, 120))
    cut = cut_out(file.getvalue(), boxes[1])
    assert isinstance(cut, bytes)
    assert np.array_equal(decoded(cut), np.rot90(pixels[:, 168:], -1))


def test_a_box_beyond_the_picture_is_told() -> None:
    cut = cut_out(png(panel(1)), (100, 0, 61, 160))

    assert isinstance(cut, Unreadable)
    assert "160x160" in cut.detail


def decoded(content: bytes) -> IntArray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.int64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a build of a compound figure of two panels, to be taken apart."""
    bucket = Bucket()
    bucket.add_article("PMC1", 1, {PICTURE_NAME: png(row(255, 160, 120))}, xml=article(caption=CAPTION))
    bucket.add_article("PMC2", 1, {PICTURE_NAME: png(panel(9))}, xml=article())
    bucket.write(tmp_path / "pmc")
    rows = [("PMC1", f"{PICTURE_NAME}#xywh=0,0,160,160"), ("PMC1", f"{PICTURE_NAME}#xywh=168,0,120,160")]
    lines = [f'{pmcid},"{file}",C0024109,' for pmcid, file in [*rows, ("PMC2", PICTURE_NAME)]]
    (tmp_path / "concepts.csv").write_text("\n".join(["PMCID,file,concepts,concepts_manual", *lines]))
    (tmp_path / "cui_names.csv").write_text("CUI,Canonical name\nC0024109,Lung\n")
    (tmp_path / "build.toml").write_text(
        f'[source]\nkind = "folder"\npath = "pmc"\n[compound]\nmethod = "priors"\naction = "split"\n{TABLES}'
    )
    return tmp_path


def build(folder: Path) -> int:
    return run(["run", str(folder / "build.toml"), "--workers", "1", "--quiet"])


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "dataset" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_build_takes_a_compound_figure_apart(folder: Path) -> None:
    assert build(folder) == 0

    captions = [line["Caption"] for line in table(folder, "train_captions.csv")]
    assert captions[:2] == [
        "Brain of an adult. Axial image of the head",
        "Brain of an adult. Coronal image of the neck",
    ]
    files = sorted((folder / "dataset/train").iterdir())
    sizes = [decoded(path.read_bytes()).shape[1::-1] for path in files]
    assert sizes == [(160, 160), (120, 160), (160, 160)]


def test_a_figure_whose_panel_is_compound_itself_is_dropped(folder: Path) -> None:
    (path,) = (folder / "pmc").rglob("PMC1.1.xml")
    path.write_bytes(article(caption=CAPTION))
    picture = path.with_name(PICTURE_NAME)
    upper, lower = row(255, 156, 156), panel(5, width=320)
    picture.write_bytes(png(np.concatenate([upper, np.full((8, 320, 3), 255, np.uint8), lower])))

    assert build(folder) == 0
    assert [line["PMCID"] for line in table(folder, "attribution.csv")] == ["PMC2"]


class WideIsCompound:
    """A model that takes wide pictures for compound."""

    threshold = 0.5

    def scores(self, pictures: Sequence[bytes]) -> FloatArray:
        shapes = [decoded(content).shape for content in pictures]
        return np.array([0.9 if width > 1.5 * height else 0.1 for height, width, _ in shapes])


def test_the_sheet_of_a_model_shows_panels_by_their_own_names(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compound, "open_classifier", lambda *_: WideIsCompound())
    path = folder / "build.toml"
    path.write_text(path.read_text().replace('method = "priors"', 'method = "both"'))

    assert build(folder) == 0
    sheet = (folder / "report/compound.html").read_text(encoding="utf-8")
    assert f"PMC1,&#34;{PICTURE_NAME}#xywh=0,0,160,160&#34;,drop" in sheet


def test_panels_are_credited_and_named_by_their_place(folder: Path) -> None:
    build(folder)

    lines = table(folder, "attribution.csv")
    assert [line["Figure"] for line in lines] == ["Panel A", "Panel B", ""]
    assert [line["PMCID"] for line in lines] == ["PMC1", "PMC1", "PMC2"]


def test_a_second_build_gives_panels_the_same_ids(folder: Path) -> None:
    build(folder)
    before = (folder / "dataset/train_captions.csv").read_bytes()
    for path in (folder / "work/stages").rglob("*.done.json"):
        path.unlink()

    assert build(folder) == 0
    assert before == (folder / "dataset/train_captions.csv").read_bytes()


def test_the_account_counts_figures_and_panels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(folder)
    run(["status", str(folder / "build.toml"), "--format", "csv"])

    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("compound")]
    assert ["figures" in line for line in lines] == [True, False]
    assert lines[1].endswith("2,2,0,panels")


def test_drops_tells_what_became_of_a_figure_that_was_taken_apart(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(folder)
    run(["drops", str(folder / "build.toml"), f"PMC1/{PICTURE_NAME}"])

    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0].strip() for line in lines if "ROCOv2_train" in line] == [
        f"PMC1/{PICTURE_NAME}#xywh=0,0,160,160",
        f"PMC1/{PICTURE_NAME}#xywh=168,0,120,160",
    ]


def test_panels_of_one_figure_are_never_on_two_sides(folder: Path) -> None:
    text = (folder / "build.toml").read_text().replace('{ train = "rest" }', '{ train = "rest", test = 1 }')
    (folder / "build.toml").write_text(text)
    build(folder)

    captions = {name: table(folder, f"{name}_captions.csv") for name in ("train", "test")}
    panels = [sum("Brain" in line["Caption"] for line in lines) for lines in captions.values()]
    assert all(captions.values())
    assert sorted(panels) == [0, 2]
