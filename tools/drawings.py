"""Draw what figures of articles show beside scans: charts, schemes, pages of text, gels, cells, scenes.

They stand in where real figures are few; whatever a filter learns on them must be checked on real ones.
Everything follows from the generator of random numbers that is handed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from random import Random

from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

Colour = tuple[int, int, int]
Size = tuple[int, int]  # width, height

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
_MOST_SERIES = 4
_LETTERS = "aabcdeeefghiiklmnnoooprrssttuuvwxyz"


def draw(random: Random, size: Size) -> Image.Image:
    """Return a chart, a scheme, a page, a gel, cells or a scene, as chance has it.

    Args:
        random: Generator that every draw comes from.
        size: Width and height of the picture, in pixels.
    """
    return drawn(random.choice((*KINDS, *SHADED)), random, size)


def drawn(kind: str, random: Random, size: Size) -> Image.Image:
    """Return a drawing of one kind, a key of `KINDS` or `SHADED`."""
    if kind in SHADED:
        return SHADED[kind](random, size)
    picture = Image.new("RGB", size, WHITE if random.random() < 0.9 else _pale(random))
    KINDS[kind](random, ImageDraw.Draw(picture), size)
    return picture


def font(height: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font, so that the same text looks the same on every machine."""
    return ImageFont.load_default(max(6, height))


def word(random: Random) -> str:
    """Return letters that look like a word."""
    letters = "".join(random.choices(_LETTERS, k=random.randint(2, 10)))
    return letters.capitalize() if random.random() < 0.2 else letters


def ink(random: Random) -> Colour:
    """Return a colour that shows on white."""
    return (random.randrange(180), random.randrange(180), random.randrange(180))


def _curves(random: Random, pen: ImageDraw.ImageDraw, size: Size) -> None:
    left, top, right, bottom = _axes(random, pen, size)
    for _ in range(random.randint(1, _MOST_SERIES)):
        wave, phase, slope = random.uniform(0, 3), random.uniform(0, 7), random.uniform(-0.8, 0.8)
        points = []
        for step in range(33):
            x = step / 32
            y = 0.5 + slope * (x - 0.5) + 0.15 * math.sin(phase + wave * 2 * math.pi * x)
            points.append((left + x * (right - left), bottom - min(max(y, 0), 1) * (bottom - top)))
        pen.line(points, fill=ink(random), width=random.randint(1, 3))


def _bars(random: Random, pen: ImageDraw.ImageDraw, size: Size) -> None:
    left, top, right, bottom = _axes(random, pen, size)
    n = random.randint(2, 12)
    step = (right - left) / n
    colours = [ink(random) for _ in range(random.randint(1, 3))]
    for index in range(n):
        height = random.uniform(0.05, 1) * (bottom - top)
        x = left + index * step
        pen.rectangle(
            (x + 0.15 * step, bottom - height, x + 0.85 * step, bottom), colours[index % len(colours)]
        )


def _dots(random: Random, pen: ImageDraw.ImageDraw, size: Size) -> None:
    left, top, right, bottom = _axes(random, pen, size)
    colour, radius = ink(random), random.uniform(1, 4)
    for _ in range(random.randint(15, 150)):
        x = min(max(random.gauss(0.5, 0.2), 0), 1) * (right - left) + left
        y = min(max(random.gauss(0.5, 0.2), 0), 1) * (bottom - top) + top
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour)


def _boxes(random: Random, pen: ImageDraw.ImageDraw, size: Size) -> None:
    """Draw a scheme: boxes with words, and a line from each to the next."""
    width, height = size
    rows, columns = random.randint(2, 5), random.randint(1, 4)
    before: tuple[float, float] | None = None
    fill = _pale(random) if random.random() < 0.5 else None
    for row in range(rows):
        for column in range(columns):
            x, y = width * (column + 0.5) / columns, height * (row + 0.5) / rows
            if before is not None:
                pen.line((*before, x, y), BLACK, random.randint(1, 2))
            before = (x, y)
    for row in range(rows):
        for column in range(columns):
            x, y = width * (column + 0.5) / columns, height * (row + 0.5) / rows
            half_x, half_y = 0.35 * width / columns, 0.3 * height / rows
            pen.rectangle((x - half_x, y - half_y, x + half_x, y + half_y), fill or WHITE, BLACK)
            pen.text((x, y), word(random), BLACK, font(0.6 * half_y), anchor="mm")


def _page(random: Random, pen: ImageDraw.ImageDraw, size: Size) -> None:
    """Draw lines of text, or a table."""
    width, height = size
    line = height / random.randint(8, 24)
    columns = random.choice((1, 1, 3, 4))
    letters = font(0.7 * line)
    y = line
    while y < height - line:
        if columns == 1:
            text = " ".join(word(random) for _ in range(30))
            while pen.textlength(text, letters) > 0.9 * width and " " in text:
                text = text.rpartition(" ")[0]
            pen.text((0.05 * width, y), text, BLACK, letters)
        else:
            for column in range(columns):
                pen.text((width * (0.05 + 0.9 * column / columns), y), word(random), BLACK, letters)
            pen.line((0.05 * width, y + line, 0.95 * width, y + line), ink(random))
        y += line


