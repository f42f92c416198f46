"""Phantoms of cross-sectional and nuclear pictures: CT, MRI, PET and what combines them."""

from __future__ import annotations

import numpy as np

from phantoms.canvas import (
    FloatArray,
    Plane,
    Point,
    arc,
    blur,
    box,
    cloud,
    curve,
    dome,
    ellipse,
    finish,
    paint,
    radius,
    stroke,
)


def ct_chest(plane: Plane, lesion: str = "") -> FloatArray:
    """Draw an axial slice at the level of the heart."""
    picture = _trunk(plane, 0.96, 0.72)
    for side in (-1, 1):
        lung = ellipse(plane, 0.47 * side, -0.02, 0.34, 0.47, 12 * side)
        picture = paint(picture, lung, 0.07)
        for _ in range(26):
            angle, depth = plane.rng.uniform(0, 360), plane.rng.uniform(0.1, 0.8)
            x = 0.47 * side + 0.31 * depth * np.cos(angle)
            y = -0.02 + 0.43 * depth * np.sin(angle)
            size = plane.rng.uniform(0.008, 0.024)
            picture = paint(picture, lung * ellipse(plane, x, y, size, size), 0.42)
        for target in (-0.25, 0.0, 0.25):
            vessel = stroke(
                plane, curve((0.16 * side, 0), (0.3 * side, target / 3), (0.6 * side, target)), 0.013
            )
            picture = paint(picture, lung * vessel, 0.45)
    picture = paint(picture, ellipse(plane, 0.0, 0.02, 0.2, 0.4), 0.44)
    if lesion == "pericardial effusion":
        picture = paint(picture, ellipse(plane, 0.13, -0.1, 0.45, 0.38, 20), 0.3)
    picture = paint(picture, ellipse(plane, 0.13, -0.1, 0.34, 0.27, 20), 0.56)
    picture = paint(picture, ellipse(plane, 0.2, -0.1, 0.16, 0.11, 30, 0.1), 0.78)
    picture = paint(picture, ellipse(plane, -0.06, -0.16, 0.12, 0.1, 0, 0.1), 0.74)
    picture = paint(picture, ellipse(plane, 0.13, 0.26, 0.075, 0.075), 0.76)
    picture = paint(picture, ellipse(plane, 0.0, 0.2, 0.04, 0.03), 0.36)
    if lesion == "nodule":
        picture = paint(picture, ellipse(plane, -0.52, -0.2, 0.1, 0.085, 30), 0.55)
    if lesion == "consolidation":
        shade = ellipse(plane, -0.52, 0.22, 0.26, 0.22, 20, 0.2) * (plane.x < -0.2)
        picture = paint(picture, shade * (0.8 + 0.25 * np.clip(cloud(plane, 14), -1, 1)), 0.46)
        for target in (0.1, 0.22, 0.34):
            picture = paint(picture, shade * stroke(plane, [(-0.3, 0.1), (-0.66, target)], 0.012), 0.1)
    picture = _spine(plane, picture, 0.43)
    picture = paint(picture, ellipse(plane, 0, -0.59, 0.12, 0.035), 0.85)
    return finish(plane, _table(plane, picture), 0.022)


