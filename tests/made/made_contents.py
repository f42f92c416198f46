"""A small dataset of made-up figures, ready to be packaged."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
from msgspec.structs import replace
from PIL import Image

from dataset_builder.packaging import Contents
from dataset_builder.records import Figure, ImageFacts, LicenceStatement, StageCount

from made_figures import made_figure

SALT = b"a secret of thirty-two bytes ...."
NAMES = {"C0040405": "X-Ray Computed Tomography", "C0018787": "Heart"}
COUNTS = (
    StageCount(
        stage="captions", title="Captions", unit="figures", taken=12, kept=9, dropped=(("too short", 3),)
    ),
)
SPLITS = {"train": (1, 2, 3, 4), "valid": (5, 6), "test": (7, 8, 9)}


def picture(seed: int, style: str = "JPEG", mode: str = "L", **options: Any) -> bytes:
    """Return an image file of coarse noise."""
    shape = (8, 8, 3) if mode != "L" else (8, 8)
    coarse = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    image = Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, style, **options)
    return buffer.getvalue()


def figure(patient: int, split: str, **changes: Any) -> Figure:
    """Return a figure of an article of its own, with everything that the stages before would know."""
    values: dict[str, Any] = {
        "pmcid": f"PMC{7000 + patient}",
        "name": f"fig-{patient}.jpg",
        "label": "Figure 1",
        "caption": f'CT, "axial", of the chest of patient {patient}.',
        "licence": "CC BY",
        "article_licences": (
            LicenceStatement(source="license-href", text="http://creativecommons.org/licenses/by/3.0/"),
        ),
        "doi": f"10.1234/example.{patient}",
        "title": f"A case, number {patient}",
        "authors": ("Example, Ada", "Sample, Ben", "Specimen, Cy"),
        "year": 2020,
        "manual": ("C0040405",),
        "automatic": ("C0018787", f"C000000{patient}"),
        "split": split,
        **changes,
    }
    made = made_figure(**values)
    if "image" in changes:
        return made
    digest = hashlib.sha256(file_of(made)).hexdigest()
    return replace(made, image=ImageFacts(sha256=digest, pixels="", perceptual=None, width=64, height=48))


def figures() -> list[Figure]:
    """Return four figures for training, two for validation, three held out."""
    return [figure(number, split) for split, numbers in SPLITS.items() for number in numbers]


def file_of(made: Figure) -> bytes:
    """Return the original file of a figure: its comment tells the article."""
    return picture(int(made.pmcid.removeprefix("PMC")), comment=made.key.encode())


def contents(**changes: Any) -> Contents:
    """Return the dataset."""
    values: dict[str, Any] = {
        "figures": figures(),
        "read": file_of,
        "concept_names": NAMES,
        "counts": COUNTS,
        "salt": SALT,
        "provenance": {"config": {"split": {"seed": 1}}},
        **changes,
    }
    return Contents(**values)
