"""The drawing plane and the few shapes that the phantoms are made of.

Lengths are fractions of half the shorter side of the picture, x to the right, y downwards, the
origin in the middle. Masks and pictures hold 0 (black) to 1 (white).
"""

# ruff: noqa: PLR0917 -- a shape is read like a formula: centre, radii, turn
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

FloatArray = npt.NDArray[np.float64]
Point = tuple[float, float]

SOFTEST = 0.3  # widest edge of a stroke


@dataclass(frozen=True, kw_only=True, eq=False)
class Plane:
    """Coordinates of every pixel, bent a little so that no outline is a perfect ellipse.

    Attributes:
        x: Shape (height, width).
        y: Shape (height, width).
        rng: The only source of chance in a drawing.
    """

    x: FloatArray
    y: FloatArray
    rng: np.random.Generator


def make_plane(size: tuple[int, int], seed: int, bend: float = 0.014) -> Plane:
    """Make the plane of a picture of the given width and height."""
    width, height = size
    half = min(size) / 2
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    flat = Plane(x=(columns + 0.5 - width / 2) / half, y=(rows + 0.5 - height / 2) / half, rng=rng)
    return Plane(x=flat.x + bend * cloud(flat, 4), y=flat.y + bend * cloud(flat, 4), rng=rng)


def cloud(plane: Plane, cells: int) -> FloatArray:
    """Draw smooth noise, standard normal at its knots, with `cells` blobs along each side."""
    height, width = plane.x.shape
    coarse = plane.rng.standard_normal((cells + 1, cells + 1)).astype(np.float32)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(smooth, dtype=np.float64)


