"""Concepts of every figure: looked up in a table, or found in its caption and merged with what people say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from dataset_builder.concepts.extraction import CaptionConcepts, extract_concepts, open_extractor
from dataset_builder.concepts.merging import MergeOptions, merge
from dataset_builder.concepts.table import (
    NO_CONCEPT,
    ConceptOptions,
    read_names,
    read_table,
    select,
)
from dataset_builder.concepts.table import STAGE as NAME
from dataset_builder.facets import read_manual
from dataset_builder.figure_tables import FigureTable, key_of_row
from dataset_builder.records import Drop, Figure, FigureConcepts, kept_and_drops
from dataset_builder.stages.stage import Context, Result, Stage
from rocov2_eval.concept_extraction import ConceptExtractor, pack_identity, require_pack
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.files import file_digest
from rocov2_eval.shelf.words import shorten

Answers = Mapping[str, str]


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Give every figure its concepts."""
    options: ConceptOptions = context.tables["concepts"]
    if options.table:
        kept, drops = select(figures, _table(options.table, file_digest(options.table)), options)
        return Result(kept=kept, drops=drops)
    assert options.model is not None, "checked by the options"
    manual = _manual(options.manual, file_digest(options.manual)) if options.manual else FigureTable(rows={})
    found = extract_concepts(
        [figure.text.caption for figure in figures], _extractor(options.model), context.tables["extraction"]
    )
    merging: MergeOptions = context.tables["merging"]
    kept, drops = kept_and_drops(
        _merged(figure, outcome, manual.of(figure) or {}, merging, options)
        for figure, outcome in zip(figures, found, strict=True)
    )
    return Result(kept=kept, drops=drops)


def inputs(tables: Mapping[str, Any]) -> tuple[Path, ...]:
    """Look at what concepts are made of before anything is fetched for them."""
    options: ConceptOptions = tables["concepts"]
    if options.table:
        _table(options.table, file_digest(options.table))
    if options.model:
        require_pack(options.model)
    if options.manual:
        _manual(options.manual, file_digest(options.manual))
    if options.names:
        read_names(options.names)
    return ()


def _merged(
    figure: Figure, outcome: CaptionConcepts, answers: Answers, merging: MergeOptions, options: ConceptOptions
) -> Figure | Drop:
    merged = merge(answers, outcome.kept, merging)
    if not merged.concepts and options.without == "drop":
        return Drop(
            stage=NAME, key=figure.key, reason=NO_CONCEPT, detail="neither in the caption nor by hand"
        )
    concepts = FigureConcepts(
        manual=merged.manual,
        automatic=merged.concepts[len(merged.manual) :],
        mentions=outcome.kept,
        removed=outcome.removed,
        gave_way=merged.dropped,
        conflicts=merged.conflicts,
    )
    return replace(figure, concepts=concepts)


@lru_cache(maxsize=1)
def _table(path: Path, digest: str) -> FigureTable[FigureConcepts]:
    """Return a table, read once a process while its content stays."""
    del digest
    return read_table(path)


@lru_cache(maxsize=1)
def _manual(path: Path, digest: str) -> FigureTable[Answers]:
    """Return what people have settled, read once a process while it stays."""
    del digest
    rows = {key_of_row(*image.split("/", 1)): answers for image, answers in _settled(path)}
    return FigureTable(rows=rows)


def _settled(path: Path) -> list[tuple[str, Answers]]:
    answers = read_manual(path)
    strange = next((image for image in answers if "/" not in image), None)
    if strange is not None:
        raise RejectedInput(
            f"{path}: image {shorten(strange)!r}, expected PMCID/file, as `curate export BUILD.TOML` has it"
        )
    return list(answers.items())


def _extractor(pack: Path) -> ConceptExtractor:
    """Return the extractor of a model pack, loaded once a process while the pack stays."""
    return _loaded(pack, pack_identity(pack))


@lru_cache(maxsize=1)
def _loaded(pack: Path, identity: str) -> ConceptExtractor:
    del identity
    with open_extractor(pack) as extractor:  # it outlives the context, which only unpacks
        return extractor


STAGE = Stage(
    name=NAME,
    revision=1,
    title="has concepts",
    tables=("concepts", "extraction", "merging"),
    takes=Figure,
    gives=Figure,
    run=run,
    libraries=("medcat",),
    inputs=inputs,
)
