from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dataset_builder.records import Drop, Figure
from dataset_builder.stages import compound
from dataset_builder.stages.caption_panels import CERTAIN, POSSIBLE, panels_named
from dataset_builder.stages.compound import COMPOUND, CompoundOptions, prior, select
from dataset_builder.stages.overrides import BY_HAND
from dataset_builder.stages.picture_panels import GREY_GUTTER, GUTTER, SEAM, panels_seen
from rocov2_eval.records import FloatArray
from rocov2_eval.shelf.pictures import UNREADABLE, PixelArray

from made_figures import made_figure

HINTS = CompoundOptions(method="priors")


def figure(caption: str = "", name: str = "a.jpg", n_graphics: int = 1) -> Figure:
    return made_figure(name=name, caption=caption, n_graphics=n_graphics)


def panel(seed: int, height: int = 160, width: int = 160) -> PixelArray:
    """Return something like a photograph: soft grey clouds over the whole picture."""
    coarse = np.random.default_rng(seed).integers(40, 215, (5, 5)).astype(np.uint8)
    soft = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(soft.convert("RGB"))


def x_ray(seed: int = 1) -> PixelArray:
    """Return two bright round things on black, with a black gap between them."""
    image = Image.new("L", (400, 300), 0)
    draw = ImageDraw.Draw(image)
    for left in (20, 220):
        draw.ellipse((left, 30, left + 160, 270), fill=150 + seed)
    return np.asarray(image.convert("RGB"))


def row(panels: Sequence[PixelArray], gutter: int, level: int) -> PixelArray:
    """Return panels of one height side by side."""
    bar = np.full((len(panels[0]), gutter, 3), level, np.uint8)
    parts = [part for one in panels for part in (one, bar)][:-1]
    return np.concatenate(parts, axis=1)


def turned(pixels: PixelArray) -> PixelArray:
    return np.ascontiguousarray(pixels.transpose(1, 0, 2))


def saved(pixels: PixelArray, style: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, style)
    return buffer.getvalue()


def always(pixels: PixelArray) -> Callable[[Figure], bytes]:
    """Return a reader that finds the same picture for every figure."""
    content = saved(pixels)
    return lambda _: content


class FakeClassifier:
    """Says the same of every picture."""

    def __init__(self, score: float, threshold: float = 0.8) -> None:
        self.score = score
        self.threshold = threshold

    def scores(self, pictures: Sequence[bytes]) -> FloatArray:
        return np.full(len(pictures), self.score)