def ct_abdomen(plane: Plane, lesion: str = "") -> FloatArray:
    """Draw an axial slice at the level of the kidneys, after contrast."""
    picture = _trunk(plane, 0.96, 0.72)
    picture = paint(picture, ellipse(plane, 0, 0, 0.78, 0.54), 0.26)
    if lesion == "ascites":
        picture = paint(picture, ellipse(plane, 0, -0.04, 0.8, 0.54), 0.38)
    liver = ellipse(plane, -0.46, -0.1, 0.36, 0.42, 15)
    liver = np.maximum(liver, ellipse(plane, -0.15, -0.28, 0.36, 0.17, 10))
    picture = paint(picture, liver, 0.6 + 0.012 * cloud(plane, 30))
    for angle in (-150, -110, 160):
        tip = (-0.42 + 0.3 * np.cos(np.deg2rad(angle)), -0.1 + 0.3 * np.sin(np.deg2rad(angle)))
        picture = paint(picture, liver * stroke(plane, [(-0.3, -0.05), tip], 0.016), 0.7)
    picture = paint(picture, ellipse(plane, 0.66, 0.02, 0.12, 0.29, -8), 0.64)
    stomach = ellipse(plane, 0.36, -0.26, 0.24, 0.17, 20)
    picture = paint(picture, stomach, 0.47)
    picture = paint(picture, ellipse(plane, 0.36, -0.26, 0.2, 0.13, 20) * (plane.y < -0.28), 0.04)
    for x, y in ((0.12, -0.04), (0.28, 0.0), (0.42, 0.05), (0.2, -0.14)):
        loop = ellipse(plane, x, y, 0.075, 0.065)
        picture = paint(picture, loop, 0.54)
        picture = paint(picture, ellipse(plane, x, y, 0.045, 0.035, 0, 0.04), 0.4)
    picture = _kidney(plane, picture, -0.42, swollen=False)
    picture = _kidney(plane, picture, 0.42, swollen=lesion == "hydronephrosis")
    picture = paint(picture, ellipse(plane, -0.13, 0.14, 0.085, 0.065), 0.66)
    if lesion == "aneurysm":
        picture = paint(picture, ellipse(plane, 0.08, 0.06, 0.21, 0.19), 0.45)
        picture = paint(picture, stroke(plane, arc(0.08, 0.06, 0.21, 0.19, 200, 330), 0.012), 0.9)
        picture = paint(picture, ellipse(plane, 0.1, 0.09, 0.12, 0.11), 0.86)
    else:
        picture = paint(picture, ellipse(plane, 0.07, 0.14, 0.07, 0.07), 0.85)
    if lesion == "liver":
        for x, y, size in ((-0.55, -0.2, 0.1), (-0.42, 0.08, 0.07), (-0.66, 0.06, 0.05)):
            picture = paint(picture, ellipse(plane, x, y, size, size * 0.9), 0.42)
    picture = _spine(plane, picture, 0.36)
    return finish(plane, _table(plane, picture), 0.025)


def ct_head(plane: Plane, lesion: str = "") -> FloatArray:
    """Draw an axial slice at the level of the lateral ventricles."""
    wide = lesion == "hydrocephalus"
    picture = np.full(plane.x.shape, 0.02)
    picture = paint(picture, ellipse(plane, 0, 0, 0.78, 0.95), 0.4)
    picture = paint(picture, ellipse(plane, 0, 0, 0.74, 0.91), 0.98)
    picture = paint(picture, ellipse(plane, 0, 0, 0.66, 0.83), 0.3)
    brain = ellipse(plane, 0, 0, 0.645, 0.815)
    r, angle = radius(plane, 0, 0, 0.645, 0.815), np.arctan2(plane.y, plane.x)
    white = np.clip((0.8 + 0.07 * np.sin(17 * angle + cloud(plane, 9)) - r) * 8, 0, 1)
    picture = paint(picture, brain, 0.5 - 0.06 * white)
    sulci = (np.sin(23 * angle + 1.3 * cloud(plane, 8)) > 0.86) & (r > (0.93 if wide else 0.84))
    picture = paint(picture, blur(sulci.astype(float), 0.8) * brain, 0.3)
    picture = paint(picture, stroke(plane, [(0, -0.82), (0, -0.35)], 0.008), 0.62)
    picture = paint(picture, stroke(plane, [(0, 0.42), (0, 0.82)], 0.008), 0.62)
    for side in (-1, 1):
        picture = paint(picture, ellipse(plane, 0.24 * side, 0.02, 0.1, 0.17, -15 * side, 0.08), 0.53)
        horn, size = (0.2, 0.11) if wide else (0.12, 0.05)
        front = curve((0.04 * side, -0.1), (0.06 * side, -0.28), (horn * side, -0.36))
        back = curve((0.05 * side, 0.08), (0.2 * side, 0.2), ((horn + 0.08) * side, 0.44))
        picture = paint(picture, stroke(plane, front, size), 0.2)
        picture = paint(picture, stroke(plane, back, size), 0.2)
        picture = paint(picture, ellipse(plane, 0.2 * side, 0.3, 0.022, 0.022), 0.85)
    picture = paint(picture, ellipse(plane, 0, 0.03, 0.022, 0.1), 0.22)
    if lesion == "infarct":
        wedge = ellipse(plane, -0.5, 0.0, 0.25, 0.34, 0, 0.12) * brain
        picture = paint(picture, wedge, 0.31)
    if lesion == "meningioma":
        picture = paint(picture, ellipse(plane, 0.42, -0.42, 0.28, 0.25, 0, 0.14) * brain, 0.4)
        picture = paint(picture, ellipse(plane, 0.48, -0.43, 0.18, 0.17) * brain, 0.74)
    return finish(plane, picture, 0.02)