def _axes(random: Random, pen: ImageDraw.ImageDraw, size: Size) -> tuple[float, float, float, float]:
    """Draw axes with ticks and numbers; return left, top, right, bottom of what they enclose."""
    width, height = size
    left, bottom = 0.15 * width, 0.85 * height
    right, top = 0.95 * width, 0.08 * height
    pen.line((left, top, left, bottom, right, bottom), BLACK, random.randint(1, 2))
    if random.random() < 0.3:
        pen.rectangle((left, top, right, bottom), None, BLACK)
    ticks, letters = random.randint(3, 7), font(0.045 * height)
    for index in range(ticks):
        x, y = left + (right - left) * index / ticks, bottom - (bottom - top) * index / ticks
        pen.text((x, bottom + 2), str(index * 5), BLACK, letters)
        pen.text((left - 4, y), str(index * 2), BLACK, letters, anchor="rm")
    pen.text(((left + right) / 2, 0.99 * height), word(random), BLACK, letters, anchor="mb")
    return left, top, right, bottom


def _gel(random: Random, size: Size) -> Image.Image:
    """Return lanes of blurred bands on grey, as of a gel or a blot."""
    ground = random.randint(150, 245)
    picture = Image.new("L", size, ground)
    pen = ImageDraw.Draw(picture)
    width, height = size
    lanes, levels = random.randint(3, 14), [random.uniform(0.1, 0.9) for _ in range(random.randint(1, 9))]
    lane, thick = width / lanes, random.uniform(0.01, 0.05) * height
    for index in range(lanes):
        for level in levels:
            if random.random() < 0.7:
                x, y = (index + 0.5) * lane, level * height + random.gauss(0, 0.01) * height
                half = random.uniform(0.25, 0.42) * lane
                shade = round(ground * random.uniform(0.05, 0.8))
                pen.ellipse((x - half, y - thick, x + half, y + thick), shade)
    blurred = picture.filter(ImageFilter.GaussianBlur(random.uniform(1, 4)))
    return _grained(random, Image.merge("RGB", [blurred] * 3), inverts=0.4)


def _cells(random: Random, size: Size) -> Image.Image:
    """Return round bodies with a nucleus: stained on a pale ground, glowing on a dark one, or grey."""
    style = random.choice(("stained", "glowing", "grey"))
    ground = {
        "stained": (random.randint(200, 250), random.randint(170, 240), random.randint(200, 250)),
        "glowing": (random.randint(0, 20),) * 3,
        "grey": (random.randint(110, 200),) * 3,
    }[style]
    picture = Image.new("RGB", size, ground)
    pen = ImageDraw.Draw(picture)
    hue = random.choice(((60, 230, 90), (230, 60, 60), (80, 110, 255), (225, 225, 225)))
    body = {"stained": (210, 120, 170), "glowing": hue, "grey": (ground[0] - 45,) * 3}[style]
    nucleus = {"stained": (100, 60, 150), "glowing": (70, 90, 240), "grey": (ground[0] - 90,) * 3}[style]
    radius = random.uniform(0.015, 0.12) * min(size)
    for _ in range(random.randint(12, 220)):
        x, y, r = random.uniform(0, size[0]), random.uniform(0, size[1]), radius * random.uniform(0.6, 1.5)
        light, flat = random.uniform(0.6, 1.1), random.uniform(0.6, 1)
        for share, colour in ((1.0, body), (random.uniform(0.3, 0.6), nucleus)):
            lit = tuple(min(255, round(level * light)) for level in colour)
            pen.ellipse((x - share * r, y - share * r * flat, x + share * r, y + share * r * flat), lit)
    return _grained(random, picture.filter(ImageFilter.GaussianBlur(random.uniform(0.5, 3))))


def _scene(random: Random, size: Size) -> Image.Image:
    """Return shaded bodies that hide each other: their edges are distributed as those of photographs.

    Lee, Mumford and Huang, Occlusion Models for Natural Images, 2001 ("dead leaves").
    """
    picture = Image.new("RGB", size, tuple(random.randrange(256) for _ in range(3)))
    pen = ImageDraw.Draw(picture)
    tone = tuple(random.randrange(256) for _ in range(3))
    for _ in range(random.randint(60, 500)):
        x, y = random.uniform(0, size[0]), random.uniform(0, size[1])
        reach = min(0.02 / random.uniform(0.02, 1) ** 1.0, 0.5) * max(size)
        corners, turn = random.randint(3, 9), random.uniform(0, math.tau)
        mix = random.random()
        colour = tuple(round(mix * own + (1 - mix) * random.randrange(256)) for own in tone)
        outline = [
            (
                x + reach * random.uniform(0.6, 1) * math.cos(turn + math.tau * corner / corners),
                y + reach * random.uniform(0.6, 1) * math.sin(turn + math.tau * corner / corners),
            )
            for corner in range(corners)
        ]
        pen.polygon(outline, colour)
    return _grained(random, picture.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.5))))


def _grained(random: Random, picture: Image.Image, inverts: float = 0.0) -> Image.Image:
    """Return a picture with noise of a sensor, and light that falls off to one side."""
    width, height = picture.size
    noise = Image.frombytes("L", picture.size, random.randbytes(width * height)).convert("RGB")
    picture = Image.blend(picture, noise, random.uniform(0, 0.15))
    light = Image.linear_gradient("L").rotate(random.choice((0, 90, 180, 270))).resize(picture.size)
    dark = Image.new("RGB", picture.size, BLACK)
    lit = Image.composite(picture, Image.blend(picture, dark, random.uniform(0, 0.6)), light)
    return ImageOps.invert(lit) if random.random() < inverts else lit


def _pale(random: Random) -> Colour:
    return (random.randint(190, 255), random.randint(190, 255), random.randint(190, 255))


KINDS: Mapping[str, Callable[[Random, ImageDraw.ImageDraw, Size], None]] = {
    "curves": _curves,
    "bars": _bars,
    "dots": _dots,
    "boxes": _boxes,
    "page": _page,
}
SHADED: Mapping[str, Callable[[Random, Size], Image.Image]] = {
    "gel": _gel,
    "cells": _cells,
    "scene": _scene,
}