def blur(picture: FloatArray, sigma: float) -> FloatArray:
    """Blur with a Gaussian of `sigma` pixels; the border repeats."""
    reach = int(3 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(picture, reach, mode="edge")
    height, width = picture.shape
    rows = sum(k * padded[i : i + height, :] for i, k in enumerate(kernel))
    return np.asarray(sum(k * rows[:, i : i + width] for i, k in enumerate(kernel)))


def radius(plane: Plane, cx: float, cy: float, rx: float, ry: float, turn: float = 0.0) -> FloatArray:
    """Distance from a centre in units of an ellipse: 1 on its outline; `turn` in degrees."""
    sine, cosine = math.sin(math.radians(turn)), math.cos(math.radians(turn))
    x, y = plane.x - cx, plane.y - cy
    along = x * cosine + y * sine
    across = y * cosine - x * sine
    return np.hypot(along / rx, across / ry)


def ellipse(
    plane: Plane,
    cx: float,
    cy: float,
    rx: float,
    ry: float,
    turn: float = 0.0,
    edge: float = 0.025,
) -> FloatArray:
    """Mask of a filled ellipse whose outline is `edge` wide."""
    inside = 1 - radius(plane, cx, cy, rx, ry, turn)
    return np.clip(0.5 + inside * min(rx, ry) / edge, 0, 1)


def box(plane: Plane, cx: float, cy: float, rx: float, ry: float, turn: float) -> FloatArray:
    """Mask of a box with slightly hollow sides, like the body of a vertebra; `turn` in degrees."""
    sine, cosine = math.sin(math.radians(turn)), math.cos(math.radians(turn))
    x, y = plane.x - cx, plane.y - cy
    along, across = x * cosine + y * sine, y * cosine - x * sine
    waist = 1 - 0.1 * np.cos(np.clip(across / ry, -1, 1) * np.pi / 2)
    inside = np.minimum(rx * waist - np.abs(along), ry - np.abs(across))
    return np.clip(0.5 + inside / 0.03, 0, 1)


def dome(plane: Plane, cx: float, cy: float, rx: float, ry: float, turn: float = 0.0) -> FloatArray:
    """Thickness of a solid ellipsoid as X-rays see it: 1 in the middle, 0 from the outline on."""
    return np.sqrt(np.clip(1 - radius(plane, cx, cy, rx, ry, turn) ** 2, 0, 1))


def distance(plane: Plane, points: Sequence[Point], radii: Sequence[float]) -> FloatArray:
    """Distance from a chain of points in units of its local radius: 1 on the wall of the tube.

    Infinite farther away than any outline is soft: most of a picture is far from most segments.
    """
    nearest = np.full(plane.x.shape, np.inf)
    columns, rows = (plane.x.min(axis=0), plane.x.max(axis=0)), (plane.y.min(axis=1), plane.y.max(axis=1))
    for (ax, ay), (bx, by), ra, rb in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
        margin = 1.5 * max(ra, rb) + SOFTEST / 2
        window = (_span(rows, (ay, by), margin), _span(columns, (ax, bx), margin))
        x, y = plane.x[window] - ax, plane.y[window] - ay
        dx, dy = bx - ax, by - ay
        share = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
        gap = np.hypot(x - share * dx, y - share * dy) / (ra + share * (rb - ra))
        nearest[window] = np.minimum(nearest[window], gap)
    return nearest


def stroke(plane: Plane, points: Sequence[Point], width: float, edge: float = 0.025) -> FloatArray:
    """Mask of a line of constant half-width `width` along a chain of points."""
    away = distance(plane, points, [width] * len(points))
    return np.clip(0.5 + (1 - away) * width / edge, 0, 1)


def bone(plane: Plane, points: Sequence[Point], radii: Sequence[float], marrow: float = 0.74) -> FloatArray:
    """Thickness of a hollow tube as X-rays see it: a pale shaft between two bright cortices."""
    away = distance(plane, points, radii)
    solid = np.sqrt(np.clip(1 - away**2, 0, 1))
    hollow = np.sqrt(np.clip(1 - (away / marrow) ** 2, 0, 1))
    return solid - 0.62 * hollow * marrow


def arc(
    cx: float, cy: float, rx: float, ry: float, start: float, stop: float, steps: int = 14
) -> list[Point]:
    """Points along an ellipse from one angle to another, degrees, clockwise from the right."""
    angles = np.deg2rad(np.linspace(start, stop, steps))
    return [(cx + rx * float(np.cos(a)), cy + ry * float(np.sin(a))) for a in angles]


def curve(start: Point, control: Point, stop: Point, steps: int = 12) -> list[Point]:
    """Points along a quadratic Bezier curve."""
    shares = np.linspace(0, 1, steps).tolist()
    return [
        (
            (1 - t) ** 2 * start[0] + 2 * t * (1 - t) * control[0] + t * t * stop[0],
            (1 - t) ** 2 * start[1] + 2 * t * (1 - t) * control[1] + t * t * stop[1],
        )
        for t in shares
    ]


def paint(picture: FloatArray, mask: FloatArray, level: float | FloatArray) -> FloatArray:
    """Lay one level over the picture where the mask is set."""
    return picture + mask * (level - picture)


def expose(attenuation: FloatArray, dose: float = 1.0) -> FloatArray:
    """Turn the summed thickness that X-rays met into the brightness of a radiograph."""
    return 1 - np.exp(-dose * np.clip(attenuation, 0, None))


def finish(plane: Plane, picture: FloatArray, noise: float, grain: float = 0.6) -> FloatArray:
    """Add noise of the given strength and grain size in pixels, and keep within 0 and 1."""
    speckle = blur(plane.rng.standard_normal(picture.shape), grain) * grain * 3
    return np.clip(picture + noise * speckle, 0, 1)


def _span(limits: tuple[FloatArray, FloatArray], ends: tuple[float, float], margin: float) -> slice:
    """Find the rows or columns that come within `margin` of the stretch between two ends."""
    low, high = limits
    near = np.flatnonzero((low <= max(ends) + margin) & (high >= min(ends) - margin))
    return slice(int(near[0]), int(near[-1]) + 1) if len(near) else slice(0)
