"""What the descriptions of a dataset have in common: its card, its Croissant file, its manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dataset_builder.packaging.options import PackageOptions
from dataset_builder.packaging.parquet import ParquetSplit
from dataset_builder.records import Figure, StageCount

_OPEN = frozenset({"CC BY", "CC0", "PUBLIC DOMAIN"})


@dataclass(frozen=True, kw_only=True)
class Licence:
    """Under which licence a dataset as a whole stands.

    Attributes:
        code: As the Hugging Face Hub knows it.
        name: For people.
        url: Where it stands; empty where the images have licences of their own alone.
    """

    code: str
    name: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What may be told of a dataset.

    Attributes:
        options: Names, and what is held out.
        licence: Of the dataset as a whole.
        images: Number of images by split, in the order of the splits.
        licences: Number of images by licence code, without the held-out split; the most frequent first.
        concepts: Number of different concepts, without the held-out split.
        nameless: Those of them whose name is not known.
        counts: Of the stages, in their order.
        tool: Name and version of what made it.
        parquet: What was written of each split.
    """

    options: PackageOptions
    licence: Licence
    images: Mapping[str, int]
    licences: Mapping[str, int]
    concepts: int
    nameless: Sequence[str]
    counts: Sequence[StageCount]
    tool: str
    parquet: Sequence[ParquetSplit] = ()


def whole_licence(figures: Sequence[Figure]) -> Licence:
    """Return the licence under which all images together may be used: the strictest, if it covers the others.

    The held-out images count too, for they are published as well.
    """
    codes = {figure.licence for figure in figures}
    if codes <= _OPEN:
        return Licence(code="cc-by-4.0", name="CC BY 4.0", url="https://creativecommons.org/licenses/by/4.0/")
    if codes <= _OPEN | {"CC BY-NC"}:
        return Licence(
            code="cc-by-nc-4.0", name="CC BY-NC 4.0", url="https://creativecommons.org/licenses/by-nc/4.0/"
        )
    return Licence(code="other", name="each image has its own licence", url="")