@pytest.fixture
def modelled(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that puts a model in place which gives every picture one score."""

    def put(score: float) -> None:
        monkeypatch.setattr(compound, "find_model", lambda *_: Path("model.onnx"))
        monkeypatch.setattr(compound, "open_classifier", lambda *_: FakeClassifier(score))

    return put


@pytest.mark.parametrize(
    "caption",
    [
        "(A) Axial CT shows a mass. (B) Coronal CT.",
        "(a) axial and (b) coronal slice",
        "Axial (A) and coronal (B) images.",
        "(A, B) CT. (C) MRI.",
        "(A-C) Axial CT.",
        "(a\u2013d) Radiographs of four patients.",
        "A: anteroposterior view. B: lateral view.",
        "A, Axial CT. B, Sagittal MRI.",
        "a) axial slice b) coronal slice",
        "a Axial CT of the chest. b Coronal reconstruction.",
        "Uptake. A Transverse CT. B Coronal MRI.",
        "Spectra. A. Before, B. after treatment.",
        "Skull. A, dorsal; and B, ventral view.",
        "(A), (B): two patients.",
        "The left panel shows the CT.",
        "CT before (left panel) and after (right panel) surgery.",
        "Upper row: CT. Lower row: MRI.",
        "Panel A shows the mass.",
        "Left image: CT.",
    ],
)
def test_a_caption_that_names_panels_is_told(caption: str) -> None:
    assert panels_named(caption).weight == CERTAIN


@pytest.mark.parametrize(
    "caption",
    [
        "CT shows an aneurysm (a) compressing the artery (b).",
        "Knee before treatment (left) and after it (right).",
    ],
)
def test_a_caption_that_may_name_panels_is_not_enough_alone(caption: str) -> None:
    assert panels_named(caption).weight == POSSIBLE
    kept, _ = select([figure(caption)], always(panel(1)), HINTS)
    assert [one.scores.compound for one in kept] == [POSSIBLE]


@pytest.mark.parametrize(
    "caption",
    [
        "",
        "CT shows a mass (arrow) and a cyst (asterisk).",
        "Fig. 1A shows the same patient; compare Fig. 1B.",
        "Same patient as in Fig. 2 (A) and Fig. 3 (B).",
        "Treatment with vitamin A in hepatitis B.",
        "Patients of group (A) and group (B).",
        "(a 45-year-old woman) Chest radiograph.",
        "A 45-year-old woman. B cell lymphoma.",
        "Stanford type A dissection. Child-Pugh B.",
        "Liver (L), spleen (S), cyst (C) and duodenum (D).",
        "Vertebral column, two rows of teeth.",
        "A = needle; B = process.",
        "Right lung and left lung.",
    ],
)
def test_letters_that_name_no_panels_are_passed_over(caption: str) -> None:
    assert panels_named(caption).weight == 0


def test_real_captions_of_single_pictures_rarely_name_panels(shared: Path) -> None:
    with (shared / "data/roco/captions.csv").open(encoding="utf-8", newline="") as file:
        weights = [panels_named(line["Caption"]).weight for line in csv.DictReader(file)]
    assert sum(weight == CERTAIN for weight in weights) / len(weights) < 0.01


@pytest.mark.parametrize("level", [255, 0])
@pytest.mark.parametrize("gutter", [3, 12])
@pytest.mark.parametrize("turn", [turned, lambda pixels: pixels])
def test_a_gutter_is_found(level: int, gutter: int, turn: Callable[[PixelArray], PixelArray]) -> None:
    picture = turn(row([panel(1), panel(2), panel(3)], gutter, level))
    hint = panels_seen(picture)
    colour = "white" if level else "black"
    assert hint.weight == GUTTER
    assert f"{colour} " in hint.words
    assert f" {gutter} pixels" in hint.words


@pytest.mark.parametrize("turn", [turned, lambda pixels: pixels])
def test_a_gutter_of_any_grey_is_found_and_a_grey_margin_is_none(
    turn: Callable[[PixelArray], PixelArray],
) -> None:
    hint = panels_seen(turn(row([panel(1), panel(2)], 6, 100)))
    assert hint.weight == GREY_GUTTER
    assert "grey " in hint.words
    framed = np.pad(turn(panel(1)), ((20, 20), (30, 30), (0, 0)), constant_values=100)
    assert panels_seen(framed).weight == 0


def test_a_gutter_is_found_within_a_white_margin() -> None:
    framed = np.pad(row([panel(1), panel(2)], 6, 255), ((20, 20), (30, 30), (0, 0)), constant_values=255)
    assert panels_seen(framed).weight == GUTTER


def test_a_gutter_is_found_in_one_of_several_rows() -> None:
    above = row([panel(1), panel(2)], 6, 255)
    text = np.full((30, above.shape[1], 3), 255, np.uint8)
    text[10:20, 40:280] = 0
    picture = np.concatenate([above, np.full((8, above.shape[1], 3), 255, np.uint8), text])
    assert "upright" in panels_seen(picture).words


@pytest.mark.parametrize("quality", [75, 92])
def test_a_gutter_outlives_jpeg(quality: int) -> None:
    buffer = io.BytesIO()
    Image.fromarray(row([panel(1), panel(2)], 4, 255)).save(buffer, "JPEG", quality=quality)
    assert panels_seen(np.asarray(Image.open(buffer).convert("RGB"))).weight == GUTTER


def test_panels_that_touch_leave_a_seam() -> None:
    dark, bright = panel(1) // 2, panel(2) // 2 + 120
    hint = panels_seen(np.concatenate([dark, bright], axis=1))
    assert (hint.weight, hint.words) == (SEAM, "upright seam at pixel 159 of 320")


@pytest.mark.parametrize(
    "pixels",
    [
        panel(1),
        x_ray(),
        turned(x_ray()),
        255 - x_ray(),
        np.pad(panel(1), ((40, 40), (0, 0), (0, 0))),
        np.pad(panel(1), ((0, 0), (40, 40), (0, 0)), constant_values=255),
        np.zeros((300, 300, 3), np.uint8),
        np.full((300, 300, 3), 255, np.uint8),
        panel(1, 20, 20),
        panel(1, 1, 300),
    ],
    ids=["one", "x-ray", "turned", "inverted", "letter-boxed", "margins", "black", "white", "tiny", "line"],
)
def test_a_picture_without_panels_has_no_hint(pixels: PixelArray) -> None:
    assert panels_seen(pixels).weight == 0


def test_real_radiographs_have_no_gutter(shared: Path) -> None:
    files = sorted((shared / "data/images/files").glob("hannover_*.jpg"))[::4]
    seen = [panels_seen(np.asarray(Image.open(path).convert("RGB"))) for path in files]
    assert [hint.words for hint in seen if hint.weight == GUTTER] == []


def test_the_score_joins_the_hints() -> None:
    pixels = row([panel(1), panel(2)], 6, 255)
    hint = prior(figure("(A) CT. (B) MRI.", n_graphics=2), pixels)
    assert hint.weight == pytest.approx(1 - 0.1 * 0.2 * 0.1)
    assert hint.words == (
        "white upright gutter of 6 pixels; the caption describes panels A, B; the figure has 2 graphics"
    )


def test_a_compound_figure_is_dropped_with_score_and_detail() -> None:
    kept, drops = select([figure("(A) CT. (B) MRI.")], always(panel(1)), HINTS)
    assert kept == []
    detail = "score 0.800, expected less than 0.500: the caption describes panels A, B"
    assert [Drop(stage="compound", key="PMC7/a.jpg", reason=COMPOUND, detail=detail, score=0.8)] == drops


def test_pictures_of_a_figure_with_several_stay_where_asked_for_whatever_the_caption_says() -> None:
    options = CompoundOptions(method="priors", several_graphics=False)
    assert select([figure("(A) CT. (B) MRI.", n_graphics=2)], always(panel(1)), options)[1] == []


def test_the_threshold_of_the_user_decides() -> None:
    assert (
        select(
            [figure("(A) CT. (B) MRI.")], always(panel(1)), CompoundOptions(method="priors", threshold=0.81)
        )[1]
        == []
    )


def test_an_unreadable_picture_is_a_drop() -> None:
    _, drops = select([figure()], lambda _: b"?", HINTS)
    assert [(drop.reason, drop.detail) for drop in drops] == [(UNREADABLE, "no image of a known format")]


def test_every_figure_is_kept_or_dropped_in_order() -> None:
    captions = ["CT.", "(A) CT. (B) MRI.", "MRI.", "Left panel: CT."]
    figures = [figure(caption, str(i)) for i, caption in enumerate(captions)]
    kept, drops = select(figures, always(panel(1)), HINTS)
    assert [one.graphic.name for one in kept] == ["0", "2"]
    assert [drop.key for drop in drops] == ["PMC7/1", "PMC7/3"]


def test_off_keeps_every_figure_without_reading_it() -> None:
    def never(_: Figure) -> bytes:
        raise AssertionError("nothing is to be read")

    figures = [figure("(A) CT. (B) MRI.", n_graphics=2)]
    assert (figures, []) == select(figures, never, CompoundOptions(method="off"))


def test_off_still_drops_by_the_overrides(tmp_path: Path) -> None:
    path = tmp_path / "overrides.csv"
    path.write_text("PMCID,file,decision\nPMC7,a.jpg,drop\n")
    _, drops = select([figure()], always(panel(1)), CompoundOptions(method="off", overrides=path))
    assert [drop.detail for drop in drops] == [BY_HAND]


@pytest.mark.parametrize(("score", "is_kept"), [(0.79, True), (0.8, False)])
def test_a_model_alone_decides_by_its_own_threshold(
    modelled: Callable[[float], None], score: float, *, is_kept: bool
) -> None:
    modelled(score)
    figures = [figure("(A) CT. (B) MRI.", n_graphics=2)]
    kept, drops = select(figures, always(panel(1)), CompoundOptions(method="model"))
    assert is_kept == bool(kept)
    assert [score] == [one.scores.compound for one in kept] + [drop.score for drop in drops]


@pytest.mark.parametrize(
    ("score", "caption", "is_kept"),
    [
        (0.79, "CT.", True),
        (0.95, "CT.", False),
        (0.2, "(A) CT. (B) MRI.", False),
        (0.001, "(A) CT. (B) MRI.", True),
        (0.6, "CT shows an aneurysm (a) compressing the artery (b).", False),
        (0.1, "CT shows an aneurysm (a) compressing the artery (b).", True),
    ],
)
def test_the_model_and_the_caption_are_weighed_against_each_other(
    modelled: Callable[[float], None], score: float, caption: str, *, is_kept: bool
) -> None:
    modelled(score)
    kept, _ = select([figure(caption)], always(panel(1)), CompoundOptions())
    assert is_kept == bool(kept)


def test_the_layout_is_evidence_beside_the_model(modelled: Callable[[float], None]) -> None:
    modelled(0.6)
    assert select([figure("CT.")], always(panel(1)), CompoundOptions())[1] == []
    (drop,) = select([figure("CT.")], always(row([panel(1), panel(2)], 6, 255)), CompoundOptions())[1]
    assert "the model gives 0.600, its threshold is 0.800; white upright gutter of 6 pixels" in drop.detail


def test_the_score_stays_a_probability_whatever_the_model_says(modelled: Callable[[float], None]) -> None:
    for score in (0.0, 1.0):
        modelled(score)
        kept, drops = select([figure("CT.")], always(panel(1)), CompoundOptions())
        found = [one.scores.compound for one in kept] + [drop.score for drop in drops]
        assert found == [pytest.approx(score, abs=1e-6)]