def mri_brain(plane: Plane, weighting: str = "T2", lesion: str = "") -> FloatArray:
    """Draw an axial slice; `weighting` is T1, T2 or FLAIR."""
    fluid, grey, white = {"T1": (0.1, 0.4, 0.6), "T2": (0.95, 0.56, 0.36), "FLAIR": (0.06, 0.56, 0.42)}[
        weighting
    ]
    picture = np.full(plane.x.shape, 0.02)
    picture = paint(picture, ellipse(plane, 0, 0, 0.79, 0.95), 0.82)
    picture = paint(picture, ellipse(plane, 0, 0, 0.75, 0.91), 0.08)
    picture = paint(picture, ellipse(plane, 0, 0, 0.69, 0.85), fluid)
    brain = ellipse(plane, 0, 0, 0.66, 0.82)
    r, angle = radius(plane, 0, 0, 0.66, 0.82), np.arctan2(plane.y, plane.x)
    folds = 15 * angle + 1.2 * cloud(plane, 8)
    picture = paint(picture, brain, grey)
    inner = np.clip((0.76 + 0.13 * np.sin(folds) - r) * 14, 0, 1)
    picture = paint(picture, inner, white)
    sulci = (np.sin(folds) < -0.88) & (r > 0.74)
    picture = paint(picture, blur(sulci.astype(float), 0.8) * brain, fluid)
    picture = paint(picture, stroke(plane, [(0, -0.82), (0, -0.36)], 0.012), fluid)
    picture = paint(picture, stroke(plane, [(0, 0.42), (0, 0.82)], 0.012), fluid)
    for side in (-1, 1):
        picture = paint(picture, ellipse(plane, 0.25 * side, 0.02, 0.11, 0.19, -15 * side, 0.05), grey)
        picture = paint(picture, ellipse(plane, 0.12 * side, 0.1, 0.09, 0.12, 20 * side, 0.05), grey)
        front = curve((0.04 * side, -0.12), (0.05 * side, -0.28), (0.14 * side, -0.36))
        back = curve((0.06 * side, 0.22), (0.18 * side, 0.26), (0.24 * side, 0.44))
        picture = paint(picture, stroke(plane, front, 0.05), fluid)
        picture = paint(picture, stroke(plane, back, 0.05), fluid)
    picture = paint(picture, ellipse(plane, 0, 0.06, 0.018, 0.12), fluid)
    if lesion == "meningioma":
        picture = paint(picture, ellipse(plane, 0.4, -0.44, 0.24, 0.22), 0.3 if weighting == "T1" else 0.8)
        picture = paint(picture, ellipse(plane, 0.44, -0.45, 0.18, 0.17), 0.93)
    if lesion == "infarct":
        shade = ellipse(plane, -0.44, 0.1, 0.2, 0.3, 10, 0.1) * brain
        picture = paint(picture, shade * (0.8 + 0.2 * np.clip(cloud(plane, 12), -1, 1)), 0.92)
    return finish(plane, picture, 0.02)


