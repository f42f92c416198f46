"""Made compound figures and drawings, and the tool that lays them out as classes."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest

from baselines.filter_pictures import class_files, classed, divide

from compounds import LARGEST, PANELS, compose, disguise, disguised, layout, made_figures, worn
from drawings import KINDS, SHADED, drawn
from make_compounds import figure_pictures, main, read_pools

image_module = pytest.importorskip("PIL.Image")

GREY = (128, 128, 128)
SEEDS = range(16)


@pytest.fixture(scope="module")
def pictures() -> list[image_module.Image]:
    return [image_module.new("RGB", (96, 64), (level, level, level)) for level in range(40, 240, 20)]


@pytest.mark.parametrize("n", PANELS)
def test_a_layout_tiles_the_figure_with_as_many_boxes_as_asked(n: int) -> None:
    for seed in SEEDS:
        boxes = layout(n, Random(seed))

        assert n == len(boxes)
        assert pytest.approx(1) == sum((right - left) * (low - top) for left, top, right, low in boxes)
        assert all(0 <= left < right <= 1 and 0 <= top < low <= 1 for left, top, right, low in boxes)


@pytest.mark.parametrize("n", [4, 6])
def test_layouts_are_grids_and_uneven_ones(n: int) -> None:
    areas = [
        {round((right - left) * (low - top), 6) for left, top, right, low in layout(n, Random(seed))}
        for seed in SEEDS
    ]

    assert {True, False} == {len(found) == 1 for found in areas}


@pytest.fixture
def _as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let figures show the pictures as they are: no slices, no series, no charts."""
    for chance in ("_SLICED", "_ALIKE", "_WITH_CHART"):
        monkeypatch.setattr(f"compounds.{chance}", 0)


@pytest.mark.usefixtures("_as_they_are")
def test_a_compound_figure_shows_several_pictures() -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255), (255, 0, 255)]
    plain = [image_module.new("RGB", (64, 64), colour) for colour in colours]

    shown = [
        sum(pixels > 200 for pixels, colour in figure.getcolors(1 << 20) if colour in colours)
        for figure in (compose(plain, Random(seed)) for seed in SEEDS)
    ]

    assert sum(n >= 2 for n in shown) >= 0.75 * len(SEEDS)  # chance may show one picture twice


@pytest.mark.usefixtures("_as_they_are")
def test_a_disguised_figure_shows_one_picture() -> None:
    plain = [image_module.new("RGB", (64, 64), (level, 0, 0)) for level in range(60, 256, 5)]

    for seed in SEEDS:
        figure = disguise(plain, Random(seed))
        large = [
            colour
            for pixels, colour in figure.getcolors(1 << 20)
            if colour[0] >= 60 and colour[1:] == (0, 0) and pixels > figure.width * figure.height / 20
        ]

        assert len(large) == 1


@pytest.mark.parametrize("is_scan", [True, False])
def test_worn_pictures_and_disguised_figures_are_files_that_the_seed_decides(
    pictures: list[image_module.Image],
    is_scan: bool,  # noqa: FBT001  a column of the table
) -> None:
    for seed in SEEDS:
        files = [worn(pictures[0], Random(seed), is_scan=is_scan) for _ in range(2)]
        assert files[0] == files[1]
        assert min(image_module.open(io.BytesIO(files[0])).size) >= 8
        assert disguised(pictures[0], Random(seed)) == disguised(pictures[0], Random(seed))


def test_slices_are_grey_on_a_dark_ground(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compounds._SLICED", 1)
    monkeypatch.setattr("compounds._WITH_CHART", 0)
    red = [image_module.new("RGB", (64, 64), (255, 0, 0))]

    shares = []
    for seed in SEEDS:
        colours = disguise(red, Random(seed)).getcolors(1 << 20)
        shares.append(sum(pixels for pixels, (r, g, b) in colours if r > 200 and g < 50 and b < 50))

    assert max(shares) < 64 * 64  # nothing red but a mark


def test_figures_stay_within_their_size(pictures: list[image_module.Image]) -> None:
    for seed in SEEDS:
        for make in (compose, disguise):
            assert max(make(pictures, Random(seed)).size) <= 1.6 * LARGEST


def test_the_same_seed_makes_the_same_files(pictures: list[image_module.Image]) -> None:
    assert list(made_figures(pictures, 6, seed=1)) == list(made_figures(pictures, 6, seed=1))


def test_another_seed_makes_other_files(pictures: list[image_module.Image]) -> None:
    first, second = (next(iter(made_figures(pictures, 1, seed)))[0] for seed in (1, 2))

    assert first != second


def test_a_figure_depends_on_no_figure_before_it(pictures: list[image_module.Image]) -> None:
    assert list(made_figures(pictures, 2, seed=1)) == list(made_figures(pictures, 4, seed=1))[:2]


def test_every_second_figure_is_compound_and_all_are_jpeg(pictures: list[image_module.Image]) -> None:
    figures = list(made_figures(pictures, 4, seed=0))

    assert [is_compound for _, is_compound in figures] == [False, True, False, True]
    assert [image_module.open(io.BytesIO(content)).format for content, _ in figures] == ["JPEG"] * 4


def test_the_pictures_stay_as_they_are(pictures: list[image_module.Image]) -> None:
    before = [picture.tobytes() for picture in pictures]
    list(made_figures(pictures, 16, seed=3))

    assert before == [picture.tobytes() for picture in pictures]


@pytest.mark.parametrize("kind", [*KINDS, *SHADED])
def test_every_kind_of_drawing_leaves_ink_of_its_own(kind: str) -> None:
    first, second = (drawn(kind, Random(seed), (160, 120)) for seed in (0, 1))

    assert len(first.getcolors(1 << 20)) > 1
    assert first.tobytes() != second.tobytes()
    assert first.tobytes() == drawn(kind, Random(0), (160, 120)).tobytes()


@pytest.fixture
def singles(tmp_path: Path) -> Path:
    for index in range(44):
        image_module.new("L", (900, 450), 5 * index).save(tmp_path / f"{index}.png")
    return tmp_path


def test_the_tool_lays_out_classes_whose_pools_are_never_divided(
    singles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = singles.parent / "classes"
    monkeypatch.setattr(sys, "argv", ["", str(singles), str(out), "--figures", "80"])
    assert main() == 0

    places = [place for place, _ in class_files(out, "compound")]
    pictures = classed(places, np.zeros((len(places), 1, 1, 3), np.uint8), "compound")
    train, valid = divide(pictures.groups, 0.15, seed=0)
    assert (len(places), pictures.answers.sum(), len(valid) > 0) == (80, 40, True)
    assert not {pictures.groups[i] for i in train} & {pictures.groups[i] for i in valid}


def test_single_pictures_are_no_larger_than_a_figure(singles: Path) -> None:
    pools = read_pools(singles)

    assert {("RGB", (640, 320))} == {(picture.mode, picture.size) for pool in pools for picture in pool}
    assert sum(map(len, pools)) == 44


def test_a_broken_picture_is_named(singles: Path) -> None:
    (singles / "torn.png").write_bytes((singles / "0.png").read_bytes()[:40])

    with pytest.raises(SystemExit, match=r"torn\.png: cannot be read"):
        read_pools(singles)


def test_half_of_the_made_figures_are_compound(pictures: list[image_module.Image]) -> None:
    made = figure_pictures(pictures, 6, side=32, fit="letterbox", seed=0)

    assert made.answers.tolist() == [0, 1, 0, 1, 0, 1]
    assert made.pixels.shape == (6, 32, 32, 3)
