"""The stages from articles to a dataset, in order: what is cheap and drops much comes first."""

from __future__ import annotations

from collections.abc import Mapping

from dataset_builder.concepts.extraction import ExtractionOptions
from dataset_builder.concepts.merging import MergeOptions
from dataset_builder.concepts.table import ConceptOptions
from dataset_builder.gates import GateOptions
from dataset_builder.opening import SourceOptions
from dataset_builder.packaging import PackageOptions
from dataset_builder.stages import (
    articles,
    captions,
    compound,
    concepts,
    duplicates,
    figures,
    frequency,
    images,
    licence,
    package,
    radiology,
    split,
)
from dataset_builder.stages.stage import Stage

STAGES: tuple[Stage, ...] = (
    articles.STAGE,
    figures.STAGE,
    licence.STAGE,
    captions.STAGE,
    images.STAGE,
    compound.STAGE,
    radiology.STAGE,
    concepts.STAGE,
    duplicates.STAGE,
    frequency.STAGE,
    split.STAGE,
    package.STAGE,
)

# What each table of build.toml may hold.
TABLES: Mapping[str, type] = {
    "source": SourceOptions,
    "figures": figures.FigureOptions,
    "licence": licence.LicenceOptions,
    "captions": captions.CaptionOptions,
    "images": images.ImageOptions,
    "compound": compound.CompoundOptions,
    "radiology": radiology.RadiologyOptions,
    "concepts": ConceptOptions,
    "extraction": ExtractionOptions,
    "merging": MergeOptions,
    "duplicates": duplicates.DuplicateOptions,
    "split": split.SplitOptions,
    "gates": GateOptions,
    "package": PackageOptions,
}
