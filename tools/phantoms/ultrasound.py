"""Phantoms of ultrasound: speckle in a fan, bright where waves come back, black where none do."""

from __future__ import annotations

import math

import numpy as np

from phantoms.canvas import FloatArray, Plane, arc, blur, cloud, ellipse, paint, stroke

APEX = -1.25
REACH = 2.2
OPENING = 38


def gallbladder(plane: Plane, *, stone: bool = True) -> FloatArray:
    """Draw liver and gallbladder; a stone is a bright arc that casts a shadow."""
    echo = paint(_tissue(plane), ellipse(plane, 0.05, 0.12, 0.5, 0.22, 18), 0.02)
    echo = paint(echo, _behind(plane, 0.2, 0.3, 0.32), 0.75)
    if stone:
        echo = paint(echo, _behind(plane, 0.22, 0.32, 0.11), 0.03)
        echo = paint(echo, stroke(plane, arc(0.22, 0.27, 0.1, 0.08, 190, 350), 0.03, 0.05), 1.1)
    return _scan(plane, echo)


def kidney(plane: Plane, lesion: str = "") -> FloatArray:
    """Draw a kidney lengthwise: grey rim, bright sinus; it may hold a cyst or be dilated."""
    echo = paint(_tissue(plane), ellipse(plane, 0, 0.08, 0.68, 0.35, 8), 0.8)
    echo = paint(echo, ellipse(plane, 0, 0.08, 0.64, 0.31, 8), 0.26)
    echo = paint(echo, ellipse(plane, 0.02, 0.08, 0.4, 0.13, 8, 0.12), 0.85)
    if lesion == "cyst":
        echo = paint(echo, _behind(plane, 0.36, 0.2, 0.17), 0.7)
        echo = paint(echo, ellipse(plane, 0.36, 0.08, 0.21, 0.2), 0.01)
    if lesion == "dilated":
        for x, y, size in ((-0.25, 0.04, 0.1), (0, 0.1, 0.15), (0.26, 0.12, 0.1)):
            echo = paint(echo, ellipse(plane, x, y, size, size * 0.95), 0.02)
    return _scan(plane, echo)


def heart(plane: Plane, *, effusion: bool = False) -> FloatArray:
    """Draw four chambers seen from the apex of the heart."""
    echo = 0.3 + 0.08 * cloud(plane, 8)
    if effusion:
        echo = paint(echo, ellipse(plane, 0.02, 0.1, 0.8, 0.82), 0.02)
    echo = paint(echo, ellipse(plane, 0.02, 0.1, 0.66, 0.7), 0.62)
    for x, y, rx, ry in (
        (-0.24, -0.08, 0.19, 0.34),
        (0.27, -0.08, 0.22, 0.38),
        (-0.25, 0.5, 0.21, 0.19),
        (0.27, 0.52, 0.22, 0.2),
    ):
        echo = paint(echo, ellipse(plane, x, y, rx, ry, -12 * np.sign(x), 0.06), 0.02)
    for x in (-0.25, 0.27):
        for side in (-1, 1):
            leaf = [(x + 0.2 * side, 0.3), (x + 0.05 * side, 0.2)]
            echo = paint(echo, stroke(plane, leaf, 0.014), 0.85)
    return _scan(plane, echo)


def ovary(plane: Plane) -> FloatArray:
    """Draw an ovary with one large cyst between follicles."""
    echo = paint(_tissue(plane), ellipse(plane, 0.05, 0.1, 0.6, 0.42, -10), 0.28)
    echo = paint(echo, _behind(plane, 0.12, 0.3, 0.26), 0.75)
    echo = paint(echo, ellipse(plane, 0.12, 0.05, 0.32, 0.28), 0.01)
    for x, y in ((-0.36, 0.1), (-0.3, 0.3), (-0.18, 0.42)):
        echo = paint(echo, ellipse(plane, x, y, 0.07, 0.065), 0.03)
    return _scan(plane, echo)


def _tissue(plane: Plane) -> FloatArray:
    """Echo of soft tissue: bright layers under the skin, then an even grey with small vessels."""
    depth = np.hypot(plane.x, plane.y - APEX)
    echo = 0.45 + 0.07 * cloud(plane, 6)
    layers = 0.35 * np.exp(-(((depth - 0.62) / 0.03) ** 2)) + 0.25 * np.exp(-(((depth - 0.74) / 0.02) ** 2))
    echo = echo + layers + 0.35 * np.exp(-(((depth - 1.98 - 0.06 * cloud(plane, 3)) / 0.05) ** 2))
    for _ in range(5):
        x, y = plane.rng.uniform(-0.7, 0.7), plane.rng.uniform(-0.4, 0.7)
        echo = paint(echo, ellipse(plane, x, y, 0.09, 0.022, plane.rng.uniform(-40, 40)), 0.1)
    return np.asarray(echo)


def _behind(plane: Plane, x: float, y: float, width: float) -> FloatArray:
    """Mask of everything that lies in the shadow of a spot, seen from the probe."""
    angle = np.arctan2(plane.x, plane.y - APEX)
    middle = math.atan2(x, y - APEX)
    depth = np.hypot(plane.x, plane.y - APEX)
    half = math.atan(width / math.hypot(x, y - APEX))
    inside = np.clip((half - np.abs(angle - middle)) * 18, 0, 1)
    return inside * np.clip((depth - math.hypot(x, y - APEX)) * 12, 0, 1)


def _scan(plane: Plane, echo: FloatArray) -> FloatArray:
    """Add speckle that runs across the beams, and cut the fan out of the black screen."""
    depth = np.hypot(plane.x, plane.y - APEX)
    angle = np.rad2deg(np.arctan2(plane.x, plane.y - APEX))
    waves = plane.rng.standard_normal((6, 120, 84))
    rows = np.clip(depth / REACH * 119, 0, 119).astype(int)
    beams = np.clip((angle + 45) / 90 * 83, 0, 83).astype(int)
    speckle = blur(np.sqrt((waves**2).mean(axis=0))[rows, beams], 0.9) ** 1.5
    fan = np.clip((OPENING - np.abs(angle)) * 1.5, 0, 1)
    fan *= np.clip((REACH - depth) * 40, 0, 1) * np.clip((depth - 0.5) * 40, 0, 1)
    gain = 1.1 - 0.18 * depth
    return np.clip(echo * speckle * gain * fan + 0.02, 0, 1)
