"""A dataset folder in the ROCOv2 layout, drawn on the spot: what a picture shows can be seen at 32 pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from rocov2_eval.shelf.csv_files import write_csv

SIDE = 48
SIZES: Mapping[str, int] = {"train": 36, "valid": 18, "test": 18}
NAMES: Mapping[str, str] = {
    "C0040405": "X-Ray Computed Tomography",
    "C1306645": "Plain x-ray",
    "C0024485": "Magnetic Resonance Imaging",
    "C0817096": "Chest",
    "C0000726": "Abdomen",
}
# What is drawn, its concepts, and a caption that says it.
KINDS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("disc", ("C0040405", "C0817096"), "CT of the chest."),
    ("ring", ("C0040405", "C0000726"), "CT of the abdomen."),
    ("upright", ("C1306645", "C0817096"), "Chest X-ray."),
    ("level", ("C1306645", "C0000726"), "Plain film of the abdomen."),
    ("checks", ("C0024485", "C0817096"), "MRI of the chest."),
    ("slope", ("C0024485", "C0000726"), "MRI of the abdomen."),
)


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 36, 18 and 18 pictures of 48 pixels, six kinds in turn; two concepts a picture."""
    return draw_dataset(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def own_dataset(tmp_path: Path) -> Path:
    """Return such a folder that a test may spoil."""
    return draw_dataset(tmp_path / "dataset")


def draw_dataset(folder: Path) -> Path:
    """Write the pictures and tables of all splits."""
    for split, size in SIZES.items():
        ids = [f"tiny_{split}_{i:06d}" for i in range(size)]
        kinds = [KINDS[i % len(KINDS)] for i in range(size)]
        (folder / split).mkdir(parents=True)
        for i, (image_id, (kind, _, _)) in enumerate(zip(ids, kinds, strict=True)):
            Image.fromarray(draw(kind, seed=1000 * len(split) + i)).save(
                folder / split / f"{image_id}.jpg", quality=90
            )
        cells = [(image_id, ";".join(cuis)) for image_id, (_, cuis, _) in zip(ids, kinds, strict=True)]
        write_csv(folder / f"{split}_concepts.csv", ("ID", "CUIs"), cells)
        write_csv(folder / f"{split}_concepts_manual.csv", ("ID", "CUIs"), cells)
        captions = [(image_id, caption) for image_id, (_, _, caption) in zip(ids, kinds, strict=True)]
        write_csv(folder / f"{split}_captions.csv", ("ID", "Caption"), captions)
    write_csv(folder / "cui_mapping.csv", ("CUI", "Canonical name"), sorted(NAMES.items()))
    return folder


def draw(kind: str, seed: int) -> npt.NDArray[np.uint8]:
    """Return a grey picture with noise, shape (48, 48)."""
    generator = np.random.default_rng(seed)
    down, right = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j] + generator.uniform(-0.15, 0.15, (2, 1, 1))
    levels = 40 + 160 * _SHAPES[kind](down, right) + generator.normal(0, 12, (SIDE, SIDE))
    return np.clip(levels, 0, 255).astype(np.uint8)


_Plane = npt.NDArray[np.float64]
_SHAPES: Mapping[str, Callable[[_Plane, _Plane], npt.NDArray[np.bool_]]] = {
    "disc": lambda down, right: np.hypot(down, right) < 0.5,
    "ring": lambda down, right: abs(np.hypot(down, right) - 0.65) < 0.15,
    "upright": lambda _, right: np.sin(14 * right) > 0,
    "level": lambda down, _: np.sin(14 * down) > 0,
    "checks": lambda down, right: (np.sin(8 * down) > 0) ^ (np.sin(8 * right) > 0),
    "slope": lambda down, right: down > right,
}
