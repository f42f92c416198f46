"""Phantoms of projections: radiographs, where bone is bright."""

from __future__ import annotations

import math

import numpy as np

from phantoms.canvas import (
    FloatArray,
    Plane,
    Point,
    arc,
    blur,
    bone,
    box,
    cloud,
    curve,
    distance,
    dome,
    ellipse,
    expose,
    finish,
    stroke,
)


def chest(plane: Plane, lesion: str = "", heart: float = 1.0, device: str = "") -> FloatArray:
    """Draw a frontal chest X-ray; `heart` scales the heart shadow."""
    body = blur(
        np.maximum(
            ellipse(plane, 0, 0.6, 0.95, 1.25, 0, 0.1), stroke(plane, [(-0.8, -0.5), (0.8, -0.5)], 0.22, 0.2)
        ),
        2,
    )
    body = np.maximum(body, stroke(plane, [(0, -1.4), (0, -0.7)], 0.24, 0.2))
    thick = 0.95 * body
    for side in (-1, 1):
        lung = np.maximum(
            ellipse(plane, 0.4 * side, 0.02, 0.34, 0.72, 6 * side, 0.06),
            ellipse(plane, 0.45 * side, 0.25, 0.36, 0.55, 0, 0.06),
        )
        diaphragm = ellipse(plane, 0.42 * side, 0.98 + 0.05 * side, 0.56, 0.46, 0, 0.05)
        if lesion == "effusion" and side == 1:
            diaphragm = np.maximum(diaphragm, np.clip((plane.y - 0.36 + 0.7 * (plane.x - 0.7)) * 9, 0, 1))
        lung *= 1 - diaphragm
        thick -= 0.72 * lung
        thick += 0.1 * lung * _markings(plane, 0.14 * side, side)
        if lesion == "pneumonia" and side == -1:
            shade = ellipse(plane, -0.45, 0.3, 0.27, 0.22, 10, 0.25)
            thick += 0.62 * lung * shade * (1 + 0.25 * cloud(plane, 16))
        if lesion == "nodule" and side == 1:
            thick += 0.42 * dome(plane, 0.44, -0.3, 0.085, 0.08)
        ribs = np.zeros(plane.x.shape)
        for level in range(8):
            y, reach = -0.68 + 0.17 * level, 0.5 + 0.26 * np.sin(0.35 * level + 0.5)
            rib = curve((0.07 * side, y), (reach * 1.25 * side, y - 0.09), (reach * side, y + 0.3))
            ribs += bone(plane, rib, [0.036] * len(rib), 0.7)
            front = curve((reach * side, y + 0.3), (0.62 * reach * side, y + 0.5), (0.3 * side, y + 0.42))
            ribs += 0.45 * bone(plane, front, [0.034] * len(front), 0.7)
        thick += 0.3 * np.minimum(ribs, 1.1) * (0.35 + 0.65 * (plane.y < 0.75))
        clavicle = curve((0.07 * side, -0.66), (0.35 * side, -0.8), (0.74 * side, -0.84))
        thick += 0.4 * bone(plane, clavicle, [0.05] * len(clavicle))
        thick += 0.3 * bone(plane, [(0.86 * side, -0.66), (0.96 * side, 0.3)], [0.11, 0.08])
    thick += 0.5 * stroke(plane, [(0, -1.2), (0, 1.3)], 0.11, 0.08)
    for y in np.arange(-1.1, 1.2, 0.15).tolist():
        thick += 0.1 * ellipse(plane, 0, y, 0.12, 0.05, 0, 0.04)
    thick -= 0.22 * stroke(plane, [(0.0, -1.1), (0.01, -0.35)], 0.04, 0.05)
    thick += 0.85 * heart * dome(plane, 0.15 * heart, 0.34, 0.36 * heart, 0.3, 32)
    thick += 0.4 * dome(plane, -0.1, 0.3, 0.2 * heart, 0.27)
    thick += 0.35 * dome(plane, 0.13, -0.28, 0.12, 0.12) + 0.25 * dome(plane, 0.1, -0.05, 0.12, 0.2)
    if device == "pacemaker":
        thick += 2.5 * ellipse(plane, -0.56, -0.5, 0.12, 0.1, 20)
        lead = [(-0.46, -0.5), *curve((-0.3, -0.62), (-0.1, -0.5), (-0.07, 0.1)), (0.1, 0.5), (0.3, 0.56)]
        thick += 1.5 * stroke(plane, lead, 0.009, 0.02)
    return finish(plane, expose(thick, 1.05) * 1.1, 0.014)


