"""What the layout of a picture says about panels: straight gutters and seams from edge to edge.

A gutter is a band of white, of black or of one grey that cuts the picture in two. Much that is white or black
is none: the margin, the black around an organ, the gap between two knees, the paper between the curves of a
plot. A gutter differs in that the panels beside it end along a straight line, so that most lines across it
meet an edge right there. Where panels touch, a seam is left: one step of grey levels, in the same place on
most lines, with nothing like it beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dataset_builder.panels import Box
from dataset_builder.stages.caption_panels import Hint
from rocov2_eval.records import BoolArray, FloatArray
from rocov2_eval.shelf.pictures import PixelArray

GUTTER = 0.9
GREY_GUTTER = 0.95  # pictures have none of their own
SEAM = 0.6
SIDE = 400  # pixels that the shorter side of a JPEG keeps: enough for a gutter of three in a thousand

GreyArray = npt.NDArray[np.int16]

_SMALLEST = 100  # pixels of a side; less has no room for panels
_SMALLEST_BLOCK = 48  # pixels of a side of a part of the picture
_WHITE, _BLACK = 238, 16
_PLAIN = 6.0  # standard deviation of a line of one grey, at most
_CONTRAST = 24  # grey levels between gutter and panel
_BLANK = 0.99  # share of a line that is blank; the rest are arrows and noise
_REACH = 3  # pixels beside a gutter in which the panel must begin
_STRAIGHT = 0.65  # share of the panel's lines that meet an edge there
_LENGTH = 0.5  # share of the cut that has a panel beside it
_NARROWEST = 2  # pixels of a gutter; JPEG blurs what is narrower
_WIDEST = 0.2  # of the picture: more is an empty quarter
_SMALLEST_PANEL = 0.12  # of the picture
_LEAST_CONTENT = 12.0  # standard deviation of the grey levels of a panel
_LEAST_BLOCK = 0.25  # of the picture: smaller blocks are text and legends
_STEP = 14  # grey levels across a seam
_SEAM = 0.62  # share of lines with the step; of those where there is anything
_PARTS = 5  # that a seam is looked at in
_STEPPED = 0.25  # share of the lines of a part with the step
_BESIDE = 0.3  # share of lines with a step a few pixels from the seam, at most
_MARGIN = 8  # pixels that count as beside a seam


@dataclass(frozen=True, kw_only=True)
class _Band:
    """A run of blank lines: from `start` to before `stop`."""

    start: int
    stop: int


def panels_seen(pixels: PixelArray) -> Hint:
    """Return the strongest hint of a picture.

    Args:
        pixels: RGB, shape (height, width, 3).
    """
    grey, _, _ = _trimmed(pixels.mean(axis=2).round().astype(np.int16))
    if min(grey.shape) < _SMALLEST:
        return Hint(weight=0.0)
    found = _find_gutter(grey, grey.size * _LEAST_BLOCK)
    if found:
        return Hint(weight=GUTTER, words=found)
    for turned, direction in ((grey, "upright"), (grey.T, "level")):
        found = _find_grey_gutter(turned, direction)
        if found:
            return Hint(weight=GREY_GUTTER, words=found)
    for turned, direction in ((grey, "upright"), (grey.T, "level")):
        place = _find_seam(turned)
        if place is not None:
            return Hint(weight=SEAM, words=f"{direction} seam at pixel {place} of {turned.shape[1]}")
    return Hint(weight=0.0)


def panels_of(pixels: PixelArray) -> tuple[Box, ...]:
    """Return the panels of a picture of one row or one column, in order; none where it is not certain.

    Only white and black gutters count: where panels touch, it is not certain where one ends. Nor is it, of a
    grid, whether its letters go along the rows or down the columns.

    Args:
        pixels: RGB, shape (height, width, 3).
    """
    grey, top, left = _trimmed(pixels.mean(axis=2).round().astype(np.int16))
    if min(grey.shape) < _SMALLEST:
        return ()
    across, down = _gutters(grey), _gutters(grey.T)
    if bool(across) == bool(down):
        return ()
    turned = grey if across else grey.T
    panels = list(_between(turned, across or down))
    if any(panel.std() < _LEAST_CONTENT or _find_gutter(panel, 0) for panel in panels):
        return ()
    starts = [0, *(band.stop for band in across or down)]
    height, width = grey.shape
    if across:
        return tuple(
            (left + at, top, panel.shape[1], height) for at, panel in zip(starts, panels, strict=True)
        )
    return tuple((left, top + at, width, panel.shape[1]) for at, panel in zip(starts, panels, strict=True))


def _gutters(grey: GreyArray) -> list[_Band]:
    """Return the upright gutters of a picture, from left to right."""
    found = [
        band
        for colour in ("white", "black")
        for band in _bands(grey, colour)
        if _is_gutter(grey, band, colour)
    ]
    return sorted(found, key=lambda band: band.start)


def _trimmed(grey: GreyArray) -> tuple[GreyArray, int, int]:
    """Return the picture without its margins, a white one and a black one within it; first row and column."""
    top = left = 0
    for colour in ("white", "black"):
        blank = _blank(grey, colour)
        rows = np.flatnonzero(blank.mean(axis=1) < _BLANK)
        columns = np.flatnonzero(blank.mean(axis=0) < _BLANK)
        if not len(rows) or not len(columns):
            return grey[:0], top, left
        grey = grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        top, left = top + int(rows[0]), left + int(columns[0])
    return grey, top, left


def _blank(grey: GreyArray, colour: str) -> BoolArray:
    return grey >= _WHITE if colour == "white" else grey <= _BLACK


def _find_gutter(grey: GreyArray, least: float) -> str:
    """Return what gutter cuts the picture or a large block of it; empty for none."""
    blocks = []
    for turned, direction in ((grey, "upright"), (grey.T, "level")):
        for colour in ("white", "black"):
            bands = list(_bands(turned, colour))
            for band in bands:
                if _is_gutter(turned, band, colour):
                    return f"{colour} {direction} gutter of {band.stop - band.start} pixels"
            if colour == "white" and bands:
                blocks += [block if direction == "upright" else block.T for block in _between(turned, bands)]
    for block in blocks:
        # Smaller than the whole, or the same cuts would be tried again.
        if least <= block.size < grey.size and min(block.shape) >= _SMALLEST_BLOCK:
            found = _find_gutter(block, least)
            if found:
                return found
    return ""


def _find_grey_gutter(grey: GreyArray, direction: str) -> str:
    """Return what gutter of one grey, neither white nor black, cuts the picture; empty for none."""
    for band in _grey_bands(grey):
        level = round(float(grey[:, band.start : band.stop].mean()))
        if _is_gutter(grey, band, level):
            return f"grey {direction} gutter of {band.stop - band.start} pixels"
    return ""


def _bands(grey: GreyArray, colour: str) -> Iterator[_Band]:
    """Yield the runs of blank columns, without those at the edges."""
    return _runs(_blank(grey, colour).mean(axis=0) >= _BLANK)


def _grey_bands(grey: GreyArray) -> Iterator[_Band]:
    """Yield the runs of columns of one grey, neither white nor black, without those at the edges."""
    level = grey.mean(axis=0)
    return _runs((grey.std(axis=0) <= _PLAIN) & (level > _BLACK) & (level < _WHITE))


def _runs(blank: BoolArray) -> Iterator[_Band]:
    """Yield the runs of a flag of columns, without those at the edges and what is too narrow."""
    turns = np.flatnonzero(np.diff(np.concatenate([[False], blank, [False]]))).reshape(-1, 2)
    for start, stop in turns.tolist():
        if start > 0 and stop < len(blank) and stop - start >= _NARROWEST:
            yield _Band(start=start, stop=stop)


def _between(grey: GreyArray, bands: list[_Band]) -> Iterator[GreyArray]:
    """Yield what lies between the bands."""
    starts = [0, *(band.stop for band in bands)]
    stops = [*(band.start for band in bands), grey.shape[1]]
    for start, stop in zip(starts, stops, strict=True):
        yield grey[:, start:stop]


def _is_gutter(grey: GreyArray, band: _Band, colour: str | int) -> bool:
    """Tell whether panels end along both sides of a band of columns: white, black or of a level of grey."""
    width = grey.shape[1]
    if band.stop - band.start > _WIDEST * width:
        return False
    if min(band.start, width - band.stop) < _SMALLEST_PANEL * width:
        return False
    left, right = grey[:, : band.start], grey[:, band.stop :]
    if min(left.std(), right.std()) < _LEAST_CONTENT:
        return False
    return _ends_straight(left[:, ::-1], colour) and _ends_straight(right, colour)


def _ends_straight(panel: GreyArray, colour: str | int) -> bool:
    """Tell whether a panel begins at its first column on most of its lines."""
    if isinstance(colour, int):
        marked = np.abs(panel - colour) >= _CONTRAST
    else:
        marked = panel <= _WHITE - _CONTRAST if colour == "white" else panel >= _BLACK + _CONTRAST
    lines = np.flatnonzero(marked.any(axis=1))
    if len(lines) < _LENGTH * len(panel):
        return False
    begins = marked[lines[0] : lines[-1] + 1, :_REACH].any(axis=1)
    return bool(begins.mean() >= _STRAIGHT)


def _find_seam(grey: GreyArray) -> int | None:
    """Return the column of a seam."""
    width = grey.shape[1]
    # JPEG spreads a step over two pixels. Between black and black there is none to see.
    is_step = np.abs(grey[:, 2:] - grey[:, :-2]) > _STEP
    is_there = np.maximum(grey[:, 2:], grey[:, :-2]) > _BLACK + _CONTRAST
    n_there = is_there.sum(axis=0)
    share: FloatArray = (is_step & is_there).sum(axis=0) / np.maximum(n_there, 1)
    edge = round(_SMALLEST_PANEL * width)
    inner = np.arange(edge, width - edge - 2)
    for column in inner[(share[inner] >= _SEAM) & (n_there[inner] >= _LENGTH * len(grey))].tolist():
        # An organ has its outline here on some of the lines, a seam from end to end.
        parts = np.array_split(is_step[:, column], _PARTS)
        if min(part.mean() for part in parts) >= _STEPPED and _is_lonely(grey, share, column):
            return int(column) + 1
    return None


def _is_lonely(grey: GreyArray, share: FloatArray, column: int) -> bool:
    """Tell whether a few pixels from a seam there is content and no other seam."""
    near = slice(max(0, column - _MARGIN), column - 1), slice(column + 4, column + 4 + _MARGIN)
    return all(share[part].max() <= _BESIDE and grey[:, part].std() >= _LEAST_CONTENT for part in near)