def mri_knee(plane: Plane, *, torn: bool = False) -> FloatArray:
    """Draw a sagittal slice through the condyle, front of the knee to the left."""
    leg = np.clip((0.78 + 0.05 * np.sin(2.4 * plane.y) - np.abs(plane.x)) * 30, 0, 1)
    picture = paint(np.full(plane.x.shape, 0.02), leg, 0.74)
    for points, width in (
        ([(0.5, -1.3), (0.52, -0.3)], 0.15),
        ([(0.52, 0.2), (0.55, 1.3)], 0.17),
        ([(-0.4, -1.3), (-0.46, -0.8)], 0.1),
    ):
        muscle = stroke(plane, points, width, 0.06)
        picture = paint(picture, muscle, 0.32 + 0.03 * cloud(plane, 22))
    marrow = 0.6 + 0.02 * cloud(plane, 26)
    femur = np.maximum(
        stroke(plane, [(-0.02, -1.4), (-0.02, -0.45)], 0.27), ellipse(plane, 0.04, -0.3, 0.46, 0.36)
    )
    tibia = np.maximum(
        stroke(plane, [(-0.02, 1.4), (-0.04, 0.55)], 0.3), ellipse(plane, 0.0, 0.42, 0.47, 0.25)
    )
    patella = ellipse(plane, -0.56, -0.4, 0.1, 0.21, 8)
    joint = ellipse(plane, 0.02, 0.1, 0.5, 0.09)
    picture = paint(picture, joint, 0.82)
    for shape in (femur, tibia, patella):
        halo = np.clip(blur(shape, 2.0) * 2.2, 0, 1)
        picture = paint(picture, halo, 0.08)
        picture = paint(picture, shape, marrow)
    picture = paint(picture, stroke(plane, arc(0.04, -0.3, 0.49, 0.39, 20, 165), 0.022), 0.78)
    for side, tilt in ((-1, 0.0), (1, 0.0)):
        horn = ellipse(plane, 0.02 + 0.34 * side, 0.115 + tilt, 0.13, 0.06, -14 * side)
        picture = paint(picture, horn, 0.05)
    if torn:
        picture = paint(picture, stroke(plane, [(0.28, 0.16), (0.44, 0.07)], 0.015), 0.9)
        picture = paint(picture, ellipse(plane, -0.38, -0.85, 0.09, 0.22, 12), 0.97)
    picture = paint(picture, stroke(plane, [(-0.6, -0.24), (-0.42, 0.55)], 0.035), 0.06)
    picture = paint(picture, stroke(plane, [(-0.58, -0.6), (-0.42, -1.3)], 0.04), 0.06)
    return finish(plane, picture * leg, 0.02)


def mri_spine(plane: Plane, *, prolapse: bool = False) -> FloatArray:
    """Draw a sagittal slice of the lumbar spine, T2: bright fluid behind the bodies."""
    picture = 0.3 + 0.05 * cloud(plane, 5) + 0.25 * np.clip(plane.x - 0.45, 0, 1)
    picture = paint(picture, stroke(plane, _lordosis(0.31), 0.13), 0.5)
    picture = paint(picture, stroke(plane, _lordosis(0.3), 0.11), 0.9)
    for strand in (0.26, 0.29, 0.33):
        picture = paint(picture, stroke(plane, _lordosis(strand), 0.008), 0.45)
    path = _lordosis(0.0)
    for step in range(0, len(path) - 3, 3):
        (ax, ay), (bx, by) = path[step], path[step + 3]
        x, y, turn = (ax + bx) / 2, (ay + by) / 2, float(np.rad2deg(np.arctan2(bx - ax, by - ay)))
        body = box(plane, x, y, 0.2, 0.135, -turn)
        picture = paint(picture, np.clip(blur(body, 1.2) * 1.6, 0, 1), 0.12)
        picture = paint(picture, body, 0.55 + 0.02 * cloud(plane, 30))
        picture = paint(picture, ellipse(plane, x + 0.62, y + 0.1, 0.15, 0.07, 25), 0.5)
        dark = prolapse and step == 12
        disc = ellipse(plane, bx, by, 0.21, 0.042, -turn)
        picture = paint(picture, disc, 0.12 if dark else 0.2)
        picture = paint(picture, ellipse(plane, bx, by, 0.13, 0.026, -turn), 0.14 if dark else 0.72)
        if dark:
            picture = paint(picture, ellipse(plane, bx + 0.24, by + 0.01, 0.08, 0.05), 0.14)
    return finish(plane, picture, 0.02)