def knee(plane: Plane, *, worn: bool = False) -> FloatArray:
    """Draw a frontal knee X-ray; a worn joint has lost one half of its gap."""
    tilt = 0.045 if worn else 0.0
    thick = _flesh(plane, [(0, -1.5), (0.0, 0), (0.0, 1.5)], [0.72, 0.6, 0.5])
    ends = bone(plane, [(-0.02, -1.5), (0, -0.7), (0, -0.3)], [0.19, 0.22, 0.4])
    plateau = bone(plane, [(0, 0.3), (-0.02, 0.62), (-0.03, 1.5)], [0.42, 0.21, 0.17])
    for side in (-1, 1):
        ends += ellipse(plane, 0.2 * side, -0.2 + tilt * side, 0.27, 0.21, 0, 0.05)
        plateau += ellipse(plane, 0.21 * side, 0.24, 0.27, 0.14, 0, 0.05)
        thick += 0.3 * stroke(plane, [(0.06 * side, 0.09), (0.05 * side, 0.0)], 0.03)
        if worn:
            thick += 0.5 * dome(plane, 0.46 * side, 0.1, 0.06, 0.03, 30 * side)
    ends = np.minimum(ends, 0.75) * (plane.y < 0.06)
    plateau = np.minimum(plateau, 0.75) * np.clip((plane.y - 0.09) * 30, 0, 1)
    thick += (ends + plateau) * (1 + 0.04 * cloud(plane, 34))
    thick += 0.3 * stroke(plane, [(-0.42, 0.13), (0.42, 0.13)], 0.012)
    thick += 0.8 * bone(plane, [(0.4, 0.34), (0.36, 0.55), (0.33, 1.5)], [0.11, 0.07, 0.06])
    thick += 0.25 * ellipse(plane, 0.0, -0.42, 0.19, 0.2, 0, 0.05)
    return finish(plane, expose(thick, 1.0) * 1.08, 0.014)


def patella_skyline(plane: Plane) -> FloatArray:
    """Draw the kneecap looked at along the thigh: patella above, groove of the femur below."""
    thick = 0.45 * ellipse(plane, 0, 0.25, 0.92, 0.95, 0, 0.15)
    thick += 0.95 * dome(plane, -0.32, 0.42, 0.42, 0.45) + 0.9 * dome(plane, 0.34, 0.45, 0.38, 0.42)
    groove = [(-0.66, 0.2), (-0.45, 0.02), (-0.25, 0.03), (0.0, 0.2), (0.25, 0.1), (0.45, 0.08), (0.66, 0.26)]
    thick += 0.5 * stroke(plane, groove, 0.02, 0.04)
    cap = [(-0.46, -0.34), (0.0, -0.12), (0.4, -0.32)]
    thick += 0.8 * ellipse(plane, -0.02, -0.36, 0.46, 0.17, 0, 0.06)
    thick += 0.35 * stroke(plane, cap, 0.025, 0.04)
    thick *= 1 + 0.03 * cloud(plane, 30)
    return finish(plane, expose(thick, 1.0) * 1.1, 0.014)


def forearm(plane: Plane, *, broken: bool = True) -> FloatArray:
    """Draw radius and ulna from the wrist down to the elbow; the radius may be broken."""
    thick = _flesh(plane, [(0, -1.5), (0, 0.2), (0, 1.5)], [0.34, 0.44, 0.56])
    ulna = [(0.2, -0.95), (0.18, -0.2), (0.16, 0.7), (0.1, 1.3)]
    thick += bone(plane, ulna, [0.075, 0.09, 0.11, 0.2])
    shift = 0.05 if broken else 0.0
    upper = [(-0.13, -0.98), (-0.17, -0.6), (-0.2 - shift, 0.1)]
    lower = [(-0.2 + shift, -0.1), (-0.2, 0.5), (-0.12, 1.0), (-0.13, 1.14)]
    thick += _joined(
        plane,
        bone(plane, upper, [0.2, 0.12, 0.11]),
        bone(plane, lower, [0.11, 0.1, 0.09, 0.13]),
        slope=0.35,
        gap=0.022 if broken else 0.0,
    )
    for row, count in ((-1.13, 4), (-1.29, 4)):
        for place in range(count):
            thick += 0.55 * dome(plane, -0.24 + 0.16 * place, row, 0.09, 0.085)
    return finish(plane, expose(thick, 1.15) * 1.08, 0.014)


