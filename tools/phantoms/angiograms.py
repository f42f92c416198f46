"""Phantoms of angiograms: vessels full of contrast medium, dark on a pale ground."""

from __future__ import annotations

import numpy as np

from phantoms.canvas import (
    FloatArray,
    Plane,
    Point,
    arc,
    cloud,
    curve,
    distance,
    dome,
    ellipse,
    finish,
    stroke,
)

Branch = tuple[list[Point], float, float, bool]


def angiogram(plane: Plane, territory: str, stenosis: float = 0.0) -> FloatArray:
    """Draw a contrast run: "coronary", "renal" or "carotid"; `stenosis` is the share closed."""
    trees = {"coronary": _coronary, "renal": _renal, "carotid": _carotid}
    contrast = np.zeros(plane.x.shape)
    for points, start, stop, narrow in trees[territory](plane):
        radii = np.linspace(start, stop, len(points))
        if narrow:
            middle = len(points) * 0.42
            dip = np.exp(-(((np.arange(len(points)) - middle) / (0.09 * len(points))) ** 2))
            radii *= 1 - stenosis * dip
        away = distance(plane, points, radii.tolist())
        contrast = np.maximum(contrast, 4.2 * start**0.5 * np.sqrt(np.clip(1 - away**2, 0, 1)))
    backdrop = 0.72 + 0.05 * cloud(plane, 3)
    if territory == "coronary":
        backdrop -= 0.14 * dome(plane, 0.05, 0.15, 0.9, 0.8)
        for level in range(4):
            rib = arc(-0.2, -1.2 + 0.55 * level, 1.3, 0.5, 10, 100)
            backdrop -= 0.05 * stroke(plane, rib, 0.07, 0.1)
    if territory == "renal":
        for y in np.arange(-0.9, 1.0, 0.36).tolist():
            backdrop -= 0.05 * ellipse(plane, 0, y, 0.2, 0.15, 0, 0.05)
        for side in (-1, 1):
            backdrop -= 0.14 * ellipse(plane, 0.68 * side, 0.1, 0.22, 0.36, 12 * side, 0.1)
    if territory == "carotid":
        backdrop -= 0.12 * stroke(plane, [(0.35, -1.2), (0.3, 0), (0.4, 1.3)], 0.22, 0.2)
    return finish(plane, backdrop * np.exp(-contrast), 0.016)


def _coronary(plane: Plane) -> list[Branch]:
    """Left coronary tree fed by a catheter; the anterior descending artery carries the narrowing."""
    descending = curve((-0.3, -0.5), (0.3, -0.55), (0.55, 0.75), 30)
    circumflex = curve((-0.3, -0.5), (-0.45, 0.0), (-0.2, 0.75), 20)
    catheter = [*curve((-0.9, -1.3), (-0.75, -0.5), (-0.42, -0.52)), (-0.36, -0.51)]
    branches: list[Branch] = [
        (catheter, 0.035, 0.035, False),
        ([(-0.42, -0.52), (-0.3, -0.5)], 0.06, 0.06, False),
        (descending, 0.055, 0.018, True),
        (circumflex, 0.048, 0.016, False),
    ]
    for parent, places, reach in ((descending, (6, 15, 20, 24), 0.42), (circumflex, (6, 10, 14), -0.4)):
        for side, place in enumerate(places):
            x, y = parent[place]
            sweep = reach * (1 if side % 2 == 0 or parent is circumflex else -0.7)
            tip = (x + sweep + float(plane.rng.normal(0, 0.05)), y + 0.42)
            branches.append((curve((x, y), (x + 0.6 * sweep, y + 0.05), tip), 0.026, 0.009, False))
            fork = (x + 0.3 * sweep, y + 0.5)
            branches.append(
                (curve((x + 0.4 * sweep, y + 0.1), (x + 0.35 * sweep, y + 0.3), fork), 0.016, 0.007, False)
            )
    return branches


def _renal(plane: Plane) -> list[Branch]:
    """Aorta with both renal arteries; the left one carries the narrowing."""
    branches: list[Branch] = [
        ([(0.02, -1.3), (0, -0.1), (0, 0.65)], 0.15, 0.13, False),
        ([(0, 0.62), (-0.18, 1.3)], 0.09, 0.08, False),
        ([(0, 0.62), (0.18, 1.3)], 0.09, 0.08, False),
        (curve((0, -0.5), (0.2, -0.6), (0.36, -0.85)), 0.05, 0.03, False),
    ]
    for side in (-1, 1):
        hilum = (0.55 * side, 0.08)
        branches.append((curve((0.1 * side, -0.08), (0.3 * side, -0.06), hilum, 24), 0.05, 0.042, side > 0))
        for angle in (-65, -30, 0, 35, 70):
            turn = np.deg2rad(angle + float(plane.rng.normal(0, 5)))
            tip = (hilum[0] + 0.3 * side * float(np.cos(turn)), hilum[1] + 0.34 * float(np.sin(turn)))
            middle = (hilum[0] + 0.1 * side, hilum[1] + 0.22 * float(np.sin(turn)))
            branches.append((curve(hilum, middle, tip), 0.028, 0.008, False))
    return branches


def _carotid(_plane: Plane) -> list[Branch]:
    """Common carotid artery and its fork; the internal branch carries the narrowing."""
    external = curve((-0.02, 0.25), (-0.3, 0.0), (-0.28, -1.2), 20)
    branches: list[Branch] = [
        (curve((0.1, 1.4), (0.02, 0.8), (0.0, 0.2)), 0.14, 0.14, False),
        (curve((0.02, 0.3), (0.32, 0.05), (0.2, -1.3), 36), 0.12, 0.085, True),
        (external, 0.085, 0.05, False),
    ]
    for place, tip in ((5, (-0.75, 0.28)), (8, (-0.8, -0.22)), (12, (-0.75, -0.62)), (14, (0.02, -1.0))):
        x, y = external[place]
        branches.append((curve((x, y), ((x + tip[0]) / 2, y + 0.02), tip), 0.04, 0.015, False))
    return branches