def pet_body(plane: Plane, spots: tuple[Point, ...] = ()) -> FloatArray:
    """Draw a whole-body projection, uptake dark on white, as in the reading room."""
    uptake = 0.16 * dome(plane, 0, -1.04, 0.17, 0.21)
    uptake = np.maximum(uptake, 0.16 * ellipse(plane, 0, -0.3, 0.34, 0.52, 0, 0.15))
    uptake = np.maximum(uptake, 0.15 * ellipse(plane, 0, 0.42, 0.33, 0.3, 0, 0.15))
    for side in (-1, 1):
        arm = [(0.36 * side, -0.68), (0.5 * side, -0.1), (0.52 * side, 0.42)]
        leg = [(0.17 * side, 0.6), (0.19 * side, 1.0), (0.17 * side, 1.4)]
        uptake = np.maximum(uptake, 0.12 * stroke(plane, arm, 0.075, 0.06))
        uptake = np.maximum(uptake, 0.14 * stroke(plane, leg, 0.13, 0.08))
        uptake += 0.5 * ellipse(plane, 0.17 * side, 0.1, 0.05, 0.09, 10 * side, 0.05)
        uptake -= 0.07 * ellipse(plane, 0.18 * side, -0.45, 0.12, 0.22, 0, 0.12)
    uptake += 0.75 * ellipse(plane, 0, -1.1, 0.12, 0.12, 0, 0.07)
    uptake += 0.34 * ellipse(plane, 0.07, -0.34, 0.1, 0.09, 20, 0.06)
    uptake += 0.15 * ellipse(plane, -0.16, -0.08, 0.17, 0.13, 10, 0.08)
    uptake += 0.85 * ellipse(plane, 0, 0.6, 0.085, 0.065, 0, 0.05)
    for x, y in spots:
        uptake += 0.8 * ellipse(plane, x, y, 0.04, 0.04, 0, 0.05)
    return finish(plane, 0.97 - blur(np.clip(uptake, 0, 0.95), 1.2), 0.02, 0.9)


def pet_ct(plane: Plane, *, treated: bool = False) -> FloatArray:
    """Draw a fused slice: tracer uptake in colour over a grey CT; shape (height, width, 3)."""
    grey = ct_chest(plane, "" if treated else "nodule") * 0.75
    heat = (0.0 if treated else 0.75) * ellipse(plane, -0.52, -0.2, 0.15, 0.13, 30, 0.16)
    heat += 0.3 * ellipse(plane, 0.2, -0.1, 0.27, 0.2, 30, 0.2)
    heat += (0.0 if treated else 0.6) * ellipse(plane, -0.1, 0.08, 0.07, 0.06, 0, 0.1)
    heat += 0.12 * ellipse(plane, 0, 0, 0.85, 0.6, 0, 0.2)
    heat = np.clip(blur(heat, 2.5), 0, 1)
    colour = np.stack(
        [np.clip(3 * heat, 0, 1), np.clip(3 * heat - 0.9, 0, 1), np.clip(4 * heat - 3, 0, 1)], 2
    )
    share = np.clip(1.5 * heat, 0, 0.7)[..., None]
    return np.asarray(grey[..., None] * (1 - share) + colour * share)


def side_by_side(plane: Plane) -> FloatArray:
    """Draw CT and MRI of one head next to each other, a dark gap between them."""
    left = Plane(x=(plane.x + 0.68) * 1.35, y=plane.y * 1.35, rng=plane.rng)
    right = Plane(x=(plane.x - 0.68) * 1.35, y=plane.y * 1.35, rng=plane.rng)
    return np.where(plane.x < 0, ct_head(left, "meningioma"), mri_brain(right, "T2", "meningioma"))