def shin(plane: Plane) -> FloatArray:
    """Draw tibia and fibula with a spiral fracture of the tibia."""
    thick = _flesh(plane, [(0, -1.5), (0.05, -0.2), (0, 1.5)], [0.6, 0.58, 0.36])
    upper = [(-0.08, -1.35), (-0.08, -0.8), (-0.09, 0.5)]
    lower = [(-0.04, -0.3), (-0.04, 0.7), (-0.06, 1.2)]
    thick += _joined(
        plane,
        bone(plane, upper, [0.36, 0.17, 0.145]),
        bone(plane, lower, [0.145, 0.14, 0.27]),
        slope=1.5,
        gap=0.02,
    )
    thick += bone(plane, [(0.32, -0.98), (0.3, -0.2), (0.26, 0.6), (0.24, 1.25)], [0.1, 0.055, 0.06, 0.11])
    return finish(plane, expose(thick, 1.05) * 1.08, 0.014)


def hand(plane: Plane) -> FloatArray:
    """Draw a frontal X-ray of a hand with five spread fingers."""
    thick = 0.4 * ellipse(plane, 0.02, 0.35, 0.42, 0.48, 0, 0.1)
    thick = np.maximum(thick, 0.38 * stroke(plane, [(0.02, 0.6), (0.02, 1.5)], 0.3, 0.1))
    bones = np.zeros(plane.x.shape)
    fingers = ((-0.3, -20, 0.8), (-0.11, -7, 0.95), (0.07, 3, 1.0), (0.23, 13, 0.92), (0.37, 26, 0.72))
    for number, (x, turn, size) in enumerate(fingers):
        thumb = number == 0
        angle = np.deg2rad(turn - 32 if thumb else turn)
        dx, dy = float(np.sin(angle)), -float(np.cos(angle))
        px, py = (-0.3, 0.52) if thumb else (0.5 * x, 0.5)
        lengths = (0.36, 0.3, 0.2) if thumb else (0.52, 0.36, 0.23, 0.15)
        start = (px, py)
        for part, length in enumerate(lengths):
            span = length * size
            stop = (start[0] + dx * span, start[1] + dy * span)
            wide = 0.072 - 0.01 * part
            middle = ((start[0] + stop[0]) / 2, (start[1] + stop[1]) / 2)
            inner = (start[0] + 0.03 * dx, start[1] + 0.03 * dy)
            bones += bone(plane, [inner, middle, stop], [wide, 0.68 * wide, wide * 0.92])
            start = (stop[0] + 0.025 * dx, stop[1] + 0.025 * dy)
        thick = np.maximum(thick, 0.36 * stroke(plane, [(px, py), start], 0.1, 0.07))
    for x, y in (
        (-0.2, 0.62),
        (-0.05, 0.6),
        (0.1, 0.6),
        (0.2, 0.66),
        (-0.14, 0.76),
        (0.02, 0.77),
        (0.15, 0.8),
    ):
        bones += 0.6 * dome(plane, x, y, 0.085, 0.08)
    bones += bone(plane, [(-0.1, 0.98), (-0.12, 1.5)], [0.18, 0.12])
    bones += bone(plane, [(0.2, 1.02), (0.2, 1.5)], [0.09, 0.085])
    return finish(plane, expose(thick + bones, 1.2) * 1.05, 0.014)


