"""Make compound figures of single pictures, and single figures that look like compound ones.

Articles put two to sixteen pictures into one figure: in grids or uneven, with even or uneven gutters or
touching, on white, black or grey, with letters or without. `compose` does so. `disguise` gives single
pictures what a compound figure has too, frames, letters, lines of text, so that a filter that learns on both
has to look for the joint. `worn` makes of a picture what an article makes of it.

Some pictures are first cut to ellipses on black and made coarse, as slices of CT and MR look: there, black is
no gutter. Everything follows from the generator of random numbers that is handed in.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from random import Random

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from drawings import BLACK, WHITE, Colour, Size, draw, font, word

Box = tuple[float, float, float, float]  # left, top, right, bottom as shares of the figure

PANELS = {2: 60, 3: 14, 4: 22, 5: 4, 6: 14, 7: 2, 8: 6, 9: 6, 12: 4, 16: 3}  # number and how often
SMALLEST, LARGEST = 200, 640  # pixels of the longer side of a figure

_TOUCHING = 0.2  # share of the figures whose pictures touch
_UNEVEN = 0.25  # of those with gutters that are wider one way, or at each picture
_GROUNDS = (0.45, 0.4)  # how many figures are on white and on black; the others are on grey
_ALIKE = 0.4  # of those that show one picture several times, cut or lit differently, as series do
_OF_A_KIND = 0.6  # of the others, those whose pictures stand close to each other in the list
_NEIGHBOURS = 24
_WITH_CHART = 0.12
_LETTERED = 0.5
_SLICED = 0.35  # of the pictures, made to look like slices
_SLICE_SIDES = (56, 256)  # pixels
_WORN_SIDES = (72, 400)  # pixels of the longer side of a worn picture
_TURNS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
_HEATS = (("black", "yellow", "red"), ("blue", "red", "lime"), ("black", "white", "orange"), ("navy", "cyan"))
_WHOLE = 0.25  # of the pictures that keep their proportions, with background around


def made_figures(pictures: Sequence[Image.Image], n: int, seed: int) -> Iterator[tuple[bytes, bool]]:
    """Yield n figures as JPEG files, and whether each is compound; every second is.

    A figure depends on the pictures, the seed and its number alone.

    Args:
        pictures: Single ones, RGB, to choose from; those of a kind stand together.
        n: How many figures.
        seed: Seed of everything that is drawn.
    """
    for number in range(n):
        random = Random(f"{seed}/{number}")  # noqa: S311  no secret
        is_compound = number % 2 == 1
        figure = (compose if is_compound else disguise)(pictures, random)
        file = io.BytesIO()
        figure.save(file, "JPEG", quality=random.randint(60, 95))
        yield file.getvalue(), is_compound


def compose(pictures: Sequence[Image.Image], random: Random) -> Image.Image:
    """Return a compound figure of 2 to 16 pictures.

    Args:
        pictures: Pictures to choose from, RGB.
        random: Generator that every draw comes from.
    """
    boxes = layout(random.choices(list(PANELS), weights=list(PANELS.values()))[0], random)
    width, height = size = _figure_size(random, _proportions(boxes))
    background = _ground(random)
    gutters = _gutters(len(boxes), random)
    figure = Image.new("RGB", size, background)
    shown = _chosen(pictures, len(boxes), random)
    letters = Letters(random) if random.random() < _LETTERED else None
    keeps_proportions = random.random() < _WHOLE
    for index, (box, picture) in enumerate(zip(boxes, shown, strict=True)):
        across, down = (gutter * max(size) / 2 for gutter in gutters[index])
        left, top = round(box[0] * width + across), round(box[1] * height + down)
        right, bottom = round(box[2] * width - across), round(box[3] * height - down)
        inner = (max(right - left, 4), max(bottom - top, 4))
        fitted = _whole(picture, inner, background) if keeps_proportions else ImageOps.fit(picture, inner)
        if letters is not None:
            letters.write(fitted, index)
        figure.paste(fitted, (left, top))
    if random.random() < 0.25:
        figure = ImageOps.expand(figure, random.randint(2, 20), background)
    return figure


def disguise(pictures: Sequence[Image.Image], random: Random) -> Image.Image:
    """Return a figure of one picture, with some of what compound figures have too.

    Args:
        pictures: Pictures to choose from, RGB.
        random: Generator that every draw comes from.
    """
    size = _figure_size(random, random.choice((0.6, 0.75, 1, 1, 1, 1.3, 1.5, 2)))
    if random.random() < _WITH_CHART:
        return draw(random, size)
    picture = _maybe_sliced(random.choice(pictures), random)
    background = _ground(random)
    figure = _whole(picture, size, background) if random.random() < _WHOLE else ImageOps.fit(picture, size)
    for dress in (_framed, _lettered, _captioned, _marked):
        if random.random() < 0.3:
            figure = dress(figure, random)
    return figure


def disguised(figure: Image.Image, random: Random) -> bytes:
    """Return a figure in other proportions, framed, lettered, marked or mirrored: a JPEG file."""
    share = random.uniform(0.5, 1)
    size = (round(figure.width * share), round(figure.height * share * random.uniform(0.8, 1.25)))
    figure = figure.resize((max(size[0], 40), max(size[1], 40)))
    if random.random() < 0.5:
        figure = ImageOps.mirror(figure)
    for dress in (_framed, _lettered, _marked):
        if random.random() < 0.2:
            figure = dress(figure, random)
    file = io.BytesIO()
    figure.save(file, "JPEG", quality=random.randint(60, 95))
    return file.getvalue()


def worn(picture: Image.Image, random: Random, *, is_scan: bool) -> bytes:
    """Return a picture as an article might show it, a JPEG file: cut, scaled, lit, framed, marked.

    Args:
        picture: RGB.
        random: Generator that every draw comes from.
        is_scan: Whether it is a radiology image: these lose their colours often and get colours in places, as
            by fusion or flow, and are inverted; of other pictures, colours are what tells most of them.
    """
    if random.random() < 0.6:
        picture = _cut(picture, random.uniform(0.6, 1), random)
    if random.random() < 0.5:
        picture = ImageOps.mirror(picture)
    if random.random() < 0.1:
        picture = picture.transpose(random.choice(_TURNS))
    scale = random.randint(*_WORN_SIDES) / max(picture.size)
    picture = picture.resize((max(8, round(picture.width * scale)), max(8, round(picture.height * scale))))
    picture = _toned(picture, random, is_scan=is_scan)
    if random.random() < 0.15:
        picture = picture.filter(ImageFilter.GaussianBlur(random.uniform(0.5, 2)))
    for dress in (_framed, _lettered, _captioned, _marked):
        if random.random() < 0.2:
            picture = dress(picture, random)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=random.randint(35, 95))
    return file.getvalue()


def layout(n: int, random: Random) -> list[Box]:
    """Return n boxes that tile the figure: a grid where n has one and chance wants it, else cut unevenly."""
    grids = [(rows, n // rows) for rows in range(1, n + 1) if n % rows == 0 and max(rows, n // rows) <= 5]
    if grids and random.random() < 0.7:
        rows, columns = random.choice(grids)
        return [
            (column / columns, row / rows, (column + 1) / columns, (row + 1) / rows)
            for row in range(rows)
            for column in range(columns)
        ]
    boxes: list[Box] = [(0.0, 0.0, 1.0, 1.0)]
    while len(boxes) < n:
        largest = max(range(len(boxes)), key=lambda index: _area(boxes[index]))
        left, top, right, bottom = boxes.pop(largest)
        share = random.choice((0.5, 0.5, random.uniform(0.33, 0.67)))
        if right - left > bottom - top or (right - left == bottom - top and random.random() < 0.5):
            cut = left + share * (right - left)
            boxes[largest:largest] = [(left, top, cut, bottom), (cut, top, right, bottom)]
        else:
            cut = top + share * (bottom - top)
            boxes[largest:largest] = [(left, top, right, cut), (left, cut, right, bottom)]
    return boxes


class Letters:
    """The letters of the panels of one figure: all in one style, in one corner."""

    def __init__(self, random: Random) -> None:
        self._pattern = random.choice(("{}", "({})", "{}."))
        self._alphabet = random.choice(("ABCDEFGHIJKLMNOP", "abcdefghijklmnop", "1234567890123456"))
        self._size = random.uniform(0.08, 0.18)
        self._is_boxed = random.random() < 0.3
        self._is_white = random.random() < 0.6
        self._corner = random.choice(("la", "la", "ld", "rd", "ra"))

    def write(self, picture: Image.Image, index: int) -> None:
        """Write the letter of a panel onto it."""
        pen = ImageDraw.Draw(picture)
        margin = 0.04 * min(picture.size)
        place = (
            margin if self._corner[0] == "l" else picture.width - margin,
            margin if self._corner[1] == "a" else picture.height - margin,
        )
        text = self._pattern.format(self._alphabet[index])
        letters = font(self._size * min(picture.size))
        colour, behind = (WHITE, BLACK) if self._is_white else (BLACK, WHITE)
        if self._is_boxed:
            pen.rectangle(pen.textbbox(place, text, letters, anchor=self._corner), behind)
        pen.text(place, text, colour, letters, anchor=self._corner)


def _ground(random: Random) -> Colour:
    """Return the colour behind the pictures of a figure."""
    drawn = random.random()
    if drawn < sum(_GROUNDS):
        return WHITE if drawn < _GROUNDS[0] else BLACK
    return (random.randint(40, 220),) * 3


def _gutters(n: int, random: Random) -> list[tuple[float, float]]:
    """Return the gutters around each picture, across and down, as shares of the longer side of the figure."""
    gutter = 0.0 if random.random() < _TOUCHING else random.uniform(0.004, 0.04)
    if random.random() >= _UNEVEN:
        return [(gutter, gutter)] * n
    if random.random() < 0.5:
        return [(gutter, random.uniform(0, 0.05))] * n
    return [(gutter * random.uniform(0.3, 1.7), gutter * random.uniform(0.3, 1.7)) for _ in range(n)]


def _proportions(boxes: Sequence[Box]) -> float:
    """Return width to height of a figure whose panels are about square."""
    widths = sum(box[2] - box[0] for box in boxes)
    heights = sum(box[3] - box[1] for box in boxes)
    return heights / widths


def _figure_size(random: Random, proportions: float) -> Size:
    """Return a size about as wide to high as asked."""
    proportions = min(max(proportions * random.uniform(0.75, 1.33), 0.3), 3.5)
    longer = random.randint(SMALLEST, LARGEST)
    return (longer, round(longer / proportions)) if proportions > 1 else (round(longer * proportions), longer)


def _chosen(pictures: Sequence[Image.Image], n: int, random: Random) -> list[Image.Image]:
    """Return the pictures of a figure."""
    if random.random() < _ALIKE:
        one = _maybe_sliced(random.choice(pictures), random)
        return [_varied(one, random) for _ in range(n)]
    if random.random() < _OF_A_KIND:
        start = random.randrange(max(len(pictures) - _NEIGHBOURS, 0) + 1)
        pictures = pictures[start : start + _NEIGHBOURS]
    chosen = [_maybe_sliced(picture, random) for picture in random.choices(pictures, k=n)]
    if random.random() < _WITH_CHART:
        chosen[random.randrange(n)] = draw(random, (320, 320))
    return chosen


def _maybe_sliced(picture: Image.Image, random: Random) -> Image.Image:
    """Return a picture, or what looks like a slice of CT or MR: ellipses of it on a dark ground."""
    if random.random() >= _SLICED:
        return picture
    side = random.randint(*_SLICE_SIDES)
    inside = ImageOps.fit(picture, (side, side)).convert("L").convert("RGB")
    ground = Image.new("RGB", (side, side), random.choice((BLACK, BLACK, (30, 30, 30), (110, 110, 110))))
    mask = Image.new("L", (side, side))
    pen = ImageDraw.Draw(mask)
    halves = [(0.02, 0.48), (0.52, 0.98)] if random.random() < 0.25 else [(0.05, 0.95)]
    top, bottom = random.uniform(0, 0.3), random.uniform(0.7, 1)
    boxes = [(left * side, top * side, right * side, bottom * side) for left, right in halves]
    for box in boxes:
        pen.ellipse(box, 255)
    ground.paste(inside, mask=mask)
    if random.random() < 0.4:
        for box in boxes:
            ImageDraw.Draw(ground).ellipse(box, None, (230, 230, 230), max(1, side // 24))
    return ground


def _toned(picture: Image.Image, random: Random, *, is_scan: bool) -> Image.Image:
    """Return a picture lit, greyed, tinted, coloured in places or inverted, as chance has it."""
    if random.random() < 0.5:
        picture = ImageEnhance.Contrast(picture).enhance(random.uniform(0.6, 1.6))
    if random.random() < 0.5:
        picture = ImageEnhance.Brightness(picture).enhance(random.uniform(0.65, 1.4))
    if random.random() < (0.4 if is_scan else 0.12):
        picture = ImageOps.grayscale(picture).convert("RGB")
    if random.random() < 0.1:
        tint = [random.uniform(0.85, 1) for _ in range(3)]
        picture = Image.merge(
            "RGB",
            [band.point(lambda level, f=f: level * f) for band, f in zip(picture.split(), tint, strict=True)],
        )
    if is_scan and random.random() < 0.1:
        picture = _coloured(picture, random)
    if random.random() < 0.1:
        picture = ImageOps.invert(picture)
    return picture


def _coloured(picture: Image.Image, random: Random) -> Image.Image:
    """Return a scan with colours where it is bright, in one or a few places: as fusion, flow or heat maps."""
    hot = ImageOps.colorize(ImageOps.grayscale(picture), *random.choice(_HEATS))
    mask = Image.new("L", picture.size)
    pen = ImageDraw.Draw(mask)
    for _ in range(random.randint(1, 3)):
        x, y = random.uniform(0.1, 0.7) * picture.width, random.uniform(0.1, 0.7) * picture.height
        reach = random.uniform(0.1, 0.5)
        pen.ellipse((x, y, x + reach * picture.width, y + reach * picture.height), random.randint(90, 255))
    return Image.composite(hot, picture, mask.filter(ImageFilter.GaussianBlur(random.uniform(0, 6))))


def _varied(picture: Image.Image, random: Random) -> Image.Image:
    """Return a picture cut and lit a little differently, as the next of a series."""
    cut = _cut(picture, random.uniform(0.6, 1), random)
    return ImageEnhance.Brightness(cut).enhance(random.uniform(0.6, 1.4))


def _cut(picture: Image.Image, share: float, random: Random) -> Image.Image:
    """Return a part of a picture, so much of either side of it."""
    width, height = picture.width * share, picture.height * share
    left, top = random.uniform(0, picture.width - width), random.uniform(0, picture.height - height)
    return picture.crop((round(left), round(top), round(left + width), round(top + height)))


def _whole(picture: Image.Image, size: Size, background: Colour) -> Image.Image:
    return ImageOps.pad(picture, size, color=background)


def _framed(figure: Image.Image, random: Random) -> Image.Image:
    """Return it with an even border, or with a broad one on some sides."""
    colour = random.choice((WHITE, BLACK))
    borders = [random.choice((0, 0.02, 0.05, random.uniform(0, 0.25))) for _ in range(4)]
    left, top, right, bottom = (round(border * min(figure.size)) for border in borders)
    return ImageOps.expand(figure, (left, top, right, bottom), colour)


def _lettered(figure: Image.Image, random: Random) -> Image.Image:
    """Return it with one letter: the single picture of a figure that has several files."""
    Letters(random).write(figure, random.randrange(9))
    return figure


def _captioned(figure: Image.Image, random: Random) -> Image.Image:
    """Return it with a line of text above or below."""
    height = max(12, round(random.uniform(0.05, 0.12) * figure.height))
    colour, behind = random.choice(((BLACK, WHITE), (WHITE, BLACK)))
    is_above = random.random() < 0.5
    edges = (0, height, 0, 0) if is_above else (0, 0, 0, height)
    taller = ImageOps.expand(figure, edges, behind)
    text = " ".join(word(random) for _ in range(random.randint(1, 6)))
    y = 0 if is_above else figure.height
    ImageDraw.Draw(taller).text((0.05 * figure.width, y), text, colour, font(0.7 * height))
    return taller


def _marked(figure: Image.Image, random: Random) -> Image.Image:
    """Return it with marks of the kind that authors and machines set: lines, arrows, numbers, a bar."""
    pen = ImageDraw.Draw(figure)
    width, height = figure.size
    for _ in range(random.randint(1, 4)):
        x, y = random.uniform(0.1, 0.9) * width, random.uniform(0.1, 0.9) * height
        colour = random.choice((WHITE, BLACK, (255, 220, 0), (220, 30, 30)))
        mark = random.choice(("line", "arrow", "text", "bar"))
        if mark == "line":  # a line of measurement may cross the picture, and joins nothing
            end = (random.uniform(0, width), random.uniform(0, height))
            pen.line((x, y, *end), colour, random.randint(1, 3))
        elif mark == "arrow":
            step = 0.03 * min(width, height)
            pen.polygon(((x, y), (x + 2 * step, y + step), (x + step, y + 2 * step)), colour)
        elif mark == "text":
            pen.text((x, y), word(random), colour, font(random.uniform(0.03, 0.07) * height))
        else:
            pen.rectangle((x, y, x + 0.2 * width, y + 0.01 * height), colour)
    return figure


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