def quality_phantom(plane: Plane) -> FloatArray:
    """Draw the slice of a plastic test cylinder: contrast discs, line pairs, a wire."""
    picture = paint(np.full(plane.x.shape, 0.02), ellipse(plane, 0, 0, 0.92, 0.92), 0.75)
    picture = paint(picture, ellipse(plane, 0, 0, 0.87, 0.87), 0.45)
    levels = (0.05, 0.25, 0.38, 0.52, 0.62, 0.75, 0.88, 1.0)
    for level, (x, y) in zip(levels, arc(0, 0, 0.62, 0.62, 0, 315, 8), strict=True):
        picture = paint(picture, ellipse(plane, x, y, 0.12, 0.12), level)
    bars = (np.sin(40 * plane.x) > 0) * box(plane, 0, 0, 0.28, 0.16, 0)
    picture = paint(picture, bars, 0.9)
    return finish(plane, picture, 0.015)


def _trunk(plane: Plane, rx: float, ry: float) -> FloatArray:
    """Draw skin, fat, the muscles of the wall and the ribs."""
    picture = paint(np.full(plane.x.shape, 0.01), ellipse(plane, 0, 0, rx, ry), 0.3)
    picture = paint(picture, ellipse(plane, 0, 0, rx - 0.07, ry - 0.07), 0.47)
    for start in range(-60, 270, 30):
        rib = arc(0, 0, rx - 0.115, ry - 0.115, start, start + 13, 4)
        picture = paint(picture, stroke(plane, rib, 0.022), 0.92)
    return picture


def _spine(plane: Plane, picture: FloatArray, y: float) -> FloatArray:
    """Draw one vertebra with its canal and processes."""
    for side in (-1, 1):
        wing = [(0.09 * side, y + 0.13), (0.24 * side, y + 0.17)]
        picture = paint(picture, stroke(plane, wing, 0.03), 0.82)
        muscle = ellipse(plane, 0.2 * side, y + 0.2, 0.16, 0.08, 15 * side)
        picture = np.where(picture < 0.8, paint(picture, muscle, 0.5), picture)
    picture = paint(picture, stroke(plane, [(0, y + 0.12), (0, y + 0.24)], 0.025), 0.85)
    picture = paint(picture, ellipse(plane, 0, y + 0.1, 0.11, 0.09), 0.92)
    picture = paint(picture, ellipse(plane, 0, y, 0.15, 0.11), 0.95)
    picture = paint(picture, ellipse(plane, 0, y, 0.12, 0.085, 0, 0.05), 0.78)
    return paint(picture, ellipse(plane, 0, y + 0.125, 0.055, 0.045), 0.42)


def _table(plane: Plane, picture: FloatArray) -> FloatArray:
    """Draw the couch below the patient."""
    return np.maximum(picture, 0.35 * stroke(plane, arc(0, -1.2, 1.6, 2.02, 62, 118), 0.012))


def _kidney(plane: Plane, picture: FloatArray, x: float, *, swollen: bool) -> FloatArray:
    """Draw a kidney with its hilum towards the spine."""
    inward = -float(np.sign(x))
    picture = paint(picture, ellipse(plane, x, 0.2, 0.13, 0.18, -15 * inward), 0.82)
    size = 0.095 if swollen else 0.05
    picture = paint(picture, ellipse(plane, x + 0.07 * inward, 0.18, size, size, 0, 0.03), 0.32)
    if swollen:
        for y in (0.08, 0.2, 0.31):
            picture = paint(picture, ellipse(plane, x, y, 0.045, 0.045), 0.34)
    return picture


def _lordosis(offset: float) -> list[Point]:
    """Points down the curve of the lumbar spine, moved to the right by `offset`."""
    return [
        (-0.16 - 0.14 * float(np.sin((y + 1.3) * 1.15)) + 0.12 * y * y + offset, y)
        for y in np.linspace(-1.4, 1.3, 25).tolist()
    ]