def shoulder(plane: Plane) -> FloatArray:
    """Draw a frontal shoulder X-ray: humerus, blade, clavicle, upper ribs."""
    thick = 0.55 * ellipse(plane, -0.5, 0.7, 1.0, 1.2, 0, 0.15)
    thick = np.maximum(thick, _flesh(plane, [(0.4, -0.2), (0.55, 1.3)], [0.42, 0.34]))
    thick = np.maximum(thick, 0.55 * stroke(plane, [(-1.3, -0.7), (0.2, -0.5)], 0.2, 0.2))
    thick -= 0.3 * ellipse(plane, -0.75, 0.75, 0.45, 0.95, 10, 0.15)
    for level in range(5):
        y = -0.15 + 0.28 * level
        rib = curve((-1.2, y - 0.1), (-0.35, y - 0.3), (-0.2, y + 0.35))
        thick += 0.35 * bone(plane, rib, [0.055] * len(rib))
    thick += 0.85 * dome(plane, 0.34, -0.12, 0.25, 0.26)
    thick += bone(plane, [(0.4, 0.0), (0.48, 0.4), (0.54, 1.4)], [0.2, 0.13, 0.12])
    thick += 0.5 * stroke(plane, [(0.03, -0.34), (-0.02, -0.1), (0.03, 0.16)], 0.04, 0.05)
    thick += 0.4 * bone(plane, [(0.02, 0.1), (-0.2, 0.8)], [0.07, 0.05])
    thick += 0.2 * ellipse(plane, -0.22, 0.2, 0.22, 0.5, 15, 0.1)
    clavicle = curve((-1.2, -0.2), (-0.5, -0.78), (0.16, -0.5))
    thick += 0.8 * bone(plane, clavicle, [0.07] * len(clavicle))
    thick += 0.6 * bone(plane, [(-0.3, -0.3), (0.1, -0.5), (0.4, -0.5)], [0.04, 0.05, 0.07])
    return finish(plane, expose(thick, 1.05) * 1.08, 0.014)


def pelvis(plane: Plane) -> FloatArray:
    """Draw a frontal X-ray of the pelvis with both hips."""
    thick = 0.45 * ellipse(plane, 0, 0.1, 1.2, 1.15, 0, 0.15)
    thick += 0.5 * bone(plane, [(0, -1.2), (0, -0.5), (0, 0.0)], [0.17, 0.19, 0.06], 0.8)
    for y in (-0.98, -0.76, -0.54):
        thick += 0.2 * stroke(plane, [(-0.16, y), (0.16, y)], 0.025, 0.04)
    for side in (-1, 1):
        wing = ellipse(plane, 0.54 * side, -0.4, 0.4, 0.36, 30 * side, 0.05)
        thick += 0.35 * wing * (1 - 0.4 * ellipse(plane, 0.52 * side, -0.42, 0.28, 0.24, 30 * side, 0.2))
        thick += 0.3 * stroke(
            plane,
            arc(0.54 * side, -0.4, 0.4, 0.36, 190 if side < 0 else 215, 325 if side < 0 else 350),
            0.025,
            0.03,
        )
        thick += 0.45 * stroke(
            plane, curve((0.2 * side, -0.32), (0.44 * side, 0.02), (0.12 * side, 0.42)), 0.05, 0.06
        )
        thick += 0.3 * stroke(plane, arc(0.66 * side, 0.14, 0.21, 0.21, 150, 390), 0.03, 0.04)
        thick += 0.55 * bone(
            plane, [(0.08 * side, 0.4), (0.34 * side, 0.62), (0.42 * side, 0.3)], [0.07, 0.07, 0.07]
        )
        femur = 0.62 * ellipse(plane, 0.66 * side, 0.14, 0.18, 0.18, 0, 0.04)
        neck = [(0.7 * side, 0.18), (0.88 * side, 0.4)]
        femur = np.maximum(femur, 0.62 * stroke(plane, neck, 0.12, 0.04))
        shaft = [(0.9 * side, 0.38), (0.9 * side, 0.62), (0.84 * side, 1.4)]
        thick += np.maximum(femur, bone(plane, shaft, [0.16, 0.14, 0.12]))
    return finish(plane, expose(thick, 1.05) * 1.08, 0.014)


def abdomen(plane: Plane, *, obstructed: bool = True) -> FloatArray:
    """Draw a frontal abdominal X-ray; an obstructed bowel is a ladder of gas-filled loops."""
    thick = 0.75 * ellipse(plane, 0, 0.1, 0.95, 1.6, 0, 0.15)
    thick += 0.28 * dome(plane, -0.5, -0.7, 0.5, 0.55)
    for y in np.arange(-1.2, 1.0, 0.26).tolist():
        thick += 0.3 * ellipse(plane, 0, y, 0.15, 0.1, 0, 0.05)
        thick += 0.2 * stroke(plane, [(-0.27, y), (0.27, y)], 0.025, 0.05)
        thick += 0.2 * ellipse(plane, 0, y + 0.05, 0.03, 0.07, 0, 0.03)
    for side in (-1, 1):
        thick += 0.35 * ellipse(plane, 0.68 * side, 0.92, 0.42, 0.42, 30 * side, 0.08)
        rib = curve((0.5 * side, -1.2), (0.95 * side, -0.9), (0.75 * side, -0.3))
        thick += 0.25 * bone(plane, rib, [0.04] * len(rib))
    loops = [curve((-0.5, y), (0.1, y - 0.16), (0.6, y + 0.03)) for y in (-0.35, -0.02, 0.31)]
    if not obstructed:
        loops = [[(-0.6, 0.3), (-0.62, 0.5)], [(0.56, -0.5), (0.62, -0.2)], [(0.15, 0.75), (0.2, 0.8)]]
    for loop in loops:
        gas = stroke(plane, loop, 0.13 if obstructed else 0.09, 0.05)
        folds = (np.sin(44 * plane.x) > 0.75) * gas
        thick -= 0.45 * gas - 0.17 * blur(folds * 1.0, 0.8)
        wall = stroke(plane, loop, 0.15, 0.04) - stroke(plane, loop, 0.12, 0.04)
        thick += 0.1 * np.clip(wall, 0, 1) * obstructed
    return finish(plane, expose(thick, 1.05) * 1.05, 0.016)


def skull(plane: Plane) -> FloatArray:
    """Draw a lateral skull X-ray, face to the left."""
    vault = dome(plane, 0.08, -0.22, 0.82, 0.68) - 0.8 * dome(plane, 0.08, -0.22, 0.77, 0.63)
    thick = 1.3 * vault + 0.12 * ellipse(plane, 0.08, -0.22, 0.77, 0.63)
    thick += 0.3 * ellipse(plane, -0.1, 0.3, 0.68, 0.9, 0, 0.2)
    thick += 0.3 * stroke(plane, curve((-0.6, 0.1), (-0.1, 0.05), (0.5, 0.36)), 0.04, 0.09)
    thick += 0.4 * dome(plane, 0.24, 0.27, 0.22, 0.15)
    thick += 0.5 * stroke(plane, arc(-0.08, 0.06, 0.09, 0.08, 0, 180), 0.02)
    thick += 0.45 * stroke(plane, arc(-0.56, 0.18, 0.14, 0.14, 60, 330), 0.025, 0.04)
    thick -= 0.2 * ellipse(plane, -0.66, -0.16, 0.06, 0.1)
    thick -= 0.22 * ellipse(plane, -0.42, 0.42, 0.17, 0.14, 0, 0.06)
    jaw = [(0.1, 0.36), (0.08, 0.74), (-0.2, 0.88), (-0.58, 0.96)]
    thick += 0.8 * bone(plane, jaw, [0.09, 0.11, 0.1, 0.1])
    for tooth in range(6):
        x = -0.6 + 0.085 * tooth
        thick += 0.5 * stroke(plane, [(x, 0.6), (x, 0.67)], 0.03)
        thick += 0.5 * stroke(plane, [(x, 0.76), (x, 0.82)], 0.03)
    for y in (0.6, 0.78, 0.96, 1.14):
        thick += 0.5 * dome(plane, 0.42, y, 0.15, 0.085)
    for line in (((0.12, -0.86), (0.2, -0.5), (0.05, -0.1)), ((0.84, -0.1), (0.7, 0.05), (0.55, 0.2))):
        thick -= 0.15 * stroke(plane, list(line), 0.007, 0.02)
    return finish(plane, expose(thick, 1.15) * 1.1, 0.016)


def lumbar_spine(plane: Plane, *, slipped: bool = True) -> FloatArray:
    """Draw a lateral X-ray of the lumbar spine; the fourth body may have slipped forwards."""
    thick = 0.5 * stroke(plane, [(0.05, -1.5), (0.05, 1.5)], 0.75, 0.3)
    for level in range(6):
        y, turn = -1.05 + 0.36 * level, -10 + 6 * level
        x = -0.12 - 0.14 * float(np.sin(level * 0.62)) - (0.13 if slipped and level == 4 else 0)
        body = box(plane, x, y, 0.21, 0.14, turn)
        thick += 0.5 * body + 0.35 * np.clip(body - blur(body, 3), 0, 1)
        arch = curve((x + 0.2, y - 0.04), (x + 0.4, y), (x + 0.46, y + 0.2))
        thick += 0.4 * bone(plane, arch, [0.07] * len(arch))
        thick += 0.3 * ellipse(plane, x + 0.66, y + 0.14, 0.15, 0.085, 25, 0.05)
    thick += 0.5 * ellipse(plane, -0.02, 1.15, 0.26, 0.2, 40, 0.08)
    return finish(plane, expose(thick, 1.1) * 1.05, 0.016)


def breast(plane: Plane, *, mass: bool = True) -> FloatArray:
    """Draw a mammogram, chest wall on the left edge."""
    shape = ellipse(plane, -0.95, 0.05, 1.45, 0.98, 0, 0.1)
    fibres = np.zeros(plane.x.shape)
    for _ in range(26):
        start = (-0.9, float(plane.rng.uniform(-0.6, 0.7)))
        control = (-0.3, start[1] + float(plane.rng.normal(0, 0.15)))
        strand = curve(start, control, (0.45, 0.07 + 0.3 * start[1]), 8)
        fibres += stroke(plane, strand, 0.012, 0.05)
    gland = ellipse(plane, -0.25, 0.06, 0.62, 0.52, 0, 0.4) * (0.6 + 0.35 * cloud(plane, 9))
    thick = shape * (0.28 + 0.33 * np.clip(gland, 0, 1) + 0.1 * np.minimum(fibres, 2.0))
    thick += 0.5 * np.clip((-plane.x - 0.45 - 0.7 * (plane.y + 0.9)) * 4, 0, 1) * shape
    if mass:
        thick += 0.55 * dome(plane, -0.1, 0.2, 0.17, 0.15)
    return finish(plane, expose(thick, 1.3), 0.012)


def _markings(plane: Plane, x: float, side: int) -> FloatArray:
    """Draw lung vessels that fan out from the hilum."""
    lines = np.zeros(plane.x.shape)
    for angle in (-70, -45, -20, 5, 30, 55):
        turn = np.deg2rad(angle + float(plane.rng.normal(0, 6)))
        tip = (x + 0.45 * side * float(np.cos(turn)), 0.05 + 0.55 * float(np.sin(turn)))
        away = distance(plane, [(x, 0.05), tip], [0.035, 0.008])
        lines += np.clip(1.4 - away, 0, 1)
    return np.minimum(lines, 1.5) + 0.25 * cloud(plane, 18)


def _joined(plane: Plane, upper: FloatArray, lower: FloatArray, slope: float, gap: float) -> FloatArray:
    """Join two fragments along a slanting fracture line, `gap` wide and a little ragged."""
    ragged = 0.012 * np.sin(70 * plane.x) + 0.008 * np.sin(151 * plane.x)
    height = (plane.y - slope * (plane.x + 0.15) - ragged) / math.hypot(1, slope)
    above = np.clip(0.5 - (height + gap) / 0.025, 0, 1)
    below = np.clip(0.5 + (height - gap) / 0.025, 0, 1)
    return upper * above + lower * below


def _flesh(plane: Plane, points: list[Point], radii: list[float]) -> FloatArray:
    """Thickness of the soft tissue around a limb."""
    return 0.5 * np.sqrt(np.clip(1 - distance(plane, points, radii) ** 2, 0, 1))
